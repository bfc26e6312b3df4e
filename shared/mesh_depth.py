"""From a mesh in pixels to a mesh in millimetres: what the measurements rest on and what exported meshes show.

Plain Python, so that the service that writes a mesh needs no numpy; `worker.measure.depth` is the same in numpy, with
the same constants. The figures behind them are in docs/adr/0006.

The network sees a face cut out around its middle, and answers as if from far away: its depth is counted along the line
of sight to the face (not along the camera's axis), in px of the same scale as x, and it draws about half of the
perspective that is in the picture, since in a close-up what lies far back hides behind the cheek and the point is put
on the visible edge instead. So a mesh is put into space in the view of a camera that is turned onto the face, and
turned back with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot
from typing import Final

from shared.tessellation import SKIN_POINTS

RIGHT_IRIS: Final = 468
"""Centre of the subject's right iris."""
LEFT_IRIS: Final = 473
"""Centre of the subject's left iris."""

DEPTH_GAIN: Final = 1.05
"""True depth over the mesh's own. Google's reference face says 1.05 (least squares over five pairs of points, after its
pitch of 1.3° against ours); turned renders agree with themselves best between 1.0 and 1.12."""

PERSPECTIVE_SHARE: Final = 0.55
"""How much of the perspective between a point's depth and the eyes' the mesh follows. Renders of six people at 30 to
100 cm ask for 0.50 to 0.65 (whatever depth they are given), the four photos of the zoom series for 0.55 to 0.60."""

DRAWN_OUT_POWER: Final = 1.5
"""A picture is drawn out beside its axis, by 1/cos² of the angle outwards and 1/cos across. The mesh's depth has the
scale of the cut-out, for which the mean of both stands."""

Vector = tuple[float, float, float]


def mesh_in_millimetres(
    landmarks: Sequence[Sequence[float]], mm_per_px: float, focal_px: float, centre_px: tuple[float, float]
) -> list[tuple[float, float, float]]:
    """Back-project a mesh, each point to its own depth, in the view of a camera turned onto the face.

    Parameters
    ----------
    landmarks : sequence of 478 sequences (x, y, z)
        The mesh [px of the full upright photo].
    mm_per_px : float
        Scale at the plane of the eyes.
    focal_px : float
        Focal length [px].
    centre_px : tuple of float
        Where the optical axis meets the photo [px].

    Returns
    -------
    list of 478 tuples (x, y, z)
        Millimetres: x to the right, y down, z away from the camera, from where the optical axis meets the plane of the
        eyes; the camera is at (0, 0, -focal_px * mm_per_px).
    """
    turn = _turn_onto_face(landmarks, focal_px, centre_px)
    back = tuple(zip(*turn, strict=True))
    gain = DEPTH_GAIN * turn[2][2] ** DRAWN_OUT_POWER
    eyes = (landmarks[RIGHT_IRIS][2] + landmarks[LEFT_IRIS][2]) / 2
    points = []
    for x, y, z in landmarks:
        relief_px = gain * (z - eyes)
        across, down, ahead = _times((x - centre_px[0], y - centre_px[1], focal_px), turn)
        magnified = (focal_px + PERSPECTIVE_SHARE * relief_px) / ahead
        points.append(_times((across * magnified, down * magnified, focal_px + relief_px), back))
    size = mm_per_px * 2 * focal_px / (points[RIGHT_IRIS][2] + points[LEFT_IRIS][2])
    return [(x * size, y * size, z * size - mm_per_px * focal_px) for x, y, z in points]


def _turn_onto_face(
    landmarks: Sequence[Sequence[float]], focal_px: float, centre_px: tuple[float, float]
) -> tuple[Vector, ...]:
    """Find the turn that takes the camera's axis, by the shortest way, to the sight of the middle of the face."""
    across = (sum(point[0] for point in landmarks[:SKIN_POINTS]) / SKIN_POINTS - centre_px[0]) / focal_px
    down = (sum(point[1] for point in landmarks[:SKIN_POINTS]) / SKIN_POINTS - centre_px[1]) / focal_px
    length = hypot(1.0, across, down)
    x, y, z = across / length, down / length, 1 / length
    return (1 - x * x / (1 + z), -x * y / (1 + z), x), (-x * y / (1 + z), 1 - y * y / (1 + z), y), (-x, -y, z)


def _times(row: Vector, matrix: tuple[Vector, ...]) -> Vector:
    (x, y, z), (first, second, third) = row, matrix
    return (
        x * first[0] + y * second[0] + z * third[0],
        x * first[1] + y * second[1] + z * third[1],
        x * first[2] + y * second[2] + z * third[2],
    )
