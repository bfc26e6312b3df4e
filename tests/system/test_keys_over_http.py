"""Keys as an operator and a client meet them: real processes, a real store, a real Redis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import redis

from shared.clock import system_clock
from shared.keys.archive import KeyArchive
from shared.storage.s3 import S3ObjectStore
from stack.data_folder import free_ports
from stack.services import ROOT, settings_of
from stack.stack import Stack
from tests.keys import make_key

pytestmark = pytest.mark.system

DATABASE = "/9"
"""Of Redis, for this test alone: it is emptied."""
PATIENCE_S = 30.0
REFRESH_S = "0.5"
PHOTO = b"\xff\xd8\xff\xe0" + bytes(64)


class Service:
    """An API process over storage and records of its own."""

    def __init__(self, stores: Stack) -> None:
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {
            **os.environ,
            **stores.settings_env,
            "FACEFIT_REDIS_URL": stores.settings_env["FACEFIT_REDIS_URL"].removesuffix("/0") + DATABASE,
            "FACEFIT_S3_BUCKET": f"keys-{uuid.uuid4().hex[:12]}",
            "FACEFIT_LISTEN_PORT": str(self.port),
            "FACEFIT_API_WORKERS": "1",
            "FACEFIT_KEYS_REFRESH_S": REFRESH_S,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def command(self, host: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            (sys.executable, "-m", "gunicorn", "-c", "python:api.gunicorn_conf", "api.wsgi:app"),
            env={**self.env, "FACEFIT_LISTEN_HOST": host},
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def running(self, host: str = "127.0.0.1") -> Iterator[httpx.Client]:
        with self.command(host) as process:
            try:
                with httpx.Client(base_url=self.url, timeout=60, trust_env=False) as client:
                    within_patience(lambda: is_up(client))
                    yield client
            finally:
                process.terminate()
                process.communicate()

    def command_line(self, *arguments: str) -> str:
        command = (sys.executable, "-m", "api.keys", *arguments)
        ran = subprocess.run(command, env=self.env, cwd=ROOT, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    @property
    def objects(self) -> S3ObjectStore:
        return S3ObjectStore(settings_of(self.env))

    def flush_redis(self) -> None:
        with redis.Redis.from_url(self.env["FACEFIT_REDIS_URL"]) as client:
            client.flushdb()


def is_up(client: httpx.Client) -> bool:
    """Tell whether it answers, and has read the keys: a busy store may take longer than the first request waits."""
    try:
        return client.get("/v1/measurements").status_code != httpx.codes.SERVICE_UNAVAILABLE
    except httpx.TransportError:
        return False


def within_patience(holds: object) -> None:
    assert callable(holds)
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.05)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def send(client: httpx.Client, key: str) -> httpx.Response:
    return client.post("/v1/jobs", content=PHOTO, headers={**bearer(key), "Content-Type": "image/jpeg"})


def test_keys_of_a_running_service(stores: Stack) -> None:
    service = Service(stores)

    # Without keys: this machine alone.
    process = service.command("0.0.0.0")
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode != 0
    assert "refuses to listen on 0.0.0.0: there are no API keys" in said
    assert "python -m api.keys create" in said

    with service.running() as client:
        assert client.get("/v1/measurements").status_code == httpx.codes.OK
        # The first key closes the door without a restart, and opens it to its holder.
        acme = service.command_line("create", "--tenant", "acme", "--name", "portal")
        within_patience(lambda: client.get("/v1/measurements").status_code == httpx.codes.UNAUTHORIZED)
        assert client.get("/v1/measurements", headers=bearer(acme)).status_code == httpx.codes.OK

    # With keys: any address, and the same keys after a restart.
    other = make_key(service.objects, "other").text
    with service.running("0.0.0.0") as client:
        accepted = send(client, acme)
        assert accepted.status_code == httpx.codes.ACCEPTED
        where = accepted.headers["Location"]
        assert client.get(where, headers=bearer(acme)).status_code == httpx.codes.OK
        assert client.get(where, headers=bearer(other)).status_code == httpx.codes.NOT_FOUND
        assert client.get(where).status_code == httpx.codes.UNAUTHORIZED
        assert client.get(where, headers={"X-API-Key": acme}).status_code == httpx.codes.OK

        # Refused so that it is heard, however much is being sent.
        for _ in range(3):
            answer = client.post("/v1/jobs", content=bytes(20_000_000), headers={"Content-Type": "image/jpeg"})
            assert answer.status_code == httpx.codes.UNAUTHORIZED

        # What Redis loses are no keys, and no tenant's walls.
        service.flush_redis()
        assert client.get(where, headers=bearer(acme)).json()["status"] == "queued"
        assert client.get(where, headers=bearer(other)).status_code == httpx.codes.NOT_FOUND
        assert client.get(where).status_code == httpx.codes.UNAUTHORIZED

        # Revoked without a restart; the last one revoked does not open the door.
        listed = json.loads(service.command_line("list", "--json"))
        assert [entry["tenant"] for entry in listed] == ["acme", "other"]
        for entry in listed:
            KeyArchive(service.objects).revoke(entry["id"], system_clock())
        within_patience(lambda: client.get(where, headers=bearer(acme)).status_code == httpx.codes.UNAUTHORIZED)
        assert send(client, acme).status_code == httpx.codes.UNAUTHORIZED
        assert client.get("/v1/measurements").status_code == httpx.codes.UNAUTHORIZED
        assert client.get("/readyz").status_code != httpx.codes.UNAUTHORIZED


@pytest.mark.parametrize(
    ("asked", "answer"), [(("keys", "list", "--json"), "[]"), (("tenants", "list"), "no tenant has limits of its own")]
)
def test_a_command_finds_the_stack_that_runs_on_a_folder(stores: Stack, asked: tuple[str, ...], answer: str) -> None:
    # The other tests of this stack have no keys and no limits, so none are made here.
    command = (sys.executable, "-m", "stack", asked[0], "--data", str(stores.folder.path), *asked[1:])
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.strip()) == (0, answer)
