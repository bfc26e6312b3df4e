"""Jobs of which nothing outlives the first read of the result, or ten minutes."""

from __future__ import annotations

import io

import orjson
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.errors import JobNotFound, UploadGone
from shared.jobs.batch_record import BatchSource
from shared.jobs.lifecycle import Upload
from shared.jobs.record import JobRecord
from shared.names import LOCAL_TENANT
from shared.schemas import JobOptions, JobStatus
from tests.core import PHOTO, Core
from tests.unit.submitting import RESULT, finish, finish_soon, form, problem, submit

ONCE = JobOptions(measure_and_delete=True)
AFTER_S = 600


def ended(core: Core, status: JobStatus = JobStatus.SUCCEEDED) -> JobRecord:
    record = core.accept(ONCE)
    core.work(status)
    return core.find(record.id)


def traces_of(core: Core) -> list[str]:
    return [key for key in core.stored() if not key.startswith(("deleted/", "health/"))]


def gone(core: Core, record: JobRecord) -> bool:
    try:
        core.find(record.id)
    except JobNotFound:
        return traces_of(core) == [] and core.stored("deleted/") == [f"deleted/{record.tenant}/{record.id}"]
    return False


@pytest.mark.parametrize("status", [status for status in JobStatus if status.is_terminal])
def test_nothing_is_left_ten_minutes_after_any_end(core: Core, status: JobStatus) -> None:
    core.reconciler.round()
    record = ended(core, status)
    assert record.expires_ms == core.clock() + AFTER_S * 1000
    assert core.stored("uploads/") == []
    core.clock.advance(AFTER_S - 1)
    core.reconciler.due()
    assert core.find(record.id).status is status
    core.clock.advance(1)
    with pytest.raises(JobNotFound):
        core.find(record.id)
    core.reconciler.due()
    assert gone(core, record)


def test_the_ten_minutes_outlive_the_records(core: Core) -> None:
    core.reconciler.round()
    record = ended(core)
    core.lose_records()
    core.reconciler.rebuild_if_lost()
    assert core.find(record.id).expires_ms == record.expires_ms
    core.clock.advance(AFTER_S)
    core.reconciler.due()
    assert gone(core, record)


def test_the_ten_minutes_outlive_an_upkeep_that_was_away(core: Core) -> None:
    core.reconciler.round()
    record = ended(core)
    core.lose_records()
    core.clock.advance(AFTER_S * 2)
    with pytest.raises(JobNotFound):
        core.find(record.id)
    core.reconciler.rebuild_if_lost()
    core.reconciler.due()
    assert gone(core, record)


def test_an_outcome_that_is_adopted_ends_as_soon(core: Core) -> None:
    core.reconciler.round()
    record = core.accept(ONCE)
    claim = core.jobs.claim(record.id)
    assert claim is not None
    outcome = claim.record.ended(JobStatus.SUCCEEDED, at_ms=core.clock()).ending_soon(core.clock() + AFTER_S * 1000)
    core.jobs.archive.write_outcome(outcome, RESULT)  # and the worker dies
    core.clock.advance(60)
    core.reconciler.due()
    assert core.find(record.id).expires_ms == outcome.expires_ms


def test_a_failed_one_cannot_be_retried(core: Core) -> None:
    core.reconciler.round()
    record = ended(core, JobStatus.FAILED)
    with pytest.raises(UploadGone):
        core.jobs.retry(LOCAL_TENANT, record.id)


def test_others_are_kept_as_long_as_ever(core: Core) -> None:
    core.reconciler.round()
    record = core.accept()
    core.work()
    assert core.find(record.id).expires_ms == record.expires_ms
    core.jobs.was_read([record])
    assert core.find(record.id).expires_ms == record.expires_ms


# Over HTTP


def submitted(api: FlaskClient, core: Core, **fields: str) -> str:
    location = submit(api, measure_and_delete="true", **fields).headers["Location"]
    finish(core)
    return location


def test_the_first_read_of_the_result_is_the_last(api: FlaskClient, live_core: Core) -> None:
    location = submitted(api, live_core)
    answer = api.get(location)
    assert answer.get_json()["result"] == orjson.loads(RESULT)
    assert answer.content_length == len(answer.data)
    problem(api.get(location), 404, "not_found")
    assert traces_of(live_core) == []
    assert api.get(f"/v1/deletions/{location.rpartition('/')[2]}").get_json()["status"] == "pending"


def test_what_carries_no_result_is_no_read(api: FlaskClient, live_core: Core) -> None:
    location = submit(api, measure_and_delete="true").headers["Location"]
    assert api.get(location).get_json()["status"] == "queued"
    finish(live_core)
    assert api.head(location).status_code == 200
    etag = api.head(location).headers["ETag"]
    assert api.get(location, headers={"If-None-Match": etag}).status_code == 304
    assert api.get("/v1/jobs").get_json()["data"][0]["status"] == "succeeded"
    assert api.get(f"{location}/mesh.obj").status_code == 200
    assert api.get(f"{location}/overlay.svg").status_code == 200
    assert api.get(location).get_json()["result"] is not None


