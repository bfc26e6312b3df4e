"""How sure a length in millimetres is: one named term for each thing that is not known exactly.

A width between two points a and b of the mesh is w = ‖X_a - X_b‖ with X = (x (s + q d/f), y (s + q d/f), d) and
d = s g z, in the view of a camera turned onto the face (docs/adr/0006), so that its variance is, to first order and
with independent causes,

    sd_w² = (w sd_s/s)² + (s sd_px)² + (p sd_d/d)² + (w' sd_f/f)² + (t sd_g/g)² + sd_axis² + sd_turn² + sd_definition²

where p is the part of w that perspective added, w_px q d/f for two points at the same depth, w' = dw/d(ln f) with the
scale's own share in it (which sd_s is without), and t = (d_a - d_b)²/w the part that lies in depth, nil for a face that
looks at the camera, as is sd_turn: what else a turned head is misread by (docs/adr/0010). Every helper gives one term,
in millimetres.
"""

from __future__ import annotations

from math import hypot, isfinite, radians, sqrt
from typing import Final

PERSPECTIVE_SD_FRACTION: Final = 0.30
"""sd_d/d of the perspective: one standard deviation, as a fraction, of the depth that the perspective of a width asks
for. Over the widths, on renders of six people at 30 to 100 cm, the share that keeps a width constant lies between 0.33
and 0.70 with 0.55 in use."""

DEPTH_GAIN_SD_FRACTION: Final = 0.08
"""sd_g/g: one standard deviation, as a fraction, of the mesh's depth. Turned renders agree with themselves best for
gains of 1.0 to 1.12, by person and by the head they were made from, with 1.05 in use."""

OFF_AXIS_SD_FRACTION: Final = 0.07
"""sd_a: one standard deviation of a length, as a fraction, for each sin² of the angle beside the axis. Portraits seen
by a camera turned away from them by 20 and 25 degrees came out by 0.8 and 1.3 % other than straight ahead (root mean
square over the means of all lengths, two rulers and three directions, docs/adr/0006)."""


def root_sum_of_squares(*terms_mm: float) -> float:
    """Add independent standard deviations.

    Parameters
    ----------
    *terms_mm : float
        One standard deviation each [mm], not negative.

    Returns
    -------
    float
        One standard deviation of their sum [mm].

    Raises
    ------
    ValueError
        If a term is negative or not finite.
    """
    for term_mm in terms_mm:
        if not (isfinite(term_mm) and term_mm >= 0):
            raise ValueError(f"a standard deviation is finite and not negative, not {term_mm}")
    return hypot(*terms_mm)


def scale_term_mm(length_mm: float, scale_sd_fraction: float) -> float:
    """Tell what the ruler adds: w sd_s/s, since everything in space, depths too, grows with the scale.

    Parameters
    ----------
    length_mm : float
        The length [mm].
    scale_sd_fraction : float
        One standard deviation of the scale over the scale, of all that is not the lens.

    Returns
    -------
    float
        One standard deviation [mm].
    """
    return length_mm * scale_sd_fraction


def landmark_term_mm(length_mm: float, repeatability: float) -> float:
    """Tell what the jitter of the mesh adds: s sd_px, with sd_px the repeatability of the width in the picture.

    Parameters
    ----------
    length_mm : float
        The length [mm].
    repeatability : float
        One standard deviation under small perturbations of the photo, as a fraction of the length.

    Returns
    -------
    float
        One standard deviation [mm].
    """
    return length_mm * repeatability


def sd_without_lens(sd_fraction: float, focal_slope: float, focal_sd_fraction: float) -> float:
    """Take what the lens does out of the standard deviation of a scale, so that it is not counted twice.

    Parameters
    ----------
    sd_fraction : float
        One standard deviation of the scale over the scale.
    focal_slope : float
        d ln s/d ln f, by what fraction the scale grows with a lens that is longer by a fraction.
    focal_sd_fraction : float
        One standard deviation of the focal length over the focal length.

    Returns
    -------
    float
        One standard deviation over the scale.
    """
    return sqrt(max(0.0, sd_fraction**2 - (focal_slope * focal_sd_fraction) ** 2))


