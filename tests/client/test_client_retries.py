"""What is asked again, what never is, and what is raised: against a real server that answers as it is told."""

from __future__ import annotations

import json

import pytest

from facefit import (
    ApiError,
    ConfigurationError,
    Conflict,
    InvalidRequest,
    NotFound,
    RateLimited,
    RetryPolicy,
    ServerFault,
    ServiceUnreachable,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
)
from stack.data_folder import free_ports
from tests.client.clients import Use
from tests.client.scripted import JOB, Answer, answering, ok, problem

PHOTO = b"\xff\xd8\xff\xe0"
AWAY = [
    problem(503, "unavailable", Retry_After="0"),
    problem(429, "rate_limited", Retry_After="0"),
    problem(409, "idempotency_in_flight", Retry_After="0"),
]
CUT = ok(cut_at=10)


@pytest.mark.parametrize(
    "trouble", [*AWAY, Answer(502, b"<html>", "text/html"), Answer(504, b""), CUT, ok(cut_at=0)], ids=str
)
def test_a_submission_goes_on_under_one_key(use: Use, trouble: Answer) -> None:
    with answering(trouble, trouble, ok()) as server:
        assert use(server.url, "submit", PHOTO, reference="SKU-7").id == "job_1"
    keys = {asked.headers["idempotency-key"] for asked in server.asked}
    assert (len(server.asked), len(keys)) == (3, 1)
    assert len({asked.body.count(PHOTO) for asked in server.asked}) == 1


def test_a_first_try_that_is_still_being_answered_is_waited_for_however_often_that_is_said(use: Use) -> None:
    """A key is held for two minutes after a process was killed: longer than some attempts take, and what is sent under
    another key then is measured twice."""
    in_flight = problem(409, "idempotency_in_flight", Retry_After="0")
    with answering(*[in_flight] * 12, ok()) as server:
        assert use(server.url, "submit", PHOTO).id == "job_1"
    assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 1


def test_a_first_try_that_is_never_answered_is_given_up(use: Use) -> None:
    with answering(problem(409, "idempotency_in_flight", Retry_After="0")) as server, pytest.raises(Conflict):
        use(server.url, "submit", PHOTO, retries=RetryPolicy(patience_s=0.2, first_pause_s=0.01, longest_pause_s=0.02))
    assert len(server.asked) > 2


@pytest.mark.parametrize("key", ["", "\u00fc", "a\nb", "k" * 256])
def test_a_key_that_cannot_be_sent_is_told_before_anything_is(use: Use, key: str) -> None:
    with answering(ok()) as server, pytest.raises(ConfigurationError, match="idempotency key"):
        use(server.url, "submit", PHOTO, idempotency_key=key)
    assert server.asked == []


def test_a_key_with_quotation_marks_is_escaped(use: Use) -> None:
    with answering(ok()) as server:
        use(server.url, "submit", PHOTO, idempotency_key='a"b\\c')
    assert server.asked[0].headers["idempotency-key"] == '"a\\"b\\\\c"'


def test_two_submissions_have_two_keys_and_one_of_the_callers_own_is_kept(use: Use) -> None:
    with answering(ok()) as server:
        use(server.url, "submit", PHOTO)
        use(server.url, "submit", PHOTO)
        use(server.url, "submit", PHOTO, idempotency_key="order-7")
    first, second, third = (asked.headers["idempotency-key"] for asked in server.asked)
    assert first != second
    assert third == '"order-7"'


@pytest.mark.parametrize("method", ["jobs.retry", "batches.retry", "deliveries.redeliver", "webhooks.test"])
@pytest.mark.parametrize("trouble", [CUT, Answer(502, b"<html>", "text/html"), Answer(503, b"")], ids=str)
def test_a_post_without_a_key_is_never_doubled(use: Use, method: str, trouble: Answer) -> None:
    with answering(trouble) as server, pytest.raises((ServiceUnreachable, ApiError)):
        use(server.url, method, "x_1")
    assert len(server.asked) == 1


def test_a_secret_is_not_changed_twice(use: Use) -> None:
    with answering(CUT) as server, pytest.raises(ServiceUnreachable, match="not known"):
        use(server.url, "webhooks.make_secret")
    assert len(server.asked) == 1


def test_what_the_service_says_it_did_not_accept_is_sent_again_without_a_key_too(use: Use) -> None:
    with answering(AWAY[0], AWAY[1], ok()) as server:
        assert use(server.url, "jobs.retry", "job_1").id == "job_1"
    assert len(server.asked) == 3


@pytest.mark.parametrize("method", ["jobs.delete", "batches.delete"])
@pytest.mark.parametrize("trouble", [CUT, Answer(504, b"")], ids=str)
def test_what_was_deleted_by_an_attempt_whose_answer_was_lost_is_deleted(
    use: Use, method: str, trouble: Answer
) -> None:
    with answering(trouble, problem(404, "not_found")) as server:
        assert use(server.url, method, "x_1") is None
    assert len(server.asked) == 2


@pytest.mark.parametrize("before", [[], [problem(503, "unavailable", Retry_After="0")]], ids=["at once", "refused"])
def test_what_is_not_there_cannot_be_deleted(use: Use, before: list[Answer]) -> None:
    with answering(*before, problem(404, "not_found")) as server, pytest.raises(NotFound):
        use(server.url, "jobs.delete", "x_1")
    assert len(server.asked) == 1 + len(before)


