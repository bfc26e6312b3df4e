"""The client for programs with threads, or with none: `Client`.

Its methods are the shell only: requests are made in `requests.py`, conversations in `flows.py`, and carried out by
`blocking.py`. `async_client.py` is the same shell over the other runner.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, Unpack

from facefit import flows, requests
from facefit.blocking import Runner
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


class Jobs:
    """Single photos."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def get(self, job_id: str, *, wait_s: float = 0.0) -> Job:
        """Read a job; with `wait_s` the answer is held until it has ended, 20 s or so at most."""
        return self._runner.send(requests.read_job(job_id, wait_s))

    def list(self, **query: Any) -> Page[Job]:
        """List jobs, newest first, without results: `status`, `batch_id`, `reference`, `limit`, `cursor`."""
        return self._runner.send(requests.list_jobs(query))

    def cancel(self, job_id: str) -> Job:
        """End a job that has not ended."""
        return self._runner.send(requests.cancel_job(job_id))

    def retry(self, job_id: str) -> Job:
        """Run a failed job again."""
        return self._runner.send(requests.retry_job(job_id))

    def delete(self, job_id: str) -> None:
        """Forget a job: photo, result and record. `Client.deletion` is the receipt."""
        self._runner.send(requests.delete_job(job_id))

    def overlay(self, job_id: str, *, legend: bool = True) -> str:
        """Draw mesh and measurements as SVG, on the photo if it was kept."""
        return self._runner.send(requests.draw_overlay(job_id, legend=legend))

    def mesh(self, job_id: str, *, form: str = "obj", face: int = 0) -> str:
        """Export the mesh of a face, as `obj` or `ply`."""
        return self._runner.send(requests.export_mesh(job_id, form=form, face=face))


class Batches:
    """Many photos."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def upload(
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
        return self._runner.run(flows.submit_and_upload(sources, options, idempotency_key, on_sent, at_once))

    def announce(
        self, items: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None, **options: Unpack[JobOptions]
    ) -> NewBatch:
        """Make a batch whose photos somebody else uploads: `reference`, `size` and `content_type` of each."""
        return self._runner.send(requests.announce_photos(items, options, key=idempotency_key))

    def from_urls(
        self, items: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None, **options: Unpack[JobOptions]
    ) -> Batch:
        """Make a batch of photos that the service fetches: `reference` and `image_url` of each."""
        return self._runner.send(requests.submit_urls(items, options, key=idempotency_key))

    def from_archive(
        self,
        archive: str | os.PathLike[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> Batch:
        """Make a batch of the photos in a zip; the path of each is its reference."""
        return self._runner.send(requests.submit_archive(Path(archive), options, key=idempotency_key))

    def from_form(
        self,
        photos: Mapping[str, Photo] | Sequence[str | os.PathLike[str]],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> Batch:
        """Make a batch of photos in one request; for few, or where storage cannot be reached from here."""
        sources = list(named_sources(photos).values())
        return self._runner.send(requests.submit_photos(sources, options, key=idempotency_key))

    def get(self, batch_id: str, *, wait_s: float = 0.0) -> Batch:
        """Read how far a batch is; with `wait_s` the answer is held until it has ended, 20 s or so at most."""
        return self._runner.send(requests.read_batch(batch_id, wait_s))

    def wait(
        self, batch_id: str, *, timeout_s: float | None = None, on_progress: Callable[[Batch], None] | None = None
    ) -> Batch:
        """Return the batch once nothing of it is open; `on_progress` is told of each look at it before."""
        return self._runner.run(flows.wait_for_batch(batch_id, timeout_s, on_progress))

    def list(self, **query: Any) -> Page[Batch]:
        """List batches, newest first: `status`, `limit`, `cursor`."""
        return self._runner.send(requests.list_batches(query))

    def items(self, batch_id: str, **query: Any) -> Page[BatchItem]:
        """List the items of a batch: `status`, `limit`, `cursor`."""
        return self._runner.send(requests.list_items(batch_id, query))

    def start(self, batch_id: str) -> Batch:
        """Say that the photos of upload forms are there, or on their way."""
        return self._runner.send(requests.start_batch(batch_id))

    def cancel(self, batch_id: str) -> Batch:
        """End what has not ended."""
        return self._runner.send(requests.cancel_batch(batch_id))

    def retry(self, batch_id: str) -> Batch:
        """Run failed items again."""
        return self._runner.send(requests.retry_batch(batch_id))

    def delete(self, batch_id: str) -> None:
        """Forget a batch, its photos and its results. `Client.deletion` is the receipt."""
        self._runner.send(requests.delete_batch(batch_id))

    def results(self, batch_id: str, *, landmarks: bool = False, unfinished: bool = False) -> Iterator[BatchResult]:
        """Yield what came of each photo, in item order, while it comes."""
        query = {"landmarks": landmarks, "include": "all" if unfinished else "ended"}
        return self._runner.stream(RecordDownload(BatchResult, batch_id, "results", query))

    def table(self, batch_id: str, *, unfinished: bool = False) -> Iterator[Row]:
        """Yield the rows of the CSV, its header first."""
        query = {"include": "all" if unfinished else "ended"}
        return self._runner.stream(TableDownload(batch_id, "results", query))

    def errors(self, batch_id: str) -> Iterator[BatchItemError]:
        """Yield the photos without a result, and what would help."""
        return self._runner.stream(RecordDownload(BatchItemError, batch_id, "errors"))

    def summary(self, batch_id: str) -> BatchSummary:
        """Read how each measurement is distributed."""
        return self._runner.send(requests.read_summary(batch_id))


class Deliveries:
    """What was sent to receivers of webhooks."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def get(self, delivery_id: str) -> Delivery:
        """Read a delivery and every attempt at it."""
        return self._runner.send(requests.read_delivery(delivery_id))

    def list(self, **query: Any) -> Page[Delivery]:
        """List deliveries, newest first: `job_id`, `batch_id`, `status`, `limit`, `cursor`."""
        return self._runner.send(requests.list_deliveries(query))

    def redeliver(self, delivery_id: str) -> Delivery:
        """Send it again now, under the same `webhook-id`."""
        return self._runner.send(requests.redeliver(delivery_id))


