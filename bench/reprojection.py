"""The other way to a pose: move and turn the mean face until its picture is the mesh's (Gauss-Newton, six unknowns).

Kept to compare with: `bench.geometry` prints both. Only x and y of the mesh are used.
"""

from __future__ import annotations

from math import cos, sin

import numpy as np
from numpy.typing import NDArray

from shared.mesh_depth import DEPTH_GAIN
from worker.measure.camera import Camera
from worker.measure.landmarks import CANONICAL_POINTS
from worker.measure.mean_face import mean_face
from worker.measure.pose import turn_onto

Points = NDArray[np.float64]

MAX_STEPS = 12
SMALL_STEP_RAD = 1e-6
NEAREST_MM = 10.0
"""No point of a face is nearer to a lens; a step that says so has gone astray."""


def by_reprojection(landmarks: Points, camera: Camera) -> Points:
    """Return the rotation, shape (3, 3)."""
    model = mean_face()[:CANONICAL_POINTS] * (1, 1, DEPTH_GAIN)
    model -= model.mean(axis=0)
    rays = (landmarks[:CANONICAL_POINTS, :2] - camera.centre_px) / camera.focal_px
    rotation, size = turn_onto(model, landmarks[:CANONICAL_POINTS] * (1, 1, DEPTH_GAIN))
    return _least_squares(model, rays, rotation, np.append(rays.mean(axis=0), 1.0) * camera.focal_px / size)


def _skew(axis: Points) -> Points:
    x, y, z = axis
    return np.array(((0.0, -z, y), (z, 0.0, -x), (-y, x, 0.0)))


def _least_squares(model: Points, rays: Points, rotation: Points, shift: Points) -> Points:
    """Minimise the distance between the projected model and the mesh over six degrees of freedom."""
    count = len(model)
    jacobian = np.zeros((2 * count, 6))
    for _ in range(MAX_STEPS):
        turned = model @ rotation.T
        x, y, depth = (turned + shift).T
        if depth.min() < NEAREST_MM:
            break
        across, down = x / depth, y / depth
        # The derivative of a projection by a shift, and by a small turn w of the model: dX = w x turned.
        jacobian[:count, 3] = jacobian[count:, 4] = 1 / depth
        jacobian[:count, 5], jacobian[count:, 5] = -across / depth, -down / depth
        jacobian[:, :3] = np.cross(np.vstack((turned, turned)), jacobian[:, 3:])
        missing = np.concatenate((rays[:, 0] - across, rays[:, 1] - down))
        step = np.linalg.solve(jacobian.T @ jacobian, jacobian.T @ missing)
        rotation, shift = _turned_by(step[:3]) @ rotation, shift + step[3:]
        if np.abs(step[:3]).max() < SMALL_STEP_RAD:
            break
    return rotation


def _turned_by(turn: Points) -> Points:
    """Build the rotation by |turn| radians about turn (Rodrigues)."""
    angle = float(np.linalg.norm(turn))
    if angle == 0:
        return np.eye(3)
    skew = _skew(turn / angle)
    return np.asarray(np.eye(3) + sin(angle) * skew + (1 - cos(angle)) * skew @ skew)
