"""The client for programs with an event loop, asyncio's or trio's: `AsyncClient`.

The same shell as `client.py`, over the runner of `asynchronous.py`; a test holds the two together.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, Unpack

from facefit import flows, requests
from facefit.asynchronous import AsyncRunner
from facefit.config import connect_to
from facefit.connection import Connection
from facefit.flows import Sent
from facefit.models.base import Page
from facefit.models.batches import Batch, BatchItem, BatchItemError, BatchResult, BatchSummary, NewBatch
from facefit.models.jobs import Job
from facefit.models.service import (
    Deletion,
    Delivery,
    MeasurementCatalogue,
    NewWebhookSecret,
    Readiness,
    WebhookSecretAge,
    WebhookTarget,
)
from facefit.options import JobOptions
from facefit.photos import Photo, named_sources
from facefit.retries import RetryPolicy
from facefit.streams import RecordDownload, Row, TableDownload
from facefit.submissions import submission


class AsyncJobs:
    """Single photos."""

    def __init__(self, runner: AsyncRunner) -> None:
        self._runner = runner

    async def get(self, job_id: str, *, wait_s: float = 0.0) -> Job:
        """Read a job; with `wait_s` the answer is held until it has ended, 20 s or so at most."""
        return await self._runner.send(requests.read_job(job_id, wait_s))

    async def list(self, **query: Any) -> Page[Job]:
        """List jobs, newest first, without results: `status`, `batch_id`, `reference`, `limit`, `cursor`."""
        return await self._runner.send(requests.list_jobs(query))

    async def cancel(self, job_id: str) -> Job:
        """End a job that has not ended."""
        return await self._runner.send(requests.cancel_job(job_id))

    async def retry(self, job_id: str) -> Job:
        """Run a failed job again."""
        return await self._runner.send(requests.retry_job(job_id))

    async def delete(self, job_id: str) -> None:
        """Forget a job: photo, result and record. `AsyncClient.deletion` is the receipt."""
        await self._runner.send(requests.delete_job(job_id))

    async def overlay(self, job_id: str, *, legend: bool = True) -> str:
        """Draw mesh and measurements as SVG, on the photo if it was kept."""
        return await self._runner.send(requests.draw_overlay(job_id, legend=legend))

    async def mesh(self, job_id: str, *, form: str = "obj", face: int = 0) -> str:
        """Export the mesh of a face, as `obj` or `ply`."""
        return await self._runner.send(requests.export_mesh(job_id, form=form, face=face))


class AsyncBatches:
    """Many photos."""

    def __init__(self, runner: AsyncRunner) -> None:
        self._runner = runner

    async def upload(
        self,
        photos: Mapping[str, Photo] | Sequence[str | os.PathLike[str]],
        *,
        idempotency_key: str | None = None,
        on_sent: Callable[[Sent], None] = lambda _: None,
        at_once: int = flows.UPLOADS_AT_ONCE,
        **options: Unpack[JobOptions],
    ) -> Batch:
        """Send photos straight to storage, several at once, and have them measured; up to 10,000.

        Parameters
        ----------
        photos : mapping or sequence
            By reference; or paths, whose names are the references.
        idempotency_key : str or None
            Makes sure that the batch is made once however often this is called with it; a new one if None.
        on_sent : callable
            Told of each photo: that it is there, or why it cannot be sent.
        at_once : int
            How many are sent at a time.
        **options
            For all of them.
        """
        sources = named_sources(photos)
        return await self._runner.run(flows.submit_and_upload(sources, options, idempotency_key, on_sent, at_once))

    async def announce(
        self, items: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None, **options: Unpack[JobOptions]
    ) -> NewBatch:
        """Make a batch whose photos somebody else uploads: `reference`, `size` and `content_type` of each."""
        return await self._runner.send(requests.announce_photos(items, options, key=idempotency_key))

    async def from_urls(
        self, items: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None, **options: Unpack[JobOptions]
    ) -> Batch:
        """Make a batch of photos that the service fetches: `reference` and `image_url` of each."""
        return await self._runner.send(requests.submit_urls(items, options, key=idempotency_key))

    async def from_archive(
        self,
        archive: str | os.PathLike[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> Batch:
        """Make a batch of the photos in a zip; the path of each is its reference."""
        return await self._runner.send(requests.submit_archive(Path(archive), options, key=idempotency_key))

    async def from_form(
        self,
        photos: Mapping[str, Photo] | Sequence[str | os.PathLike[str]],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> Batch:
        """Make a batch of photos in one request; for few, or where storage cannot be reached from here."""
        sources = list(named_sources(photos).values())
        return await self._runner.send(requests.submit_photos(sources, options, key=idempotency_key))

    async def get(self, batch_id: str, *, wait_s: float = 0.0) -> Batch:
        """Read how far a batch is; with `wait_s` the answer is held until it has ended, 20 s or so at most."""
        return await self._runner.send(requests.read_batch(batch_id, wait_s))

    async def wait(
        self, batch_id: str, *, timeout_s: float | None = None, on_progress: Callable[[Batch], None] | None = None
    ) -> Batch:
        """Return the batch once nothing of it is open; `on_progress` is told of each look at it before."""
        return await self._runner.run(flows.wait_for_batch(batch_id, timeout_s, on_progress))

    async def list(self, **query: Any) -> Page[Batch]:
        """List batches, newest first: `status`, `limit`, `cursor`."""
        return await self._runner.send(requests.list_batches(query))

    async def items(self, batch_id: str, **query: Any) -> Page[BatchItem]:
        """List the items of a batch: `status`, `limit`, `cursor`."""
        return await self._runner.send(requests.list_items(batch_id, query))

    async def start(self, batch_id: str) -> Batch:
        """Say that the photos of upload forms are there, or on their way."""
        return await self._runner.send(requests.start_batch(batch_id))

    async def cancel(self, batch_id: str) -> Batch:
        """End what has not ended."""
        return await self._runner.send(requests.cancel_batch(batch_id))

    async def retry(self, batch_id: str) -> Batch:
        """Run failed items again."""
        return await self._runner.send(requests.retry_batch(batch_id))

    async def delete(self, batch_id: str) -> None:
        """Forget a batch, its photos and its results. `AsyncClient.deletion` is the receipt."""
        await self._runner.send(requests.delete_batch(batch_id))

    def results(
        self, batch_id: str, *, landmarks: bool = False, unfinished: bool = False
    ) -> AsyncIterator[BatchResult]:
        """Yield what came of each photo, in item order, while it comes."""
        query = {"landmarks": landmarks, "include": "all" if unfinished else "ended"}
        return self._runner.stream(RecordDownload(BatchResult, batch_id, "results", query))

    def table(self, batch_id: str, *, unfinished: bool = False) -> AsyncIterator[Row]:
        """Yield the rows of the CSV, its header first."""
        query = {"include": "all" if unfinished else "ended"}
        return self._runner.stream(TableDownload(batch_id, "results", query))

    def errors(self, batch_id: str) -> AsyncIterator[BatchItemError]:
        """Yield the photos without a result, and what would help."""
        return self._runner.stream(RecordDownload(BatchItemError, batch_id, "errors"))

    async def summary(self, batch_id: str) -> BatchSummary:
        """Read how each measurement is distributed."""
        return await self._runner.send(requests.read_summary(batch_id))


class AsyncDeliveries:
    """What was sent to receivers of webhooks."""

    def __init__(self, runner: AsyncRunner) -> None:
        self._runner = runner

    async def get(self, delivery_id: str) -> Delivery:
        """Read a delivery and every attempt at it."""
        return await self._runner.send(requests.read_delivery(delivery_id))

    async def list(self, **query: Any) -> Page[Delivery]:
        """List deliveries, newest first: `job_id`, `batch_id`, `status`, `limit`, `cursor`."""
        return await self._runner.send(requests.list_deliveries(query))

    async def redeliver(self, delivery_id: str) -> Delivery:
        """Send it again now, under the same `webhook-id`."""
        return await self._runner.send(requests.redeliver(delivery_id))


class AsyncWebhooks:
    """Being called back; `facefit.Webhook` verifies what comes."""

    def __init__(self, runner: AsyncRunner) -> None:
        self._runner = runner

    async def test(self, url: str) -> Delivery:
        """Send a signed test event."""
        return await self._runner.send(requests.test_webhook(url))

    async def make_secret(self) -> NewWebhookSecret:
        """Make or change the secret; the former one signs beside it for 24 h."""
        return await self._runner.send(requests.make_secret())

    async def secret_age(self) -> WebhookSecretAge:
        """Read how old the secret is."""
        return await self._runner.send(requests.read_secret_age())

    async def targets(self) -> Page[WebhookTarget]:
        """List the targets that get nothing for now."""
        return await self._runner.send(requests.list_targets())


class AsyncClient:
    """A connection to the service.

    Parameters
    ----------
    url, key : str or None
        Where it is, and the API key. If None: `FACEFIT_URL` and `FACEFIT_API_KEY`, the configuration file, and for the
        address this machine's port 8000.
    timeout_s : float
        How long nothing may come before an attempt is given up.
    retries : RetryPolicy or None
        How long to go on asking.

    Examples
    --------
    >>> async with AsyncClient() as facefit:  # doctest: +SKIP
    ...     job = await facefit.measure("photo.jpg", known_pd_mm=63)
    ...     print(job.face.measurements["face_width"].mm)
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout_s: float | None = None,
        retries: RetryPolicy | None = None,
    ) -> None:
        self._connect(connect_to(url, key, timeout_s=timeout_s, retries=retries))

    @classmethod
    def of(cls, connection: Connection) -> Self:
        """Return a client of a connection that is made already."""
        client = cls.__new__(cls)
        client._connect(connection)  # noqa: SLF001 - its own
        return client

    def _connect(self, connection: Connection) -> None:
        self._runner = AsyncRunner(connection)
        self.jobs = AsyncJobs(self._runner)
        self.batches = AsyncBatches(self._runner)
        self.deliveries = AsyncDeliveries(self._runner)
        self.webhooks = AsyncWebhooks(self._runner)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._runner.close()

    async def measure(
        self,
        photo: Photo | None = None,
        *,
        image_url: str | None = None,
        timeout_s: float = 120.0,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Measure a photo and return the job with its result.

        Parameters
        ----------
        photo : path, bytes or file
            What to measure.
        image_url : str or None
            In its place, the URL that the service is to fetch the photo from.
        timeout_s : float
            How long to wait for the result.
        idempotency_key : str or None
            Makes sure that it is measured once however often this is called with it; a new one if None.
        **options
            What to ask for, such as `known_pd_mm`, `max_faces`, `require`, `landmarks`.

        Raises
        ------
        PhotoRejected
            If the photo is at fault; `retake` says what would help.
        JobFailed, JobCancelled
            If it has ended otherwise.
        WaitTimeout
            If it has not ended in time; `wait` waits on.
        FacefitError
            If it could not be submitted.
        """
        submit = submission(photo, image_url, options, idempotency_key)
        return await self._runner.run(flows.measure(submit, timeout_s))

    async def submit(
        self,
        photo: Photo | None = None,
        *,
        image_url: str | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Submit a photo and return the job as it is queued; the parameters are those of `measure`."""
        return await self._runner.send(submission(photo, image_url, options, idempotency_key)(0.0))

    async def wait(self, job: Job | str, *, timeout_s: float = 120.0) -> Job:
        """Return a job once it has ended, however it has."""
        return await self._runner.run(flows.wait_for_job(job if isinstance(job, str) else job.id, timeout_s))

    async def deletion(self, deleted_id: str) -> Deletion:
        """Read the receipt of a deletion, by the id of what was deleted."""
        return await self._runner.send(requests.read_deletion(deleted_id))

    async def wait_for_deletion(self, deleted_id: str, *, timeout_s: float = 1200.0) -> Deletion:
        """Return the receipt once the bytes are out of the files of both stores; promised within 15 minutes."""
        return await self._runner.run(flows.wait_for_deletion(deleted_id, timeout_s))

    async def measurements(self) -> MeasurementCatalogue:
        """Read what each measurement means."""
        return await self._runner.send(requests.read_measurements())

    async def ready(self) -> Readiness:
        """Read whether the service can measure; `Unavailable` or `ServiceUnreachable` if it does not even answer so."""
        return await self._runner.send(requests.read_readiness())
