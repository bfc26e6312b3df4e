from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from worker.measure.geometry import bounding_box
from worker.measure.landmarks import MESH_POINTS
from worker.vision import face_mesh
from worker.vision.face_mesh import MAX_FACES, FaceMesh, MeshFace
from worker.vision.faces import Region
from worker.vision.graphs import MESH_GRAPH, DetectionRange

REPOSITORY = Path(__file__).parents[2]
PORTRAITS = REPOSITORY / "stack" / "portraits"
GREY = (127, 127, 127)

Pixels = NDArray[np.uint8]
Placed = tuple[Image.Image, int, int, float]


def picture(width: int, height: int, *placed: Placed) -> Pixels:
    """Paste pictures, each with its x, y and scale, onto grey."""
    canvas = Image.new("RGB", (width, height), GREY)
    for image, x, y, scale in placed:
        canvas.paste(image.resize((round(image.width * scale), round(image.height * scale))), (x, y))
    return np.array(canvas)


def _pictures() -> dict[str, tuple[Pixels, int]]:
    """Give each picture with the number of faces in it that the detector finds."""
    collins = Image.open(PORTRAITS / "astronaut.png").convert("RGB")
    hopper = Image.open(PORTRAITS / "grace_hopper.jpg").convert("RGB")
    collins_close, hopper_close = collins.crop((100, 0, 350, 300)), hopper.crop((90, 60, 430, 400))
    hopper_face = hopper.crop((130, 80, 400, 380))
    crowd = [(hopper_face, column * 200, row * 150, 0.7) for column in range(4) for row in range(4)]
    return {
        "collins": (np.array(collins), 1),
        "hopper": (np.array(hopper), 1),
        "both": (picture(600, 340, (collins_close, 0, 0, 1.1), (hopper_close, 275, 0, 0.95)), 2),
        "twins": (picture(680, 340, (hopper_close, 0, 0, 1.0), (hopper_close, 340, 0, 1.0)), 2),
        "four sizes": (
            picture(
                800,
                700,
                (collins_close, 60, 370, 1.0),
                (collins_close, 360, 0, 1.1),
                (hopper_close, 380, 360, 0.85),
                (hopper_close, 0, 0, 1.0),
            ),
            4,
        ),
        "a crowd of sixteen": (picture(800, 650, *crowd), MAX_FACES),
        "tilted": (np.array(hopper.rotate(35, fillcolor=GREY)), 1),
        "nobody": (picture(320, 240), 0),
        "one pixel": (np.zeros((1, 1, 3), np.uint8), 0),
    }


PICTURES = _pictures()
every_picture = pytest.mark.parametrize("name", PICTURES)


@pytest.fixture(scope="module")
def mesh() -> Iterator[FaceMesh]:
    with FaceMesh() as built:
        yield built


@pytest.fixture(scope="module")
def solutions() -> Any:
    face_mesh.preload()
    return importlib.import_module("mediapipe.python.solutions")


@pytest.fixture(scope="module")
def reference(solutions: Any) -> Iterator[Any]:
    solution = solutions.face_mesh.FaceMesh(
        static_image_mode=True, max_num_faces=10, refine_landmarks=True, min_detection_confidence=0.5
    )
    with solution as built:
        yield built


@pytest.fixture(scope="module")
def detector(solutions: Any) -> Iterator[Any]:
    solution = solutions.face_detection.FaceDetection(model_selection=0, min_detection_confidence=0.5)
    with solution as built:
        yield built


def fingerprint(faces: list[MeshFace]) -> list[tuple[bytes, float]]:
    return [(face.landmarks.tobytes(), face.confidence) for face in faces]


@every_picture
def test_landmarks_equal_mediapipes_own_to_the_last_bit(name: str, mesh: FaceMesh, reference: Any) -> None:
    pixels, count = PICTURES[name]
    height, width = pixels.shape[:2]
    found = reference.process(pixels).multi_face_landmarks or []
    expected = [
        np.array([(point.x * width, point.y * height, point.z * width) for point in face.landmark]) for face in found
    ]
    faces = mesh.detect(pixels)
    assert len(faces) == len(expected) == count
    assert sorted(face.landmarks.tobytes() for face in faces) == sorted(each.tobytes() for each in expected)
    for face in faces:
        assert face.landmarks.shape == (MESH_POINTS, 3)
        assert face.landmarks.dtype == np.float64


@every_picture
def test_confidence_is_the_score_of_the_detection_at_the_same_place(name: str, mesh: FaceMesh, detector: Any) -> None:
    pixels, _ = PICTURES[name]
    height, width = pixels.shape[:2]
    scores_by_nose = {
        (detection.location_data.relative_keypoints[2].x, detection.location_data.relative_keypoints[2].y): float(
            detection.score[0]
        )
        for detection in detector.process(pixels).detections or []
    }
    faces = mesh.detect(pixels)
    expected = []
    for face in faces:
        nose = face.landmarks[1, :2] / (width, height)
        expected.append(scores_by_nose[min(scores_by_nose, key=lambda place: float(np.hypot(*(nose - place))))])
    assert [face.confidence for face in faces] == expected
    assert all(0.5 <= face.confidence <= 1 for face in faces)


