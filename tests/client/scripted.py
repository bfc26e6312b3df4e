"""A real HTTP server that answers as it is told, one answer after the other, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

JOB = {"id": "job_1", "status": "succeeded", "created_at": "2026-11-28T00:00:00Z", "result": None}


@dataclass
class Answer:
    """What is sent back; of a body that is cut, so many bytes and no more."""

    status: int = 200
    body: bytes = b""
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_at: int | None = None


def ok(value: object = JOB, **more: Any) -> Answer:
    return Answer(body=json.dumps(value).encode(), **more)


def problem(status: int, code: str, *, errors: list[dict[str, str]] | None = None, **headers: str) -> Answer:
    told = {"status": status, "code": code, "title": code, "detail": "Told so.", "request_id": "req-7"}
    told |= {"errors": errors} if errors else {}
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, json.dumps(told).encode(), "application/problem+json", fields)


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Scripted:
    """The server; the last answer is given again and again."""

    def __init__(self, answers: list[Answer], port: int = 0) -> None:
        self.asked: list[Asked] = []
        self._answers = answers
        self._lock = threading.Lock()
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = scripted._next(Asked(self.command, self.path, headers, body))
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.kind)
                self.send_header("Content-Length", str(len(answer.body)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body[: answer.cut_at])
                self.close_connection = answer.cut_at is not None

            do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - names of the standard library

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _next(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@contextmanager
def answering(*answers: Answer, port: int = 0) -> Iterator[Scripted]:
    scripted = Scripted(list(answers), port)
    thread = threading.Thread(target=scripted._server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield scripted
    finally:
        scripted._server.shutdown()
        thread.join()
        scripted._server.server_close()