def test_patience_ends_and_says_why(use: Use) -> None:
    with answering(problem(503, "unavailable", Retry_After="0")) as server, pytest.raises(Unavailable) as raised:
        use(server.url, "submit", PHOTO)
    assert len(server.asked) == 4
    assert (raised.value.code, raised.value.request_id) == ("unavailable", "req-7")


def test_a_retry_after_beyond_patience_is_raised_and_not_waited_for(use: Use) -> None:
    with answering(problem(429, "rate_limited", Retry_After="3600")) as server, pytest.raises(RateLimited) as raised:
        use(server.url, "submit", PHOTO)
    assert len(server.asked) == 1
    assert raised.value.retry_after_s == 3600


def test_bulk_work_waits_for_room_however_often_it_is_told_to(use: Use) -> None:
    waits = RetryPolicy(attempts=2, patience_s=0.5, first_pause_s=0.01, longest_pause_s=0.02, waits_for_room=True)
    with answering(*[problem(429, "rate_limited", Retry_After="0")] * 9, ok()) as server:
        assert use(server.url, "submit", PHOTO, retries=waits).id == "job_1"
    assert len(server.asked) == 10


def test_a_request_that_is_more_than_the_limit_by_itself_is_not_repeated(use: Use) -> None:
    waits = RetryPolicy(attempts=9, first_pause_s=0.01, longest_pause_s=0.02, waits_for_room=True)
    told = [{"field": "body", "message": "this request alone has 2000: send less at a time."}]
    with (
        answering(problem(429, "rate_limited", errors=told, Retry_After="0")) as server,
        pytest.raises(RateLimited),
    ):
        use(server.url, "submit", PHOTO, retries=waits)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_request", InvalidRequest),
        (401, "unauthorized", Unauthorized),
        (404, "not_found", NotFound),
        (409, "already_finished", Conflict),
        (413, "payload_too_large", InvalidRequest),
        (415, "unsupported_format", InvalidRequest),
        (422, "idempotency_key_reused", InvalidRequest),
        (418, "a_code_of_a_later_service", InvalidRequest),
        (500, "internal_error", ServerFault),
    ],
)
def test_a_refusal_is_final_and_typed(use: Use, status: int, code: str, kind: type[ApiError]) -> None:
    with answering(problem(status, code)) as server, pytest.raises(kind) as raised:
        use(server.url, "jobs.get", "job_1")
    assert len(server.asked) == 1
    assert (type(raised.value), raised.value.status, raised.value.code) == (kind, status, code)
    assert str(raised.value) == f"{code}: Told so. (request req-7)"


@pytest.mark.parametrize(
    "answer",
    [Answer(200, b"<html>hello", "text/html"), ok({"id": 7}), Answer(404, b"<html>", "text/html"), Answer(302, b"")],
    ids=["a page", "other JSON", "another 404", "a redirect"],
)
def test_what_is_no_facefit_is_said(use: Use, answer: Answer) -> None:
    with answering(answer) as server, pytest.raises(UnexpectedAnswer, match="FACEFIT_URL"):
        use(server.url, "jobs.get", "job_1")
    assert len(server.asked) == 1


def test_where_nobody_listens_it_is_said_and_the_key_is_not(use: Use) -> None:
    with pytest.raises(ServiceUnreachable, match="cannot be reached"):
        use(f"http://127.0.0.1:{free_ports(1)[0]}", "jobs.get", "job_1")


def test_names_that_a_later_service_adds_are_kept(use: Use) -> None:
    with answering(ok({**JOB, "status": "paused", "mood": {"of": "the day"}})) as server:
        job = use(server.url, "jobs.get", "job_1")
    assert (job.status, job.model_dump()["mood"]) == ("paused", {"of": "the day"})


def line(index: int) -> bytes:
    found = {"reference": f"r{index}", "job_id": f"job_{index}", "item_index": index, "status": "rejected"}
    return json.dumps(found).encode() + b"\n"


def test_results_go_on_where_they_broke_off(use: Use) -> None:
    kind = "application/x-ndjson"
    first = Answer(200, b"".join(map(line, range(5))), kind, cut_at=2 * len(line(0)) + 7)
    with answering(first, Answer(503, b""), Answer(200, b"".join(map(line, range(2, 5))), kind)) as server:
        found = use(server.url, "batches.results", "bat_1")
    assert [record.item_index for record in found] == [0, 1, 2, 3, 4]
    assert [asked.path.rpartition("after_index=")[2] for asked in server.asked] == ["-1", "1", "1"]


def test_a_table_goes_on_and_an_item_with_several_faces_is_whole(use: Use) -> None:
    head = b"reference,item_index,status\r\n"
    rows = b'a,0,succeeded\r\n"b, ""2""\nc",1,succeeded\r\n"b, ""2""\nc",1,succeeded\r\nd,2,rejected\r\n'
    cut = Answer(200, head + rows, "text/csv", cut_at=len(head) + 44)
    with answering(cut, Answer(200, head + rows[rows.index(b'"b') :], "text/csv")) as server:
        found = use(server.url, "batches.table", "bat_1")
    twice = ['b, "2"\nc', "1", "succeeded"]
    assert found == [
        ["reference", "item_index", "status"],
        ["a", "0", "succeeded"],
        twice,
        twice,
        ["d", "2", "rejected"],
    ]
    assert server.asked[1].path.endswith("after_index=0")
