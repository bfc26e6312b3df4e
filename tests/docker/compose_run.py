"""What `docker compose up` starts, built and run for real: `make docker-test`.

Not named `test_…`, so that it runs only when it is asked for: it needs a Docker engine and takes minutes.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from shared.names import QueueName
from tests.docker.compose import ROOT, Compose, run, say, why_docker_cannot_be_used

pytestmark = pytest.mark.timeout(1800)

BUILT: Final = ("api", "worker-interactive", "worker-bulk", "delivery", "upkeep")
STATES: Final = {
    "redis": "healthy",
    "store": "healthy",
    "api": "healthy",
    "worker-interactive": "healthy",
    "worker-bulk": "healthy",
    "delivery": "running",
    "upkeep": "running",
}
SECRETS: Final = (
    "FACEFIT_REDIS_PASSWORD",
    "FACEFIT_S3_ACCESS_KEY_ID",
    "FACEFIT_S3_SECRET_ACCESS_KEY",
    "FACEFIT_STORE_SIGNING_KEY",
)
PIXELS: Final = ("mediapipe", "numpy", "cv2", "PIL", "pillow_heif", "worker")
WEB: Final = ("flask", "gunicorn", "werkzeug", "flask_openapi3", "api")

S3_PORT: Final = 8333
S3_GRPC_PORT: Final = 18333
STORE_PORTS: Final = (9333, 19333, 8080, 18080, 8888, 18888)
"""Master, volume and filer, and their gRPC twins."""

SCAN: Final = """
import socket
open_ports = []
for port in range(1, 65536):
    with socket.socket() as probe:
        probe.settimeout(5)
        if probe.connect_ex((ADDRESS, port)) == 0:
            open_ports.append(port)
print(open_ports)
"""

UNSIGNED_CALL: Final = """
import socket, struct
def frame(kind, flags, stream, body):
    return struct.pack(">I", len(body))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + body
def text(value):
    return bytes([len(value)]) + value.encode()
def field(name, value):
    return b"\\0" + text(name) + text(value)
headers = field(":method", "POST") + field(":scheme", "http") + field(":authority", "store") + field(":path", PATH)
headers += field("content-type", "application/grpc") + field("te", "trailers")
with socket.create_connection((ADDRESS, 18333), timeout=5) as connection:
    connection.sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + frame(4, 0, 0, b"") + frame(1, 4, 1, headers))
    connection.sendall(frame(0, 1, 1, b"\\0\\0\\0\\0\\0"))
    answer = connection.makefile("rb")
    while True:
        head = answer.read(9)
        body = answer.read(int.from_bytes(head[:3], "big"))
        if head[3] == 1 and head[4] & 1:
            # The status is the last one or two digits sent as they are, its length before it.
            print([code for code in range(17) if text(str(code)) in body])
            break
