"""What the mesh reads wrong when the head is turned, and by how much that is known.

A turned head is drawn with the shape of the mean face mixed into it: where a side is hidden or foreshortened, the
network leans on what faces usually look like. On average over people that can be set right; what remains differs from
person to person, and is in `mm_sd`. The figures behind it are in docs/adr/0010.

Plain Python, as all of the registry is.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, radians, sin
from typing import Final

MAX_YAW_DEG: Final = 40.0
MAX_PITCH_DEG: Final = 20.0
"""The renders it was set on turned so far; a head that is turned further is taken for one that is turned so far."""


@dataclass(frozen=True, slots=True)
class TurnCorrection:
    """How a width in millimetres changes with the pose, on average over people.

    The mesh reads 1 + yaw sin²Y + pitch sin P + yaw_and_pitch sin²Y sin P times the width that it reads of the same
    head looking straight into the lens, with Y and P as `Pose` has them, turned away from the line of sight. The same
    to either side; 1 at the straight view, which it leaves without a step.

    Attributes
    ----------
    yaw, pitch, yaw_and_pitch : float
        Fractions of the width, for sines of 1.
    yaw_sd, pitch_sd : float
        One standard deviation over people of what remains, beyond what depth and the points' own jitter explain:
        √((yaw_sd sin Y)² + (pitch_sd sin P)²), as a fraction of the width.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    yaw_and_pitch: float = 0.0
    yaw_sd: float = 0.0
    pitch_sd: float = 0.0

    def factor(self, yaw_deg: float, pitch_deg: float) -> float:
        """Tell what the mesh reads, as a multiple of the straight view.

        Parameters
        ----------
        yaw_deg, pitch_deg : float
            How the head is turned away from the camera that looks at it [degrees].

        Returns
        -------
        float
            What a width in millimetres is divided by.
        """
        across, up = _sines(yaw_deg, pitch_deg)
        return 1 + self.yaw * across**2 + self.pitch * up + self.yaw_and_pitch * across**2 * up

    def remaining_sd(self, yaw_deg: float, pitch_deg: float) -> float:
        """Tell how far single people are from that.

        Parameters
        ----------
        yaw_deg, pitch_deg : float
            How the head is turned away from the camera that looks at it [degrees].

        Returns
        -------
        float
            One standard deviation, as a fraction of the width; 0 at the straight view.
        """
        across, up = _sines(yaw_deg, pitch_deg)
        return hypot(self.yaw_sd * across, self.pitch_sd * up)


def _sines(yaw_deg: float, pitch_deg: float) -> tuple[float, float]:
    return sin(_within(yaw_deg, MAX_YAW_DEG)), sin(_within(pitch_deg, MAX_PITCH_DEG))


def _within(angle_deg: float, most_deg: float) -> float:
    return radians(min(most_deg, max(-most_deg, angle_deg)))
