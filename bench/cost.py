"""What a photo costs a worker, stage by stage: CPU of each for one face, `python -m bench.cost [PHOTO …]`.

CPU, not wall time; the stages take turns, and the median of all rounds counts, so that neighbours on the machine count
as little as possible. Read the ratios; the milliseconds are those of the machine it ran on. A stage that is repeated
finds its pixels in the cache, so the parts add up to less than the whole.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

from shared.measurements import DEFINITIONS
from shared.results import MeasurementStatus
from shared.schemas import JobOptions
from worker.face import KnownRulers, measure_face
from worker.measure.camera import camera_of_photo
from worker.measure.expression import read_expression
from worker.measure.limbus import limbus_diameters_px
from worker.measure.metric import measure_mm
from worker.measure.occlusion import find_occlusion
from worker.measure.pose import estimate_pose
from worker.measure.quality import edge_slope
from worker.measure.space import mesh_in_space, place_in_space, with_longer_lens
from worker.measure.verdicts import FaceFacts, judge
from worker.pipeline import FIRST_PASS_LONG_SIDE_PX, measure_photo
from worker.vision.decode import DecodeLimits, decode_photo
from worker.vision.face_mesh import FaceMesh
from worker.vision.find_faces import FaceFinder

LIMITS = DecodeLimits(max_bytes=20_000_000, max_pixels=50_000_000, min_side_px=64)
MESH_ALONE = "mesh alone (`FaceMesh.detect`)"
PORTRAITS = (Path("stack/portraits/grace_hopper.jpg"),)
ROUNDS = 40
REPEATS = 10


def cpu_ms(stages: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Run stages by turns; return the median CPU of each [ms]."""
    took: dict[str, list[float]] = {name: [] for name in stages}
    for _ in range(ROUNDS):
        for name, work in stages.items():
            began = time.process_time()
            for _ in range(REPEATS):
                work()
            took[name].append((time.process_time() - began) / REPEATS * 1000)
    return {name: median(each) for name, each in took.items()}


def table(path: Path, finder: FaceFinder, mesh: FaceMesh) -> None:
    data = path.read_bytes()
    photo = decode_photo(data, LIMITS, long_side_px=FIRST_PASS_LONG_SIDE_PX)
    face = finder.detect(photo.pixels)[0]
    landmarks = photo.to_full_px(face.landmarks)
    camera = camera_of_photo(photo.width_px, photo.height_px, photo.focal_35mm)
    pose = estimate_pose(landmarks, camera)
    space = place_in_space(landmarks, camera, pose, 0.3, 0.01)
    facts = FaceFacts(scale_status=MeasurementStatus.OK, distance_mm=space.distance.mm)
    stages = {
        "`measure_photo`": lambda: measure_photo(data, JobOptions(), finder, LIMITS),
        "decoding": lambda: decode_photo(data, LIMITS, long_side_px=FIRST_PASS_LONG_SIDE_PX),
        MESH_ALONE: lambda: mesh.detect(photo.pixels),
        "finding, as the worker does it": lambda: finder.detect(photo.pixels),
        "measuring, in all": lambda: measure_face(face, photo, camera, KnownRulers(), with_landmarks=True),
        "· limbus of both eyes": lambda: limbus_diameters_px(photo.pixels, face.landmarks),
        "· occlusion and glasses": lambda: find_occlusion(photo.pixels, face.landmarks),
        "· sharpness": lambda: edge_slope(photo.pixels, face.landmarks),
        "· pose, depth, expression": lambda: (
            mesh_in_space(landmarks, camera),
            with_longer_lens(landmarks, camera),
            read_expression(landmarks),
        ),
        "· fifteen lengths": lambda: [measure_mm(definition, space) for definition in DEFINITIONS],
        "· fifteen verdicts": lambda: [judge(definition, facts) for definition in DEFINITIONS],
    }
    costs = cpu_ms(stages)
    alone = costs[MESH_ALONE]
    print(f"\n{path.name}, {photo.width_px} x {photo.height_px}\n\n| stage | CPU, ms | ÷ mesh alone |\n|---|---|---|")
    for name, cost in costs.items():
        print(f"| {name} | {cost:.2f} | {cost / alone:.2f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, nargs="*", default=PORTRAITS)
    with FaceFinder() as finder, FaceMesh() as mesh:
        for photo in parser.parse_args().photos:
            table(photo, finder, mesh)