"""
"""A gRPC call without a token, by hand: neither image has a gRPC client."""

UNAUTHENTICATED: Final = 16
UNIMPLEMENTED: Final = 12


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    if missing := why_docker_cannot_be_used():
        pytest.exit(f"Docker cannot be used here: {missing}", returncode=1)
    project = Compose(tmp_path_factory.mktemp("compose"))
    try:
        began = time.monotonic()
        project("build")
        say(f"built in {time.monotonic() - began:.0f} s")
        began = time.monotonic()
        project.start(STATES)
        say(f"all of it healthy {time.monotonic() - began:.0f} s later")
        yield project
    finally:
        project.remove()


@pytest.fixture(scope="module")
def http(compose: Compose) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=compose.url, timeout=60, trust_env=False) as client:
        yield client


def submit(http: httpx.Client, photo: bytes) -> dict[str, Any]:
    answer = http.post("/v1/jobs", content=photo, headers={"Content-Type": "image/png", "Prefer": "wait=20"})
    assert answer.status_code == httpx.codes.OK, answer.text
    job: dict[str, Any] = answer.json()
    return job


@pytest.mark.parametrize("setting", SECRETS)
def test_compose_names_the_secret_that_is_not_set(compose: Compose, setting: str) -> None:
    assert f"{setting} is not set, see .env.example" in compose.complaint_without(setting)


def test_only_the_secrets_must_be_set(compose: Compose) -> None:
    for setting in ("FACEFIT_PORT", "FACEFIT_LOG_LEVEL", "FACEFIT_INTERACTIVE_CONCURRENCY", "FACEFIT_BULK_CONCURRENCY"):
        assert compose.complaint_without(setting) == ""


def test_the_sizes_of_the_images(compose: Compose) -> None:
    base = image_bytes("python:3.11-slim-bookworm")
    for service, limit_mb in (("api", 70), ("worker-interactive", 400)):
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


@pytest.mark.parametrize("service", STATES)
def test_a_container_is_well_and_was_never_started_again(compose: Compose, service: str) -> None:
    assert compose.state(service) == STATES[service]
    assert compose.inspect(service)["RestartCount"] == 0


@pytest.mark.parametrize("service", STATES)
def test_a_container_may_do_little(compose: Compose, service: str) -> None:
    processes = run("docker", "top", compose.container(service), "-eo", "uid,pid,args").stdout.splitlines()[1:]
    assert processes
    assert {line.split()[0] for line in processes} <= {"10001", "999"}

    host = compose.inspect(service)["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert "no-new-privileges:true" in host["SecurityOpt"]


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


def test_only_the_api_is_published_and_only_on_loopback(compose: Compose) -> None:
    published = {
        (service, binding["HostIp"], binding["HostPort"])
        for service in STATES
        for bindings in compose.inspect(service)["NetworkSettings"]["Ports"].values()
        for binding in bindings or ()
    }
    assert published == {("api", "127.0.0.1", str(compose.port))}


def test_no_port_of_the_store_but_s3_is_reached_from_the_api(compose: Compose) -> None:
    found = json.loads(compose.python("api", f"ADDRESS = {compose.address('store')!r}{SCAN}"))
    assert found == [S3_PORT, S3_GRPC_PORT]
    # They are there, for the store itself: the scan would have found them.
    table = run("docker", "exec", compose.container("store"), "cat", "/proc/net/tcp").stdout
    assert all(f"0100007F:{port:04X} 00000000:0000 0A" in table for port in STORE_PORTS)


def test_the_s3_door_wants_signatures(compose: Compose) -> None:
    connect = "import http.client as h; c = h.HTTPConnection('store', 8333); "
    for path in ("/", "/facefit?list-type=2"):
        assert compose.python("api", f"{connect}c.request('GET', {path!r}); print(c.getresponse().status)") == "403"


def test_the_grpc_twin_of_the_s3_door_wants_a_token(compose: Compose) -> None:
    def status_of(method: str) -> list[int]:
        code = (
            f"ADDRESS, PATH = {compose.address('store')!r}, '/messaging_pb.SeaweedS3IamCache/{method}'{UNSIGNED_CALL}"
        )
        found: list[int] = json.loads(compose.python("api", code))
        return found

    assert status_of("PutIdentity") == [UNAUTHENTICATED]
    assert status_of("NoSuchMethod") == [UNIMPLEMENTED]


def test_only_the_api_and_the_sender_are_on_a_network_that_leads_outside(compose: Compose) -> None:
    networks = {service: set(compose.inspect(service)["NetworkSettings"]["Networks"]) for service in STATES}
    assert not networks["redis"] & networks["store"]
    inner = {name for name in set().union(*networks.values()) if is_internal(name)}
    assert {service for service, joined in networks.items() if joined - inner} == {"api", "delivery"}


def is_internal(network: str) -> bool:
    return run("docker", "network", "inspect", "--format", "{{.Internal}}", network).stdout.strip() == "true"


def test_redis_keeps_everything_and_lets_nobody_in_without_the_password(compose: Compose) -> None:
    redis = compose.container("redis")
    for setting, value in (
        ("appendonly", "yes"),
        ("maxmemory-policy", "noeviction"),
        ("hash-max-ziplist-value", "256"),
    ):
        assert run("docker", "exec", redis, "redis-cli", "config", "get", setting).stdout.split() == [setting, value]
    bare = run("docker", "exec", "--env", "REDISCLI_AUTH=", redis, "redis-cli", "ping", check=False)
    assert "NOAUTH" in bare.stdout + bare.stderr


@pytest.mark.parametrize("queue", QueueName)
def test_every_queue_has_a_worker(compose: Compose, queue: QueueName) -> None:
    arguments = compose.inspect(f"worker-{queue}")["Args"]
    assert arguments[arguments.index("--queues") + 1] == queue


def test_it_stops_in_order_and_comes_back_with_its_jobs(compose: Compose, http: httpx.Client, astronaut: bytes) -> None:
    before = submit(http, astronaut)
    compose("stop")
    # Celery, gunicorn and the upkeep end by themselves when they are told to; 137 would be a kill.
    assert {service: compose.inspect(service)["State"]["ExitCode"] for service in BUILT} == dict.fromkeys(BUILT, 0)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", compose.port), timeout=5):
        pass

    compose("rm", "--force", "--stop")
    compose.start(STATES)
    after = http.get(f"/v1/jobs/{before['id']}")
    assert after.json() == before
    assert submit(http, astronaut)["result"]["faces"] == before["result"]["faces"]


def test_a_worker_without_redis_is_not_well(compose: Compose) -> None:
    compose("stop", "redis")
    asked = run("docker", "exec", compose.container("worker-bulk"), "python", "-m", "worker.healthcheck", check=False)
    assert asked.returncode == 1
    assert "Redis did not answer" in asked.stderr


def test_every_setting_that_compose_reads_is_in_the_example() -> None:
    example = (ROOT / ".env.example").read_text()
    offered = set(re.findall(r"^(\w+)=", example, flags=re.MULTILINE))
    read = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert offered == read