@every_picture
def test_detections_are_the_detectors_own(name: str, mesh: FaceMesh, detector: Any) -> None:
    pixels, _ = PICTURES[name]
    height, width = pixels.shape[:2]
    expected = {
        (detection.score[0], *((at.x * width, at.y * height) for at in detection.location_data.relative_keypoints))
        for detection in detector.process(pixels).detections or []
    }
    found = mesh.find(pixels, DetectionRange.SHORT)
    assert {(each.score, *map(tuple, each.keypoints.tolist())) for each in found} <= expected
    assert len(found) == min(len(expected), MAX_FACES)


def test_full_range_sees_a_face_too_small_for_the_short_range(mesh: FaceMesh) -> None:
    hopper = Image.open(PORTRAITS / "grace_hopper.jpg").convert("RGB").crop((90, 60, 430, 400))
    pixels = picture(1000, 1000, (hopper, 600, 300, 0.3))
    assert mesh.find(pixels, DetectionRange.SHORT) == []
    [detection] = mesh.find(pixels, DetectionRange.FULL)
    assert (detection.region.centre_x_px, detection.region.centre_y_px) == pytest.approx((655, 350), abs=15)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_region_reads_a_turned_face(quarters: int, mesh: FaceMesh) -> None:
    pixels, _ = PICTURES["hopper"]
    height, width = pixels.shape[:2]
    [face] = mesh.detect(pixels)
    region = face.region
    assert region is not None
    at_x, at_y = region.centre_x_px, region.centre_y_px
    last_x, last_y = width - 1, height - 1  # (0, 0) is the centre of the first px
    to_x, to_y = {1: (at_y, last_x - at_x), 2: (last_x - at_x, last_y - at_y), 3: (last_y - at_y, at_x)}[quarters]
    turned = Region(to_x, to_y, region.width_px, region.height_px, region.angle_rad - quarters * np.pi / 2)
    landmarks = mesh.mesh(np.ascontiguousarray(np.rot90(pixels, quarters)), turned)
    assert landmarks is not None
    x, y, z = landmarks.T
    back = {1: (last_x - y, x), 2: (last_x - x, last_y - y), 3: (y, last_y - x)}[quarters]
    assert np.stack((*back, z), axis=1) == pytest.approx(face.landmarks, abs=0.01)


def test_where_no_face_is_there_is_no_mesh(mesh: FaceMesh) -> None:
    pixels, _ = PICTURES["nobody"]
    assert mesh.mesh(pixels, Region(160.0, 120.0, 100.0, 100.0, 0.0)) is None


@every_picture
def test_the_largest_face_comes_first(name: str, mesh: FaceMesh) -> None:
    areas = [bounding_box(face.landmarks).area for face in mesh.detect(PICTURES[name][0])]
    assert areas == sorted(areas, reverse=True)


def test_what_was_seen_before_changes_nothing(mesh: FaceMesh) -> None:
    first = {name: fingerprint(mesh.detect(pixels)) for name, (pixels, _) in PICTURES.items()}
    for name in [*reversed(PICTURES), *PICTURES]:
        assert fingerprint(mesh.detect(PICTURES[name][0])) == first[name], name


def test_a_second_face_mesh_sees_the_same(mesh: FaceMesh) -> None:
    pixels, _ = PICTURES["four sizes"]
    with FaceMesh() as another:
        assert fingerprint(another.detect(pixels)) == fingerprint(mesh.detect(pixels))


def test_the_picture_is_only_read(mesh: FaceMesh) -> None:
    pixels = PICTURES["hopper"][0].copy()
    pixels.flags.writeable = False
    assert fingerprint(mesh.detect(pixels)) == fingerprint(mesh.detect(PICTURES["hopper"][0]))
    assert np.array_equal(pixels, PICTURES["hopper"][0])


def test_a_result_cannot_be_changed(mesh: FaceMesh) -> None:
    [face] = mesh.detect(PICTURES["hopper"][0])
    with pytest.raises(ValueError, match="read-only"):
        face.landmarks[0, 0] = 0.0


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((40, 40), np.uint8),
        np.zeros((40, 40, 4), np.uint8),
        np.zeros((40, 40, 1), np.uint8),
        np.zeros((1, 40, 40, 3), np.uint8),
        np.zeros((0, 40, 3), np.uint8),
        np.zeros((40, 0, 3), np.uint8),
        np.zeros((40, 40, 3), np.uint16),
        np.zeros((40, 40, 3), np.float32),
        np.zeros((40, 40, 3), np.uint8)[:, ::2],
        np.zeros((40, 40, 3), np.uint8)[:, :, ::-1],
        np.asfortranarray(np.zeros((40, 40, 3), np.uint8)),
    ],
    ids=lambda pixels: f"{pixels.dtype}{pixels.shape}{pixels.strides}",
)
def test_other_input_is_refused(pixels: Any, mesh: FaceMesh) -> None:
    with pytest.raises(ValueError, match="a picture is"):
        mesh.detect(pixels)
    with pytest.raises(ValueError, match="a picture is"):
        mesh.mesh(pixels, Region(20.0, 20.0, 20.0, 20.0, 0.0))


