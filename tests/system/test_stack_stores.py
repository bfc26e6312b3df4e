"""The stack's Redis and object store: what they keep, whom they let in, where they listen."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
import redis
from botocore.config import Config
from botocore.exceptions import ClientError

from stack.data_folder import is_free
from stack.object_store import NAME as STORE
from stack.redis_server import NAME as REDIS
from stack.stack import Stack

pytestmark = pytest.mark.system

LISTENING = "0A"
LOOPBACK = {"0100007F", "00000000000000000000000001000000"}
"""127.0.0.1 and ::1, as the kernel writes them on this machine."""

JWT_KEYS = {
    "WEED_JWT_SIGNING_KEY",
    "WEED_JWT_SIGNING_READ_KEY",
    "WEED_JWT_FILER_SIGNING_KEY",
    "WEED_JWT_FILER_SIGNING_READ_KEY",
}


def s3(stack: Stack, secret: str | None = None) -> Any:
    env = stack.settings_env
    return boto3.client(
        "s3",
        endpoint_url=env["FACEFIT_S3_ENDPOINT_URL"],
        region_name=env["FACEFIT_S3_REGION"],
        aws_access_key_id=env["FACEFIT_S3_ACCESS_KEY_ID"],
        aws_secret_access_key=secret or env["FACEFIT_S3_SECRET_ACCESS_KEY"],
        config=Config(s3={"addressing_style": "path"}, proxies={}, retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def bucket(stores: Stack) -> str:
    return stores.settings_env["FACEFIT_S3_BUCKET"]


@pytest.fixture
def connection(stores: Stack) -> Iterator[redis.Redis]:
    with closing(redis.Redis.from_url(stores.settings_env["FACEFIT_REDIS_URL"])) as client:
        yield client


def test_redis_keeps_everything_on_disk_and_throws_nothing_away(connection: redis.Redis) -> None:
    assert connection.config_get("appendonly") == {"appendonly": "yes"}
    assert connection.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_redis_keeps_records_with_long_references_compact(connection: redis.Redis) -> None:
    assert connection.config_get("hash-max-ziplist-value") == {"hash-max-ziplist-value": "256"}


def test_redis_answers_nobody_without_the_password(stores: Stack) -> None:
    ports = stores.folder.path / "ports.json"
    stranger = redis.Redis(port=json.loads(ports.read_text())["redis"])
    with closing(stranger), pytest.raises(redis.AuthenticationError):
        stranger.ping()


@pytest.mark.parametrize("name", [REDIS, STORE])
def test_no_secret_is_on_a_command_line(stores: Stack, name: str) -> None:
    command = Path(f"/proc/{stores.supervisor.pid(name)}/cmdline").read_text()
    secrets = json.loads((stores.folder.path / "secrets.json").read_text())
    assert not [key for key, secret in secrets.items() if secret in command]


def test_the_store_tells_its_makers_nothing(stores: Stack) -> None:
    command = Path(f"/proc/{stores.supervisor.pid(STORE)}/cmdline").read_text().split("\0")
    assert "-master.telemetry=false" in command


def test_the_stores_listen_on_loopback_at_the_remembered_ports_and_nowhere_else(stores: Stack) -> None:
    listeners = listeners_of(stores, REDIS) | listeners_of(stores, STORE)
    remembered = json.loads((stores.folder.path / "ports.json").read_text())
    assert {address for address, _ in listeners} <= LOOPBACK
    assert sorted(port for _, port in listeners) == sorted(remembered.values())


def test_files_with_secrets_are_their_owners_alone(stores: Stack) -> None:
    folder = stores.folder.path
    assert folder.stat().st_mode & 0o077 == 0
    for name in ("secrets.json", "redis/redis.conf"):
        assert (folder / name).stat().st_mode & 0o077 == 0


def test_an_object_is_written_only_once_when_asked(stores: Stack, bucket: str) -> None:
    client = s3(stores)
    client.put_object(Bucket=bucket, Key="tests/once", Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=bucket, Key="tests/once", Body=b"second", IfNoneMatch="*")
    assert client.get_object(Bucket=bucket, Key="tests/once")["Body"].read() == b"first"


def test_s3_refuses_requests_that_are_not_or_wrongly_signed(stores: Stack, bucket: str) -> None:
    s3(stores).put_object(Bucket=bucket, Key="tests/signed", Body=b"x")
    url = f"{stores.settings_env['FACEFIT_S3_ENDPOINT_URL']}/{bucket}/tests/signed"
    assert httpx.get(url, trust_env=False).status_code == httpx.codes.FORBIDDEN
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        s3(stores, secret="somebody else's").get_object(Bucket=bucket, Key="tests/signed")  # noqa: S106


def test_the_ports_behind_s3_serve_nothing_without_a_key(stores: Stack, bucket: str) -> None:
    s3(stores).put_object(Bucket=bucket, Key="tests/behind", Body=b"x" * 5000)
    ports = json.loads((stores.folder.path / "ports.json").read_text())
    filer = f"http://127.0.0.1:{ports['filer']}/buckets/{bucket}/"
    with httpx.Client(trust_env=False) as stranger:
        assert stranger.get(filer).status_code == httpx.codes.UNAUTHORIZED
        assert stranger.get(f"{filer}tests/behind").status_code == httpx.codes.UNAUTHORIZED
        assert stranger.put(f"{filer}tests/mine", content=b"x").status_code == httpx.codes.UNAUTHORIZED
        assigned = stranger.get(f"http://127.0.0.1:{ports['master']}/dir/assign").json()
        volume = f"http://127.0.0.1:{ports['volume']}/{assigned['fid']}"
        assert stranger.get(volume).status_code == httpx.codes.UNAUTHORIZED
        assert stranger.post(volume, files={"file": b"x"}).status_code == httpx.codes.UNAUTHORIZED


def test_the_four_keys_of_the_store_are_random_and_different(stores: Stack) -> None:
    environ = Path(f"/proc/{stores.supervisor.pid(STORE)}/environ").read_text().split("\0")
    keys = dict(line.split("=", 1) for line in environ if line.startswith("WEED_"))
    assert set(keys) == JWT_KEYS
    assert len(set(keys.values())) == len(JWT_KEYS)
    assert all(re.fullmatch("[0-9a-f]{40}", key) for key in keys.values())


@pytest.mark.parametrize("how", ["stopped", "killed"])
@pytest.mark.parametrize("ports", ["same", "other"])
def test_both_stores_keep_what_they_had(tmp_path: Path, how: str, ports: str) -> None:
    body = bytes(range(256)) * 4096
    with closing(Stack(tmp_path, echo=lambda _: None)) as stack:
        stack.start_stores()
        before = stack.settings_env
        s3(stack).put_object(Bucket=before["FACEFIT_S3_BUCKET"], Key="kept", Body=body)
        with closing(redis.Redis.from_url(before["FACEFIT_REDIS_URL"])) as client:
            client.set("kept", "too")
        if how == "killed":
            for name in (REDIS, STORE):
                stack.supervisor.restart(name, automatically=False)
                stack.supervisor.kill(name, signal.SIGKILL)
    if ports == "other":
        (tmp_path / "ports.json").unlink()
    with closing(Stack(tmp_path, echo=lambda _: None)) as stack:
        stack.start_stores()
        after = stack.settings_env
        assert (after["FACEFIT_S3_ENDPOINT_URL"] == before["FACEFIT_S3_ENDPOINT_URL"]) == (ports == "same")
        assert s3(stack).get_object(Bucket=after["FACEFIT_S3_BUCKET"], Key="kept")["Body"].read() == body
        with closing(redis.Redis.from_url(after["FACEFIT_REDIS_URL"])) as client:
            assert client.get("kept") == b"too"


def test_a_killed_store_is_back_with_its_data_without_help(tmp_path: Path) -> None:
    with closing(Stack(tmp_path, echo=lambda _: None)) as stack:
        stack.start_stores()
        bucket = stack.settings_env["FACEFIT_S3_BUCKET"]
        client = s3(stack)
        client.put_object(Bucket=bucket, Key="kept", Body=b"x" * 5000)
        stack.supervisor.kill(STORE, signal.SIGKILL)
        body = None
        while body is None:
            stack.pause(0.1)
            with suppress(Exception):
                body = client.get_object(Bucket=bucket, Key="kept")["Body"].read()
        assert body == b"x" * 5000


def test_nothing_listens_and_no_socket_file_is_left_after_the_stop(tmp_path: Path) -> None:
    with closing(Stack(tmp_path, echo=lambda _: None)) as stack:
        stack.start_stores()
    ports = json.loads((tmp_path / "ports.json").read_text())
    assert all(is_free(port) for port in ports.values())
    names = [f"seaweedfs-{part}-grpc-{ports[f'{part}_grpc']}.sock" for part in ("master", "volume", "filer", "s3")]
    assert not [name for name in names if Path("/tmp", name).exists()]  # noqa: S108 - where the store puts them


def listeners_of(stack: Stack, name: str) -> set[tuple[str, int]]:
    """Return the addresses, in the kernel's spelling, and ports that a process listens on."""
    pid = stack.supervisor.pid(name)
    inodes = {link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == LISTENING and f"socket:[{rest[5]}]" in inodes:
                address, _, port = local.partition(":")
                found.add((address, int(port, 16)))
    assert found, f"{name} listens nowhere ({socket.gethostname()})"
    return found
