"""Widths of turned heads against their straight view, on textured renders in true perspective.

Turning a mesh's points proves nothing: the network has to see the turned head. So the mesh of a photo is lifted into
space, textured with the photo, turned, photographed at a distance, and the network finds its points anew. The scale at
the eyes and the focal length are known here, so what is left is the geometry: depth, pose and the network itself.
(The iris on a render turns with the head, which real eyes do not, and is no ruler here.)

Heads are of held-out people, each lifted twice: with the mesh's own depth and with the mean face's, both with gains
that are not the one in use, so that the result does not just repeat the depth that went in.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final, Literal

import numpy as np

from bench.evaluate.report import Section, Table, number
from bench.evaluate.runs import LIMITS, MeasuredPhoto
from bench.renders import Head, lift, render
from shared.measurement_definition import Kind
from shared.measurements import DEFINITIONS
from worker.measure.metric import measure_mm, place_in_space
from worker.measure.pose import estimate_pose
from worker.vision.decode import decode_photo
from worker.vision.find_faces import FaceFinder

DISTANCES_MM: Final = (300.0, 450.0, 600.0, 1000.0)
POSES_DEG: Final = {
    "yaw 20°": ((20.0, 0.0), (-20.0, 0.0)),
    "yaw 40°": ((40.0, 0.0), (-40.0, 0.0)),
    "pitch 20°": ((0.0, 20.0), (0.0, -20.0)),
    "yaw 30°, pitch 15°": ((30.0, 15.0), (-30.0, -15.0)),
}
"""(yaw, pitch) of each turn, once to either side."""
LIFTS: Final[tuple[tuple[Literal["own", "mean"], float], ...]] = (("own", 1.0), ("mean", 1.1))
"""Depth and its gain: on either side of `shared.mesh_depth.DEPTH_GAIN`."""
STATED_PERCENT: Final = 3.0
WIDTHS: Final = tuple(definition for definition in DEFINITIONS if definition.kind is Kind.WIDTH)

Widths = dict[str, float]
Deviations = dict[str, dict[str, list[float]]]
"""Turn to measurement to deviations from the straight view [%]."""


def evaluate_turned_heads(photos: list[MeasuredPhoto], finder: FaceFinder) -> Section | None:
    """Turn the heads of these photos; None if none of them can be lifted."""
    turned: Deviations = {name: defaultdict(list) for name in POSES_DEG}
    nearer: Deviations = {"straight": defaultdict(list)}
    lost, heads = 0, [head for photo in photos for head in _lifted(photo)]
    for head in heads:
        straight = {distance: _widths(head, distance, (0.0, 0.0), finder) for distance in DISTANCES_MM}
        furthest = straight[DISTANCES_MM[-1]]
        for distance, widths in straight.items():
            if widths is None or furthest is None:
                lost += 1
                continue
            if distance != DISTANCES_MM[-1]:
                _deviate(nearer["straight"], widths, furthest)
            for name, poses in POSES_DEG.items():
                for pose in poses:
                    found = _widths(head, distance, pose, finder)
                    lost += found is None
                    if found is not None:
                        _deviate(turned[name], found, widths)
    return _section(turned, nearer, len(heads), lost) if heads else None


def _lifted(photo: MeasuredPhoto) -> list[Head]:
    landmarks = photo.landmarks
    if photo.face is None or landmarks is None or photo.face["scale"] is None:
        return []
    pixels = decode_photo(photo.path.read_bytes(), LIMITS).pixels
    return [lift(pixels, landmarks, photo.face["scale"]["mm_per_px"], depth, gain) for depth, gain in LIFTS]


def _widths(head: Head, distance_mm: float, pose_deg: tuple[float, float], finder: FaceFinder) -> Widths | None:
    """Photograph, find and measure; None where no face is found."""
    picture = render(head, distance_mm, (*pose_deg, 0.0))
    faces = finder.detect(picture.pixels)
    if not faces:
        return None
    landmarks = faces[0].landmarks
    pose = estimate_pose(landmarks, picture.camera)
    face = place_in_space(landmarks, picture.camera, pose, picture.mm_per_px, 0.0)
    return {definition.key: measure_mm(definition, face).mm for definition in WIDTHS}


def _deviate(deviations: dict[str, list[float]], found: Widths, truth: Widths) -> None:
    for key, mm in found.items():
        deviations[key].append(100 * (mm / truth[key] - 1))


def _section(turned: Deviations, nearer: Deviations, heads: int, lost: int) -> Section:
    columns = {**turned, "straight, 30 to 60 cm against 1 m": nearer["straight"]}
    rows, figures = [], {}
    for definition in WIDTHS:
        by_turn = {name: np.array(deviations[definition.key]) for name, deviations in columns.items()}
        rows.append([f"`{definition.key}`", *(_cell(values) for values in by_turn.values())])
        figures[definition.key] = {name: _figures(values) for name, values in by_turn.items()}
    pooled = {name: np.concatenate([np.array(v) for v in deviations.values()]) for name, deviations in turned.items()}
    within = [f"{100 * float(np.mean(np.abs(values) <= STATED_PERCENT)):.0f} %" for values in pooled.values()]
    rows.append([f"within {STATED_PERCENT:.0f} %", *within, ""])
    distances = ", ".join(f"{distance / 10:.0f}" for distance in DISTANCES_MM)
    table = Table(
        "Deviation of a width in mm from the straight view at the same distance, %: mean of its size, and largest",
        ["measurement", *columns],
        rows,
        f"{heads} heads (two of each person) at {distances} cm, turned to both sides;"
        f" {lost} renders in which no face was found.",
    )
    return Section("turned-heads", "Turned heads", [table], {"heads": heads, "lost": lost, "widths": figures})


def _cell(values: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    if not values.size:
        return number(None, 1)
    return f"{np.abs(values).mean():.1f}, {np.abs(values).max():.1f}"


def _figures(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float | None]:
    if not values.size:
        return {"mean": None, "mean_size": None, "largest": None}
    sizes = np.abs(values)
    return {"mean": float(values.mean()), "mean_size": float(sizes.mean()), "largest": float(sizes.max())}
