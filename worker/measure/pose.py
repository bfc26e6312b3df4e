"""How a head is turned: the rotation of the mean face that best fits the mesh in space.

The mesh is back-projected (`worker.measure.depth`), which takes the perspective and a face beside the optical axis into
account and needs no scale, and the mean face is turned onto its skin. docs/adr/0006 compares this with a fit of the
reprojection, which is no better and six times as dear.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import asin, atan2, cos, degrees, radians, sin
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.mesh_depth import DEPTH_GAIN
from worker.measure.depth import back_projected_px
from worker.measure.landmarks import CANONICAL_POINTS
from worker.measure.mean_face import mean_face

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from worker.measure.camera import Camera

YAW_SD_DEG: Final = 4.0
"""One standard deviation of the yaw. On AFLW2000 photos (|yaw| < 60°) the mean error of such estimates was 4.1 to 4.3°;
on renders, where light and expression are those of a portrait, it is 1.5° (docs/adr/0006)."""


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """How a head is turned in the frame of the camera.

    `rotation` takes a point of the upright face (x to the subject's left, y down, z backwards into the head) into the
    frame of the camera (x to the right, y down, z away from it): R = Rz(roll) Ry(-yaw) Rx(-pitch). At 0 the face looks
    along the optical axis; beside the axis that is not quite towards the camera: see `towards_camera`.

    Attributes
    ----------
    yaw_deg : float
        Positive: turned towards the subject's left.
    pitch_deg : float
        Positive: looking up.
    roll_deg : float
        Positive: tilted clockwise in the image.
    rotation : ndarray of float64, shape (3, 3), read-only
    """

    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    rotation: NDArray[np.float64]


def rotation_of(yaw_deg: float, pitch_deg: float, roll_deg: float) -> NDArray[np.float64]:
    """Build the rotation of a head from its angles.

    Parameters
    ----------
    yaw_deg, pitch_deg, roll_deg : float
        By the conventions of `Pose`.

    Returns
    -------
    ndarray of float64, shape (3, 3)
        R = Rz(roll) Ry(-yaw) Rx(-pitch).
    """
    yaw, pitch, roll = radians(yaw_deg), radians(pitch_deg), radians(roll_deg)
    about_z = np.array(((cos(roll), -sin(roll), 0), (sin(roll), cos(roll), 0), (0, 0, 1)))
    about_y = np.array(((cos(yaw), 0, -sin(yaw)), (0, 1, 0), (sin(yaw), 0, cos(yaw))))
    about_x = np.array(((1, 0, 0), (0, cos(pitch), sin(pitch)), (0, -sin(pitch), cos(pitch))))
    return np.asarray(about_z @ about_y @ about_x)


def pose_of(rotation: NDArray[np.float64]) -> Pose:
    """Read the angles of a rotation.

    Parameters
    ----------
    rotation : ndarray of float64, shape (3, 3)
        From the face's frame into the camera's.

    Returns
    -------
    Pose
        Yaw from -90 to 90, pitch and roll from -180 to 180.
    """
    rotation = np.array(rotation, dtype=np.float64)
    rotation.flags.writeable = False
    return Pose(
        yaw_deg=degrees(asin(min(1.0, max(-1.0, rotation[2, 0])))),
        pitch_deg=-degrees(atan2(rotation[2, 1], rotation[2, 2])),
        roll_deg=degrees(atan2(rotation[1, 0], rotation[0, 0])),
        rotation=rotation,
    )


def estimate_pose(landmarks: NDArray[np.float64], camera: Camera) -> Pose:
    """Estimate how the head is turned.

    Parameters
    ----------
    landmarks : ndarray of float64, shape (478, 3)
        The mesh [px of the full upright photo].
    camera : Camera
        The photo's camera.

    Returns
    -------
    Pose
        No scale is needed: a face twice as large and twice as far looks the same.

    Raises
    ------
    ValueError
        If the mesh has another shape, is not finite, or has no extent.
    """
    return pose_in_space(back_projected_px(landmarks, camera))


def pose_in_space(points: NDArray[np.float64]) -> Pose:
    """Estimate how the head is turned, of a mesh that is back-projected already.

    Parameters
    ----------
    points : ndarray of float64, shape (478, 3)
        As `worker.measure.depth.back_projected_px` gives them, of any scale.

    Returns
    -------
    Pose

    Raises
    ------
    ValueError
        If the mesh has no extent.
    """
    skin = points[:CANONICAL_POINTS]
    if not (skin[:, :2] != skin[0, :2]).any(axis=0).all():
        raise ValueError("a mesh has an extent")
    return pose_of(_turn_centred_onto(_centred_model(), skin)[0])


def towards_camera(pose: Pose, turn: NDArray[np.float64]) -> Pose:
    """Tell how a head is turned away from the camera that looks at it, wherever in the frame it is.

    At 0 the face looks into the lens. This is what a person means by looking straight, what hides one side of a face
    from the other, and what hardly changes when a photo is cropped and its optical axis is not known any more.

    Parameters
    ----------
    pose : Pose
        In the frame of the camera, as `estimate_pose` gives it.
    turn : ndarray of float64, shape (3, 3)
        As `worker.measure.depth.turn_onto_face` gives it.

    Returns
    -------
    Pose
        In the frame of a camera at the same place that is turned, by the shortest way, to have the middle of the skin
        on its axis.
    """
    return pose_of(turn.T @ pose.rotation)


def turn_onto(points: NDArray[np.float64], onto: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Find the rotation and the scale that bring points nearest to others, both taken about their means.

    Parameters
    ----------
    points, onto : ndarray of float64, shape (n, 3)
        Corresponding points, in any units.

    Returns
    -------
    rotation : ndarray of float64, shape (3, 3)
        Proper: without a reflection.
    size : float
        Units of `onto` for one of `points`.

    References
    ----------
    Umeyama (1991), Least-squares estimation of transformation parameters, eq. 40 to 43.
    """
    centred = points - points.mean(axis=0)
    rotation, spread = _turn_centred_onto(centred, onto)
    return rotation, spread / float((centred**2).sum())


def _turn_centred_onto(centred: NDArray[np.float64], onto: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Find the rotation, and what is the size times the sum of squares of the points.

    Points with their mean at 0 have the same product with others wherever the mean of those is.
    """
    left, spreads, right = np.linalg.svd(onto.T @ centred)
    if np.linalg.det(left @ right) < 0:
        left[:, 2] *= -1
        spreads[2] *= -1
    return left @ right, float(spreads.sum())


@cache
def _centred_model() -> NDArray[np.float64]:
    """Take the skin of the mean face at its true depth, from its middle [mm]."""
    skin = mean_face()[:CANONICAL_POINTS] * (1, 1, DEPTH_GAIN)
    return np.asarray(skin - skin.mean(axis=0))
