"""What scripts can tell by: one exit code for each thing that a caller would do differently."""

from __future__ import annotations

from enum import IntEnum

from facefit.errors import (
    ApiError,
    ConfigurationError,
    FacefitError,
    JobEndedWithoutResult,
    PhotoUnreadable,
    RateLimited,
    ServiceUnreachable,
    Unauthorized,
    Unavailable,
    WaitTimeout,
)


class Exit(IntEnum):
    """Exit codes of the command."""

    DONE = 0
    """Everything that was asked for is done."""
    SOME_NOT_MEASURED = 1
    """It is done, and some photos have no result; the output says which and why."""
    USAGE = 2
    """The command line, the configuration or a file that was named cannot be used. Mend it."""
    UNAUTHORIZED = 3
    """The key is missing or not valid."""
    TRY_AGAIN = 4
    """The service cannot be reached, or cannot serve now. The same command goes on, later."""
    REFUSED = 5
    """The service refuses what was asked, has a fault, or is no facefit."""
    LOCAL = 6
    """A file on this machine cannot be written: the disk is full, for one. The same command goes on, then."""
    INTERRUPTED = 130
    """Ctrl-C. `bulk` goes on with the same command."""


def exit_of(error: FacefitError) -> Exit:
    """Return the exit code of an error."""
    kinds: tuple[tuple[type[FacefitError] | tuple[type[FacefitError], ...], Exit], ...] = (
        (JobEndedWithoutResult, Exit.SOME_NOT_MEASURED),
        ((ConfigurationError, PhotoUnreadable), Exit.USAGE),
        (Unauthorized, Exit.UNAUTHORIZED),
        ((ServiceUnreachable, Unavailable, RateLimited, WaitTimeout), Exit.TRY_AGAIN),
        (ApiError, Exit.REFUSED),
    )
    return next((code for kind, code in kinds if isinstance(error, kind)), Exit.REFUSED)
