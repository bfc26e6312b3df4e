"""One photo, end to end, over HTTP, through every real part."""

from __future__ import annotations

import signal
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO

import httpx
import numpy as np
import pytest
import redis
from PIL import Image

from shared.config import Settings
from shared.measurements import DEFINITIONS
from shared.schemas import FaceCoordinates, Job, JobStatus
from stack.stack import Stack
from tests import files
from worker.vision.face_mesh import FaceMesh
from worker.vision.find_faces import FaceFinder

pytestmark = pytest.mark.system

WAIT = {"Prefer": "wait=30"}
MOST_LISTED = 100
SVG = "{http://www.w3.org/2000/svg}"


def measure(http: httpx.Client, data: bytes, **options: str) -> Job:
    response = http.post("/v1/jobs", files={"image": ("photo", data)}, data=options, headers=WAIT)
    assert response.status_code == 200, response.text
    return Job.model_validate(response.json())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_up(service: Stack) -> bool:
    try:
        return httpx.get(f"{service.url}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def until_waited_for(service: Stack, job_id: str) -> Iterator[None]:
    """End when a request waits for a job: it has read the record once to find it, and once more to begin to wait."""
    with redis.Redis.from_url(service.settings_env["FACEFIT_REDIS_URL"]) as client, client.monitor() as monitor:
        yield
        reads = 0
        while reads < 2:
            command = monitor.next_command()["command"].split()
            reads += command[0].upper() == "HGETALL" and command[1].endswith(job_id)


def rejected_with(http: httpx.Client, data: bytes) -> str:
    job = measure(http, data)
    assert job.status is JobStatus.REJECTED
    assert job.error is not None
    assert job.error.message
    assert job.error.retake
    assert job.result is None
    return job.error.code


def test_submit_and_poll(http: httpx.Client, hopper: bytes) -> None:
    accepted = http.post("/v1/jobs", files={"image": ("p.jpg", hopper)}, data={"reference": "SKU-7/0042"})
    assert accepted.status_code == 202
    while (answer := http.get(accepted.headers["Location"])).json()["status"] in {"queued", "running"}:
        time.sleep(float(answer.headers["Retry-After"]) / 10)
    job = Job.model_validate(answer.json())
    assert (job.status, job.reference, job.attempts) == (JobStatus.SUCCEEDED, "SKU-7/0042", 1)
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.created_at <= job.started_at <= job.finished_at < job.expires_at


@pytest.mark.parametrize(
    ("name", "finder"),
    [
        ("hopper", FaceMesh),  # a face that is found at first sight
        ("astronaut", FaceFinder),  # a small one, which is looked at once more
    ],
)
def test_landmarks_equal_a_direct_call_on_the_same_pixels(
    http: httpx.Client, request: pytest.FixtureRequest, name: str, finder: type[FaceMesh | FaceFinder]
) -> None:
    data: bytes = request.getfixturevalue(name)
    job = measure(http, data)
    assert job.result is not None
    landmarks = job.result.faces[0].landmarks
    assert landmarks is not None
    with finder() as mesh:
        direct = mesh.detect(np.ascontiguousarray(np.asarray(Image.open(BytesIO(data)).convert("RGB"))))[0]
    assert [(point.x, point.y, point.z) for point in landmarks] == [
        tuple(point) for point in direct.landmarks.round(2).tolist()
    ]


def test_the_original_endpoint(http: httpx.Client, hopper: bytes) -> None:
    job = measure(http, hopper)
    response = http.post("/face-coordinates", files={"image": ("p.jpg", hopper)})
    assert response.status_code == 200
    answer = FaceCoordinates.model_validate(response.json())
    assert [point.id for point in answer.landmarks] == list(range(468))
    assert job.result is not None
    face = job.result.faces[0]
    assert answer.measurements.forehead_width_px == round(face.measurements["forehead_width"].px or 0)
    assert answer.measurements.eye_gap_px == round(face.measurements["eye_gap"].px or 0)
    assert answer.measurements.chin_width_px == round(face.measurements["chin_width"].px or 0)


def test_the_original_endpoint_never_answers_200_without_a_face(http: httpx.Client) -> None:
    photo = files.encoded(files.flat((90, 120, 150), size=(300, 300)), "JPEG")
    response = http.post("/face-coordinates", files={"image": ("p.jpg", photo)})
    assert (response.status_code, response.json()["code"]) == (422, "no_face")
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["retake"]


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (files.empty(), 400, "invalid_request"),
        (files.plain_text(), 415, "unsupported_format"),
        (files.html(), 415, "unsupported_format"),
        (files.heavy_jpeg(), 413, "payload_too_large"),
    ],
    ids=["empty", "not an image", "HTML named .jpg", "21 MB"],
)
def test_what_the_api_can_tell_at_once(http: httpx.Client, data: bytes, status: int, code: str) -> None:
    for response in (
        http.post("/v1/jobs", files={"image": ("photo.jpg", data, "image/jpeg")}),
        http.post("/v1/jobs", content=data, headers={"Content-Type": "image/jpeg"}),
        http.post("/face-coordinates", files={"image": ("photo.jpg", data, "image/jpeg")}),
    ):
        assert (response.status_code, response.json()["code"]) == (status, code)
        assert response.headers["Content-Type"] == "application/problem+json"


