"""What the product's own user may do in Redis. Every system test runs the product as that user."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from stack.redis_server import for_the_product
from stack.redis_users import PROBE_RULES, PRODUCT
from stack.stack import Stack


@pytest.fixture
def product(stores: Stack) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(for_the_product(stores.settings_env["FACEFIT_REDIS_URL"])) as client:
        yield client


def say(client: redis.Redis, command: str) -> None:
    call: Any = client.execute_command
    call(*command.split())


@pytest.mark.parametrize(
    "command",
    [
        "FLUSHALL",
        "FLUSHDB",
        "KEYS *",
        "CONFIG GET requirepass",
        "CONFIG SET dir /tmp",
        "DEBUG SLEEP 0",
        "MONITOR",
        "SHUTDOWN NOSAVE",
        "SAVE",
        "REPLICAOF 192.0.2.1 6379",
        "ACL LIST",
        "ACL SETUSER facefit +@all",
        "MODULE LIST",
        "CLIENT KILL ID 1",
        "SLOWLOG GET",
        "SWAPDB 0 1",
    ],
)
def test_the_product_cannot_empty_or_reconfigure_redis(product: redis.Redis, command: str) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        say(product, command)


def test_the_upkeep_may_have_what_was_deleted_erased(product: redis.Redis) -> None:
    assert product.info("persistence")["aof_enabled"] == 1
    product.bgrewriteaof()
    assert product.slowlog_reset()


def test_the_running_product_is_that_user(service: Stack) -> None:
    with redis.Redis.from_url(service.settings_env["FACEFIT_REDIS_URL"]) as mender:
        users = [client["user"] for client in mender.client_list()]
        assert users.count(PRODUCT) > 4


def test_the_probe_may_ask_whether_redis_answers_and_no_more(stores: Stack) -> None:
    with redis.Redis.from_url(stores.settings_env["FACEFIT_REDIS_URL"]) as mender:
        say(mender, f"ACL SETUSER probe-of-a-test on {PROBE_RULES}")
        url = stores.settings_env["FACEFIT_REDIS_URL"]
        try:
            address = url.rsplit("@", 1)[1]
            with redis.Redis.from_url(f"redis://probe-of-a-test:none@{address}") as probe:
                assert probe.ping()
                for command in ("GET facefit:any", "INFO", "SET a b", "SUBSCRIBE facefit", "ACL WHOAMI"):
                    with pytest.raises(redis.exceptions.NoPermissionError):
                        say(probe, command)
        finally:
            mender.acl_deluser("probe-of-a-test")
