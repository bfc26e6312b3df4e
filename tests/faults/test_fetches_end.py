"""Real processes, real signals: photos at URLs are fetched and measured, whoever is killed or emptied meanwhile.

All but one of the photos are none: each is decoded as far as it goes and rejected, which is quick and needs no face.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
import redis

from shared.errors import RecordsUnavailable
from shared.jobs.batch_record import BatchRecord, BatchSource
from shared.jobs.batches import BatchLifecycle
from shared.names import LOCAL_TENANT
from shared.schemas import BatchStatus, JobOptions, JobStatus
from shared.services import connect
from shared.storage import layout
from stack.services import DELIVERY, settings_of
from stack.stack import Stack
from tests.faults.broken_stack import SHORT
from tests.faults.waiting import wait_for_another, wait_until
from tests.receiver import HERE, Receiver, receiving, says, then

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

SIZE = 160
NO_PHOTO = b"\xff\xd8\xff\xe0" + bytes(2000)
SLOWLY_S = 0.02


def answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@pytest.fixture(scope="module")
def portrait(astronaut: bytes) -> Iterator[Receiver]:
    with receiving(says(answer(astronaut))) as found:
        yield found


@pytest.fixture(scope="module")
def quick() -> Iterator[Receiver]:
    with receiving(then(lambda _: time.sleep(SLOWLY_S), says(answer(NO_PHOTO)))) as found:
        yield found


@pytest.fixture(scope="module")
def missing() -> Iterator[Receiver]:
    with receiving(says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")) as found:
        yield found


@pytest.fixture(scope="module")
def reaching_out(
    tmp_path_factory: pytest.TempPathFactory, portrait: Receiver, quick: Receiver, missing: Receiver
) -> Iterator[Stack]:
    overrides = {
        **SHORT,
        "FACEFIT_OUTBOUND_ALLOW_HTTP": "1",
        "FACEFIT_OUTBOUND_ALLOWED_HOSTS": ",".join(f"{HERE}:{found.port}" for found in (portrait, quick, missing)),
        "FACEFIT_FETCH_TIMEOUT_S": "4",
        "FACEFIT_FETCH_LEASE_S": "5",
    }
    with Stack(tmp_path_factory.mktemp("fetches"), overrides=overrides) as stack:
        yield stack


@pytest.fixture
def batches(reaching_out: Stack) -> BatchLifecycle:
    return BatchLifecycle(connect(settings_of(reaching_out.settings_env)).jobs)


def url(found: Receiver, number: int = 0) -> str:
    return f"http://{HERE}:{found.port}/{number}.jpg?signature=secret"


def ask(batches: BatchLifecycle, quick: Receiver, missing: Receiver, tenant: str = LOCAL_TENANT) -> BatchRecord:
    with batches.begin(tenant, BatchSource.URL, JobOptions()) as writer:
        for number in range(SIZE):
            writer.add_awaited(JobOptions(), url=url(quick if number % 4 else missing, number))
        return writer.commit()


def count(batches: BatchLifecycle, batch: BatchRecord) -> dict[JobStatus, int]:
    deadline = time.monotonic() + 60
    while True:
        try:
            found = batches.find(batch.tenant, batch.id)
        except RecordsUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        else:
            return {status: number for status, number in found.counts.items() if number}


def assert_ends(batches: BatchLifecycle, batch: BatchRecord) -> None:
    """Every item has ended, as what its server answered; each once, and nothing is left of it."""
    wait_until(lambda: count(batches, batch) == {JobStatus.REJECTED: SIZE}, "the batch did not end")
    found = batches.find(batch.tenant, batch.id)
    assert (found.status, found.completions) == (BatchStatus.COMPLETED, 1)
    records = batches.items(batch.tenant, batch.id, limit=SIZE)
    codes = [record.error.code if record.error else None for record in records]
    assert codes == ["corrupt_image" if number % 4 else "fetch_failed" for number in range(SIZE)]
    objects = batches.jobs.objects
    outcomes = [layout.owner_of(found.key) for found in objects.list(f"{layout.OUTCOMES}{batch.tenant}/")]
    assert len(outcomes) == len(set(outcomes))
    wait_until(lambda: not list(objects.list(f"{layout.UPLOADS}{batch.tenant}/")), "uploads that should be gone")


def asked(*receivers: Receiver) -> Callable[[], int]:
    before = sum(len(found.requests) for found in receivers)
    return lambda: sum(len(found.requests) for found in receivers) - before


def test_a_photo_at_a_url_is_measured_while_its_client_waits(reaching_out: Stack, portrait: Receiver) -> None:
    with httpx.Client(base_url=reaching_out.url, timeout=40, trust_env=False) as http:
        body = {"image_url": url(portrait), "max_faces": 2}
        response = http.post("/v1/jobs", json=body, headers={"Prefer": "wait=30"})
        assert response.status_code == 200, response.text
        job = response.json()
        assert (job["status"], len(job["result"]["faces"]), job["attempts"]) == ("succeeded", 1, 1)
        assert job["result"]["image"]["format"] == "png"
        refused = http.post("/v1/jobs", json={"image_url": "https://10.0.0.7/1.jpg"})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "image_url")


def test_a_fetcher_killed_again_and_again(
    reaching_out: Stack, batches: BatchLifecycle, quick: Receiver, missing: Receiver
) -> None:
    n_asked, kills = asked(quick, missing), 3
    batch = ask(batches, quick, missing, tenant="killed")
    for _ in range(kills):
        before = n_asked()
        wait_until(lambda before=before: n_asked() > before + 4, "nothing was fetched")  # type: ignore[misc]
        killed = reaching_out.supervisor.pid(DELIVERY)
        reaching_out.supervisor.kill(DELIVERY, signal.SIGKILL)
        wait_for_another(reaching_out, DELIVERY, killed)
    assert count(batches, batch).get(JobStatus.AWAITING_UPLOAD), "all was fetched before the last kill"
    assert_ends(batches, batch)
    # Asked again is what was in its hands when it was killed: eight of a tenant at the most.
    assert SIZE <= n_asked() <= SIZE + 8 * kills


@pytest.mark.long
def test_redis_emptied_while_photos_are_fetched(
    reaching_out: Stack, batches: BatchLifecycle, quick: Receiver, missing: Receiver
) -> None:
    n_asked = asked(quick, missing)
    batch = ask(batches, quick, missing, tenant="emptied")
    wait_until(lambda: n_asked() > SIZE // 4, "nothing was fetched")
    with redis.Redis.from_url(reaching_out.settings_env["FACEFIT_REDIS_URL"]) as client:
        client.flushall()
    assert_ends(batches, batch)
    # Asked again is what was in hand; what was in storage, measured or not, was not.
    assert SIZE <= n_asked() <= SIZE + 8
