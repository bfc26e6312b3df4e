"""How processes log: one line of JSON for each event, with the request, job, batch and tenant it is about.

Code logs through `logging`, as its libraries do. What is bound here joins every line of the same thread of work.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import orjson
import structlog

from shared.config import Settings
from shared.redaction import redact, redact_text

OWN: Final = ("api", "worker", "shared", "gunicorn")
"""Whose lines are logged from the level that is set; those of all others from `WARNING`."""

_CONTEXT: Final = frozenset({"request_id", "tenant", "job", "batch", "attempt", "delivery"})
"""What a line may be about; nothing else is bound."""
_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})
_about: Final[ContextVar[Mapping[str, object]]] = ContextVar("about", default=_NOTHING)
_OF_EVERY_RECORD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""What `logging` knows of a line beside what its caller gave."""


def configure_logging(settings: Settings) -> None:
    """Send log lines to standard error, also those of warnings and of errors that nobody caught."""
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter(settings.log_format))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in OWN:
        logging.getLogger(name).setLevel(settings.log_level)
    logging.captureWarnings(capture=True)
    # No line tells by which thread or from where in the code it came, and to find out costs as much as to write it.
    logging.logThreads = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001  as Python's "Logging HOWTO" has it
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


class JsonLines(logging.Formatter):
    """One object of JSON a line, its fields in the order in which they were found out."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        event: dict[str, Any] = {"event": record.getMessage()}
        if record.stack_info:
            event["stack_info"] = record.stack_info
        event |= _about.get()
        event["level"] = record.levelname.lower()
        event["logger"] = record.name
        event |= {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
        line = redact(None, "", event)
        # Behind the wall: a time looks like what has to be looked through pattern by pattern.
        line["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line["process"] = record.process
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = redact_text(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str).decode()


def _formatter(log_format: str) -> logging.Formatter:
    return JsonLines() if log_format == "json" else _lines_for_a_person()


def _lines_for_a_person() -> logging.Formatter:
    before: list[Any] = [
        _add_context,
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
        structlog.dev.ConsoleRenderer(colors=False),
    ]
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=last)


def _add_context(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {**_about.get(), **event}


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
    _about.set(_NOTHING)


def bind_context(**about: object) -> None:
    """Say what the lines of this thread of work are about from now on; see `about`."""
    _about.set({**_about.get(), **_known(about)})


def context() -> Mapping[str, object]:
    """Return what the lines of this thread of work are about."""
    return _about.get()


@contextmanager
def about(**about: object) -> Iterator[None]:
    """Say what the lines of the block are about: `request_id`, `tenant`, `job`, `batch`, `attempt`, `delivery`."""
    former = _about.set({**_about.get(), **_known(about)})
    try:
        yield
    finally:
        _about.reset(former)


def _known(about: dict[str, object]) -> dict[str, object]:
    strange = about.keys() - _CONTEXT
    if strange:
        message = f"log lines are not about {sorted(strange)}"
        raise ValueError(message)
    return {name: value for name, value in about.items() if value is not None}
