"""A receiver of webhooks, a process of its own: `python -m tests.faults.receiver PORT SECRET LOG POINTS`.

It verifies every request, writes down which event came, and behaves as the path says.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from standardwebhooks import Webhook, WebhookVerificationError

from tests.faults import points
from tests.faults.points import Points

TAKES: Final = "/takes"
FAILS_FIRST: Final = "/fails-first"
SLOW_FIRST: Final = "/slow-first"
REDIRECTS_FIRST: Final = "/redirects-first"
REBOUND: Final = "/rebound"
SENDER_PID: Final = "sender.pid"

METADATA: Final = "http://169.254.169.254/latest/meta-data/"
SLOWLY_S: Final = 5.0
OK: Final = 204
BAD_SIGNATURE: Final = 401
FAILS: Final = 500
REDIRECT: Final = 302
TOO_SLOW: Final = 504
"""Given when the sender has left."""
FIRST: Final = {FAILS_FIRST: FAILS, SLOW_FIRST: TOO_SLOW, REDIRECTS_FIRST: REDIRECT}
"""What the first attempt at each event is answered with, by path."""


class Memory:
    """What came so far."""

    def __init__(self, secret: str, log: Path, marked: Points) -> None:
        self.webhook = Webhook(secret)
        self.marked = marked
        self._log = log.open("a")
        self._lock = threading.Lock()
        self._seen: set[str] = set()

    def is_first(self, webhook_id: str) -> bool:
        with self._lock:
            first = webhook_id not in self._seen
            self._seen.add(webhook_id)
        return first

    def write(self, **values: Any) -> None:
        with self._lock:
            self._log.write(json.dumps(values) + "\n")
            self._log.flush()


class Handler(BaseHTTPRequestHandler):
    """Answers one request; the server knows what came so far."""

    server: Server

    def do_POST(self) -> None:
        memory = self.server.memory
        body = self.rfile.read(int(self.headers["Content-Length"]))
        webhook_id = self.headers.get("webhook-id", "")
        try:
            memory.webhook.verify(body, dict(self.headers))
        except WebhookVerificationError:
            self._answer(BAD_SIGNATURE)
            memory.write(id=webhook_id, verified=False, answer=BAD_SIGNATURE, path=self.path)
            return
        answer = self._behave(is_first=memory.is_first(webhook_id))
        event = json.loads(body)
        about = {"type": event["type"], "object": event["data"].get("id"), "status": event["data"].get("status")}
        memory.write(id=webhook_id, verified=True, answer=answer, path=self.path, **about)

    def _behave(self, *, is_first: bool) -> int:
        """Answer as the path says; return the status that was given, whoever may have heard it."""
        if self.path == TAKES and self.server.memory.marked.take(points.KILL_THE_SENDER):
            return self._kill_the_sender()
        status = FIRST.get(self.path, OK) if is_first else OK
        if status == TOO_SLOW:
            time.sleep(SLOWLY_S)
        with suppress(OSError):
            self._answer(status)
        return status

    def _kill_the_sender(self) -> int:
        """Answer with a success while the sender stands still, and end it before it can read that."""
        pid = int((self.server.memory.marked.folder / SENDER_PID).read_text())
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGSTOP)
            self._answer(OK)
            self.wfile.flush()
            os.killpg(pid, signal.SIGKILL)
        return OK

    def _answer(self, status: int) -> None:
        self.send_response(status)
        if status == REDIRECT:
            self.send_header("Location", METADATA)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


class Server(ThreadingHTTPServer):
    """Listens on loopback."""

    request_queue_size = 64

    def __init__(self, port: int, memory: Memory) -> None:
        self.memory = memory
        super().__init__(("127.0.0.1", port), Handler)


if __name__ == "__main__":
    port, secret, log, folder = sys.argv[1:]
    Server(int(port), Memory(secret, Path(log), Points(Path(folder)))).serve_forever()
