"""A Redis that is silent is told from one that is away: whoever has waited is not to wait again."""

from __future__ import annotations

import socket

import pytest

from shared.config import Settings
from shared.errors import RecordsSilent, RecordsUnavailable
from shared.jobs.redis_link import RedisLink

pytestmark = pytest.mark.enable_socket


def error_of(port: int) -> RecordsUnavailable:
    settings = Settings.model_validate({"redis_url": f"redis://127.0.0.1:{port}/0", "redis_timeout_s": 0.05})
    with pytest.raises(RecordsUnavailable) as raised:
        RedisLink(settings).hash("job:1")
    return raised.value


def test_one_that_takes_connections_and_says_nothing_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert type(error_of(server.getsockname()[1])) is RecordsSilent


def test_one_that_is_not_there_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert type(error_of(port)) is RecordsUnavailable
