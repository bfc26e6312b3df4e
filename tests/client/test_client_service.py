"""Both clients against the whole service."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from facefit import Client, InvalidRequest, InvalidWebhook, NotFound, PhotoRejected, PhotoUnreadable, Webhook
from facefit.flows import Sent
from stack.stack import Stack
from tests.client.clients import Use
from tests.client.scripted import Answer, answering
from tests.conftest import PORTRAITS, RECEIVER_PORT

pytestmark = pytest.mark.system

HOPPER = PORTRAITS / "grace_hopper.jpg"
PATIENCE_S = 60.0


def test_a_photo_is_measured_and_forgotten(use: Use, service: Stack) -> None:
    job = use(service.url, "measure", HOPPER, known_pd_mm=62, reference="SKU-7", landmarks=False)
    assert (job.status, job.reference, job.face.scale.source) == ("succeeded", "SKU-7", "known_pd")
    assert job.face.measurements["face_width"].is_ok
    assert job.face.landmarks is None
    use(service.url, "jobs.delete", job.id)
    with pytest.raises(NotFound):
        use(service.url, "jobs.get", job.id)
    assert use(service.url, "deletion", job.id).id == job.id


def test_a_key_of_the_callers_own_measures_once(use: Use, service: Stack) -> None:
    key = f"once-{time.time_ns()}"
    first = use(service.url, "submit", HOPPER.read_bytes(), idempotency_key=key)
    with HOPPER.open("rb") as file:
        second = use(service.url, "submit", file, idempotency_key=key)
    assert first.id == second.id
    assert use(service.url, "wait", first).face.landmarks is not None
    assert use(service.url, "jobs.overlay", first.id).startswith("<svg")
    assert "v " in use(service.url, "jobs.mesh", first.id)


def test_what_cannot_be_measured_says_what_helps(use: Use, service: Stack) -> None:
    with pytest.raises(PhotoRejected, match="corrupt_image") as raised:
        use(service.url, "measure", b"\xff\xd8\xff\xe0")
    assert (raised.value.code, raised.value.job.status, len(raised.value.retake)) == ("corrupt_image", "rejected", 1)
    with pytest.raises(InvalidRequest, match="max_faces") as refused:
        use(service.url, "measure", HOPPER, max_faces=99)
    assert refused.value.problem.errors[0].field == "max_faces"
    for nothing in ("no-such.jpg", "https://photos.example/1.jpg", None):
        with pytest.raises(PhotoUnreadable):
            use(service.url, "measure", nothing)


def test_what_a_callers_own_function_raises_arrives_as_it_is(use: Use, service: Stack) -> None:
    def refuse(one: Sent) -> None:
        raise LookupError(one.reference)

    with pytest.raises(LookupError):
        use(service.url, "batches.upload", {"a": HOPPER, "b": HOPPER}, on_sent=refuse)


def test_a_batch_goes_straight_to_storage_and_comes_back_as_lines_and_as_a_table(use: Use, service: Stack) -> None:
    sent: list[str] = []
    photos = {"a/hopper": HOPPER, "b": b"<html>", "ü": PORTRAITS / "astronaut.png"}
    batch = use(service.url, "batches.upload", photos, landmarks=False, on_sent=lambda one: sent.append(one.reference))
    assert sorted(sent) == sorted(photos)
    batch = use(service.url, "batches.wait", batch.id, timeout_s=PATIENCE_S)
    assert (batch.status, batch.counts.succeeded, batch.counts.rejected) == ("completed", 2, 1)
    records = use(service.url, "batches.results", batch.id)
    assert [(record.reference, record.status) for record in records] == [
        ("a/hopper", "succeeded"), ("b", "rejected"), ("ü", "succeeded"),
    ]  # fmt: skip
    header, *rows = use(service.url, "batches.table", batch.id)
    assert [row[header.index("reference")] for row in rows] == list(photos)
    assert [error.error_code for error in use(service.url, "batches.errors", batch.id)] == ["unsupported_format"]
    assert use(service.url, "batches.summary", batch.id).counts["succeeded"] == 2
    assert len(use(service.url, "batches.items", batch.id).data) == 3
    use(service.url, "batches.delete", batch.id)


def wait_until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_what_the_service_delivers_is_verified_also_while_the_secret_is_changed(service: Stack) -> None:
    with Client(service.url) as client, answering(Answer(204), port=RECEIVER_PORT) as receiver:
        first = client.webhooks.make_secret()
        assert first.secret not in repr(first)
        second = client.webhooks.make_secret()
        job = client.submit(HOPPER, webhook_url=f"http://127.0.0.1:{RECEIVER_PORT}/hook")
        wait_until(lambda: receiver.asked, "nothing came")
        [asked] = receiver.asked
        for secrets in (first.secret, second.secret, [first.secret, second.secret]):
            event = Webhook(secrets).verify(asked.body, asked.headers)
            assert event.job is not None
            assert (event.type, event.job.id) == ("job.succeeded", job.id)
        with pytest.raises(InvalidWebhook):
            Webhook(second.secret).verify(asked.body.replace(b"succeeded", b"cancelled"), asked.headers)
        [delivery] = client.deliveries.list(job_id=job.id).data
        assert delivery.webhook_id == asked.headers["webhook-id"]
        wait_until(lambda: client.deliveries.get(delivery.id).status == "delivered", "it is not noted")
        client.deliveries.redeliver(delivery.id)
        wait_until(lambda: len(receiver.asked) == 2, "it is not sent again")
        assert client.webhooks.secret_age().former_valid_until is not None
        client.jobs.delete(job.id)
