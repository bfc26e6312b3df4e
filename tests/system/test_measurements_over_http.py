"""Millimetres, verdicts, requirements and meshes, as a client gets them from the running service."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from shared.measurements import DEFINITIONS
from shared.schemas import Job, JobStatus

pytestmark = pytest.mark.system


def measure(http: httpx.Client, data: bytes, **options: str) -> Job:
    response = http.post("/v1/jobs", params=options, files={"image": ("p.jpg", data)}, headers={"Prefer": "wait=30"})
    assert response.status_code == 200, response.text
    return Job.model_validate(response.json())


def encoded(image: Image.Image) -> bytes:
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def test_every_measurement_of_the_registry_comes_back_with_its_verdict(http: httpx.Client, hopper: bytes) -> None:
    result = measure(http, hopper).result
    assert result is not None
    face = result.faces[0]
    assert list(face.measurements) == [definition.key for definition in DEFINITIONS]
    assert face.scale is not None
    assert face.scale.source == "iris"
    for key, value in face.measurements.items():
        assert (value.mm is None) == (value.mm_sd is None), key
        assert (value.status == "ok") == (value.reasons == []), key
        if value.status == "not_measurable":
            assert value.mm is None, key


def test_a_known_pd_becomes_the_scale_and_is_given_back(http: httpx.Client, hopper: bytes) -> None:
    result = measure(http, hopper, known_pd_mm="63.5").result
    assert result is not None
    face = result.faces[0]
    assert face.scale is not None
    assert face.scale.source == "known_pd"
    assert face.scale.agreement is not None
    assert face.scale.agreement.source == "iris"
    assert face.measurements["distance_pd"].mm == pytest.approx(63.5, abs=0.4)
    assert result.faces[0].scale.sd / result.faces[0].scale.mm_per_px < 0.03  # type: ignore[union-attr]


def test_a_mirrored_photo_is_measured_as_it_was_before_the_mirror(http: httpx.Client, hopper: bytes) -> None:
    upright = Image.open(BytesIO(hopper)).convert("RGB")
    straight = measure(http, encoded(upright)).result
    mirrored = measure(http, encoded(upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT)), mirrored="true").result
    assert straight is not None
    assert mirrored is not None
    assert mirrored.image.mirrored
    assert mirrored.faces == straight.faces


def test_what_is_required_and_does_not_come_out_rejects_with_what_would_help(http: httpx.Client, hopper: bytes) -> None:
    hat = measure(http, hopper, require="forehead_width,eye_gap")
    assert hat.status is JobStatus.REJECTED
    assert hat.error is not None
    assert hat.error.code == "requirement_not_met"
    assert "forehead_width" in hat.error.message
    assert "forehead_covered" in [hint.code for hint in hat.error.retake]
    unsure = measure(http, hopper, require="distance_pd", max_mm_sd="0.01", known_pd_mm="63.5")
    assert unsure.error is not None
    assert unsure.error.code == "requirement_not_met"


def test_a_card_that_was_promised_and_is_not_there_rejects(http: httpx.Client, hopper: bytes) -> None:
    for name in ("id1_card", "aruco:4x4_50:40"):
        job = measure(http, hopper, reference_object=name, reference_object_placement="forehead")
        assert job.error is not None
        assert job.error.code == "reference_not_found"


def test_a_face_of_few_pixels_is_too_small_and_says_what_it_needs(http: httpx.Client, hopper: bytes) -> None:
    portrait = Image.open(BytesIO(hopper)).convert("RGB").crop((120, 60, 400, 400))
    job = measure(http, encoded(portrait.resize((66, 80), Image.Resampling.LANCZOS)))
    assert job.error is not None
    assert job.error.code == "face_too_small"
    assert "px are needed" in job.error.message


@pytest.mark.parametrize("turn", [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270])
def test_a_photo_on_its_side_or_head_is_measured_all_the_same(
    http: httpx.Client, hopper: bytes, turn: Image.Transpose
) -> None:
    upright = Image.open(BytesIO(hopper)).convert("RGB")
    straight, turned = measure(http, encoded(upright)).result, measure(http, encoded(upright.transpose(turn))).result
    assert straight is not None
    assert turned is not None
    for key in ("interpupillary_distance", "biocular_width", "face_width"):
        straight_px, turned_px = (result.faces[0].measurements[key].px for result in (straight, turned))
        assert straight_px is not None
        assert turned_px == pytest.approx(straight_px, rel=0.06), key


def vertices(obj: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([[float(part) for part in line.split()[1:4]] for line in obj.splitlines() if line.startswith("v ")])


def test_the_mesh_has_the_millimetres_of_the_measurements(http: httpx.Client, hopper: bytes) -> None:
    job = measure(http, hopper, known_pd_mm="63.5")
    assert job.result is not None
    answer = http.get(f"/v1/jobs/{job.id}/mesh.obj")
    assert (answer.status_code, answer.headers["X-Mesh-Units"]) == (200, "mm")
    points = vertices(answer.text)
    assert len(points) == 478
    pose = job.result.faces[0].pose
    for definition in DEFINITIONS:
        value = job.result.faces[0].measurements[definition.key]
        if value.px is not None and value.mm is not None:
            a, b = definition.landmarks
            given = definition.key == "interpupillary_distance"  # the ruler itself, which no turn changes
            turn = 1.0 if given else definition.turn_factor(pose.yaw_deg, pose.pitch_deg)
            assert np.linalg.norm(points[a] - points[b]) / definition.bias / turn == pytest.approx(value.mm, abs=0.1)
    assert http.get(f"/v1/jobs/{job.id}/mesh.ply").text.startswith("ply\nformat ascii 1.0\n")


def test_without_landmarks_there_is_no_mesh_to_export(http: httpx.Client, hopper: bytes) -> None:
    job = measure(http, hopper, landmarks="false")
    for name in ("mesh.obj", "mesh.ply", "overlay.svg"):
        answer = http.get(f"/v1/jobs/{job.id}/{name}")
        assert (answer.status_code, answer.json()["code"]) == (409, "landmarks_not_kept")
