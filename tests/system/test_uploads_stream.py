"""Large uploads are spooled to disk: the memory of the API does not grow with the number of clients."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from stack.stack import Stack
from tests import files

pytestmark = pytest.mark.system

CLIENTS = 12
SIZE_BYTES = 19_000_000


def api_memory_bytes(stack: Stack) -> int:
    """Resident memory of the API's processes together, shared pages not counted."""
    master = stack.supervisor.pid("api")
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in children)
    return sum(
        int(line.split()[1]) * 1024
        for rollup in rollups
        for line in rollup.splitlines()
        if line.startswith(("Private_Clean", "Private_Dirty"))
    )


def half_sent(stack: Stack, body: bytes) -> socket.socket:
    """Send all but the end of a photo and keep the connection."""
    connection = socket.create_connection(("127.0.0.1", stack.port))
    head = (
        f"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body[:-1000])
    return connection


def test_many_large_uploads_at_once(http: httpx.Client, service: Stack) -> None:
    photo = files.heavy_jpeg(SIZE_BYTES)
    half_sent(service, photo).close()  # what the first upload leaves allocated is not a cost of each
    before = api_memory_bytes(service)
    held = [half_sent(service, photo) for _ in range(CLIENTS)]
    try:
        assert http.get("/healthz").status_code == 200
        grown = api_memory_bytes(service) - before
    finally:
        for connection in held:
            connection.close()
    # What a client costs is the server's own read-ahead, about 1 MB and its copies, whatever the photo's size.
    assert grown < CLIENTS * SIZE_BYTES / 4


def test_an_upload_that_was_cut_short_leaves_nothing(http: httpx.Client, service: Stack) -> None:
    before = http.get("/v1/jobs?limit=1").json()["data"]
    half_sent(service, files.heavy_jpeg(1_000_000)).close()
    assert http.get("/v1/jobs?limit=1").json()["data"] == before


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    hurry = {"FACEFIT_MAX_UPLOAD_PAUSE_S": "1", "FACEFIT_MAX_UPLOAD_S": "4"}
    with Stack(tmp_path_factory.mktemp("impatient"), overrides=hurry) as stack:
        yield stack


def test_uploads_that_stall_give_their_threads_back(impatient: Stack) -> None:
    """More connections stall than there are threads; the service comes back by itself."""
    photo = files.heavy_jpeg(1_000_000)
    held = [half_sent(impatient, photo) for _ in range(40)]
    try:
        answer = held[0].recv(4096)
        assert answer.startswith(b"HTTP/1.1 408")
        assert httpx.get(f"{impatient.url}/healthz", timeout=60, trust_env=False).status_code == 200
    finally:
        for connection in held:
            connection.close()


def test_a_batch_that_stalls_is_ended_too_and_leaves_nothing(impatient: Stack) -> None:
    head = b'--limit\r\nContent-Disposition: form-data; name="images"; filename="a.jpg"\r\n\r\n'
    with socket.create_connection(("127.0.0.1", impatient.port)) as connection:
        connection.sendall(
            b"POST /v1/batches HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
            b"Content-Type: multipart/form-data; boundary=limit\r\n\r\n" + head + files.heavy_jpeg(500_000)
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")
    assert httpx.get(f"{impatient.url}/v1/batches", timeout=60, trust_env=False).json()["data"] == []


def test_an_upload_that_drips_is_ended_too(impatient: Stack) -> None:
    connection = half_sent(impatient, files.heavy_jpeg(1_000_000))
    connection.settimeout(0.3)
    answer = b""
    for _ in range(100):
        try:
            connection.sendall(b"x")
            answer = connection.recv(4096)
            break
        except TimeoutError:
            continue
    connection.close()
    assert answer.startswith(b"HTTP/1.1 408")