def test_a_client_that_leaves_before_the_end_has_not_read(api: FlaskClient, live_core: Core) -> None:
    location = submitted(api, live_core)
    broken_off = api.get(location, buffered=False)
    chunks = iter(broken_off.response)
    next(chunks)
    broken_off.close()
    assert api.get(location).get_json()["result"] is not None


def test_the_answer_to_a_wait_is_a_read(api: FlaskClient, live_core: Core) -> None:
    worker = finish_soon(live_core)
    answer = api.post("/v1/jobs", data=form(measure_and_delete="true"), headers={"Prefer": "wait=30"})
    worker.join()
    assert (answer.status_code, answer.get_json()["status"]) == (200, "succeeded")
    problem(api.get(answer.headers["Content-Location"]), 404, "not_found")


def test_the_same_idempotency_key_makes_another_job_after_the_read(api: FlaskClient, live_core: Core) -> None:
    def send() -> TestResponse:
        return api.post("/v1/jobs", data=form(measure_and_delete="true"), headers={"Idempotency-Key": "k"})

    location = send().headers["Location"]
    finish(live_core)
    replayed = send()
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert replayed.get_json()["result"] is not None  # which was a read
    again = send()
    assert "Idempotent-Replayed" not in again.headers
    assert again.headers["Location"] != location


def test_why_a_photo_was_rejected_may_be_read_again(api: FlaskClient, live_core: Core) -> None:
    location = submit(api, measure_and_delete="true").headers["Location"]
    finish(live_core, JobStatus.REJECTED)
    assert [api.get(location).get_json()["status"] for _ in range(2)] == ["rejected"] * 2


def test_where_records_are_away_when_it_was_read_it_is_deleted_in_its_time(api: FlaskClient, live_core: Core) -> None:
    location = submitted(api, live_core)
    answer = api.get(location, buffered=False)
    live_core.set_records_away(True)
    assert orjson.loads(b"".join(answer.iter_encoded()))["result"] is not None
    answer.close()
    live_core.set_records_away(False)
    assert live_core.find(location.rpartition("/")[2]).expires_ms <= live_core.clock() + AFTER_S * 1000


def test_it_does_not_go_with_a_photo_that_is_kept(api: FlaskClient) -> None:
    body = problem(submit(api, measure_and_delete="true", keep_image="true"), 400, "invalid_request")
    assert "measure_and_delete" in body["detail"]


# In batches


def batch_of_three(core: Core) -> str:
    """One to be read once, one to be kept, and one to be read once that is rejected."""
    with core.batches.begin(LOCAL_TENANT, BatchSource.UPLOAD, JobOptions()) as writer:
        for reference, once in (("once", True), ("kept", False), ("rejected", True)):
            options = JobOptions(reference=reference, measure_and_delete=once)
            writer.add_upload(Upload(_open(), "image/jpeg"), options)
        batch = writer.commit()
    items = core.items(batch.id)
    for item in items:
        status = JobStatus.REJECTED if item.options.reference == "rejected" else JobStatus.SUCCEEDED
        claim = core.jobs.claim(item.id)
        assert claim is not None
        core.jobs.finish(claim.record.ended(status, at_ms=core.clock()), RESULT)
    return batch.id


def _open() -> io.BytesIO:
    return io.BytesIO(PHOTO)


def references(answer: TestResponse) -> list[str]:
    return [orjson.loads(line)["reference"] for line in answer.data.splitlines()]


@pytest.mark.parametrize("form_of_results", ["ndjson", "csv"])
def test_results_of_a_batch_are_read_once(api: FlaskClient, live_core: Core, form_of_results: str) -> None:
    batch_id = batch_of_three(live_core)
    url = f"/v1/batches/{batch_id}"
    assert api.get(f"{url}/summary").status_code == 200
    assert api.head(f"{url}/results").status_code == 200
    first = api.get(f"{url}/results?format={form_of_results}")
    assert b"once" in first.data
    live_core.reconciler.due()
    assert references(api.get(f"{url}/results")) == ["kept", "rejected"]
    body = api.get(url).get_json()
    assert (body["total"], body["counts"]["succeeded"], body["status"]) == (2, 1, "completed")


def test_results_that_break_off_are_not_read(api: FlaskClient, live_core: Core) -> None:
    batch_id = batch_of_three(live_core)
    answer = api.get(f"/v1/batches/{batch_id}/results", buffered=False)
    next(iter(answer.response))
    answer.close()
    live_core.reconciler.due()
    assert references(api.get(f"/v1/batches/{batch_id}/results")) == ["once", "kept", "rejected"]


def test_results_after_an_index_leave_the_others_unread(api: FlaskClient, live_core: Core) -> None:
    batch_id = batch_of_three(live_core)
    assert references(api.get(f"/v1/batches/{batch_id}/results?after_index=0")) == ["kept", "rejected"]
    live_core.reconciler.due()
    assert references(api.get(f"/v1/batches/{batch_id}/results")) == ["once", "kept", "rejected"]
