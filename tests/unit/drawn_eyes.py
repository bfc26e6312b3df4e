"""Eyes that are drawn by formula, with the mesh that belongs to them: the iris is known to a fraction of a px."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UPPER_LIDS = ((33, 246, 161, 160, 159, 158, 157, 173, 133), (362, 398, 384, 385, 386, 387, 388, 466, 263))
LOWER_LIDS = ((33, 7, 163, 144, 145, 153, 154, 155, 133), (362, 382, 381, 380, 374, 373, 390, 249, 263))
RINGS = (469, 474)
SKIN, WHITE, IRIS, PUPIL, HIGHLIGHT = 150.0, 205.0, 70.0, 25.0, 255.0


@dataclass(frozen=True)
class DrawnEyes:
    """Two eyes of one kind, in a picture; lengths in px, lids in radii of the iris above and below its centre."""

    radius_px: float = 19.3
    upper_lid: float = 0.8
    lower_lid: float = 1.05
    edge_px: float = 0.8
    roll_deg: float = 0.0
    ring_over_iris: float = 1.043
    ring_shift_px: tuple[float, float] = (0.0, 2.0)
    white: float = WHITE
    centre_px: tuple[float, float] = (180.3, 120.7)

    def _axes(self) -> NDArray[np.float64]:
        roll = np.deg2rad(self.roll_deg)
        return np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])

    def _centres(self) -> NDArray[np.float64]:
        apart = 3.2 * self.radius_px
        return np.array(self.centre_px) + np.array([[-apart, 0.0], [apart, 0.0]]) @ self._axes()

    def _lid(self, across: NDArray[np.float64], height: float) -> NDArray[np.float64]:
        """How far a lid is from the line through the corners, which lie 2.4 radii out."""
        return height * self.radius_px * (1 - (across / (2.4 * self.radius_px)) ** 2)

    def pixels(self) -> NDArray[np.uint8]:
        y, x = np.mgrid[0:240, 0:360].astype(float)
        picture = np.full(x.shape, SKIN)
        for centre in self._centres():
            across, down = np.moveaxis((np.stack([x, y], axis=-1) - centre) @ self._axes().T, -1, 0)
            off = np.hypot(across, down)
            eye = picture * 0 + self.white
            for radius, level in ((self.radius_px, IRIS), (0.35 * self.radius_px, PUPIL)):
                inside = 1 / (1 + np.exp(np.clip((off - radius) / (self.edge_px / 2), -50, 50)))
                eye += inside * (level - eye)
            eye[np.hypot(across - 0.2 * self.radius_px, down + 0.2 * self.radius_px) < 0.15 * self.radius_px] = (
                HIGHLIGHT
            )
            open_ = (down > -self._lid(across, self.upper_lid)) & (down < self._lid(across, self.lower_lid))
            picture = np.where(open_, eye, picture)
        return np.repeat(np.rint(picture).astype(np.uint8)[..., np.newaxis], 3, axis=2)

    def landmarks(self) -> NDArray[np.float64]:
        mesh = np.zeros((478, 3))
        axes, across = self._axes(), np.linspace(-2.4, 2.4, 9) * self.radius_px
        for eye, centre in enumerate(self._centres()):
            for points, side, height in ((UPPER_LIDS, -1, self.upper_lid), (LOWER_LIDS, 1, self.lower_lid)):
                mesh[list(points[eye]), :2] = (
                    centre + np.column_stack([across, side * self._lid(across, height)]) @ axes
                )
            ring = np.array([(1, 0), (0, -1), (-1, 0), (0, 1)]) * self.radius_px * self.ring_over_iris
            mesh[RINGS[eye] - 1, :2] = centre + np.array(self.ring_shift_px) @ axes
            mesh[RINGS[eye] : RINGS[eye] + 4, :2] = mesh[RINGS[eye] - 1, :2] + ring @ axes
        return mesh
