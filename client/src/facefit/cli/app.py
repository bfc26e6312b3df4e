"""The command `facefit` as a whole."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from facefit.cli import batches, deliveries, jobs
from facefit.cli.bulk import bulk
from facefit.cli.exits import Exit
from facefit.cli.listing import Columns, show_one
from facefit.cli.measure import measure
from facefit.cli.service import Service, with_service
from facefit.version import VERSION

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Face photos in, measurements in millimetres out.",
    epilog="Exit codes: 0 done; 1 some photos not measured; 2 usage or configuration; 3 key; 4 service away, try again;"
    " 5 refused; 6 cannot write here; 130 Ctrl-C.",
)
app.command()(with_service(measure))
app.command()(with_service(bulk))
app.add_typer(jobs.app, name="jobs")
app.add_typer(batches.app, name="batches")
app.add_typer(deliveries.app, name="deliveries")


@app.command()
@with_service
def check(service: Service) -> Exit:
    """Tell whether the service is there, takes the key, and can measure."""
    columns: Columns = {
        "service": lambda _: connection.url,
        "status": lambda ready: ready.status,
        "key": lambda _: "taken" if connection.key else "none, and none is asked for",
    }
    connection = service.connection()
    with service.client() as client:
        client.jobs.list(limit=1)
        found = client.ready()
    show_one(service, found, columns)
    return Exit.DONE


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"facefit {VERSION}\n")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say it and end.")
    ] = False,
) -> None:
    """Face photos in, measurements in millimetres out."""


def main() -> None:
    """Run the command."""
    app()
