"""What a log line has in it, and what never."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from shared import redaction
from shared.observability import JsonLines, about, bind_context, context, forget_context
from shared.redaction import GONE, redact, redact_text
from tests.core import Core

ROOT = Path(__file__).parents[2]


def record_of(message: str, *args: object, level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    return logging.getLogger("api.trial").makeRecord("api.trial", level, "f", 1, message, args, None, extra=extra)


def test_a_line_has_its_fields_in_their_order_and_nothing_else() -> None:
    forget_context()
    bind_context(request_id="r", tenant="t", job=None)
    bind_context(batch="b")
    line = JsonLines().format(record_of("%s of %d", "one", 2, method="GET", api_key="k", raw=b"x", several=(1, "a")))
    forget_context()
    fields = json.loads(line)
    assert list(fields) == [
        *("event", "request_id", "tenant", "batch", "level", "logger"),
        *("method", "api_key", "raw", "several", "timestamp", "process"),
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", fields.pop("timestamp"))
    assert fields == {
        "event": "one of 2",
        "request_id": "r",
        "tenant": "t",
        "batch": "b",
        "level": "info",
        "logger": "api.trial",
        "method": "GET",
        "api_key": GONE,
        "raw": "[bytes]",
        "several": [1, "a"],
        "process": os.getpid(),
    }
    assert "\n" not in line


@pytest.mark.parametrize("exc_info", [True, (None, None, None)])
def test_a_traceback_that_there_is_none_of_is_left_out(exc_info: object) -> None:
    record = record_of("oh", level=logging.ERROR)
    record.exc_info = sys.exc_info() if exc_info is True else exc_info  # type: ignore[assignment]
    assert "exception" not in json.loads(JsonLines().format(record))


def test_a_line_is_about_what_is_bound_where_it_is_logged() -> None:
    forget_context()
    bind_context(request_id="r")
    with about(job="j"):
        assert context() == {"request_id": "r", "job": "j"}
        with about(job="k", attempt=1):
            assert context() == {"request_id": "r", "job": "k", "attempt": 1}
        assert context() == {"request_id": "r", "job": "j"}
    assert context() == {"request_id": "r"}
    in_thread: list[object] = []
    thread = threading.Thread(target=lambda: in_thread.append(dict(context())))
    thread.start()
    thread.join()
    assert in_thread == [{}]
    forget_context()
    assert context() == {}


PROGRAM = """
import logging, sys, threading, warnings
from shared.config import Settings
from shared.observability import about, configure_logging
configure_logging(Settings(log_format=sys.argv[1]))
logger = logging.getLogger("worker.trial")
with about(job="job_1", tenant="t", attempt=2):
    logger.info("hello %s", "there", extra={"api_key": "k1", "bytes": 3})
logger.debug("not this")
logging.getLogger("celery.x").info("nor this")
logging.getLogger("celery.x").warning("but this, of http://u:p@h/x?token=s1")
try:
    1 / 0
except ZeroDivisionError:
    logger.exception("oh")