class Webhooks:
    """Being called back; `facefit.Webhook` verifies what comes."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def test(self, url: str) -> Delivery:
        """Send a signed test event."""
        return self._runner.send(requests.test_webhook(url))

    def make_secret(self) -> NewWebhookSecret:
        """Make or change the secret; the former one signs beside it for 24 h."""
        return self._runner.send(requests.make_secret())

    def secret_age(self) -> WebhookSecretAge:
        """Read how old the secret is."""
        return self._runner.send(requests.read_secret_age())

    def targets(self) -> Page[WebhookTarget]:
        """List the targets that get nothing for now."""
        return self._runner.send(requests.list_targets())


class Client:
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
    >>> with Client() as facefit:  # doctest: +SKIP
    ...     job = facefit.measure("photo.jpg", known_pd_mm=63)
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
        self._runner = Runner(connection)
        self.jobs = Jobs(self._runner)
        self.batches = Batches(self._runner)
        self.deliveries = Deliveries(self._runner)
        self.webhooks = Webhooks(self._runner)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._runner.close()

    def measure(
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
        return self._runner.run(flows.measure(submit, timeout_s))

    def submit(
        self,
        photo: Photo | None = None,
        *,
        image_url: str | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Submit a photo and return the job as it is queued; the parameters are those of `measure`."""
        return self._runner.send(submission(photo, image_url, options, idempotency_key)(0.0))

    def wait(self, job: Job | str, *, timeout_s: float = 120.0) -> Job:
        """Return a job once it has ended, however it has."""
        return self._runner.run(flows.wait_for_job(job if isinstance(job, str) else job.id, timeout_s))

    def deletion(self, deleted_id: str) -> Deletion:
        """Read the receipt of a deletion, by the id of what was deleted."""
        return self._runner.send(requests.read_deletion(deleted_id))

    def wait_for_deletion(self, deleted_id: str, *, timeout_s: float = 1200.0) -> Deletion:
        """Return the receipt once the bytes are out of the files of both stores; promised within 15 minutes."""
        return self._runner.run(flows.wait_for_deletion(deleted_id, timeout_s))

    def measurements(self) -> MeasurementCatalogue:
        """Read what each measurement means."""
        return self._runner.send(requests.read_measurements())

    def ready(self) -> Readiness:
        """Read whether the service can measure; `Unavailable` or `ServiceUnreachable` if it does not even answer so."""
        return self._runner.send(requests.read_readiness())