def test_a_wrong_content_type(http: httpx.Client, hopper: bytes) -> None:
    response = http.post("/v1/jobs", content=hopper, headers={"Content-Type": "text/plain"})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_format")
    # The part of a form may call itself what it likes: the bytes decide.
    named = http.post("/v1/jobs", files={"image": ("notes.txt", hopper, "text/plain")}, headers=WAIT)
    assert named.json()["status"] == "succeeded"


def test_what_only_the_worker_can_tell(http: httpx.Client, hopper: bytes) -> None:
    assert rejected_with(http, files.truncated(hopper)) == "corrupt_image"
    assert rejected_with(http, files.bomb_png()) == "image_too_large"
    assert rejected_with(http, files.one_px_png()) == "image_too_small"
    assert rejected_with(http, files.encoded(files.flat((90, 120, 150), size=(300, 300)), "JPEG")) == "no_face"


def test_a_face_upside_down_by_exif_is_measured_upright(http: httpx.Client, hopper: bytes) -> None:
    upright = Image.open(BytesIO(hopper)).convert("RGB")
    straight = measure(http, files.oriented(upright, 1)).result
    turned = measure(http, files.oriented(upright, 3)).result
    assert straight is not None
    assert turned is not None
    assert turned.image.exif_orientation == 3
    assert turned.faces[0].bounding_box.y == pytest.approx(straight.faces[0].bounding_box.y, rel=0.02)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_every_accepted_format(http: httpx.Client, hopper: bytes, file_format: str) -> None:
    job = measure(http, files.encoded(Image.open(BytesIO(hopper)).convert("RGB"), file_format))
    assert job.result is not None
    assert job.result.image.format == {"HEIF": "heic"}.get(file_format, file_format.lower())
    assert job.result.faces[0].measurements["forehead_width"].px == pytest.approx(160.1, rel=0.02)


def test_the_upload_is_kept_only_on_request(http: httpx.Client, stores: Stack, hopper: bytes) -> None:
    dropped, kept = measure(http, hopper), measure(http, hopper, keep_image="true")
    for job, has_photo in ((dropped, False), (kept, True)):
        drawn = http.get(f"/v1/jobs/{job.id}/overlay.svg")
        assert drawn.headers["Content-Security-Policy"].startswith("default-src 'none'; img-src data:")
        svg = ET.fromstring(drawn.text)  # noqa: S314 - our own answer
        assert (svg.find(f".//{SVG}image") is not None) == has_photo
        assert {group.attrib["id"] for group in svg.iter(f"{SVG}g") if group.get("class") == "measurement"} == {
            definition.key for definition in DEFINITIONS
        }
        plain = ET.fromstring(http.get(f"/v1/jobs/{job.id}/overlay.svg?legend=false").text)  # noqa: S314 - our own answer
        assert plain.attrib["viewBox"] == "0 0 512 600"


