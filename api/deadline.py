"""An upload that stalls must not keep a thread of the server for ever."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from flask import Request
from werkzeug.exceptions import ClientDisconnected

from api.problems import UPLOAD_TIMEOUT, ProblemError


@contextmanager
def upload_deadline(request: Request, *, pause_s: float, total_s: float) -> Iterator[None]:
    """Bound how long the body of a request is read in the block.

    Parameters
    ----------
    request : Request
        Served by gunicorn, whose socket is in its environment; without one nothing is bounded.
    pause_s : float
        The longest pause between two pieces [s].
    total_s : float
        The longest for the whole [s].

    Raises
    ------
    ProblemError
        408 when time is up.
    """
    connection: socket.socket | None = request.environ.get("gunicorn.socket")
    if connection is None:
        yield
        return
    too_late = threading.Event()

    def end() -> None:
        too_late.set()
        with suppress(OSError):  # closed by then
            connection.shutdown(socket.SHUT_RD)

    timer = threading.Timer(total_s, end)
    timer.daemon = True
    timer.start()
    connection.settimeout(pause_s)
    try:
        yield
    except (TimeoutError, ClientDisconnected, ProblemError) as error:
        # A pause that is too long shows as a time-out, which the form parser takes for a closed connection; the end of
        # the whole time shows as a photo that was cut short.
        if too_late.is_set() or isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            raise _timed_out() from error
        raise
    finally:
        timer.cancel()
        with suppress(OSError):
            connection.settimeout(None)


def _timed_out() -> ProblemError:
    detail = "The upload did not arrive in time; send it again over a faster connection, or smaller."
    return ProblemError(UPLOAD_TIMEOUT, detail)
