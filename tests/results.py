"""Results as a worker writes them, made by hand: a real mesh, and the figures that follow from it.

`astronaut_mesh.txt` is the mesh of stack/portraits/astronaut.png, "x y z" [px] for each of 478 points. Pose and
millimetres are the worker's own; scale, spread and verdicts are made up.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from shared.measurement_definition import Kind, MeasurementDefinition
from shared.measurements import DEFINITIONS, DEFINITIONS_VERSION
from shared.results import JobResult
from worker.measure.camera import camera_of_photo
from worker.measure.depth import to_millimetres
from worker.measure.space import mesh_in_space

Point = tuple[float, float, float]

WIDTH_PX, HEIGHT_PX = 512, 512
CAMERA = camera_of_photo(WIDTH_PX, HEIGHT_PX, None)
MM_PER_PX = 1.49
"""Of the eyes' plane; about 57 cm away at that focal length."""
SD_SHARE = 0.05
_MESH = Path(__file__).parent / "astronaut_mesh.txt"


@cache
def astronaut_mesh() -> tuple[Point, ...]:
    rows = (tuple(map(float, line.split())) for line in _MESH.read_text().splitlines())
    return tuple((x, y, z) for x, y, z in rows)


def shifted(mesh: tuple[Point, ...], right_px: float, down_px: float = 0.0) -> tuple[Point, ...]:
    return tuple((x + right_px, y + down_px, z) for x, y, z in mesh)


def in_millimetres(mesh: tuple[Point, ...]) -> NDArray[np.float64]:
    """Back-project a mesh as the worker does: X right, Y down, Z behind the plane of the eyes [mm]."""
    return to_millimetres(np.array(mesh), MM_PER_PX, CAMERA)


def rotation(yaw_deg: float, pitch_deg: float, roll_deg: float) -> list[list[float]]:
    """Multiply out R = Rz(roll) Ry(-yaw) Rx(-pitch)."""
    cy, sy = math.cos(math.radians(-yaw_deg)), math.sin(math.radians(-yaw_deg))
    cp, sp = math.cos(math.radians(-pitch_deg)), math.sin(math.radians(-pitch_deg))
    cr, sr = math.cos(math.radians(roll_deg)), math.sin(math.radians(roll_deg))
    return [
        [cr * cy, cr * sy * sp - sr * cp, cr * sy * cp + sr * sp],
        [sr * cy, sr * sy * sp + cr * cp, sr * sy * cp - cr * sp],
        [-sy, cy * sp, cy * cp],
    ]


def a_measurement(
    definition: MeasurementDefinition, mesh: tuple[Point, ...], points_mm: NDArray[np.float64] | None
) -> dict[str, Any]:
    """Give a distance between the first two points; for the PDs that is near enough."""
    a, b = definition.landmarks[:2]
    mm = None if points_mm is None else math.dist(points_mm[a], points_mm[b]) / definition.bias
    return {
        "px": round(math.dist(mesh[a][:2], mesh[b][:2]), 2) if definition.kind is Kind.WIDTH else None,
        "mm": None if mm is None else round(mm, 2),
        "mm_sd": None if mm is None else round(SD_SHARE * mm, 2),
        "status": "ok",
        "reasons": [],
    }


def a_face(mesh: tuple[Point, ...] | None = None, *, scaled: bool = True, landmarks: bool = True) -> dict[str, Any]:
    mesh = mesh or astronaut_mesh()
    points_mm = in_millimetres(mesh) if scaled else None
    points = np.array(mesh)
    pose = mesh_in_space(points, CAMERA).turned
    xs, ys = [x for x, _, _ in mesh[:468]], [y for _, y, _ in mesh[:468]]
    scale = {
        "mm_per_px": MM_PER_PX,
        "sd": SD_SHARE * MM_PER_PX,
        "source": "iris",
        "status": "ok",
        "reasons": [],
        "distance_mm": MM_PER_PX * CAMERA.focal_px,
        "distance_sd_mm": 0.3 * MM_PER_PX * CAMERA.focal_px,
        "agreement": None,
    }
    face = {
        "bounding_box": {
            "x": min(xs),
            "y": min(ys),
            "width": round(max(xs) - min(xs), 2),
            "height": round(max(ys) - min(ys), 2),
        },
        "confidence": 0.92,
        "pose": {
            "yaw_deg": round(pose.yaw_deg, 2),
            "pitch_deg": round(pose.pitch_deg, 2),
            "roll_deg": round(pose.roll_deg, 2),
            "rotation": pose.rotation.round(5).tolist(),
        },
        "scale": scale if scaled else None,
        "quality": {"score": 84, "components": {"sharpness": 91, "occlusion": None}, "retake": []},
        "measurements": {definition.key: a_measurement(definition, mesh, points_mm) for definition in DEFINITIONS},
    }
    if landmarks:
        face["landmarks"] = [{"id": n, "x": x, "y": y, "z": z} for n, (x, y, z) in enumerate(mesh)]
    return face


def a_result(*faces: dict[str, Any]) -> dict[str, Any]:
    """Make a whole result, of the astronaut alone unless faces are given; what the schema refuses is refused here."""
    result = {
        "image": {
            "width": WIDTH_PX,
            "height": HEIGHT_PX,
            "format": "png",
            "exif_orientation": 1,
            "mirrored": False,
            "sha256": "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        },
        "model": {"engine": "mediapipe-face-mesh", "version": "0.10.21", "definitions": DEFINITIONS_VERSION},
        "camera": {
            "focal_px": CAMERA.focal_px,
            "focal_sd_px": CAMERA.focal_sd_px,
            "source": CAMERA.source,
        },
        "timings_ms": {"decode": 2.4, "mesh": 6.5, "measure": 1.1},
        "faces": list(faces) or [a_face()],
    }
    JobResult.model_validate(result)
    return result


def as_written(result: dict[str, Any]) -> bytes:
    return orjson.dumps(result)
