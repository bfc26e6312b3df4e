"""The outside client, a process of its own that knows the HTTP contract and nothing of the product's inside.

`python -m tests.faults.load PLAN LOG` sends what the plan says, when it says so, over several connections; sends again
what was refused or not answered; remembers everything that it was promised; and follows every job to its end. The log
is a JSON object in each line.
"""

from __future__ import annotations

import hashlib
import json
import queue
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import httpx

from tests.faults.follow import Followed, follow
from tests.faults.plan import Entry, Plan

CONNECTIONS: Final = 6
ANSWER_TIMEOUT_S: Final = 20.0
PAUSE_S: Final = 0.5
MAY_BE_SENT_AGAIN: Final = frozenset({409, 429, 503})
"""In flight under the same key, too many, away: whatever else is refused is a defect and is not sent again."""


class Log:
    """What happened, line by line, for whoever reads along."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")
        self._lock = threading.Lock()
        self._began_s = time.monotonic()

    def write(self, event: str, **values: Any) -> None:
        line = json.dumps({"event": event, "at_s": round(time.monotonic() - self._began_s, 3), **values})
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()


class Client:
    """Sends the entries of a plan."""

    def __init__(self, plan: Plan, log: Log) -> None:
        self.plan = plan
        self.log = log
        self.followed = Followed()
        self.all_sent = threading.Event()
        self._due: queue.SimpleQueue[list[Entry]] = queue.SimpleQueue()
        self._began_s = time.monotonic()
        parts: dict[object, list[Entry]] = {}
        for entry in plan.entries:
            parts.setdefault(entry.reference if entry.batch is None else entry.batch, []).append(entry)
        for part in sorted(parts.values(), key=lambda entries: entries[0].at_s):
            self._due.put(part)

    def run(self) -> None:
        senders = [threading.Thread(target=self._send_all) for _ in range(CONNECTIONS)]
        for sender in senders:
            sender.start()
        follower = threading.Thread(target=follow, args=(self.plan, self.log, self.followed, self.all_sent))
        follower.start()
        for sender in senders:
            sender.join()
        self.log.write("all_sent")
        self.all_sent.set()
        follower.join()
        self.log.write("done")

    def _send_all(self) -> None:
        with httpx.Client(base_url=self.plan.url, timeout=ANSWER_TIMEOUT_S, trust_env=False) as http:
            while True:
                try:
                    part = self._due.get_nowait()
                except queue.Empty:
                    return
                time.sleep(max(0.0, self._began_s + part[0].at_s - time.monotonic()))
                self._send_until_answered(http, part)

    def _send_until_answered(self, http: httpx.Client, part: list[Entry]) -> None:
        first, until = part[0], time.monotonic() + self.plan.patience_s
        while time.monotonic() < until:
            status: int | None = None
            began_s = time.monotonic()
            with suppress(httpx.TransportError):
                answer = self._send_batch(http, part) if first.batch is not None else self._send(http, first)
                status = answer.status_code
                if answer.is_success:
                    self._accepted(part, answer.json())
                    return
                if status not in MAY_BE_SENT_AGAIN:
                    self.log.write("refused", references=[e.reference for e in part], status=status, body=answer.text)
                    return
            took_s = round(time.monotonic() - began_s, 2)
            self.log.write("put_off", reference=first.reference, status=status, took_s=took_s)
            time.sleep(PAUSE_S)
        self.log.write("gave_up", references=[entry.reference for entry in part])

    def _send(self, http: httpx.Client, entry: Entry) -> httpx.Response:
        query = {"landmarks": "false", "reference": entry.reference}
        if entry.webhook:
            query["webhook_url"] = entry.webhook
        headers = {"Content-Type": "image/jpeg"}
        if entry.keyed:
            headers["Idempotency-Key"] = f'"{entry.reference}"'
        return http.post("/v1/jobs", params=query, content=self._photo(entry), headers=headers)

    def _send_batch(self, http: httpx.Client, part: list[Entry]) -> httpx.Response:
        files = [("images", (entry.reference, self._photo(entry), "image/jpeg")) for entry in part]
        form = {"landmarks": "false", "webhook_url": self.plan.batch_webhook}
        headers = {"Idempotency-Key": f'"batch of {part[0].reference}"'}
        return http.post("/v1/batches", data=form, files=files, headers=headers)

    def _photo(self, entry: Entry) -> bytes:
        return (Path(self.plan.folder) / entry.file).read_bytes()

    def _accepted(self, part: list[Entry], answer: dict[str, Any]) -> None:
        first = part[0]
        if first.batch is None:
            self.log.write("accepted", id=answer["id"], reference=first.reference)
            self.followed.add_job(answer["id"], first, hashlib.sha256(self._photo(first)).hexdigest())
        else:
            self.log.write("accepted_batch", id=answer["id"], references=[entry.reference for entry in part])
            digests = {entry.reference: hashlib.sha256(self._photo(entry)).hexdigest() for entry in part}
            self.followed.add_batch(answer["id"], part, digests)


if __name__ == "__main__":
    Client(Plan.read(Path(sys.argv[1])), Log(Path(sys.argv[2]))).run()
