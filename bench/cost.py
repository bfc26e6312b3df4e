"""What measuring adds to the mesh: CPU of each stage for one face, `python -m bench.cost [PHOTO …]`.

CPU, not wall time, the best of five rounds, so that neighbours on the machine count as little as possible. Read the
ratios; the milliseconds are those of the machine it ran on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from shared.measurements import DEFINITIONS
from worker.face import KnownRulers, measure_face
from worker.measure.camera import camera_of_photo
from worker.measure.depth import depth_behind_eyes_px
from worker.measure.expression import read_expression
from worker.measure.limbus import limbus_diameters_px
from worker.measure.metric import measure_mm, place_in_space
from worker.measure.occlusion import find_occlusion
from worker.measure.pose import estimate_pose, towards_camera
from worker.measure.quality import edge_slope
from worker.vision.decode import DecodeLimits, decode_photo
from worker.vision.face_mesh import FaceMesh
from worker.vision.find_faces import FaceFinder

LIMITS = DecodeLimits(max_bytes=20_000_000, max_pixels=50_000_000, min_side_px=64)
PORTRAITS = (Path("stack/portraits/grace_hopper.jpg"),)
ROUNDS = 5
REPEATS = 60


def cpu_ms(work: Callable[[], object]) -> float:
    work()
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(REPEATS):
            work()
        best = min(best, (time.process_time() - began) / REPEATS * 1000)
    return best


def table(path: Path, finder: FaceFinder, mesh: FaceMesh) -> None:
    photo = decode_photo(path.read_bytes(), LIMITS)
    face = finder.detect(photo.pixels)[0]
    landmarks = photo.to_full_px(face.landmarks)
    camera = camera_of_photo(photo.width_px, photo.height_px, photo.focal_35mm)
    pose = estimate_pose(landmarks, camera)
    space = place_in_space(landmarks, camera, pose, 0.3, 0.01)
    stages = {
        "mesh alone (`FaceMesh.detect`)": lambda: mesh.detect(photo.pixels),
        "finding, as the worker does it": lambda: finder.detect(photo.pixels),
        "measuring, in all": lambda: measure_face(face, photo, camera, KnownRulers(), with_landmarks=True),
        "· limbus of both eyes": lambda: limbus_diameters_px(photo.pixels, face.landmarks),
        "· occlusion and glasses": lambda: find_occlusion(photo.pixels, face.landmarks),
        "· sharpness": lambda: edge_slope(photo.pixels, face.landmarks),
        "· pose, depth, expression": lambda: (
            towards_camera(estimate_pose(landmarks, camera), landmarks, camera),
            depth_behind_eyes_px(landmarks, camera),
            read_expression(landmarks),
        ),
        "· fifteen lengths": lambda: [measure_mm(definition, space) for definition in DEFINITIONS],
    }
    costs = {name: cpu_ms(work) for name, work in stages.items()}
    alone = next(iter(costs.values()))
    print(f"\n{path.name}, {photo.width_px} x {photo.height_px}\n\n| stage | CPU, ms | ÷ mesh alone |\n|---|---|---|")
    for name, cost in costs.items():
        print(f"| {name} | {cost:.2f} | {cost / alone:.2f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, nargs="*", default=PORTRAITS)
    with FaceFinder() as finder, FaceMesh() as mesh:
        for photo in parser.parse_args().photos:
            table(photo, finder, mesh)
