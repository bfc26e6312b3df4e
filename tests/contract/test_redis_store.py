"""What only Redis can get wrong."""

from __future__ import annotations

import pytest
import redis

from shared.errors import RecordsUnavailable
from shared.jobs.redis_store import RedisJobStore
from shared.jobs.store import Settlement
from shared.names import LOCAL_TENANT
from tests.contract.conftest import settings_beside
from tests.contract.records import claim, end, make_record


def test_a_full_redis_can_be_emptied(request: pytest.FixtureRequest) -> None:
    stores = request.getfixturevalue("stores")
    real = RedisJobStore(settings_beside(stores))
    records = [make_record() for _ in range(3)]
    for record in records:
        real.create(record)
    with redis.Redis.from_url(stores.settings_env["FACEFIT_REDIS_URL"]) as client:
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(RecordsUnavailable):
                real.create(make_record())
            held = claim(real, records[0].id)
            assert real.settle(end(held.record)) is Settlement.SETTLED
            real.drop(records[1].id, LOCAL_TENANT)
        finally:
            client.config_set("maxmemory", 0)
    assert real.missing([record.id for record in records]) == [records[1].id]


def test_a_claim_whose_answer_was_lost_is_given_again(request: pytest.FixtureRequest) -> None:
    real = RedisJobStore(settings_beside(request.getfixturevalue("stores")))
    record = make_record()
    real.create(record)
    now = record.created_ms
    first = real._link.run("claim", record.id, now, now + 1000, "token", 3)
    assert real._link.run("claim", record.id, now, now + 1000, "token", 3) == first
    assert real._link.run("claim", record.id, now, now + 1000, "another", 3) == b"busy"
