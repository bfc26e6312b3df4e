"""Where objects lie: every key can be read back, and none asks the store for a folder of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.names import LOCAL_TENANT, new_batch_id, new_job_id
from shared.schemas import JobOptions, JobStatus
from shared.storage import layout
from tests.core import Core

JOB, BATCH = new_job_id(), new_batch_id()


@pytest.mark.parametrize(
    ("key", "run", "batch"),
    [
        (layout.upload_key("acme", JOB), 0, None),
        (layout.upload_key("acme", JOB, BATCH), 0, BATCH),
        (layout.outcome_key("acme", JOB, 1), 1, None),
        (layout.outcome_key("acme", JOB, 123456), 123456, None),
        (layout.rerun_key("acme", JOB, 2), 2, None),
        (layout.options_key("acme", JOB), 0, None),
        (layout.tombstone_key("acme", JOB), 0, None),
    ],
)
def test_a_key_says_whose_it_is(key: str, run: int, batch: str | None) -> None:
    assert layout.owner_of(key) == ("acme", JOB)
    assert (layout.run_of(key), layout.batch_of_upload(key)) == (run, batch)
    assert layout.batch_of(key) is None


@pytest.mark.parametrize(
    "key_of", [layout.manifest_key, layout.started_key, layout.cancelled_key, layout.tombstone_key]
)
def test_a_key_of_a_batch_says_so(key_of: Callable[[str, str], str]) -> None:
    key = key_of("acme", BATCH)
    assert (layout.batch_of(key), layout.owner_of(key)) == (("acme", BATCH), None)


def test_no_job_and_no_batch_has_a_folder(core: Core) -> None:
    """A folder that SeaweedFS refuses while its disk is full leaves what it took in no list."""
    single, retried = (core.accept(JobOptions(webhook_url="https://example.org/hook")) for _ in range(2))
    core.work()
    core.work(JobStatus.FAILED)
    core.jobs.retry(LOCAL_TENANT, retried.id)
    batch = core.expect_batch(["a", "b"])
    core.batches.start(LOCAL_TENANT, batch.id)
    core.batches.cancel(LOCAL_TENANT, batch.id)
    kept = core.stored()
    assert {key.partition("/")[0] for key in kept} >= {"outcomes", "reruns", "batches", "deliveries"}
    assert [key for key in kept if key.count("/") != 2] == []
    assert any(single.id in key for key in kept)
