"""What the doors to storage, Redis and the broker make of servers that answer badly, or not at all."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from botocore.stub import Stubber

from shared.config import Settings
from shared.errors import (
    ConfigurationError,
    FacefitError,
    ObjectMissing,
    QueueUnavailable,
    RecordsUnavailable,
    StorageUnavailable,
)
from shared.jobs.redis_store import RedisJobStore
from shared.names import QueueName, new_job_id
from shared.queue import CeleryDoorbell, make_celery
from shared.storage.post_policy import UploadPermit
from shared.storage.s3 import S3ObjectStore
from shared.storage.s3_client import BotoClient
from tests.receiver import HERE, Behaviour, receiving, says

pytestmark = pytest.mark.enable_socket

NO_KEY = b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Message>no</Message><Key>a</Key></Error>"
A_PROXYS_OWN = b"<html><h1>404 page not found</h1></html>"
KEYS = {"s3_access_key_id": "id", "s3_secret_access_key": "secret"}


def store_at(port: int) -> S3ObjectStore:
    url = f"http://{HERE}:{port}"
    return S3ObjectStore(Settings.model_validate({**KEYS, "s3_endpoint_url": url, "storage_read_timeout_s": 1.0}))


def not_found(body: bytes) -> Behaviour:
    """Answer 404; without the body where only the head was asked for, as servers do."""
    head = b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n"

    def behave(wire: socket.socket) -> None:
        wire.sendall(head % len(body) + body)

    return behave


def whole(store: S3ObjectStore) -> object:
    return store.get("a")


def in_part(store: S3ObjectStore) -> object:
    return store.get("a", first_bytes=4)


def in_pieces(store: S3ObjectStore) -> object:
    return list(store.chunks("a"))


READS: list[Callable[[S3ObjectStore], object]] = [whole, in_part, in_pieces]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(("body", "expected"), [(NO_KEY, ObjectMissing), (A_PROXYS_OWN, StorageUnavailable)])
def test_an_object_is_missing_when_the_store_says_so_and_not_when_a_proxy_does(
    read: Callable[[S3ObjectStore], object], body: bytes, expected: type[FacefitError]
) -> None:
    with receiving(not_found(body)) as server, pytest.raises(expected):
        read(store_at(server.port))


def test_that_a_key_is_there_is_not_denied_on_the_word_of_a_proxy() -> None:
    with receiving(not_found(NO_KEY)) as server:
        assert store_at(server.port).exists("a") is False
    with receiving(not_found(A_PROXYS_OWN)) as server, pytest.raises(StorageUnavailable):
        store_at(server.port).exists("a")


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("is_silent", [False, True])
def test_an_answer_that_breaks_off_is_an_outage(read: Callable[[S3ObjectStore], object], is_silent: bool) -> None:
    def breaks_off(wire: socket.socket) -> None:
        wire.sendall(b"HTTP/1.1 206 Partial Content\r\nContent-Length: 9\r\nContent-Range: bytes 0-8/9\r\n\r\n1234")
        if is_silent:
            wire.recv(1)  # until whoever reads has had enough

    with receiving(breaks_off) as server, pytest.raises(StorageUnavailable):
        read(store_at(server.port))


def test_a_bucket_in_another_region_is_told_at_start() -> None:
    """Amazon leads boto3 on to where the bucket is; obstore, which reads and writes photos, is not led."""
    client = BotoClient(Settings.model_validate({**KEYS, "s3_endpoint_url": "", "s3_region": "us-east-1"}))
    with Stubber(client._client) as amazon:
        amazon.add_response("head_bucket", {"BucketRegion": "eu-west-1"})
        with pytest.raises(ConfigurationError, match="is in eu-west-1"):
            client.prepare(create_bucket=True)


@pytest.mark.parametrize("region", ["us-east-1", "eu-south-1"])
def test_a_bucket_is_made_in_the_region_that_the_settings_name(region: str) -> None:
    settings = Settings.model_validate({**KEYS, "s3_endpoint_url": "", "s3_region": region})
    client = BotoClient(settings)
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with Stubber(client._client) as amazon:
        amazon.add_client_error("head_bucket", "404")
        amazon.add_response("create_bucket", {}, {"Bucket": settings.s3_bucket, **place})
        amazon.add_response("put_object", {})
        client.prepare(create_bucket=True)
        amazon.assert_no_pending_responses()


def test_a_form_is_posted_to_the_region_of_the_bucket() -> None:
    settings = Settings.model_validate({**KEYS, "s3_endpoint_url": "", "s3_region": "eu-south-1"})
    form = BotoClient(settings).upload_form(UploadPermit("uploads/a", 100, "image/jpeg", 2_000_000_000_000))
    assert form.url == f"https://{settings.s3_bucket}.s3.eu-south-1.amazonaws.com/"


def closes(wire: socket.socket) -> None:
    """Say nothing."""


def test_a_sentinel_that_is_lost_is_asked_once_before_the_next() -> None:
    with receiving(closes, reads=False) as lost, receiving(says(b"*-1\r\n")) as other:
        told = f"{HERE}:{lost.port},{HERE}:{other.port}"
        store = RedisJobStore(Settings.model_validate({"redis_sentinels": told, "redis_sentinel_master": "m"}))
        with pytest.raises(RecordsUnavailable):
            store.check()
        assert lost.connections <= 2, "twice at most: the command is tried once anew"


def test_a_broker_that_is_away_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo is safe before its doorbell rings: its client must not wait for the broker's sake."""

    def pause(seconds: float) -> None:
        assert seconds <= 0, f"a pause of {seconds} s between two tries to connect"

    monkeypatch.setattr("kombu.utils.functional.sleep", pause)
    with socket.create_server((HERE, 0)) as server:
        port = server.getsockname()[1]
    settings = Settings.model_validate({"broker_url": f"redis://{HERE}:{port}/0"})
    with pytest.raises(QueueUnavailable):
        CeleryDoorbell(make_celery(settings)).ring(QueueName.INTERACTIVE, new_job_id())
