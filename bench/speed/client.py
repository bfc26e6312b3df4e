"""A client that costs little, so that the machine is left to what it measures: one kept connection for each thread."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

from bench.speed.photos import CONTENT_TYPES, Kind

PATIENCE_S: Final = 900.0
WAIT_S: Final = 30
POLL_S: Final = 0.1
CHUNK_BYTES: Final = 1 << 18
ENDED: Final = ("succeeded", "rejected", "failed", "cancelled")
NOT_ENDED: Final = frozenset(("queued", "running", "awaiting_upload"))
_BOUNDARY: Final = "facefit-bench-boundary"
_FORM: Final = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}

TRIES: Final = 20
COME_AGAIN: Final = frozenset((HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE))
KEPT_S: Final = 5.0
"""A connection that has been idle for longer is opened anew: a server may just be closing it."""

BodyMaker = Callable[[], Iterable[bytes]]
_T = TypeVar("_T")
_Answer = TypeVar("_Answer")


class UnexpectedAnswer(Exception):
    """Raised when a service answers otherwise than it does when all is well: there is nothing to measure then."""


class Http:
    """One kept connection to a service; opened again when the other side closes it, or may have."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_S)
        self._used_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(
        self, method: str, path: str, body: bytes | BodyMaker | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        """Send a request and read the answer whole; when told to come again later, do so, as any good client does."""
        for tries_left in reversed(range(TRIES)):
            status, answered, said = self._ask_once(method, path, body, headers)
            if status not in COME_AGAIN or not tries_left:
                break
            pause_s = float(said["Retry-After"] or 1)
            print(f"  {method} {path} answers {status}; once more in {pause_s:g} s", flush=True)
            time.sleep(pause_s)
        return status, answered, said

    def _ask_once(
        self, method: str, path: str, body: bytes | BodyMaker | None, headers: Mapping[str, str] | None
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        if time.monotonic() - self._used_s > KEPT_S:
            self._connection.close()
        self._connection.request(method, path, body() if callable(body) else body, dict(headers or {}))
        answer = self._connection.getresponse()
        read = answer.read()
        self._used_s = time.monotonic()
        return answer.status, read, answer.headers


def form_of(photo: bytes, kind: Kind) -> bytes:
    """Write a form with a photo, as a browser or curl sends it."""
    return _head_of_file("image", f"photo.{kind.ending}", CONTENT_TYPES[kind.ending]) + photo + _tail()


def measure_on_original(http_: Http, photo: bytes, kind: Kind) -> bool:
    """Send a photo to the original service; tell whether it found a face."""
    status, body, _ = http_.ask("POST", "/face-coordinates", form_of(photo, kind), _FORM)
    if status not in {HTTPStatus.OK, HTTPStatus.UNPROCESSABLE_ENTITY}:
        raise UnexpectedAnswer(f"the original service answers {status}: {body[:300]!r}")
    return status == HTTPStatus.OK


def original_is_up(url: str) -> bool:
    """Tell whether the original service answers."""
    try:
        with Http(url) as http_:
            return http_.ask("GET", "/healthz")[0] == HTTPStatus.OK
    except OSError:
        return False


def submit(http_: Http, photo: bytes, kind: Kind, wait_s: int = 0) -> tuple[dict[str, Any], http.client.HTTPMessage]:
    """Submit a photo to this service, perhaps waiting for its result; return the answer."""
    headers = _FORM | ({"Prefer": f"wait={wait_s}"} if wait_s else {})
    status, body, answered = http_.ask("POST", "/v1/jobs", form_of(photo, kind), headers)
    if status not in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
        raise UnexpectedAnswer(f"POST /v1/jobs answers {status}: {body[:300]!r}")
    return json.loads(body), answered


def measure(http_: Http, photo: bytes, kind: Kind) -> bool:
    """Submit a photo and wait for its end, as often as it takes; tell whether it was measured."""
    job, said = submit(http_, photo, kind, WAIT_S)
    while job["status"] in NOT_ENDED:
        time.sleep(float(said["Retry-After"] or 0))  # all places to wait are taken, or time was up
        status, body, said = http_.ask("GET", f"/v1/jobs/{job['id']}?wait={WAIT_S}")
        if status != HTTPStatus.OK:
            raise UnexpectedAnswer(f"GET /v1/jobs answers {status}: {body[:300]!r}")
        job = json.loads(body)
    if job["status"] == "failed":
        raise UnexpectedAnswer(f"{job['id']} failed: {job['error']}")
    return bool(job["status"] == "succeeded")


def each_at_once(url: str, photos: Sequence[_T], at_once: int, send: Callable[[Http, _T], _Answer]) -> list[_Answer]:
    """Send photos by so many threads, each with a connection of its own; return what `send` returned, in order."""
    number = itertools.count()
    answers: dict[int, _Answer] = {}

    def work(_: int) -> None:
        with Http(url) as http_:
            while (mine := next(number)) < len(photos):
                answers[mine] = send(http_, photos[mine])

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(work, range(at_once)))
    return [answers[place] for place in range(len(photos))]


class BatchBody:
    """A form with a zip of photos, written to a file before the clock starts.

    Parameters
    ----------
    photos : iterable of bytes
        In the order of the batch.
    kind : Kind
        Of all of them.
    """

    def __init__(self, photos: Iterable[bytes], kind: Kind) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  open until the batch was sent
        self.photos = 0
        with zipfile.ZipFile(self._file, "w") as archive:
            for photo in photos:
                archive.writestr(f"{self.photos:06}.{kind.ending}", photo)
                self.photos += 1
        self._head, self._tail = _head_of_file("archive", "photos.zip", "application/zip"), _tail()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def send(self, http_: Http) -> str:
        """Make the batch; return its id."""
        size_bytes = len(self._head) + self._file.seek(0, os.SEEK_END) + len(self._tail)
        headers = _FORM | {"Content-Length": str(size_bytes)}
        status, body, _ = http_.ask("POST", "/v1/batches", self._chunks, headers)
        if status != HTTPStatus.ACCEPTED:
            raise UnexpectedAnswer(f"POST /v1/batches answers {status}: {body[:300]!r}")
        return str(json.loads(body)["id"])

    def _chunks(self) -> Iterator[bytes]:
        self._file.seek(0)
        yield self._head
        while chunk := self._file.read(CHUNK_BYTES):
            yield chunk
        yield self._tail


def batch_counts(http_: Http, batch_id: str, wait_s: int = 0) -> dict[str, int]:
    """Return how many photos of a batch are in which state, perhaps once it has ended."""
    status, body, _ = http_.ask("GET", f"/v1/batches/{batch_id}?wait={wait_s}")
    if status != HTTPStatus.OK:
        raise UnexpectedAnswer(f"GET /v1/batches answers {status}: {body[:300]!r}")
    counts: dict[str, int] = json.loads(body)["counts"]
    return counts


def ended_of(counts: Mapping[str, int]) -> int:
    """Return how many photos have ended, by the counts of their batch."""
    return sum(counts.get(status, 0) for status in ENDED)


def await_batch(http_: Http, batch_id: str, share: float = 1.0) -> tuple[int, float]:
    """Return how many photos have ended, and when [s, `perf_counter`], once that share of the batch has."""
    while True:
        began_s = time.perf_counter()
        counts = batch_counts(http_, batch_id, WAIT_S if share == 1 else 0)
        if (ended := ended_of(counts)) >= share * sum(counts.values()):
            return ended, time.perf_counter()
        time.sleep(max(0.0, began_s + POLL_S - time.perf_counter()))


def read_results(http_: Http, batch_id: str) -> int:
    """Read the results of a batch as lines of JSON; return how many photos were measured."""
    status, body, _ = http_.ask("GET", f"/v1/batches/{batch_id}/results?format=ndjson")
    if status != HTTPStatus.OK:
        raise UnexpectedAnswer(f"GET results answers {status}: {body[:300]!r}")
    return body.count(b'"status":"succeeded"')


def _head_of_file(field: str, name: str, content_type: str) -> bytes:
    disposition = f'Content-Disposition: form-data; name="{field}"; filename="{name}"'
    return f"--{_BOUNDARY}\r\n{disposition}\r\nContent-Type: {content_type}\r\n\r\n".encode()


def _tail() -> bytes:
    return f"\r\n--{_BOUNDARY}--\r\n".encode()