def test_all_work_is_done_by_the_calling_thread(mesh: FaceMesh) -> None:
    pixels, _ = PICTURES["four sizes"]
    process_before, thread_before = time.process_time(), time.thread_time()
    for _ in range(20):
        mesh.detect(pixels)
    by_all, by_this_thread = time.process_time() - process_before, time.thread_time() - thread_before
    assert by_all - by_this_thread < 0.05 * by_all


@pytest.mark.parametrize("name", [DetectionRange.SHORT, MESH_GRAPH], ids=["detector", "mesh"])
def test_a_failed_graph_fails_one_picture_only(name: str) -> None:
    pixels, _ = PICTURES["hopper"]
    with FaceMesh() as broken:
        expected = fingerprint(broken.detect(pixels))
        # A step back in time is an error of a graph, and final for it.
        broken._graphs[name]._simulated_timestamp = -(10**9)
        with pytest.raises(RuntimeError, match=r"failed on a picture of shape \(600, 512, 3\)"):
            broken.detect(pixels)
        assert fingerprint(broken.detect(pixels)) == expected


def test_closing_twice_is_fine_and_detecting_afterwards_is_not() -> None:
    closed = FaceMesh()
    closed.close()
    closed.close()
    with pytest.raises(RuntimeError, match="closed"):
        closed.detect(PICTURES["nobody"][0])


UNDERSTOOD = """
from google.protobuf.unknown_fields import UnknownFieldSet
from worker.vision import face_mesh
from worker.vision.graphs import DETECTOR_GRAPH, MESH_GRAPH, DetectionRange

face_mesh.preload()
for text in (MESH_GRAPH, *(DETECTOR_GRAPH % (span, face_mesh.MAX_FACES) for span in DetectionRange)):
    nodes = face_mesh._single_threaded_config(text).node
    print(len(nodes), [node.calculator for node in nodes if len(UnknownFieldSet(node.options))])
"""


def test_everything_that_a_graph_says_is_understood() -> None:
    """It is handed on as text, in which what nobody has imported does not appear."""
    for line in run_python(UNDERSTOOD).splitlines():
        count, _, unknown = line.partition(" ")
        assert (int(count) > 5, unknown) == (True, "[]")


def test_starting_writes_nothing_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with FaceMesh() as quiet:
        quiet.detect(PICTURES["nobody"][0])
    print("heard", file=sys.stderr)  # noqa: T201 - standard error works again
    assert capfd.readouterr().err == "heard\n"


def test_model_facts() -> None:
    assert face_mesh.ENGINE == "mediapipe-face-mesh"
    assert face_mesh.engine_version().startswith("0.10.")


def run_python(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=REPOSITORY,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # numpy's own threads would be at the fork otherwise
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


UNUSED = ("matplotlib", "mediapipe.python.solutions", "mediapipe.tasks", "boto3", "botocore")


def test_a_worker_imports_nothing_that_it_does_not_need_to_measure() -> None:
    """Each of these would make it start later, and every process of it larger."""
    stdout = run_python(
        "import sys, worker.celery_app; from worker.vision import face_mesh; assert 'mediapipe' not in sys.modules;"
        "face_mesh.preload(); face_mesh.preload();"
        f"print('mediapipe' in sys.modules, [name for name in {UNUSED} if name in sys.modules])"
    )
    assert stdout.split() == ["True", "[]"]


FORKING = """
import hashlib, json, os, sys
import numpy as np
from PIL import Image
from worker.vision import face_mesh

face_mesh.preload()
pixels = np.array(Image.open("stack/portraits/grace_hopper.jpg").convert("RGB"))

def child(write_end):
    with face_mesh.FaceMesh() as mesh:
        seen = {hashlib.sha256(mesh.detect(pixels)[0].landmarks.tobytes()).hexdigest() for _ in range(10)}
    os.write(write_end, json.dumps(sorted(seen)).encode())

answers = []
for _ in range(3):
    children = []
    for _ in range(2):
        read_end, write_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                child(write_end)
            finally:
                os._exit(0)
        os.close(write_end)
        children.append((pid, read_end))
    for pid, read_end in children:
        with os.fdopen(read_end) as answer:
            answers += json.loads(answer.read())
        os.waitpid(pid, 0)
print(json.dumps(answers))
"""


def test_children_forked_after_preload_build_and_run_their_own(mesh: FaceMesh) -> None:
    [face] = mesh.detect(PICTURES["hopper"][0])
    expected = hashlib.sha256(face.landmarks.tobytes()).hexdigest()
    assert json.loads(run_python(FORKING)) == [expected] * 6


INHERITING = """
import os
import numpy as np
from worker.vision.face_mesh import FaceMesh

mesh = FaceMesh()
pid = os.fork()
if pid == 0:
    try:
        mesh.detect(np.zeros((10, 10, 3), np.uint8))
    except RuntimeError as error:
        os._exit(7 if "before the fork" in str(error) else 1)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_an_inherited_face_mesh_refuses_instead_of_hanging() -> None:
    assert run_python(INHERITING).strip() == "7"
