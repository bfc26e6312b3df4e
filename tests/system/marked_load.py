"""Photos and batches of every kind with values that nobody else writes, and a receiver that they are told to."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import redis

from stack.stack import Stack
from tests.conftest import RECEIVER_PORT
from tests.marks import landmarks_of, marked_photo, pixels_of, token
from tests.receiver import HERE, Receiver, receiving

HERE_URL = f"http://{HERE}:{RECEIVER_PORT}"
PATIENCE_S = 90.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@dataclass
class MarkedLoad:
    """What was sent, and every marked value in it by name."""

    http: httpx.Client
    photo: bytes
    values: dict[str, bytes] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)

    def mark(self, name: str) -> str:
        """Return a new value that is to be found nowhere in the end."""
        made = token()
        self.values[name] = made.encode()
        return made

    def marked_photo(self, name: str) -> bytes:
        photo = marked_photo(self.photo, self.mark(f"{name}: comment"))
        self.values[f"{name}: pixels"] = pixels_of(photo)
        return photo

    def accepted(self, answer: httpx.Response) -> str:
        assert answer.status_code in {200, 202}, answer.text
        kind = "batches" if answer.json()["object"] == "batch" else "jobs"
        path = f"/v1/{kind}/{answer.json()['id']}"
        self.paths.append(path)
        return path

    def submit_file(self, **options: str) -> str:
        return self.accepted(
            self.http.post(
                "/v1/jobs",
                files={"image": (f"{self.mark('file name')}.jpg", self.marked_photo("file"))},
                data={
                    "reference": self.mark("reference"),
                    "webhook_url": f"{HERE_URL}/hook?token={self.mark('webhook query')}",
                    **options,
                },
                headers={"Idempotency-Key": self.mark("idempotency key")},
            )
        )

    def knock(self) -> None:
        """Come with keys that are none; what is answered does not matter here."""
        self.http.get("/v1/jobs", headers={"Authorization": f"Bearer {self.mark('bearer')}"})
        self.http.get("/v1/jobs", headers={"Authorization": f"Bearer ffk_{'0' * 26}_{self.mark('token')}"})
        self.http.get("/v1/jobs", headers={"X-API-Key": self.mark("api key")})
        self.http.get(f"/v1/jobs?reference={self.mark('query of the API')}")

    def submit_url(self, served: dict[str, bytes], **options: bool) -> str:
        """Submit a photo at a URL with a query; `served` holds by path what the receiver gives."""
        served["/at-url"] = self.marked_photo("fetched")
        url = f"{HERE_URL}/at-url?signature={self.mark('image query')}"
        return self.accepted(self.http.post("/v1/jobs", json={"image_url": url, **options}))

    def submit_batch(self) -> str:
        files = [("images", (f"{self.mark(f'item {n} name')}.jpg", self.marked_photo(f"item {n}"))) for n in range(2)]
        data = {"webhook_url": f"{HERE_URL}/batch?token={self.mark('batch webhook query')}"}
        return self.accepted(self.http.post("/v1/batches", files=files, data=data))

    def submit_rejected(self) -> str:
        blank = self.mark("blank").encode()
        return self.accepted(self.http.post("/v1/jobs", files={"image": ("x.jpg", b"\xff\xd8\xff\xe0" + blank * 99)}))

    def wait_for_all(self) -> None:
        """Wait for every end, and take note of what was measured."""
        for path in self.paths:
            wait_until(lambda path=path: self._ended(path), f"{path} does not end")  # type: ignore[misc]

    def _ended(self, path: str) -> bool:
        job: dict[str, Any] = self.http.get(path, params={"wait": 10}).raise_for_status().json()
        return job["status"] in {"succeeded", "rejected", "completed"}

    def note_results(self) -> None:
        for number, path in enumerate(self.paths):
            answer = self.http.get(f"{path}/results?landmarks=true" if "batches" in path else path)
            if b'"landmarks":[' in answer.content:
                self.values[f"landmarks {number}"] = landmarks_of(answer.content)


@contextmanager
def receiver_of(served: dict[str, bytes]) -> Iterator[Receiver]:
    """Take webhooks with a 200, and give out the photos in `served` by path."""
    started: list[Receiver] = []

    def behave(wire: socket.socket) -> None:
        path = started[0].requests[-1].split(b" ")[1].decode().partition("?")[0]
        body = served.get(path, b"")
        head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        wire.sendall(head.encode() + body)

    with receiving(behave, address=(HERE, RECEIVER_PORT)) as receiver:
        started.append(receiver)
        yield receiver


@contextmanager
def listening_to_redis(stack: Stack) -> Iterator[list[bytes]]:
    """Note every command that Redis gets, from the programs and from scripts alike."""
    heard: list[bytes] = []
    stop = threading.Event()

    def listen() -> None:
        with closing(redis.Redis.from_url(stack.settings_env["FACEFIT_REDIS_URL"])) as client, client.monitor() as feed:  # type: ignore[no-untyped-call]
            for command in feed.listen():
                heard.append(command["command"].encode("utf-8", "surrogateescape"))
                if stop.is_set():
                    return

    thread = threading.Thread(target=listen)
    thread.start()
    wait_until(lambda: bool(heard), "Redis says nothing")
    try:
        yield heard
    finally:
        stop.set()
        with closing(redis.Redis.from_url(stack.settings_env["FACEFIT_REDIS_URL"])) as client:
            client.ping()
        thread.join()
