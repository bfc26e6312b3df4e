"""A mesh as the network draws it, of points that stand in space: the exact inverse of the back-projection."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.mesh_depth import DEPTH_GAIN, DRAWN_OUT_POWER, LEFT_IRIS, PERSPECTIVE_SHARE, RIGHT_IRIS
from worker.measure.camera import Camera
from worker.measure.depth import turn_onto_face

Points = NDArray[np.float64]

ROUNDS = 60


def drawn_mesh(from_lens_mm: Points, camera: Camera, share: float = PERSPECTIVE_SHARE) -> Points:
    """Draw points that stand in the camera's frame, with a share of their perspective; 1 is what a pinhole sees.

    Where the middle of the skin is drawn depends on how it is drawn, so it is found in rounds.
    """
    centre, focal_px = np.array(camera.centre_px), camera.focal_px
    mesh = np.column_stack((from_lens_mm[:, :2] / from_lens_mm[:, 2:] * focal_px + centre, np.zeros(len(from_lens_mm))))
    for _ in range(ROUNDS):
        turn = turn_onto_face(mesh, camera)
        seen = from_lens_mm @ turn
        seen *= 2 * focal_px / (seen[RIGHT_IRIS, 2] + seen[LEFT_IRIS, 2])
        relief = seen[:, 2] - focal_px
        drawn = seen[:, :2] / (1 + share / focal_px * relief)[:, np.newaxis]
        rays = np.column_stack((drawn, np.full(len(drawn), focal_px))) @ turn.T
        depth = relief / (DEPTH_GAIN * turn[2, 2] ** DRAWN_OUT_POWER)
        mesh = np.column_stack((rays[:, :2] / rays[:, 2:] * focal_px + centre, depth))
    return mesh
