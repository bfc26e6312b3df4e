"""From a mesh in pixels to a mesh in millimetres: what the measurements rest on and what exported meshes show.

Plain Python, so that the service that writes a mesh needs no numpy; `worker.measure.depth` is the same in numpy, with
the same constants. The figures behind them are in docs/adr/0006.

The network sees a face cut out around its middle, and answers as if from far away: its depth is counted along the line
of sight to the face (not along the camera's axis), in px of the same scale as x, and it draws about half of the
perspective that is in the picture, since in a close-up what lies far back hides behind the cheek and the point is put
on the visible edge instead.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def depths_behind_eyes_px(
    landmarks: Sequence[Sequence[float]], focal_px: float, centre_px: tuple[float, float]
) -> list[float]:
    """Tell how far each point of a mesh lies behind the plane of the eyes.

    Parameters
    ----------
    landmarks : sequence of 478 sequences (x, y, z)
        The mesh [px of the full upright photo].
    focal_px : float
        Focal length [px].
    centre_px : tuple of float
        Where the optical axis meets the photo [px].

    Returns
    -------
    list of float
        Along the camera's axis, in px of the plane through the mean depth of both iris centres: times mm_per_px it is
        millimetres. Negative: nearer to the camera than the eyes.
    """
    middle_x = sum(point[0] for point in landmarks[:SKIN_POINTS]) / SKIN_POINTS
    middle_y = sum(point[1] for point in landmarks[:SKIN_POINTS]) / SKIN_POINTS
    slope_x, slope_y = (middle_x - centre_px[0]) / focal_px, (middle_y - centre_px[1]) / focal_px
    depths = [DEPTH_GAIN * z - slope_x * x - slope_y * y for x, y, z in landmarks]
    eyes = (depths[RIGHT_IRIS] + depths[LEFT_IRIS]) / 2
    return [depth - eyes for depth in depths]


def mesh_in_millimetres(
    landmarks: Sequence[Sequence[float]], mm_per_px: float, focal_px: float, centre_px: tuple[float, float]
) -> list[tuple[float, float, float]]:
    """Back-project a mesh, each point to its own depth.

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
    mesh = []
    for (x, y, _), depth_px in zip(landmarks, depths_behind_eyes_px(landmarks, focal_px, centre_px), strict=True):
        here_mm_per_px = mm_per_px * (1 + PERSPECTIVE_SHARE * depth_px / focal_px)
        mesh.append(((x - centre_px[0]) * here_mm_per_px, (y - centre_px[1]) * here_mm_per_px, depth_px * mm_per_px))
    return mesh