def test_an_overlays_lines_end_on_the_landmarks(http: httpx.Client, hopper: bytes) -> None:
    job = measure(http, hopper)
    assert job.result is not None
    landmarks = job.result.faces[0].landmarks
    assert landmarks is not None
    svg = ET.fromstring(http.get(f"/v1/jobs/{job.id}/overlay.svg").text)  # noqa: S314 - our own answer
    line = svg.find(f".//{SVG}g[@id='eye_gap']/{SVG}line")
    assert line is not None
    a, b = landmarks[133], landmarks[362]
    assert [float(line.attrib[name]) for name in ("x1", "y1", "x2", "y2")] == [a.x, a.y, b.x, b.y]


def test_an_unchanged_job_costs_no_body(http: httpx.Client, hopper: bytes) -> None:
    location = f"/v1/jobs/{measure(http, hopper).id}"
    etag = http.get(location).headers["ETag"]
    unchanged = http.get(location, headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


def test_delete_makes_a_job_unreadable(http: httpx.Client, hopper: bytes) -> None:
    location = f"/v1/jobs/{measure(http, hopper, keep_image='true').id}"
    assert http.delete(location).status_code == 204
    for path in (location, f"{location}/overlay.svg"):
        assert http.get(path).status_code == 404
    assert location[9:] not in {job["id"] for job in http.get("/v1/jobs?limit=100").json()["data"]}


def test_many_waiting_clients_leave_room_for_the_others(http: httpx.Client, service: Stack, hopper: bytes) -> None:
    """More clients would wait than there are places; whoever only asks still gets an answer, and all get theirs."""
    settings = Settings()
    service.supervisor.kill("worker-interactive", signal.SIGSTOP)  # nobody measures for now
    answers: list[int] = []

    def wait() -> None:
        with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as client:
            response = client.post("/v1/jobs", files={"image": ("p.jpg", hopper)}, headers={"Prefer": "wait=20"})
            answers.append(response.status_code)

    clients = [threading.Thread(target=wait) for _ in range(settings.api_workers * settings.waiting_places + 8)]
    try:
        for client in clients:
            client.start()
        sent = min(MOST_LISTED, len(clients))
        while not answers or len(http.get(f"/v1/jobs?status=queued&limit={MOST_LISTED}").json()["data"]) < sent:
            assert http.get("/healthz").status_code == 200
        assert set(answers) == {202}, "the house is full"
    finally:
        service.supervisor.kill("worker-interactive", signal.SIGCONT)
    for client in clients:
        client.join()
    assert sorted(set(answers)) == [200, 202]  # most waited, some found the house full; nobody failed
    while http.get("/v1/jobs?status=queued").json()["data"]:
        time.sleep(0.1)


def test_an_api_that_is_stopped_answers_whoever_waits(http: httpx.Client, service: Stack, hopper: bytes) -> None:
    service.supervisor.kill("worker-interactive", signal.SIGSTOP)
    try:
        location = http.post("/v1/jobs", files={"image": ("p.jpg", hopper)}).headers["Location"]
        answers: list[httpx.Response] = []

        def wait() -> None:
            with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as client:
                answers.append(client.get(f"{location}?wait=30"))

        client = threading.Thread(target=wait)
        with until_waited_for(service, location.rpartition("/")[2]):
            client.start()
        service.supervisor.stop("api")
        client.join()
        assert answers[0].json()["status"] == "queued"
    finally:
        service.supervisor.kill("worker-interactive", signal.SIGCONT)
        service.supervisor.start("api")
        wait_until(lambda: is_up(service))


def test_the_other_queue_is_watched_too(http: httpx.Client) -> None:
    ready = http.get("/readyz").json()
    assert ready["status"] == "ready"
    assert all(ready[part]["ok"] for part in ("redis", "storage", "worker"))
