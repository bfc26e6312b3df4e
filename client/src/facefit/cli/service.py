"""What every command has: which service, with which key, and in which form it answers."""

from __future__ import annotations

import contextlib
import errno
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NoReturn, TextIO, get_type_hints

import typer
from rich.console import Console

from facefit.cli.exits import Exit, exit_of
from facefit.client import Client
from facefit.config import connect_to
from facefit.connection import Connection
from facefit.errors import FacefitError, Unauthorized
from facefit.models.base import Model
from facefit.retries import RetryPolicy

_ABOUT: dict[str, Any] = {
    "url": Annotated[
        str | None, typer.Option("--url", help="Where the service is. [env: FACEFIT_URL]", rich_help_panel="Service")
    ],
    "key": Annotated[
        str | None,
        typer.Option(
            "--key", help="The API key; others see it in `ps`. [env: FACEFIT_API_KEY]", rich_help_panel="Service"
        ),
    ],
    "config": Annotated[
        Path | None,
        typer.Option("--config", help="A file with url and key. [env: FACEFIT_CONFIG]", rich_help_panel="Service"),
    ],
    "as_json": Annotated[
        bool, typer.Option("--json", help="One JSON object to a line on stdout, and nothing else there.")
    ],
}
_PIPE_WIDTH = 240
_DEFAULTS: dict[str, Any] = {"url": None, "key": None, "config": None, "as_json": False}


@dataclass
class Service:
    """The service that a command speaks to, and the two ends of a terminal.

    Attributes
    ----------
    as_json : bool
        Whether stdout is for programs.
    out, notes : Console
        Results on stdout; everything else on stderr.
    """

    url: str | None
    key: str | None = field(repr=False)
    config: Path | None
    as_json: bool
    out: Console = field(default_factory=lambda: _console(sys.stdout))
    notes: Console = field(default_factory=lambda: _console(sys.stderr))

    def connection(self, retries: RetryPolicy | None = None) -> Connection:
        """Return the connection, and warn of a key that others on the way could read."""
        found = connect_to(self.url, self.key, config=self.config, retries=retries)
        if found.shows_key_on_the_way:
            self.notes.print(f"facefit: warning: the key travels unencrypted to {found.url}; use https")
        return found

    def client(self) -> Client:
        """Return a client."""
        return Client.of(self.connection())

    def say(self, record: Model | dict[str, Any]) -> None:
        """Print a record for programs."""
        text = record.model_dump_json() if isinstance(record, Model) else json.dumps(record, ensure_ascii=False)
        # Names of files may be no UTF-8, and an encoding may lack letters; in JSON an escape says the same.
        sys.stdout.write(
            text.encode(sys.stdout.encoding or "utf-8", "backslashreplace").decode(errors="replace") + "\n"
        )
        sys.stdout.flush()

    def say_all(self, records: Iterable[Model]) -> None:
        """Print records for programs."""
        for record in records:
            self.say(record)


def _console(file: TextIO) -> Console:
    """Return an end of a terminal, or of a pipe, whose lines may be long."""
    width = None if file.isatty() else _PIPE_WIDTH
    return Console(file=file, width=width, markup=False, highlight=False, soft_wrap=True)


def with_service(command: Callable[..., Exit | None]) -> Callable[..., None]:
    """Give a command the options of every command, a `Service` made of them, and an end to its errors.

    The command takes the service first; what it returns is the exit code.
    """
    signature = inspect.signature(command)
    hints = get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in list(signature.parameters.items())[1:]
    ]
    about = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_DEFAULTS[name], annotation=annotation)
        for name, annotation in _ABOUT.items()
    ]

    def run(**given: Any) -> None:
        service = Service(**{name: given.pop(name) for name in _ABOUT})
        with ending_in_one_line("; the same command goes on" if command.__name__ == "bulk" else ""):
            raise typer.Exit(int(command(service, **given) or Exit.DONE))

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__dict__["__signature__"] = signature.replace(parameters=[*own, *about], return_annotation=None)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *about]}
    return run


@contextlib.contextmanager
def ending_in_one_line(interrupted_hint: str) -> Iterator[None]:
    """Turn errors into one line on stderr and an exit code."""
    try:
        yield
    except FacefitError as error:
        hint = "; set FACEFIT_API_KEY, or --key" if isinstance(error, Unauthorized) else ""
        give_up(f"{error}{hint}", exit_of(error))
    except KeyboardInterrupt:
        give_up(f"interrupted{interrupted_hint}", Exit.INTERRUPTED)
    except BrokenPipeError:
        # Who read this has enough. Nothing more may be written, not even at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(Exit.DONE) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        again = "; make room and run the same again" if error.errno in {errno.ENOSPC, errno.EDQUOT} else ""
        give_up(f"{where}{error.strerror or error}{again}", Exit.LOCAL)


def give_up(message: str, code: Exit) -> NoReturn:
    """Say what is wrong in one line, and end."""
    sys.stderr.write(f"facefit: {shown(' '.join(message.split()))}\n")
    raise typer.Exit(int(code))


def shown(text: object) -> str:
    """Return a text that does nothing to a terminal but appear on it."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text))
