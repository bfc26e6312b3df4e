"""What only a real S3 server can get wrong."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pytest

from shared.errors import StorageUnavailable
from shared.storage.s3 import S3ObjectStore
from stack.stack import Stack
from tests.contract.conftest import settings_beside

HEAD_ENDS = b"\r\n\r\n"


@contextmanager
def killed_after(n_bytes: int, store_url: str) -> Iterator[tuple[str, list[bytes]]]:
    """Pass on the head of each request and so many bytes of its body, then close: a writer that is killed meanwhile."""
    at = urlsplit(store_url)
    heads: list[bytes] = []

    def pass_on(client: socket.socket) -> None:
        with client, socket.create_connection((str(at.hostname), int(at.port or 80))) as store:
            client.settimeout(10)
            store.settimeout(10)
            request = b""
            while HEAD_ENDS not in request or len(request.partition(HEAD_ENDS)[2]) < n_bytes:
                request += client.recv(65_536)
            head, _, body = request.partition(HEAD_ENDS)
            heads.append(head)
            store.sendall(head + HEAD_ENDS + body[:n_bytes])
            store.shutdown(socket.SHUT_WR)
            store.recv(1024)

    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            while True:
                try:
                    pass_on(server.accept()[0])
                except OSError:
                    if server.fileno() < 0:
                        return

        threading.Thread(target=run, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", heads
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("n_bytes", [0, 4])
def test_a_writer_killed_after_the_head_leaves_nothing(stores: Stack, n_bytes: int) -> None:
    """The outcome object decides once for all: an empty one in its place would hold the job for ever."""
    settings = settings_beside(stores)
    objects = S3ObjectStore(settings)
    objects.prepare(create_bucket=True)
    key = f"contract/killed-after-{n_bytes}"
    with killed_after(n_bytes, str(settings.s3_endpoint_url)) as (url, heads):
        killed = S3ObjectStore(settings_beside(stores, s3_endpoint_url=url))
        with pytest.raises(StorageUnavailable):
            killed.put_if_absent(key, b"an outcome")
        assert heads
        assert all(head.startswith(b"PUT ") for head in heads)
    assert objects.put_if_absent(key, b"an outcome")
    assert objects.get(key) == b"an outcome"


def test_a_key_of_the_settings_goes_without_a_token_of_the_environment(
    stores: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-another-key")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    settings = settings_beside(stores)
    with killed_after(0, str(settings.s3_endpoint_url)) as (url, heads):
        with suppress(StorageUnavailable):
            S3ObjectStore(settings_beside(stores, s3_endpoint_url=url)).put("contract/token", b"x")
        head = heads[0]
    assert f"Credential={settings.s3_access_key_id.get_secret_value()}/".encode() in head
    assert b"x-amz-security-token" not in head


def test_the_keys_of_the_environment_are_used_where_the_settings_have_none(
    stores: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_beside(stores, s3_access_key_id="", s3_secret_access_key="")
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", stores.settings_env[f"FACEFIT_S3_{name}"])
    objects = S3ObjectStore(settings)
    objects.prepare(create_bucket=True)
    objects.put("contract/by-the-environment", b"x")
    assert objects.get("contract/by-the-environment") == b"x"


def test_a_bucket_that_is_gone_is_no_missing_object(stores: Stack) -> None:
    """Whoever hears that a photo is missing drops its job."""
    nowhere = S3ObjectStore(settings_beside(stores, s3_bucket="never-made"))
    for read in (nowhere.get, lambda key: next(nowhere.chunks(key)), lambda key: nowhere.get_part(key, 0, 1)):
        with pytest.raises(StorageUnavailable):
            read("any")


def test_a_wrong_key_is_no_missing_object(stores: Stack) -> None:
    stranger = S3ObjectStore(settings_beside(stores, s3_access_key_id="nobody"))
    for read in (stranger.get, stranger.exists, stranger.delete, lambda key: stranger.put_if_absent(key, b"x")):
        with pytest.raises(StorageUnavailable):
            read("any")


def test_a_store_that_does_not_answer(stores: Stack) -> None:
    """A connection that is taken and never answered; nothing waits longer than the settings say, twice."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        objects = S3ObjectStore(settings_beside(stores, s3_endpoint_url=url, storage_read_timeout_s=0.2))
        for ask in (objects.get, objects.exists, objects.delete, lambda key: objects.put(key, b"x")):
            with pytest.raises(StorageUnavailable):
                ask("any")


FORKS = """
import os
from shared.config import Settings
from shared.storage.s3 import S3ObjectStore

before = S3ObjectStore(Settings())
before.prepare(create_bucket=True)
list(before.list("contract/forked"))
child = os.fork()
if child == 0:
    objects = S3ObjectStore(Settings())
    objects.put("contract/forked", b"by a child")
    assert objects.get("contract/forked") == b"by a child"
    try:
        before.get("contract/forked")
    except RuntimeError:
        os._exit(0)
    os._exit(1)
assert os.waitpid(child, 0)[1] == 0
"""


def test_processes_forked_after_the_first_look_read_and_write(stores: Stack) -> None:
    """As the server's do: its first process looks whether the bucket is there, and forks."""
    env = {**os.environ, **stores.settings_env, "FACEFIT_S3_BUCKET": "contract"}
    subprocess.run([sys.executable, "-c", FORKS], env=env, check=True, timeout=60)
