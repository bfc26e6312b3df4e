"""Faults 16, 17 and 20: what can happen to storage, and to uploads on their way."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx

from shared.errors import StorageUnavailable
from shared.storage.base import ObjectStore
from shared.storage.full_disk import trial_keys
from stack.data_folder import LOOPBACK
from stack.services import BUCKET
from tests.faults import points
from tests.faults.broken_stack import SHORTER, STORE
from tests.faults.fault import COMES_WITHIN_S, Fault, On, Strike
from tests.faults.photos import PORTRAITS
from tests.faults.waiting import wait_until

AWAY_S: Final = 20.0
PHOTO: Final = (PORTRAITS / "grace_hopper.jpg").read_bytes()
DEADLINE_S: Final = float(SHORTER["FACEFIT_UPLOAD_DEADLINE_S"])
FILLS_WITHIN_S: Final = 60.0
STAYS_FULL_S: Final = 8.0
PER_PART_OF_THE_INDEX: Final = 16
"""Deletions: a page of a journal holds some thirty, so one of the eight parts comes to the end of its page."""
DELETED_AT_ONCE: Final = 16
"""Each takes a second or more to fail."""
MEGABYTE: Final = 1_000_000
KILOBYTE: Final = 1000


def away(strike: Strike) -> None:
    """Take storage away while a worker is about to read a photo, and while one is about to write a result."""
    marked = strike.broken.points
    for point in (points.WAIT_BEFORE_READ, points.WAIT_BEFORE_OUTCOME):
        strike.break_at(point)
        wait_until(lambda: marked.noted(points.WAITS) > 0, f"no worker waits at {point}", COMES_WITHIN_S)
        strike.broken.stop(STORE)
        marked.forget(points.WAITS)
        time.sleep(strike.seconds(AWAY_S, 6.0))
        strike.broken.start(STORE)
        strike.pause(2.0, 4.0)


def uploads_cut(strike: Strike) -> None:
    """Leave in the middle of uploads, and never bring what a batch was given forms for."""
    for turn in range(strike.times(40, 8)):
        _leave_half_way(strike, turn)
    batch = _ask_for_forms(strike, strike.times(20, 4))
    until = time.monotonic() + DEADLINE_S + COMES_WITHIN_S
    while (now := _read(strike, f"/v1/batches/{batch}"))["status"] != "completed":
        strike.check(time.monotonic() < until, f"the batch whose photos never came is {now['status']}")
        time.sleep(0.5)
    items = _read(strike, f"/v1/batches/{batch}/items?limit=1000")["data"]
    codes = {(item["error"] or {}).get("code") for item in items}
    strike.check(codes == {"upload_missing"}, f"photos that never came ended as {codes}")


def _leave_half_way(strike: Strike, turn: int) -> None:
    head = (
        f"POST /v1/jobs?reference=cut-{turn} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        f"Content-Length: {len(PHOTO)}\r\n\r\n"
    )
    with socket.create_connection((LOOPBACK, strike.broken.stack.port)) as connection:
        connection.sendall(head.encode() + PHOTO[: int(len(PHOTO) * strike.chance.uniform(0.0, 0.99))])
        strike.pause(0.0, 0.2)


def _ask_for_forms(strike: Strike, count: int) -> str:
    items = [{"reference": f"never-{n}", "size": len(PHOTO), "content_type": "image/jpeg"} for n in range(count)]
    with strike.broken.http() as http:
        answer = http.post("/v1/batches", json={"items": items}).raise_for_status()
        batch = str(answer.json()["id"])
        # One of them comes in part: the store must refuse what is not of the size that was promised.
        form = http.get(f"/v1/batches/{batch}/items?limit=1").json()["data"][0]["upload"]
        with suppress(httpx.TransportError):
            part = httpx.post(form["url"], data=form["fields"], files={"file": PHOTO[: len(PHOTO) // 2]})
            strike.check(part.is_client_error, f"the store took half a photo with {part.status_code}")
        http.post(f"/v1/batches/{batch}/start").raise_for_status()
    return batch


def _read(strike: Strike, path: str) -> dict[str, Any]:
    with strike.broken.http() as http:
        answer: dict[str, Any] = http.get(path).raise_for_status().json()
        return answer


def nothing_of_cut_uploads(strike: Strike) -> list[str]:
    """Tell if anything of an upload that was cut became a job."""
    found = []
    with strike.broken.http() as http:
        for turn in range(strike.times(40, 8)):
            listed = http.get("/v1/jobs", params={"reference": f"cut-{turn}"}).json()["data"]
            found += [f"{job['id']} was made of half a photo" for job in listed]
    return found


def disk_full(strike: Strike) -> None:
    """Take all the room there is on the store's disk, see that photos are refused, and give it back.

    Each part of the store's index meets the full disk, by deletions: it keeps that error until the store is started
    again, which is for the stack to see to.
    """
    objects = strike.broken.objects()
    for key in _in_every_part_of_the_index():
        objects.put(key, b"x")
    filler = strike.broken.stack.folder.store / "filler"
    try:
        _fill(filler)
        refused, until = False, time.monotonic() + FILLS_WITHIN_S
        while not refused and time.monotonic() < until:
            refused = _is_refused(strike)
        strike.check(refused, "photos were accepted although the disk was full")
        with ThreadPoolExecutor(DELETED_AT_ONCE) as pool:
            list(pool.map(partial(_try_to_delete, objects), _in_every_part_of_the_index()))
        time.sleep(strike.seconds(STAYS_FULL_S, 4.0))
    finally:
        filler.unlink(missing_ok=True)


def _fill(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file:
        for size in (MEGABYTE, KILOBYTE):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


def _try_to_delete(objects: ObjectStore, key: str) -> None:
    with suppress(StorageUnavailable):
        objects.delete(key)


def _in_every_part_of_the_index() -> Iterator[str]:
    for key in trial_keys(BUCKET):
        for number in range(PER_PART_OF_THE_INDEX):
            yield f"{key}{number}"


def _is_refused(strike: Strike) -> bool:
    with suppress(httpx.TransportError), strike.broken.http() as http:
        answer = http.post("/v1/jobs", content=PHOTO, headers={"Content-Type": "image/jpeg"})
        return answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    return False


FAULTS: Final = (
    Fault(16, "storage away, on read and on write", away, lasts_s=55),
    Fault(
        17,
        "uploads cut, uploads that never come",
        uploads_cut,
        lasts_s=30,
        in_mix=False,
        afterwards=nothing_of_cut_uploads,
    ),
    Fault(20, "disk full at the store", disk_full, lasts_s=30, on=On.SMALL_DISK, needs_root=True, in_mix=False),
)
