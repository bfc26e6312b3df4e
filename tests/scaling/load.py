"""A steady load of single photos over several connections, and the count afterwards: what was promised, what came."""

from __future__ import annotations

import io
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from PIL import Image

from tests.conftest import PORTRAITS

_AGAIN: Final = frozenset({409, 429, 502, 503, 504})
_PAUSE_S: Final = 0.3
_ANSWER_S: Final = 20.0
_CONNECTIONS: Final = 6
_PATIENCE_S: Final = 300.0
_PAGE: Final = 100


def small_photo() -> bytes:
    """Return a portrait that is decoded and measured soon."""
    buffer = io.BytesIO()
    picture = Image.open(PORTRAITS / "grace_hopper.jpg").convert("RGB")
    picture.thumbnail((320, 320))
    picture.save(buffer, "JPEG")
    return buffer.getvalue()


@dataclass
class Load:
    """Sends `count` photos, `per_s` a second, to each of `urls` in turn, and each until it was accepted."""

    urls: Sequence[str]
    count: int
    per_s: float
    webhook_url: str | None = None
    promised: dict[str, str] = field(default_factory=dict)
    """Reference by job id."""
    by_url: Counter[str] = field(default_factory=Counter)
    answered_s: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, meanwhile: Callable[[Load], None]) -> None:
        """Send everything while something else happens."""
        photo, began_s = small_photo(), time.monotonic()
        with ThreadPoolExecutor(_CONNECTIONS + 1) as pool:
            other = pool.submit(meanwhile, self)
            sent = [pool.submit(self._send, number, photo, began_s) for number in range(self.count)]
            for future in [*sent, other]:
                future.result()

    def _send(self, number: int, photo: bytes, began_s: float) -> None:
        time.sleep(max(0.0, began_s + number / self.per_s - time.monotonic()))
        reference = f"photo-{number:05}"
        keyed = {"Idempotency-Key": f'"{reference}"', "Content-Type": "image/jpeg"}
        query = {"reference": reference, "landmarks": "false"}
        if self.webhook_url:
            query["webhook_url"] = self.webhook_url
        attempt = 0
        until_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until_s:
            url = self.urls[(number + attempt) % len(self.urls)]
            attempt += 1
            asked_s = time.monotonic()
            try:
                answer = httpx.post(
                    f"{url}/v1/jobs",
                    params=query,
                    content=photo,
                    headers=keyed,
                    timeout=_ANSWER_S,
                    trust_env=False,
                )
            except httpx.TransportError as error:
                self.refused[type(error).__name__] += 1
            else:
                if answer.is_success:
                    with self._lock:
                        self.promised[answer.json()["id"]] = reference
                        self.by_url[url] += 1
                        self.answered_s.append(time.monotonic() - asked_s)
                    return
                self.refused[str(answer.status_code)] += 1
                assert answer.status_code in _AGAIN, answer.text
            time.sleep(_PAUSE_S)
        raise TimeoutError(f"{reference} was not accepted within {_PATIENCE_S:.0f} s: {dict(self.refused)}")


def wait_for_ends(load: Load, url: str, patience_s: float) -> dict[str, Any]:
    """Wait until every job has ended; return what became of them, which the caller judges."""
    began_s, open_ids = time.monotonic(), set(load.promised)
    ended: dict[str, dict[str, Any]] = {}
    with httpx.Client(base_url=url, timeout=_ANSWER_S, trust_env=False) as http:
        while open_ids and time.monotonic() - began_s < patience_s:
            for job_id in list(open_ids):
                answer = http.get(f"/v1/jobs/{job_id}")
                if answer.is_success and answer.json()["status"] in {"succeeded", "failed", "rejected"}:
                    ended[job_id] = answer.json()
                    open_ids.remove(job_id)
            time.sleep(_PAUSE_S)
        listed = _listed(http)
    return {
        "accepted": len(load.promised),
        "references": len(set(load.promised.values())),
        "statuses": dict(Counter(job["status"] for job in ended.values())),
        "not ended": len(open_ids),
        "attempts": dict(Counter(job["attempts"] for job in ended.values())),
        "of another photo": sum(job["reference"] != load.promised[job_id] for job_id, job in ended.items()),
        "listed": len(listed),
        "listed, never promised": len(listed - set(load.promised)),
        "refused meanwhile": dict(load.refused),
        "by API": dict(load.by_url),
    }


def _listed(http: httpx.Client) -> set[str]:
    found: set[str] = set()
    query: dict[str, Any] = {"limit": _PAGE}
    while True:
        page = http.get("/v1/jobs", params=query).raise_for_status().json()
        found |= {job["id"] for job in page["data"]}
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


def assert_nothing_lost(found: dict[str, Any], count: int, *, of_batches: int = 0) -> None:
    """Hold what was found to so many single photos; those of batches are in the list too."""
    assert found["accepted"] == found["references"] == count, found
    assert found["listed"] - of_batches == count, found
    assert found["statuses"] == {"succeeded": count}, found
    assert found["not ended"] == found["of another photo"] == 0, found
    assert found["listed, never promised"] == of_batches, found