def perspective_term_mm(perspective_mm: float) -> float:
    """Tell what the depth that perspective works on adds: p sd_d/d.

    Parameters
    ----------
    perspective_mm : float
        What perspective added to the length [mm], of any sign: w_px q d/f for two points at the same depth d.

    Returns
    -------
    float
        One standard deviation [mm].
    """
    return abs(perspective_mm) * PERSPECTIVE_SD_FRACTION


def focal_term_mm(change_mm: float, focal_sd_fraction: float) -> float:
    """Tell what the lens adds: dw/d(ln f) sd_f/f.

    With a shorter lens a face was nearer, so that perspective adds more to the length; farther beside the axis, so that
    more of what it measures is the picture's drawing out; and a ruler that is not in the plane of the eyes, or beside
    the axis, says another scale.

    Parameters
    ----------
    change_mm : float
        dw/d(ln f), by how much the length grows for a lens that is longer by a fraction, over that fraction [mm], of
        any sign.
    focal_sd_fraction : float
        One standard deviation of the focal length over the focal length.

    Returns
    -------
    float
        One standard deviation [mm].
    """
    return abs(change_mm) * focal_sd_fraction


def off_axis_term_mm(length_mm: float, aside: float) -> float:
    """Tell what a place beside the optical axis adds: w sin²t sd_a.

    Parameters
    ----------
    length_mm : float
        The length [mm], positive.
    aside : float
        sin²t, t the angle between the optical axis and the line of sight to the face.

    Returns
    -------
    float
        One standard deviation [mm].
    """
    return length_mm * aside * OFF_AXIS_SD_FRACTION


def depth_term_mm(length_mm: float, depth_difference_mm: float) -> float:
    """Tell what a width that is partly depth adds: (d_a - d_b)²/w sd_g/g.

    Parameters
    ----------
    length_mm : float
        The length [mm], positive.
    depth_difference_mm : float
        By how much one end lies behind the other [mm].

    Returns
    -------
    float
        One standard deviation [mm].
    """
    return depth_difference_mm**2 / length_mm * DEPTH_GAIN_SD_FRACTION


def yaw_term_mm(depth_in_face_mm: float, yaw_sd_deg: float) -> float:
    """Tell what the pose adds to a distance from the middle plane of the face: |z_a - z_b| sd_yaw.

    Parameters
    ----------
    depth_in_face_mm : float
        How far the point lies behind the one that holds the plane, along the face's own depth axis [mm].
    yaw_sd_deg : float
        One standard deviation of the yaw [degrees].

    Returns
    -------
    float
        One standard deviation [mm].
    """
    return abs(depth_in_face_mm) * radians(yaw_sd_deg)


def definition_term_mm(length_mm: float, definition_sd: float) -> float:
    """Tell what the choice of points adds: sd_definition.

    Parameters
    ----------
    length_mm : float
        The length [mm].
    definition_sd : float
        Between people, mesh against points placed by hand, as a fraction of the length.

    Returns
    -------
    float
        One standard deviation [mm].
    """
    return length_mm * definition_sd


def turn_term_mm(length_mm: float, remaining_sd: float) -> float:
    """Tell what is left of the turn of the head after its correction: people differ.

    Parameters
    ----------
    length_mm : float
        The length [mm].
    remaining_sd : float
        As `TurnCorrection.remaining_sd` gives it, as a fraction of the length.

    Returns
    -------
    float
        One standard deviation [mm].
    """
    return length_mm * remaining_sd


def far_gaze_term_mm(pupils_mm: float, distance_mm: float, distance_sd_mm: float, centre_mm: float) -> float:
    """Tell what the distance adds to a PD for far gaze: dF/dZ sd_Z, with F = P Z/(Z - c), is P c/(Z - c)² sd_Z.

    Parameters
    ----------
    pupils_mm : float
        P, the distance between the pupils as photographed [mm].
    distance_mm, distance_sd_mm : float
        Z, from the camera to the eyes, and one standard deviation of it [mm].
    centre_mm : float
        c, how far the eye turns about a point behind its pupil [mm].

    Returns
    -------
    float
        One standard deviation [mm].
    """
    return pupils_mm * centre_mm / (distance_mm - centre_mm) ** 2 * distance_sd_mm
