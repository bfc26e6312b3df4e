"""What `docker compose up` starts, built and run for real: `make docker-test`.

Not named `test_…`, so that it runs only when it is asked for: it needs a Docker engine and takes minutes.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from shared.names import QueueName
from stack.secret_files import FOLDER_SETTING, KINDS, make_secrets
from tests.docker.compose import BUILT, STATES, Compose, run, say, within

pytestmark = pytest.mark.timeout(1800)

PIXELS: Final = ("mediapipe", "numpy", "cv2", "PIL", "pillow_heif", "worker")
WEB: Final = ("flask", "gunicorn", "werkzeug", "flask_openapi3", "api")

S3_PAIR: Final = ("facefit_s3_access_key_id", "facefit_s3_secret_access_key")
USE: Final = """
import boto3, redis
from botocore.exceptions import ClientError
try:
    redis.Redis.from_url(URL).ping()
    print("let in", end=" ")
except redis.RedisError as error:
    print(type(error).__name__, end=" ")
client = boto3.client("s3", endpoint_url="http://store:8333", region_name="us-east-1",
                      aws_access_key_id=PAIR[0], aws_secret_access_key=PAIR[1])
try:
    client.list_objects_v2(Bucket="facefit")
    print("let in")
except ClientError as error:
    print(error.response["Error"]["Code"])
