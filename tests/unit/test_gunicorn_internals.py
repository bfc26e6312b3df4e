"""The server that ships is built on parts of gunicorn that are no public interface: a new version is read first.

When this fails: read what has changed in these parts, compare it with `api/head_first.py`, `api/answering.py` and
`api/connections.py`, run `tests/integration/test_slow_clients.py` and `test_malformed_http.py`, and only then write the
new digests here.
"""

from __future__ import annotations

import hashlib
import inspect
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.body import Body, ChunkedReader, LengthReader
from gunicorn.http.message import Request
from gunicorn.http.parser import Parser
from gunicorn.http.unreader import SocketUnreader, Unreader
from gunicorn.http.wsgi import Response, create
from gunicorn.workers import gthread
from gunicorn.workers.base import Worker

from api.answering import AnsweringWorker
from api.connections import Connection, WatchedBody, WatchedRequest, settled
from api.head_first import HeadFirstWorker
from api.joined_answers import JoinedAnswer

READ_AND_RELIED_ON = {
    gthread.ThreadWorker: "2cde92a57d7b",
    gthread.TConn: "e3a2878ba952",
    gthread.PollableMethodQueue: "5b4a78bd3cfb",
    Worker.init_process: "114caccd7a0e",
    Body: "2a2afc0b6a50",
    LengthReader: "3b01bc7c21a2",
    ChunkedReader: "c1aa79e0ae04",
    Request: "5fb06ef65d3b",
    Parser: "3a9c06e348c7",
    Unreader: "84aaa8f91fcd",
    SocketUnreader: "786a257be09e",
    Response.should_close: "3888d47a96e2",
    Response.default_headers: "cb490cea5d6f",
    Response.write: "a13659ff072c",
    Response.sendfile: "417ea65fb9a1",
    Response.write_file: "dbbc63339312",
    Response.close: "1e78fc7777ff",
    create: "2c35d4a2dc62",
}


def digest(part: Any) -> str:
    return hashlib.sha256(inspect.getsource(part).encode()).hexdigest()[:12]


@pytest.mark.parametrize("part", READ_AND_RELIED_ON)
def test_what_is_relied_on_has_not_changed(part: Any) -> None:
    assert digest(part) == READ_AND_RELIED_ON[part]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (HeadFirstWorker, gthread.ThreadWorker),
        (AnsweringWorker, gthread.ThreadWorker),
        (Connection, gthread.TConn),
        (WatchedBody, Body),
        (WatchedRequest, Request),
        (JoinedAnswer, Response),
    ],
)
def test_what_is_overridden_is_there_to_be_overridden(ours: type, theirs: type) -> None:
    own = {"_on_readable", "_unwatch", "_decide", "_let_uploads_in", "_hand_over", "_end_upload", "_close_idlest"}
    own |= {
        "_drop",
        "_take",
        "_refuse",
        "_check_target",
        "_is_passed_over_easily",
        "is_at_end",
        "_serve",
        "_go_on",
        "readinto",
        "_received_into",
        "answer",
        "receive",
        "takes_expectation",
        "send",
    }
    methods = {name for name, value in vars(ours).items() if callable(value) or isinstance(value, classmethod)}
    overridden = methods - own - {"__init__"}
    assert {name for name in overridden if not name.startswith("__")} <= set(dir(theirs))


def test_the_base_calls_what_is_overridden() -> None:
    loop = inspect.getsource(gthread.ThreadWorker)
    for name in ("enqueue_req", "finish_request", "murder_pending", "handle_request", "_keepalive_after"):
        assert f"self.{name}(" in loop or f"self.{name}," in loop
    assert "_cap_keepalive" in loop
    # What comes behind the loop, and what closes them, goes by the sockets that are left.
    assert loop.count("self.set_accept_enabled(False)") == 1
    assert loop.count("in self.sockets:") == 2
    assert "self.handle_error(" in loop


def test_settings_that_are_settled_say_what_they_said() -> None:
    cfg = Config()
    cfg.set("threads", 7)
    cfg.set("bind", "127.0.0.1:1")
    now = settled(cfg)
    names = {name for name in dir(Config) if not name.startswith("_")} | set(cfg.settings)
    plain = [name for name in names if not callable(getattr(cfg, name))]
    assert {name: getattr(now, name) for name in plain} == {name: getattr(cfg, name) for name in plain}
    assert (now.threads, vars(now)["threads"]) == (7, 7)
    cfg.set("threads", 8)
    assert now.threads == 7
