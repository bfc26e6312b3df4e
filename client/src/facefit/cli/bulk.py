"""`facefit bulk`: a folder of photos into one table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Final

import anyio
import typer

from facefit.asynchronous import AsyncRunner
from facefit.bulk.journal import Journal, Task
from facefit.bulk.output import is_ndjson, write_results
from facefit.bulk.run import BulkRun
from facefit.bulk.scan import scan
from facefit.cli.exits import Exit
from facefit.cli.options import Given, options_of
from facefit.cli.progress import Progress
from facefit.cli.service import Service, shown
from facefit.connection import Connection
from facefit.errors import ConfigurationError
from facefit.retries import RetryPolicy

STATE_SUFFIX: Final = ".state"
MAX_BATCH: Final = 10_000
_MANY: Final = 1_000_000


def bulk(
    service: Service,
    folder: Annotated[Path, typer.Argument(help="Photos, in folders as deep as you like.", metavar="FOLDER")],
    out: Annotated[Path, typer.Option(help="The table: .csv, or .ndjson for an object to a line.")],
    option: Given = [],  # noqa: B006 - typer wants it so, and nobody writes to it
    uploads: Annotated[int, typer.Option(help="Photos sent at a time.", min=1, max=64)] = 8,
    batch_size: Annotated[int, typer.Option(help="Photos to a batch.", min=1, max=MAX_BATCH)] = 2000,
    patience: Annotated[
        float, typer.Option(help="Seconds that the service may be away before this gives up.", min=0)
    ] = 600.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a table that is there.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Forget what a former run has done.")] = False,
) -> Exit:
    """Measure every photo of a folder and write one table.

    Interrupted or killed at any point, the same command goes on: nothing is measured twice, and every photo has a row.
    What was done lies beside the table (OUT.state) until it is complete.
    """
    if options_of(option).get("measure_and_delete", "false").lower() in {"true", "1", "yes", "on", "y", "t"}:
        message = "measure_and_delete: results are deleted before the table is written; delete the batch afterwards"
        raise ConfigurationError(f"{message} (facefit batches delete)")
    if not out.name or out.is_dir():
        raise ConfigurationError(f"{out} is a folder; --out is the table to write")
    state = out.with_name(out.name + STATE_SUFFIX)
    if out.exists() and not overwrite and not state.exists():
        raise ConfigurationError(f"{out} is there already; --overwrite replaces it")
    if not out.parent.is_dir():
        raise ConfigurationError(f"there is no folder {out.parent} to write {out.name} to")
    with Progress(service) as progress:
        retries = RetryPolicy(
            attempts=_MANY, patience_s=patience, waits_for_room=True, on_pause=progress.pausing, longest_pause_s=15.0
        )
        connection = service.connection(retries)
        task = Task(str(folder.resolve()), connection.url.rstrip("/"), options_of(option))
        _look_whether_it_is_there(service)
        with _journal(service, state, task, batch_size, restart=restart) as journal:
            counts = anyio.run(_measure, connection, journal, progress, uploads, out)
            journal.remove()
    return _report(service, journal, counts, out)


def _look_whether_it_is_there(service: Service) -> None:
    """Ask once: a wrong address or key is no reason for patience."""
    with service.client() as client:
        client.batches.list(limit=1)


def _journal(service: Service, state: Path, task: Task, batch_size: int, *, restart: bool) -> Journal:
    folder = Path(task.folder)
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder")
    photos, n_others = scan(folder)
    if state.exists() and not restart:
        journal = Journal.resume(state, task)
        service.notes.print(f"going on with {state}: {len(journal.sent)} of {len(journal.photos)} photos are sent")
        known = {photo.path for photo in journal.photos}
        if n_new := sum(photo.path not in known for photo in photos):
            service.notes.print(f"{n_new} photos came into the folder meanwhile; they are not in this run")
        return journal
    if not photos:
        raise ConfigurationError(f"there is no photo in {folder} ({n_others} other files)")
    if n_others:
        service.notes.print(f"{n_others} files are not named like photos and are left out")
    if renamed := [photo for photo in photos if photo.path != photo.reference]:
        service.notes.print(f"{len(renamed)} paths cannot be references and are changed: see the column file")
    if restart:
        Journal.forget(state)  # not before it is sure that there is something to begin anew
    return Journal.begin(state, task, photos, batch_size)


async def _measure(
    connection: Connection, journal: Journal, progress: Progress, uploads: int, out: Path
) -> Counter[str]:
    runner = AsyncRunner(connection)
    try:
        await runner.run(BulkRun(journal, progress, uploads).flow())
        return await write_results(runner, journal, out)
    finally:
        with anyio.CancelScope(shield=True):
            await runner.close()


def _report(service: Service, journal: Journal, counts: Counter[str], out: Path) -> Exit:
    batches = [part.batch_id for part in journal.parts if part.batch_id]
    total = len(journal.photos)
    if service.as_json:
        members: dict[str, Any] = {"out": str(out), "format": "ndjson" if is_ndjson(out) else "csv", "photos": total}
        service.say({**members, "counts": dict(counts), "batches": batches, "resumed": journal.is_resumed})
    else:
        told = ", ".join(f"{n} {status}" for status, n in counts.most_common())
        service.notes.print(f"{shown(out)}: {total} photos, {told} (batch {', '.join(batches) or 'none'})")
    return Exit.DONE if counts["succeeded"] == total else Exit.SOME_NOT_MEASURED