"""
"""How Redis and the store answer to what is given as URL and PAIR."""


def submit(http: httpx.Client, photo: bytes) -> dict[str, Any]:
    answer = http.post("/v1/jobs", content=photo, headers={"Content-Type": "image/png", "Prefer": "wait=20"})
    assert answer.status_code == httpx.codes.OK, answer.text
    job: dict[str, Any] = answer.json()
    return job


def test_compose_says_how_secrets_are_made(compose: Compose) -> None:
    assert "run `make secrets` first" in compose.complaint_without(FOLDER_SETTING)


def test_only_the_secrets_must_be_set(compose: Compose) -> None:
    for setting in ("FACEFIT_PORT", "FACEFIT_LOG_LEVEL", "FACEFIT_INTERACTIVE_CONCURRENCY", "FACEFIT_BULK_MEMORY"):
        assert compose.complaint_without(setting) == ""


def test_the_sizes_of_the_images(compose: Compose) -> None:
    base = image_bytes("python:3.11-slim-bookworm")
    for service, limit_mb in (("api", 90), ("worker-interactive", 420)):
        size = image_bytes(compose.inspect(service)["Image"])
        say(f"image of {service}: {size / 1e6:.0f} MB, {(size - base) / 1e6:.0f} MB of it on top of the base image")
        assert size - base < limit_mb * 1e6


def image_bytes(image: str) -> int:
    size: int = json.loads(run("docker", "image", "inspect", image).stdout)[0]["Size"]
    return size


def test_the_original_endpoint_measures_a_photo(http: httpx.Client, astronaut: bytes) -> None:
    answer = http.post("/face-coordinates", files={"image": ("astronaut.png", astronaut, "image/png")})
    assert answer.status_code == httpx.codes.OK, answer.text
    face = answer.json()
    assert [point["id"] for point in face["landmarks"]] == list(range(468))
    # The face of the portrait, 512 px square, is about 100 px wide and left of the middle.
    assert all(150 < point["x"] < 300 and 30 < point["y"] < 220 for point in face["landmarks"])
    measured = face["measurements"]
    assert 60 < measured["forehead_width_px"] < 130
    assert 15 < measured["eye_gap_px"] < 50
    assert 15 < measured["chin_width_px"] < 110


def test_a_job_measures_a_photo(http: httpx.Client, astronaut: bytes) -> None:
    job = submit(http, astronaut)
    assert job["status"] == "succeeded"
    assert job["attempts"] == 1
    (face,) = job["result"]["faces"]
    assert len(face["landmarks"]) == 478
    assert face["confidence"] > 0.9
    assert 80 < face["bounding_box"]["width"] < 130


def test_everything_that_a_photo_needs_is_seen_to_be_there(http: httpx.Client) -> None:
    ready = http.get("/readyz")
    assert ready.status_code == httpx.codes.OK, ready.text


@pytest.mark.parametrize("service", BUILT)
def test_an_image_carries_nothing_of_the_other_side(compose: Compose, service: str) -> None:
    names = (*PIXELS, *WEB)
    code = f"import importlib.util as u; print(*(name for name in {names} if u.find_spec(name)))"
    found = set(compose.python(service, code).split())
    assert found == set(WEB if service == "api" else PIXELS)


@pytest.mark.parametrize("service", BUILT)
def test_byte_code_is_in_the_image(compose: Compose, service: str) -> None:
    code = (
        "import glob, importlib.util as u; names = glob.glob('/app/*/**/*.py', recursive=True);"
        "names += glob.glob('/opt/venv/lib/python3*/site-packages/celery/**/*.py', recursive=True);"
        "import os; print(len(names) > 100, [n for n in names if not os.path.exists(u.cache_from_source(n))])"
    )
    assert compose.python(service, code) == "True []"


def test_openblas_starts_no_threads_in_the_workers(compose: Compose) -> None:
    code = "import numpy, os; print(len(os.listdir('/proc/self/task')))"
    assert compose.python("worker-interactive", code) == "1"


@pytest.mark.parametrize("queue", QueueName)
def test_every_queue_has_a_worker(compose: Compose, queue: QueueName) -> None:
    arguments = compose.inspect(f"worker-{queue}")["Args"]
    assert arguments[arguments.index("--queues") + 1] == queue


def test_it_stops_in_order_and_comes_back_with_its_jobs_and_other_secrets(
    compose: Compose, http: httpx.Client, astronaut: bytes
) -> None:
    before = submit(http, astronaut)
    compose("stop")
    # Celery, gunicorn and the upkeep end by themselves when they are told to; 137 would be a kill.
    assert {service: compose.inspect(service)["State"]["ExitCode"] for service in BUILT} == dict.fromkeys(BUILT, 0)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", compose.port), timeout=5):
        pass

    compose("rm", "--force", "--stop")
    old = {name: (compose.secrets / name).read_text().strip() for name in ("facefit_redis_url", *S3_PAIR)}
    for kind in KINDS:
        make_secrets(compose.secrets, rotate=kind)
    compose.start(STATES)
    after = http.get(f"/v1/jobs/{before['id']}")
    assert after.json() == before
    assert submit(http, astronaut)["result"]["faces"] == before["result"]["faces"]
    assert compose.python(
        "worker-bulk", f"URL, PAIR = {old['facefit_redis_url']!r}, {[old[n] for n in S3_PAIR]}\n{USE}"
    ) == ("AuthenticationError InvalidAccessKeyId")


def test_a_backup_of_the_store_is_enough(
    compose: Compose, http: httpx.Client, astronaut: bytes, tmp_path: Path
) -> None:
    before = submit(http, astronaut)

    def tar(*arguments: str) -> None:
        mounts = ("--volumes-from", compose.container("store"), "--volume", f"{tmp_path}:/backup")
        run("docker", "run", "--rm", "--user", "0", *mounts, "redis:7.4-bookworm", "tar", "-C", "/data", *arguments)

    compose("stop")
    tar("-cf", "/backup/objects.tar", ".")
    compose("down", "--volumes")
    compose("up", "--no-start", "--no-build", "--no-deps", "store")  # what it depends on would be waited for
    tar("-xpf", "/backup/objects.tar")
    compose.start(STATES)
    assert within(60, lambda: http.get(f"/v1/jobs/{before['id']}").status_code == httpx.codes.OK)
    after = http.get(f"/v1/jobs/{before['id']}").json()
    assert after["result"] == before["result"]
    assert after["finished_at"] == before["finished_at"]
