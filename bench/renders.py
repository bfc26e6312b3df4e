"""Turned faces whose truth is known: a portrait's mesh lifted into space, textured, and photographed again.

`lift` makes a head of one photo: the mesh back-projected to millimetres, the eyes and the mouth closed with triangles,
and three rings around it that carry ears, hair and neck on their way backwards. `render` looks at it through a pinhole:
true perspective, each triangle textured from the photo. What the mesh network then finds in the render can be
compared with what was put in.

Depth can be the mesh's own or the mean face's, with any gain, so that conclusions do not just repeat the depth that
went in.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.mesh_depth import DEPTH_GAIN, LEFT_IRIS, RIGHT_IRIS
from shared.tessellation import TRIANGLES
from worker.measure.camera import Camera
from worker.measure.depth import back_projected_px
from worker.measure.landmarks import CANONICAL_POINTS, MESH_POINTS
from worker.measure.mean_face import mean_face
from worker.measure.pose import estimate_pose, rotation_of, turn_onto

Points = NDArray[np.float64]
Pixels = NDArray[np.uint8]

LIFT_DISTANCE_MM: Final = 1500.0
"""Portraits in a studio are taken from about so far; the head that comes out is a plausible one at any value."""

_OVAL = """10 338 297 332 284 251 389 356 454 323 361 288 397 365 379 378 400 377
152 148 176 149 150 136 172 58 132 93 234 127 162 21 54 103 67 109"""
FACE_OVAL: Final = tuple(int(point) for point in _OVAL.split())
"""The edge of the mesh, once around."""
RIGHT_EYE: Final = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
LEFT_EYE: Final = (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249)
INNER_LIPS: Final = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
"""The edges of its three holes."""

RINGS: Final = ((0.10, 14.0), (0.26, 40.0), (0.60, 85.0))
"""Around the face: how far beyond its edge, over the edge's distance from the middle, and how far behind it [mm]."""
SUPERSAMPLING: Final = 2
SUBPIXEL_BITS: Final = 8
CORNER_ROWS: Final = 20
"""The first rows of a portrait show what is behind the head; their median fills the rest of the frame."""


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A textured head: the mesh's 478 points first, then those of the rings.

    `points_mm` are in the frame of the face, from midway between the iris centres; `texture_px` says where each is
    in `texture`, whose scale at the eyes is `mm_per_px`.
    """

    points_mm: Points
    texture_px: Points
    triangles: NDArray[np.intp]
    texture: Pixels
    mm_per_px: float


@dataclass(frozen=True, slots=True, eq=False)
class Render:
    """A picture, and the truth about the 478 points in it.

    `points_px` are their projections; `points_mm` their places in the camera's frame, from the camera; `mm_per_px` is
    the true scale at the plane of the eyes.
    """

    pixels: Pixels
    points_px: Points
    points_mm: Points
    rotation: Points
    camera: Camera
    mm_per_px: float


def lift(
    photo: Pixels, landmarks: Points, mm_per_px: float, depth: Literal["own", "mean"] = "own", gain: float = DEPTH_GAIN
) -> Head:
    """Make a head of a photo that looks at the camera; true perspective throughout, whatever the product's depth does.

    `gain` multiplies the mesh's own depth, or the mean face's, which is turned by the pose and scaled to the face.
    """
    height, width = photo.shape[:2]
    focal_px = LIFT_DISTANCE_MM / mm_per_px
    camera = Camera(focal_px, 0.0, ((width - 1) / 2, (height - 1) / 2), "assumed")
    depth_mm = mm_per_px * (
        back_projected_px(landmarks, camera)[:, 2] * gain / DEPTH_GAIN
        if depth == "own"
        else _mean_depth_px(landmarks, camera, gain)
    )
    edge = landmarks[FACE_OVAL, :2]
    outwards = edge - edge.mean(axis=0)
    rings_px = [np.clip(edge + outwards * beyond, 0, (width - 1, height - 1)) for beyond, _ in RINGS]
    texture_px = np.vstack((landmarks[:, :2], *rings_px))
    depth_mm = np.concatenate((depth_mm, *(depth_mm[FACE_OVAL,] + behind for _, behind in RINGS)))
    seen_mm = np.column_stack(
        ((texture_px - camera.centre_px) * (mm_per_px + depth_mm / focal_px)[:, np.newaxis], depth_mm)
    )
    seen_mm -= (seen_mm[RIGHT_IRIS] + seen_mm[LEFT_IRIS]) / 2
    upright, _ = turn_onto(seen_mm[:CANONICAL_POINTS], mean_face()[:CANONICAL_POINTS] * (1, 1, gain))
    return Head(seen_mm @ upright.T, texture_px, _triangles(), photo, mm_per_px)


def render(
    head: Head,
    distance_mm: float,
    angles_deg: tuple[float, float, float] = (0.0, 0.0, 0.0),
    *,
    mm_per_px: float = 0.5,
    size_px: int = 1000,
    beside_mm: tuple[float, float] = (0.0, 0.0),
) -> Render:
    """Photograph a head: yaw, pitch and roll by the conventions of `Pose`, its eyes `beside_mm` the optical axis.

    The focal length is what gives `mm_per_px` at the eyes, so that a face is equally large at any distance.
    """
    focal_px = distance_mm / mm_per_px
    rotation = rotation_of(*angles_deg)
    points_mm = head.points_mm @ rotation.T + (*beside_mm, distance_mm)
    centre = (size_px - 1) / 2
    points_px = points_mm[:, :2] / points_mm[:, 2:] * focal_px + centre
    mesh_mm = points_mm[:MESH_POINTS]
    true_mm_per_px = float((mesh_mm[RIGHT_IRIS, 2] + mesh_mm[LEFT_IRIS, 2]) / 2 / focal_px)
    return Render(
        pixels=_paint(head, points_mm, points_px, mm_per_px, size_px),
        points_px=points_px[:MESH_POINTS],
        points_mm=mesh_mm,
        rotation=rotation,
        camera=Camera(focal_px, 0.0, (centre, centre), "exif"),
        mm_per_px=true_mm_per_px,
    )


def _mean_depth_px(landmarks: Points, camera: Camera, gain: float) -> Points:
    turned = (mean_face() * (1, 1, gain)) @ estimate_pose(landmarks, camera).rotation.T
    flat, seen = turned[:CANONICAL_POINTS, :2], landmarks[:CANONICAL_POINTS, :2]
    size = np.linalg.norm(seen - seen.mean(axis=0)) / np.linalg.norm(flat - flat.mean(axis=0))
    return np.asarray((turned[:, 2] - (turned[RIGHT_IRIS, 2] + turned[LEFT_IRIS, 2]) / 2) * size)


def _triangles() -> NDArray[np.intp]:
    """Join the skin, the eyes around their irises, the lips, and the rings."""
    triangles = list(TRIANGLES)
    for eye, iris in ((RIGHT_EYE, RIGHT_IRIS), (LEFT_EYE, LEFT_IRIS)):
        triangles += [(first, second, iris) for first, second in zip(eye, eye[1:] + eye[:1], strict=True)]
    triangles += [(INNER_LIPS[0], *pair) for pair in pairwise(INNER_LIPS[1:])]
    inner = FACE_OVAL
    for ring in range(len(RINGS)):
        start = MESH_POINTS + ring * len(FACE_OVAL)
        outer = tuple(range(start, start + len(FACE_OVAL)))
        for i in range(len(FACE_OVAL)):
            j = (i + 1) % len(FACE_OVAL)
            triangles += [(inner[i], inner[j], outer[i]), (inner[j], outer[j], outer[i])]
        inner = outer
    return np.array(triangles, dtype=np.intp)


def _paint(head: Head, points_mm: Points, points_px: Points, mm_per_px: float, size_px: int) -> Pixels:
    """Paint the triangles from the back to the front, then look each pixel up in the photo."""
    size = size_px * SUPERSAMPLING
    corners_px = (points_px + 0.5) * SUPERSAMPLING - 0.5
    owner = np.full((size, size), -1, dtype=np.int32)
    for index in np.argsort(-points_mm[head.triangles, 2].mean(axis=1)):
        corners = np.round(corners_px[head.triangles[index]] * 2**SUBPIXEL_BITS).astype(np.int32)
        cv2.fillConvexPoly(owner, corners, int(index), shift=SUBPIXEL_BITS)
    rows, columns = np.nonzero(owner >= 0)
    corners = head.triangles[owner[rows, columns]]
    weights = _barycentric(np.column_stack((columns, rows)), corners_px[corners]) / points_mm[corners, 2]
    weights /= weights.sum(axis=1, keepdims=True)
    at_px = (head.texture_px[corners] * weights[..., np.newaxis]).sum(axis=1)

    texture, shrink = _shrunk(head.texture, head.mm_per_px / mm_per_px * SUPERSAMPLING)
    look_up = np.full((2, size, size), -1, dtype=np.float32)
    look_up[:, rows, columns] = ((at_px + 0.5) * shrink - 0.5).T
    picture = cv2.remap(texture, look_up[0], look_up[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    picture[owner < 0] = np.median(head.texture[:CORNER_ROWS].reshape(-1, 3), axis=0)
    return np.ascontiguousarray(cv2.resize(picture, (size_px, size_px), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _barycentric(points: NDArray[np.intp], corners: Points) -> Points:
    """Weigh the three corners of each point's triangle; what lies just outside takes the nearest edge."""
    first, along, aside = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    x, y = (points - first).T
    area = along[:, 0] * aside[:, 1] - aside[:, 0] * along[:, 1]
    area = np.where(np.abs(area) < 1e-6, 1e-6, area)
    second = (x * aside[:, 1] - aside[:, 0] * y) / area
    third = (along[:, 0] * y - x * along[:, 1]) / area
    weights: Points = np.clip(np.column_stack((1 - second - third, second, third)), 1e-9, 1)
    return weights


def _shrunk(texture: Pixels, ratio: float) -> tuple[Pixels, NDArray[np.float64]]:
    """Shrink the photo to about the scale of the render, or its detail would alias."""
    if ratio >= 1:
        return texture, np.ones(2)
    height, width = texture.shape[:2]
    size = (round(width * ratio), round(height * ratio))
    shrunk = cv2.resize(texture, size, interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, dtype=np.uint8), np.asarray(np.array(size) / (width, height))
