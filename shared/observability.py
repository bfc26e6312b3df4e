"""How processes log: one line of JSON for each event, with the request, job, batch and tenant it is about.

Code logs through `logging`, as its libraries do. What is bound here joins every line of the same thread of work.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import orjson
import structlog

from shared.config import Settings
from shared.redaction import redact

OWN: Final = ("api", "worker", "shared", "gunicorn")
"""Whose lines are logged from the level that is set; those of all others from `WARNING`."""

_CONTEXT: Final = ("request_id", "tenant", "job", "batch", "attempt", "delivery")
"""What a line may be about; nothing else is bound."""


def configure_logging(settings: Settings) -> None:
    """Send log lines to standard error, also those of warnings and of errors that nobody caught."""
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter(settings.log_format))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in OWN:
        logging.getLogger(name).setLevel(settings.log_level)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def _formatter(log_format: str) -> logging.Formatter:
    as_text = log_format == "text"
    before: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_process,
    ]
    last: list[Any] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        redact,
    ]
    end = (
        structlog.dev.ConsoleRenderer(colors=False)
        if as_text
        else structlog.processors.JSONRenderer(serializer=_json_line)
    )
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=[*last, end])


def _json_line(event: dict[str, Any], **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()


def _add_process(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    record: logging.LogRecord = event["_record"]
    event["process"] = record.process
    return event


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("shared.uncaught").critical("nobody caught this", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
        where = args.thread.name if args.thread else "a thread"
        trouble = (args.exc_type, args.exc_value, args.exc_traceback)
        logging.getLogger("shared.uncaught").critical("nobody caught this in %s", where, exc_info=trouble)


def forget_context() -> None:
    """Begin a thread of work: nothing is bound."""
    structlog.contextvars.clear_contextvars()


def bind_context(**about: object) -> None:
    """Say what the lines of this thread of work are about from now on; see `about`."""
    structlog.contextvars.bind_contextvars(**_known(about))


def context() -> dict[str, object]:
    """Return what the lines of this thread of work are about."""
    return structlog.contextvars.get_contextvars()


@contextmanager
def about(**about: object) -> Iterator[None]:
    """Say what the lines of the block are about: `request_id`, `tenant`, `job`, `batch`, `attempt`, `delivery`."""
    with structlog.contextvars.bound_contextvars(**_known(about)):
        yield


def _known(about: dict[str, object]) -> dict[str, object]:
    strange = about.keys() - set(_CONTEXT)
    if strange:
        message = f"log lines are not about {sorted(strange)}"
        raise ValueError(message)
    return {name: value for name, value in about.items() if value is not None}
