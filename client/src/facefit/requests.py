"""Every request that the service takes, as a value; one function each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from facefit.calls import Call, idempotency, json_body, read_nothing, read_text, reader_of
from facefit.models.base import Page
from facefit.models.batches import Batch, BatchItem, BatchSummary, NewBatch, UploadForm
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
from facefit.options import form_fields, json_members
from facefit.photos import PhotoSource

MAX_WAIT_S: Final = 20.0
"""What is asked for at a time; the service holds an answer for 30 s at most."""
RECEIVING_S: Final = 900.0
"""How long the service may take to answer to an archive, once it has it."""

_read_job = reader_of(Job)
_read_batch = reader_of(Batch)
_read_delivery = reader_of(Delivery)


# Photos of their own


def submit_photo(
    photo: PhotoSource, options: Mapping[str, Any], *, key: str | None = None, wait_s: float = 0.0
) -> Call[Job]:
    """Submit a photo; with `wait_s` the answer is the finished job, if it is finished by then."""

    def body(opened: ExitStack) -> dict[str, Any]:
        return {"files": {"image": (_ascii(photo.name), photo.open(opened))}, "data": form_fields(options)}

    headers = idempotency(key) | _prefer(wait_s)
    return Call("POST", "/v1/jobs", _read_job, headers=headers, body=body, wait_s=wait_s)


def submit_url(image_url: str, options: Mapping[str, Any], *, key: str | None = None, wait_s: float = 0.0) -> Call[Job]:
    """Submit a photo that the service is to fetch."""
    members = {"image_url": image_url, **json_members(options)}
    headers = idempotency(key) | _prefer(wait_s)
    return Call("POST", "/v1/jobs", _read_job, headers=headers, body=json_body(members), wait_s=wait_s)


def read_job(job_id: str, wait_s: float = 0.0) -> Call[Job]:
    """Read a job, or wait for its end."""
    return Call("GET", f"/v1/jobs/{path_part(job_id)}", _read_job, query=_wait(wait_s), wait_s=wait_s)


def list_jobs(query: Mapping[str, Any]) -> Call[Page[Job]]:
    """List jobs, newest first."""
    return Call("GET", "/v1/jobs", reader_of(Page[Job]), query=query)


def cancel_job(job_id: str) -> Call[Job]:
    """End a job that has not ended."""
    return Call("POST", f"/v1/jobs/{path_part(job_id)}/cancel", _read_job)


def retry_job(job_id: str) -> Call[Job]:
    """Run a failed job again."""
    return Call("POST", f"/v1/jobs/{path_part(job_id)}/retry", _read_job, repeatable=False)


def delete_job(job_id: str) -> Call[None]:
    """Forget a job."""
    return Call("DELETE", f"/v1/jobs/{path_part(job_id)}", read_nothing)


def draw_overlay(job_id: str, *, legend: bool = True) -> Call[str]:
    """Draw mesh and measurements as SVG."""
    return Call("GET", f"/v1/jobs/{path_part(job_id)}/overlay.svg", read_text, query={"legend": legend})


def export_mesh(job_id: str, *, form: str = "obj", face: int = 0) -> Call[str]:
    """Export the mesh of a face, `obj` or `ply`."""
    return Call("GET", f"/v1/jobs/{path_part(job_id)}/mesh.{path_part(form)}", read_text, query={"face": face})


# Batches


def announce_photos(
    items: Sequence[Mapping[str, Any]], options: Mapping[str, Any], *, key: str | None = None
) -> Call[NewBatch]:
    """Make a batch whose photos are uploaded straight to storage."""
    members = {"items": [json_members(item) for item in items], **json_members(options)}
    read = reader_of(NewBatch)
    return Call("POST", "/v1/batches", read, headers=idempotency(key), body=json_body(members), wait_s=RECEIVING_S)


def submit_urls(
    items: Sequence[Mapping[str, Any]], options: Mapping[str, Any], *, key: str | None = None
) -> Call[Batch]:
    """Make a batch of photos that the service is to fetch."""
    members = {"items": [json_members(item) for item in items], **json_members(options)}
    headers = idempotency(key)
    return Call("POST", "/v1/batches", _read_batch, headers=headers, body=json_body(members), wait_s=RECEIVING_S)


def submit_photos(photos: Sequence[PhotoSource], options: Mapping[str, Any], *, key: str | None = None) -> Call[Batch]:
    """Make a batch of photos in one form; the name of each is its reference."""

    def body(opened: ExitStack) -> dict[str, Any]:
        files = [("images", (photo.name, photo.open(opened))) for photo in photos]
        return {"files": files, "data": form_fields(options)}

    return Call("POST", "/v1/batches", _read_batch, headers=idempotency(key), body=body, wait_s=RECEIVING_S)


def submit_archive(archive: Path, options: Mapping[str, Any], *, key: str | None = None) -> Call[Batch]:
    """Make a batch of the photos in a zip; the path of each is its reference."""
    source = PhotoSource(archive.name, archive)

    def body(opened: ExitStack) -> dict[str, Any]:
        return {"files": {"archive": (_ascii(archive.name), source.open(opened))}, "data": form_fields(options)}

    return Call("POST", "/v1/batches", _read_batch, headers=idempotency(key), body=body, wait_s=RECEIVING_S)


def upload_photo(form: UploadForm, photo: PhotoSource) -> Call[None]:
    """Upload a photo straight to storage, by its form."""

    def body(opened: ExitStack) -> dict[str, Any]:
        data = photo.read(opened)  # a photo is small: what is too large by its size got no form
        return {"data": form.fields, "files": {"file": ("photo", data, form.fields.get("Content-Type"))}}

    return Call("POST", form.url, read_nothing, body=body, to_storage=True)


def read_batch(batch_id: str, wait_s: float = 0.0) -> Call[Batch]:
    """Read how far a batch is, or wait for its end."""
    return Call("GET", f"/v1/batches/{path_part(batch_id)}", _read_batch, query=_wait(wait_s), wait_s=wait_s)


def list_batches(query: Mapping[str, Any]) -> Call[Page[Batch]]:
    """List batches, newest first."""
    return Call("GET", "/v1/batches", reader_of(Page[Batch]), query=query)


def list_items(batch_id: str, query: Mapping[str, Any]) -> Call[Page[BatchItem]]:
    """List the items of a batch, in item order."""
    return Call("GET", f"/v1/batches/{path_part(batch_id)}/items", reader_of(Page[BatchItem]), query=query)


def start_batch(batch_id: str) -> Call[Batch]:
    """Say that the photos are there, or on their way."""
    return Call("POST", f"/v1/batches/{path_part(batch_id)}/start", _read_batch)


def cancel_batch(batch_id: str) -> Call[Batch]:
    """End what has not ended."""
    return Call("POST", f"/v1/batches/{path_part(batch_id)}/cancel", _read_batch)


def retry_batch(batch_id: str) -> Call[Batch]:
    """Run failed items again."""
    return Call("POST", f"/v1/batches/{path_part(batch_id)}/retry", _read_batch, repeatable=False)


def delete_batch(batch_id: str) -> Call[None]:
    """Forget a batch, its photos and its results."""
    return Call("DELETE", f"/v1/batches/{path_part(batch_id)}", read_nothing)


def read_summary(batch_id: str) -> Call[BatchSummary]:
    """Read how each measurement is distributed."""
    return Call("GET", f"/v1/batches/{path_part(batch_id)}/summary", reader_of(BatchSummary), wait_s=RECEIVING_S)


# Webhooks


def list_deliveries(query: Mapping[str, Any]) -> Call[Page[Delivery]]:
    """List deliveries, the newest first."""
    return Call("GET", "/v1/deliveries", reader_of(Page[Delivery]), query=query)


def read_delivery(delivery_id: str) -> Call[Delivery]:
    """Read a delivery and every attempt at it."""
    return Call("GET", f"/v1/deliveries/{path_part(delivery_id)}", _read_delivery)


def redeliver(delivery_id: str) -> Call[Delivery]:
    """Send it again now."""
    return Call("POST", f"/v1/deliveries/{path_part(delivery_id)}/redeliver", _read_delivery, repeatable=False)


def test_webhook(url: str) -> Call[Delivery]:
    """Send a signed test event."""
    return Call("POST", "/v1/webhooks/test", _read_delivery, body=json_body({"url": url}), repeatable=False)


def make_secret() -> Call[NewWebhookSecret]:
    """Make or change the secret of webhooks."""
    return Call("POST", "/v1/webhooks/secret", reader_of(NewWebhookSecret), repeatable=False)


def read_secret_age() -> Call[WebhookSecretAge]:
    """Read how old the secret is."""
    return Call("GET", "/v1/webhooks/secret", reader_of(WebhookSecretAge))


def list_targets() -> Call[Page[WebhookTarget]]:
    """List the targets that get nothing for now."""
    return Call("GET", "/v1/webhooks/targets", reader_of(Page[WebhookTarget]))


# The rest


def read_deletion(deleted_id: str) -> Call[Deletion]:
    """Read the receipt of a deletion."""
    return Call("GET", f"/v1/deletions/{path_part(deleted_id)}", reader_of(Deletion))


def read_measurements() -> Call[MeasurementCatalogue]:
    """Read what each measurement means."""
    return Call("GET", "/v1/measurements", reader_of(MeasurementCatalogue))


def read_readiness() -> Call[Readiness]:
    """Read whether the service can measure."""
    return Call("GET", "/readyz", reader_of(Readiness), repeatable=False)


def path_part(text: str) -> str:
    """Return an id as a part of a path, whatever it is."""
    return quote(text, safe="") or "%20"  # an id of nothing must not become the path of a list


def _wait(wait_s: float) -> dict[str, Any]:
    return {"wait": int(wait_s) if wait_s >= 1 else None}


def _prefer(wait_s: float) -> dict[str, str]:
    return {"Prefer": f"wait={int(wait_s)}"} if wait_s >= 1 else {}


def _ascii(name: str) -> str:
    return "".join(letter if letter.isascii() and letter.isprintable() else "_" for letter in name)
