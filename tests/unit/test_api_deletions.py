"""Receipts of deletions over HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient

from shared.clock import from_ms
from shared.deletion_schemas import Deletion
from shared.names import new_batch_id, new_job_id
from shared.purges.ledger import Purge, PurgeKind, PurgeLedger
from tests.core import Core
from tests.unit.submitting import problem, submit


def deleted(api: FlaskClient) -> str:
    job_url = submit(api).headers["Location"]
    link = api.delete(job_url).headers["Link"]
    url, _, relation = link.partition(">; ")
    assert relation == 'rel="status"'
    return url.removeprefix("<")


def test_a_receipt_is_pending_and_then_purged(api: FlaskClient, live_core: Core) -> None:
    url = deleted(api)
    body = api.get(url).get_json()
    pending = Deletion.model_validate(body)
    assert (pending.object, pending.status, pending.id) == ("deletion", "pending", url.rpartition("/")[2])
    assert pending.due_at - pending.deleted_at == timedelta(minutes=15)
    assert (body["purged_from_records_at"], body["purged_from_storage_at"]) == (None, None)
    now = live_core.clock()
    ledger = PurgeLedger(live_core.objects)
    ledger.note(PurgeKind.RECORDS, Purge(now, now + 1))
    assert api.get(url).get_json()["status"] == "pending"
    ledger.note(PurgeKind.STORAGE, Purge(now, now + 2))
    purged = Deletion.model_validate(api.get(url).get_json())
    assert purged.status == "purged"
    assert (purged.purged_from_records_at, purged.purged_from_storage_at) == (from_ms(now + 1), from_ms(now + 2))


def test_the_receipt_of_a_batch(api: FlaskClient, live_core: Core) -> None:
    batch = live_core.accept_batch(["a"])
    answer = api.delete(f"/v1/batches/{batch.id}")
    assert answer.headers["Link"] == f'</v1/deletions/{batch.id}>; rel="status"'
    assert datetime.fromisoformat(api.get(f"/v1/deletions/{batch.id}").get_json()["deleted_at"]).tzinfo is not None


@pytest.mark.parametrize("deleted_id", [new_job_id(), new_batch_id(), "job_x", "%00"])
def test_unknown_ids_all_read_alike(api: FlaskClient, deleted_id: str) -> None:
    body = problem(api.get(f"/v1/deletions/{deleted_id}"), 404, "not_found")
    still_there = submit(api).headers["Location"].rpartition("/")[2]
    same = problem(api.get(f"/v1/deletions/{still_there}"), 404, "not_found")
    assert {**body, "request_id": ""} == {**same, "request_id": ""}


def test_storage_away(api: FlaskClient, live_core: Core) -> None:
    url = deleted(api)
    live_core.objects.away = True
    problem(api.get(url), 503, "unavailable")
