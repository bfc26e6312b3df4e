"""`facefit jobs`: single photos, and those of batches."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from facefit.cli.exits import Exit
from facefit.cli.listing import Columns, listed, show_list, show_one
from facefit.cli.report import print_job
from facefit.cli.service import Service, with_service
from facefit.models.jobs import Job

app = typer.Typer(no_args_is_help=True, help="Photos that were submitted: look, wait, cancel, retry, delete, draw.")

JobId = Annotated[str, typer.Argument(help="job_…", metavar="JOB")]
JobIds = Annotated[list[str], typer.Argument(help="job_…", metavar="JOB...")]

COLUMNS: Final[Columns] = {
    "job": lambda job: job.id,
    "status": lambda job: job.status,
    "code": lambda job: job.error.code if job.error else "",
    "reference": lambda job: job.reference or "",
    "created": lambda job: job.created_at,
}


@app.command("list")
@with_service
def list_jobs(
    service: Service,
    status: Annotated[str | None, typer.Option(help="queued, running, succeeded, rejected, failed, cancelled.")] = None,
    batch: Annotated[str | None, typer.Option(help="Those of a batch.")] = None,
    reference: Annotated[str | None, typer.Option(help="Those of a reference.")] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1)] = 20,
) -> None:
    """List jobs, newest first."""
    query = {"status": status, "batch_id": batch, "reference": reference}
    with service.client() as client:
        show_list(service, listed(client.jobs.list, query, limit), COLUMNS)


@app.command("show")
@with_service
def show(service: Service, job: JobId) -> None:
    """Show a job and what was measured."""
    with service.client() as client:
        _print(service, client.jobs.get(job))


@app.command("wait")
@with_service
def wait(service: Service, job: JobId, timeout: Annotated[float, typer.Option(help="Seconds.", min=0)] = 120.0) -> Exit:
    """Wait until a job has ended, and show it; exit code 1 if it has ended without a result."""
    with service.client() as client:
        ended = client.wait(job, timeout_s=timeout)
    _print(service, ended)
    return Exit.DONE if ended.status == "succeeded" else Exit.SOME_NOT_MEASURED


@app.command("cancel")
@with_service
def cancel(service: Service, jobs: JobIds) -> None:
    """End jobs that have not ended."""
    with service.client() as client:
        for job in jobs:
            _print_short(service, client.jobs.cancel(job))


@app.command("retry")
@with_service
def retry(service: Service, jobs: JobIds) -> None:
    """Run failed jobs again."""
    with service.client() as client:
        for job in jobs:
            _print_short(service, client.jobs.retry(job))


@app.command("delete")
@with_service
def delete(
    service: Service,
    jobs: JobIds,
    wait_for_receipt: Annotated[
        bool, typer.Option("--wait", help="Until the bytes are out of the stores' files: up to 15 minutes.")
    ] = False,
) -> None:
    """Forget jobs: photos, results and records. Prints the receipts."""
    with service.client() as client:
        for job in jobs:
            client.jobs.delete(job)
        for job in jobs:
            receipt = client.wait_for_deletion(job) if wait_for_receipt else client.deletion(job)
            show_one(service, receipt, RECEIPT_COLUMNS)


@app.command("overlay")
@with_service
def overlay(
    service: Service, job: JobId, out: Annotated[Path, typer.Option(help="The SVG to write.")] = Path("overlay.svg")
) -> None:
    """Draw mesh and measurements."""
    with service.client() as client:
        out.write_text(client.jobs.overlay(job), encoding="utf-8")
    _wrote(service, out)


@app.command("mesh")
@with_service
def mesh(
    service: Service,
    job: JobId,
    out: Annotated[Path, typer.Option(help="The file to write, .obj or .ply.")] = Path("mesh.obj"),
    face: Annotated[int, typer.Option(help="Which face, the largest being 0.", min=0)] = 0,
) -> None:
    """Export the mesh of a face."""
    form = "ply" if out.suffix.lower() == ".ply" else "obj"
    with service.client() as client:
        out.write_text(client.jobs.mesh(job, form=form, face=face), encoding="utf-8")
    _wrote(service, out)


RECEIPT_COLUMNS: Final[Columns] = {
    "deleted": lambda receipt: receipt.id,
    "status": lambda receipt: receipt.status,
    "at": lambda receipt: receipt.deleted_at,
    "purged by": lambda receipt: receipt.due_at,
    "out of records": lambda receipt: receipt.purged_from_records_at,
    "out of storage": lambda receipt: receipt.purged_from_storage_at,
}


def _print(service: Service, job: Job) -> None:
    if service.as_json:
        service.say(job)
    else:
        print_job(service, job)


def _print_short(service: Service, job: Job) -> None:
    show_one(service, job, COLUMNS)


def _wrote(service: Service, path: Path) -> None:
    if service.as_json:
        service.say({"file": str(path)})
    else:
        service.notes.print(f"wrote {path}")
