"""What only a real S3 server can get wrong."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ConnectionClosedError

from shared.errors import StorageUnavailable
from shared.storage.s3 import S3ObjectStore
from stack.stack import Stack
from tests.contract.conftest import settings_beside


def test_a_writer_killed_between_head_and_body_leaves_nothing(stores: Stack) -> None:
    """The outcome object decides once for all: an empty one in its place would hold the job for ever."""
    objects = S3ObjectStore(settings_beside(stores))
    objects.prepare(create_bucket=True)
    killed = 0

    def die_after_the_head(request: Any, **_: Any) -> None:
        nonlocal killed
        url = urlsplit(request.url)
        lines = [f"PUT {url.path} HTTP/1.1", f"Host: {url.netloc}"]
        for name, value in request.headers.items():
            text = value.decode() if isinstance(value, bytes) else value
            lines.append(f"{name}: {text}")
        with socket.create_connection((str(url.hostname), int(url.port or 80))) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            connection.settimeout(5)
            connection.recv(1024)  # it asks for the body, which never comes
        killed += 1
        raise ConnectionClosedError(endpoint_url=request.url)

    events = objects._client.meta.events
    events.register("before-send.s3.PutObject", die_after_the_head)
    with pytest.raises(StorageUnavailable):
        objects.put_if_absent("contract/killed", b"an outcome")
    events.unregister("before-send.s3.PutObject", die_after_the_head)
    assert killed >= 1
    assert objects.put_if_absent("contract/killed", b"an outcome")
    assert objects.get("contract/killed") == b"an outcome"
