"""`facefit batches`: many photos at once."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Final

import typer
from rich.table import Table

from facefit.cli.exits import Exit
from facefit.cli.jobs import RECEIPT_COLUMNS
from facefit.cli.listing import Columns, listed, show_list, show_one
from facefit.cli.service import Service, with_service
from facefit.models.batches import Batch, BatchSummary

app = typer.Typer(no_args_is_help=True, help="Batches: look, wait, cancel, retry, delete, read results.")

BatchId = Annotated[str, typer.Argument(help="bat_…", metavar="BATCH")]
Out = Annotated[Path | None, typer.Option(help="The file to write; stdout without.")]

COLUMNS: Final[Columns] = {
    "batch": lambda batch: batch.id,
    "status": lambda batch: batch.status,
    "photos": lambda batch: batch.total,
    "measured": lambda batch: batch.counts.succeeded,
    "rejected": lambda batch: batch.counts.rejected,
    "failed": lambda batch: batch.counts.failed,
    "created": lambda batch: batch.created_at,
}
_DETAILS: Final[Columns] = {
    **COLUMNS,
    "cancelled": lambda batch: batch.counts.cancelled,
    "progress": lambda batch: f"{batch.progress:.0%}",
    "photos per second": lambda batch: batch.images_per_second,
    "seconds to go": lambda batch: batch.eta_s,
    "completed": lambda batch: batch.completed_at,
    "expires": lambda batch: batch.expires_at,
}
_ERROR_COLUMNS: Final[Columns] = {
    "reference": lambda error: error.reference or "",
    "status": lambda error: error.status,
    "code": lambda error: error.error_code or "",
    "what helps": lambda error: " ".join(hint.message for hint in error.retake),
}


@app.command("list")
@with_service
def list_batches(
    service: Service,
    status: Annotated[str | None, typer.Option(help="awaiting_upload, running, completed, cancelled.")] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1)] = 20,
) -> None:
    """List batches, newest first."""
    with service.client() as client:
        show_list(service, listed(client.batches.list, {"status": status}, limit), COLUMNS)


@app.command("show")
@with_service
def show(service: Service, batch: BatchId) -> None:
    """Show how far a batch is."""
    with service.client() as client:
        show_one(service, client.batches.get(batch), _DETAILS)


@app.command("wait")
@with_service
def wait(
    service: Service, batch: BatchId, timeout: Annotated[float | None, typer.Option(help="Seconds.", min=0)] = None
) -> Exit:
    """Wait until a batch has ended, and show it; exit code 1 if some photos have no result."""
    with service.client() as client:
        ended = client.batches.wait(batch, timeout_s=timeout)
    show_one(service, ended, _DETAILS)
    return Exit.DONE if ended.counts.succeeded == ended.total else Exit.SOME_NOT_MEASURED


@app.command("cancel")
@with_service
def cancel(service: Service, batch: BatchId) -> None:
    """End what has not ended."""
    with service.client() as client:
        _show(service, client.batches.cancel(batch))


@app.command("retry")
@with_service
def retry(service: Service, batch: BatchId) -> None:
    """Run the failed photos of a batch again."""
    with service.client() as client:
        _show(service, client.batches.retry(batch))


@app.command("delete")
@with_service
def delete(
    service: Service,
    batch: BatchId,
    wait_for_receipt: Annotated[
        bool, typer.Option("--wait", help="Until the bytes are out of the stores' files: up to 15 minutes.")
    ] = False,
) -> None:
    """Forget a batch, its photos and its results. Prints the receipt."""
    with service.client() as client:
        client.batches.delete(batch)
        receipt = client.wait_for_deletion(batch) if wait_for_receipt else client.deletion(batch)
    show_one(service, receipt, RECEIPT_COLUMNS)


@app.command("results")
@with_service
def results(
    service: Service,
    batch: BatchId,
    out: Out = None,
    unfinished: Annotated[bool, typer.Option("--all", help="Also photos that have not ended.")] = False,
) -> None:
    """Write the results of a batch: CSV, or with --json an object to a line."""
    with service.client() as client, _opened(out) as file:
        if service.as_json:
            for record in client.batches.results(batch, unfinished=unfinished):
                file.write(record.model_dump_json() + "\n")
        else:
            csv.writer(file).writerows(client.batches.table(batch, unfinished=unfinished))


@app.command("errors")
@with_service
def errors(service: Service, batch: BatchId) -> None:
    """List the photos without a result, and what would help."""
    with service.client() as client:
        show_list(service, client.batches.errors(batch), _ERROR_COLUMNS)


@app.command("summary")
@with_service
def summary(service: Service, batch: BatchId) -> None:
    """Show how each measurement is distributed over the photos of a batch."""
    with service.client() as client:
        found = client.batches.summary(batch)
    if service.as_json:
        service.say(found)
    else:
        service.out.print(_summary_table(found))


def _summary_table(found: BatchSummary) -> Table:
    table = Table("measurement", box=None, pad_edge=False, header_style="bold")
    for name in ("ok", "mean mm", "sd", "p5", "p50", "p95"):
        table.add_column(name, justify="right")
    for key, of in found.measurements.items():
        percentiles = of.percentiles or {}
        numbers = (of.mean, of.sd_observed, *(percentiles.get(name) for name in ("p5", "p50", "p95")))
        table.add_row(key, str(of.n_ok), *("-" if number is None else f"{number:.1f}" for number in numbers))
    return table


def _show(service: Service, batch: Batch) -> None:
    show_one(service, batch, COLUMNS)


@contextmanager
def _opened(path: Path | None) -> Iterator[IO[str]]:
    """Open a file that appears whole, or give stdout."""
    if path is None:
        yield sys.stdout
        return
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
