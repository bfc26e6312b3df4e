"""Marked values go through the whole service; then everything that anybody wrote is searched for them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
import redis

from shared.purges.erasers import RedisFiles, SeaweedFiles
from stack.services import settings_of
from stack.stack import Stack
from tests.conftest import CALLABLE
from tests.marks import found_below, found_in
from tests.receiver import Receiver
from tests.system.marked_load import MarkedLoad, listening_to_redis, receiver_of, wait_until
from tests.unit.test_privacy_page import named_below

pytestmark = pytest.mark.system

HASTY = {
    **CALLABLE,
    "FACEFIT_LEASE_S": "6",
    "FACEFIT_PHOTO_TIME_LIMIT_S": "5",
    "FACEFIT_DELIVERY_LEASE_S": "6",
    "FACEFIT_WEBHOOK_TIMEOUT_S": "5",
    "FACEFIT_FETCH_LEASE_S": "6",
    "FACEFIT_FETCH_TIMEOUT_S": "5",
    "FACEFIT_SWEEP_INTERVAL_S": "2",
    "FACEFIT_PURGE_INTERVAL_S": "2",
    "FACEFIT_MEASURE_AND_DELETE_AFTER_S": "3",
}
BROKER = re.compile(rb"^(L|R)PUSH |^PUBLISH ", re.IGNORECASE)
TOLD_BY_DESIGN = {"reference", "item 0 name", "item 1 name"}
"""The caller's own ids, which webhooks carry back to the caller, and records keep."""


def write_plainly(stack: Stack) -> None:
    """Have Redis write strings as they are, so that they can be searched for."""
    with closing(redis.Redis.from_url(stack.settings_env["FACEFIT_REDIS_URL"])) as client:
        client.config_set("rdbcompression", "no")


def written_in(stack: Stack, load: MarkedLoad) -> dict[str, set[str]]:
    return found_below([stack.folder.redis, stack.folder.store, stack.folder.logs], load.values)


def test_nothing_of_a_deleted_photo_is_in_any_file_once_both_stores_were_purged(
    service: Stack, http: httpx.Client, astronaut: bytes
) -> None:
    served: dict[str, bytes] = {}
    load = MarkedLoad(http, astronaut)
    write_plainly(service)
    with receiver_of(served) as receiver:
        # Kept, or the store might be purged of them before they are looked for.
        load.submit_file(keep_image="true")
        load.submit_url(served, keep_image=True)
        load.wait_for_all()
        wait_until(lambda: any(b"POST /hook" in request for request in receiver.requests), "no webhook came")
    load.note_results()
    kept = set().union(*written_in(service, load).values())
    # As far as it is looked for, it is there before: else the search would find nothing whatever is kept.
    assert {"file: comment", "file: pixels", "fetched: pixels", "landmarks 0", "landmarks 1"} <= kept
    assert {"reference", "webhook query", "image query"} <= kept
    for path in load.paths:
        assert http.delete(path).status_code == 204
    RedisFiles(settings_of(service.settings_env)).erase()
    SeaweedFiles(settings_of(service.settings_env)).erase()
    assert written_in(service, load) == {}


def test_nothing_that_is_nobody_elses_business_is_written_where_others_read(
    service: Stack, http: httpx.Client, astronaut: bytes
) -> None:
    """Logs, metrics, messages and bodies of webhooks; of Redis' commands, all but what is a record."""
    served: dict[str, bytes] = {}
    load = MarkedLoad(http, astronaut)
    secret = http.post("/v1/webhooks/secret").json()["secret"]
    load.values["webhook secret"] = secret.removeprefix("whsec_").encode()
    for name in ("FACEFIT_S3_SECRET_ACCESS_KEY",):
        load.values[name] = service.settings_env[name].encode()
    with listening_to_redis(service) as commands, receiver_of(served) as receiver:
        load.submit_file(webhook_events="job.succeeded")
        load.submit_url(served)
        load.submit_rejected()
        load.knock()
        load.submit_batch()
        load.wait_for_all()
        wait_until(lambda: len(_hooks(receiver)) >= 2, "not all webhooks came")
        metrics = http.get("/metrics").content
    load.note_results()
    assert len([name for name in load.values if name.startswith("landmarks")]) >= 3
    assert found_in(metrics, load.values) == set()
    assert found_below([service.folder.logs], load.values) == {}
    assert [command for command in commands if BROKER.match(command)]
    heard = b"\n".join(commands)
    assert found_in(b"\n".join(filter(BROKER.match, commands)), load.values) == set()
    # Records hold what webhooks need: where to, and the caller's own id.
    assert found_in(heard, load.values) <= TOLD_BY_DESIGN | {"webhook query", "batch webhook query"}
    bodies = b"\n".join(request.partition(b"\r\n\r\n")[2] for request in _hooks(receiver))
    assert found_in(bodies, load.values) <= TOLD_BY_DESIGN
    kept = keys_of(service)
    named = named_below("In Redis")
    assert {key for key in kept if not key.removeprefix("facefit:").startswith(tuple(named))} == set()
    for path in load.paths:
        http.delete(path)


def keys_of(stack: Stack) -> set[str]:
    with closing(redis.Redis.from_url(stack.settings_env["FACEFIT_REDIS_URL"])) as client:
        return {key.decode() for key in client.scan_iter()}


def _hooks(receiver: Receiver) -> list[bytes]:
    return [request for request in receiver.requests if request.startswith(b"POST ")]


@pytest.fixture
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service that purges as soon as it may."""
    with Stack(tmp_path_factory.mktemp("hasty"), overrides=HASTY) as stack:
        yield stack


@pytest.mark.long
def test_the_service_purges_everything_by_itself_and_says_when(hasty: Stack, astronaut: bytes) -> None:
    """Photos, photos at URLs, batches, and what is to be read once; without anybody's help."""
    served: dict[str, bytes] = {}
    write_plainly(hasty)
    with httpx.Client(base_url=hasty.url, timeout=60, trust_env=False) as http, receiver_of(served) as receiver:
        load = MarkedLoad(http, astronaut)
        load.submit_file(keep_image="true")
        load.submit_url(served)
        load.submit_batch()
        load.wait_for_all()
        load.note_results()
        wait_until(lambda: len(_hooks(receiver)) >= 2, "not all webhooks came")
        for path in load.paths:
            assert http.delete(path).status_code == 204
        once = load.submit_file(measure_and_delete="true")
        wait_until(lambda: http.get(once).status_code == 404, "it outlives its time")
        receipts = [f"/v1/deletions/{path.rpartition('/')[2]}" for path in load.paths]
        for receipt in receipts:
            wait_until(lambda url=receipt: http.get(url).json()["status"] == "purged", receipt)  # type: ignore[misc]
            told = http.get(receipt).json()
            assert told["deleted_at"] < min(told["purged_from_records_at"], told["purged_from_storage_at"])
        assert written_in(hasty, load) == {}