warnings.warn("a warning")
thread = threading.Thread(target=lambda: {}["in a thread"]); thread.start(); thread.join()
raise ValueError("uncaught ?a=b /p?secret=s2")
"""


def lines_of(log_format: str) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, log_format], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 1
    assert run.stdout == ""
    return run.stderr.splitlines()


def test_every_line_is_json_and_says_what_it_is_about() -> None:
    lines = [json.loads(line) for line in lines_of("json")]
    assert [line["level"] for line in lines] == ["info", "warning", "error", "warning", "critical", "critical"]
    first = lines[0]
    assert (first["event"], first["logger"], first["job"], first["tenant"]) == (
        "hello there",
        "worker.trial",
        "job_1",
        "t",
    )
    assert (first["attempt"], first["api_key"], first["bytes"]) == (2, GONE, 3)
    assert first["timestamp"].endswith("Z")
    assert all("job" not in line for line in lines[1:])
    assert "ZeroDivisionError" in lines[2]["exception"]
    assert "in a thread" in lines[4]["exception"]
    assert "ValueError" in lines[5]["exception"]
    text = json.dumps(lines)
    assert not any(marked in text for marked in ("k1", "s1", "s2", "u:p"))


def test_lines_for_a_person() -> None:
    lines = lines_of("text")
    assert "hello there" in lines[0]
    assert "job=job_1" in lines[0]
    assert "k1" not in lines[0]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("GET https://h:1/a/b?X-Amz-Signature=abc&x=y failed", f"GET https://h:1/a/b?{GONE} failed"),
        ("http://h/a#fragment-secret", f"http://h/a?{GONE}"),
        ("Retrying after '/bucket/key?uploadId=1&partNumber=2'", f"Retrying after '/bucket/key?{GONE}'"),
        ("redis://:pass@127.0.0.1:6379/0", f"redis://{GONE}@127.0.0.1:6379/0"),
        ("Authorization: Bearer abc.def", f"Authorization: {GONE} {GONE}"),
        ("sent with whsec_AbC+/123=", f"sent with {GONE}"),
        ("X-API-Key: abcdef, next", f"X-API-Key: {GONE}, next"),
        ("is it there? yes: 3/4 = 0.75", "is it there? yes: 3/4 = 0.75"),
        ("the lease of job_01 ran out", "the lease of job_01 ran out"),
    ],
)
def test_what_is_taken_out_of_a_text(text: str, left: str) -> None:
    assert redact_text(text) == left


PIECES = [
    *("https://", "h", "/", "?", "#", "@", "=", ":", " ", "\t", "\u00a0", ",", "'", "x=y", "u:p@"),
    *("Bearer", "basic", "X-API-Key", "Authorization", "X-Amz-Date", "idempotency-key", "whsec_", "abc", "WHSEC_a"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.text(max_size=40))
def test_a_text_that_is_passed_at_a_glance_has_nothing_to_be_taken_out(text: str) -> None:
    thorough = text
    for pattern, instead in redaction._PATTERNS:
        thorough = pattern.sub(instead, thorough)
    assert redact_text(text) == thorough


def test_fields_are_judged_by_their_names_and_bytes_are_none_of_a_logs() -> None:
    event = {
        "s3_secret_access_key": "a",
        "landmarks": [[1, 2]],
        "nested": {"token": "b", "fine": 1},
        "raw": b"\xff\xd8",
        "path": Path("/x"),
        "several": ["http://h/?q=1", 2],
        "keyboard": "kept",
        "nothing": None,
    }
    assert redact(None, "", event) == {
        "s3_secret_access_key": GONE,
        "landmarks": GONE,
        "nested": {"token": GONE, "fine": 1},
        "raw": "[bytes]",
        "path": "/x",
        "several": [f"http://h/?{GONE}", 2],
        "keyboard": "kept",
        "nothing": None,
    }
    assert len(redact_text("x" * 100_000)) < 21_000


def test_lines_are_about_known_things_only() -> None:
    with pytest.raises(ValueError, match="colour"), about(colour="red"):
        pass
    with pytest.raises(ValueError, match="key"):
        bind_context(key="x")
    forget_context()


JPEG = b"\xff\xd8\xff"


@pytest.fixture
def access(caplog: pytest.LogCaptureFixture) -> Callable[[], dict[str, object]]:
    caplog.set_level(logging.INFO, logger="api.access_log")

    def last() -> dict[str, object]:
        lines = [record for record in caplog.records if record.name == "api.access_log"]
        assert len(lines) == 1, "one line for each request"
        caplog.clear()
        kept = ("method", "route", "status", "bytes", "tenant", "request_id", "duration_ms", "job", "batch", "code")
        return {name: getattr(lines[0], name) for name in kept if hasattr(lines[0], name)}

    return last


def test_a_request_has_one_line_with_its_route_and_not_its_address(
    api: FlaskClient, access: Callable[[], dict[str, object]]
) -> None:
    response = api.get("/v1/jobs?reference=marked-value&limit=5", headers={"X-Request-Id": "mine"})
    body = response.data
    response.close()
    line = access()
    assert isinstance(line.pop("duration_ms"), float)
    assert line == {
        "method": "GET",
        "route": "/v1/jobs",
        "status": 200,
        "bytes": len(body),
        "tenant": "local",
        "request_id": "mine",
    }


def test_a_request_that_makes_a_job_names_it(api: FlaskClient, access: Callable[[], dict[str, object]]) -> None:
    with api.post("/v1/jobs", data=JPEG, content_type="image/jpeg") as response:
        job = response.get_json()["id"]
    assert access()["job"] == job
    with api.get(f"/v1/jobs/{job}"):
        pass
    line = access()
    assert (line["job"], line["route"]) == (job, "/v1/jobs/<job_id>")


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("GET", "/v1/jobs/marked-value", {}, 404, "not_found"),
        ("GET", "/marked-value?marked-value=1", {}, 404, "not_found"),
        ("GET", "/healthz", {"Host": "marked-value.example"}, 400, "host_forbidden"),
        ("GET", "/healthz", {"Origin": "http://marked-value.example"}, 403, "origin_forbidden"),
        ("BREW", "/healthz", {}, 405, "method_not_allowed"),
    ],
)
def test_what_is_refused_has_a_line_too_and_repeats_nothing(  # noqa: PLR0917
    api: FlaskClient,
    access: Callable[[], dict[str, object]],
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    with api.open(path, method=method, headers=headers):
        pass
    records = [vars(record) for record in caplog.records]
    assert "marked-value" not in str(records)
    line = access()
    assert (line["status"], line["code"]) == (status, code)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_an_answer_without_a_body_has_its_line(
    api: FlaskClient, access: Callable[[], dict[str, object]], method: str
) -> None:
    with api.open("/healthz", method=method) as response:
        assert response.status_code == 200
    assert access()["method"] == method


def test_a_deletion_has_its_line(api: FlaskClient, live_core: Core, access: Callable[[], dict[str, object]]) -> None:
    record = live_core.accept()
    with api.delete(f"/v1/jobs/{record.id}") as response:
        assert response.status_code == 204
    assert access()["job"] == record.id


def test_the_bytes_of_a_stream_are_counted(
    api: FlaskClient, live_core: Core, access: Callable[[], dict[str, object]]
) -> None:
    batch = live_core.accept_batch(["a", "b"])
    with api.get(f"/v1/batches/{batch.id}/results?format=ndjson&include=all") as response:
        length = len(response.data)
    line = access()
    assert (line["bytes"], line["batch"]) == (length, batch.id)
    assert length > 100


def test_lines_of_a_route_are_about_its_request(api: FlaskClient, live_core: Core) -> None:
    seen: list[object] = []

    class Looking:
        def __getattr__(self, name: str) -> object:
            seen.append(context())
            raise AttributeError(name)

    live_core.jobs.objects = Looking()  # type: ignore[assignment]
    with api.post("/v1/jobs", data=JPEG, content_type="image/jpeg", headers={"X-Request-Id": "mine"}) as response:
        assert response.status_code == 500
    assert seen[0] == {"request_id": "mine", "tenant": "local"}
    assert context() == {}
