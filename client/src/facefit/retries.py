"""When to ask again, and what to raise when that is over.

A request is repeated when it has surely not been accepted (no connection, 429, the service's own 503), or when
repeating it comes to the same as once (reads, and submissions under an idempotency key). Nothing else ever is.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import httpx

from facefit.calls import Call, unexpected
from facefit.errors import (
    ApiError,
    Conflict,
    FacefitError,
    InvalidRequest,
    NotFound,
    RateLimited,
    ServerFault,
    ServiceUnreachable,
    Unauthorized,
    Unavailable,
    UploadRefused,
)
from facefit.models.problems import Problem

_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""No connection was there to send anything over."""
_AWAY: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, 500, 502, 503, 504})
_NOT_ACCEPTED: Final = frozenset({"rate_limited", "unavailable", "idempotency_in_flight"})
"""Codes by which the service says that nothing was accepted and that the same may be sent again."""
_IN_FLIGHT: Final = "idempotency_in_flight"
_PROBLEM_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to go on asking.

    Attributes
    ----------
    attempts : int
        Requests without a success, the first one included; 1 asks once.
    patience_s : float
        Time from the first request on; a `Retry-After` beyond it is raised instead of waited for.
    first_pause_s, longest_pause_s : float
        Pauses double from the one to the other, half of each by chance. `Retry-After` is kept to where it is longer.
    waits_for_room : bool
        Whether a 429 is waited for without end: for bulk work, where the next place comes when a job ends.
    on_pause : callable
        Told before each pause what went wrong, in words, and how many seconds it lasts.
    """

    attempts: int = 6
    patience_s: float = 150.0
    first_pause_s: float = 0.5
    longest_pause_s: float = 20.0
    waits_for_room: bool = False
    on_pause: Callable[[str, float], None] = lambda _what, _seconds: None


@dataclass(slots=True)
class Attempts:
    """The attempts at one call."""

    policy: RetryPolicy
    call: Call[Any]
    clock: Callable[[], float] = time.monotonic
    _chance: random.Random = field(default_factory=random.Random)
    _failed: int = 0
    _since: float | None = None
    _may_be_done: bool = False
    _in_flight_since: float | None = None

    def __post_init__(self) -> None:
        self._since = self.clock()

    def went_on(self) -> None:
        """Take note that something came: patience begins anew."""
        self._failed, self._since = 0, self.clock()

    def after_error(self, error: httpx.RequestError) -> float:
        """Return how long to pause after an attempt without a whole answer.

        Raises
        ------
        ServiceUnreachable
            If it is not to be made again.
        """
        may = self.call.repeatable or isinstance(error, _NOT_SENT)
        self._may_be_done = self._may_be_done or not isinstance(error, _NOT_SENT)
        pause = self._pause(None) if may else None
        if pause is None:
            raise self._unreachable(error) from error
        self.policy.on_pause(str(self._unreachable(error)), pause)
        return pause

    def after_answer(self, response: httpx.Response) -> float | None:
        """Return how long to pause after an answer; None if it is a success.

        Raises
        ------
        FacefitError
            If it is none, and the request is not to be made again.
        """
        problem, retry_after_s = problem_of(response), retry_after(response)
        if response.is_success or self._was_deleted_before(problem):
            return None
        if self._is_worth_repeating(response, problem):
            self._may_be_done = self._may_be_done or problem is None or problem.code not in _NOT_ACCEPTED
            has_no_end = self.policy.waits_for_room and problem is not None and problem.code == "rate_limited"
            if problem is not None and problem.code == _IN_FLIGHT:
                pause = self._pause_in_flight(retry_after_s)
            else:
                pause = self._pause(retry_after_s, has_no_end=has_no_end)
            if pause is not None:
                self.policy.on_pause(str(self._error(response, problem, retry_after_s)), pause)
                return pause
        raise self._error(response, problem, retry_after_s)

    def _was_deleted_before(self, problem: Problem | None) -> bool:
        """Tell whether what is to be deleted is gone because of an attempt before, whose answer was lost."""
        is_gone = problem is not None and problem.status == HTTPStatus.NOT_FOUND
        return self.call.method == "DELETE" and self._may_be_done and is_gone

    def _is_worth_repeating(self, response: httpx.Response, problem: Problem | None) -> bool:
        if problem is not None and problem.code == "rate_limited" and problem.errors:
            return False  # it is more by itself than the limit
        if problem is not None and problem.code in _NOT_ACCEPTED:
            return True
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            return True
        if problem is not None and problem.code in {"internal_error", "processing_failed"}:
            return False  # a fault of the service: it answers the same again
        return self.call.repeatable and response.status_code in _AWAY

    def _pause_in_flight(self, retry_after_s: float | None) -> float | None:
        """Wait for an attempt before, which is still being answered, however often that has to be asked.

        The service holds a key while it answers, and for two minutes after it was killed.
        """
        policy, now = self.policy, self.clock()
        self._in_flight_since = now if self._in_flight_since is None else self._in_flight_since
        most = min(policy.longest_pause_s, 4 * policy.first_pause_s)
        pause = max(self._chance.uniform(most / 2, most), retry_after_s or 0.0)
        is_over = now + pause - self._in_flight_since > policy.patience_s + self.call.wait_s
        return None if is_over or policy.attempts <= 1 else pause

    def _pause(self, retry_after_s: float | None, *, has_no_end: bool = False) -> float | None:
        self._failed += 1
        policy, now = self.policy, self.clock()
        most = min(policy.longest_pause_s, policy.first_pause_s * 2 ** min(self._failed - 1, 30))
        pause = max(self._chance.uniform(most / 2, most), retry_after_s or 0.0)
        if has_no_end:
            self._failed, self._since = 0, now
            return pause
        since = now if self._since is None else self._since
        is_over = self._failed >= policy.attempts or now + pause - since > policy.patience_s
        return None if is_over else pause

    def _unreachable(self, error: httpx.RequestError) -> ServiceUnreachable:
        where = str(error.request.url.copy_with(raw_path=b"/")).rstrip("/")
        what = "storage" if self.call.to_storage else "the service"
        if isinstance(error, _NOT_SENT):
            hint = (
                "is its address for clients set (FACEFIT_S3_PUBLIC_URL)?" if self.call.to_storage else "is it running?"
            )
            return ServiceUnreachable(f"{what} at {where} cannot be reached ({_reason(error)}); {hint}")
        again = "" if self.call.repeatable else "; whether it was done is not known, look before you send it again"
        return ServiceUnreachable(f"{what} at {where} gave no whole answer ({_reason(error)}){again}")

    def _error(self, response: httpx.Response, problem: Problem | None, retry_after_s: float | None) -> FacefitError:
        status = response.status_code
        if self.call.to_storage:
            return UploadRefused(f"storage does not take the upload: it answers {status}", status)
        if problem is None:
            if status == HTTPStatus.UNAUTHORIZED or status in _AWAY or status == HTTPStatus.TOO_MANY_REQUESTS:
                detail = (
                    f"{response.request.url.host} answers {status} {response.reason_phrase}, and not as facefit does"
                )
                return error_of(Problem(status=status, code=f"http_{status}", detail=detail), retry_after_s)
            return unexpected(response)
        return error_of(problem, retry_after_s)


def error_of(problem: Problem, retry_after_s: float | None = None) -> ApiError:
    """Return the error of a problem."""
    by_status: dict[int, type[ApiError]] = {
        401: Unauthorized,
        403: Unauthorized,
        404: NotFound,
        408: Unavailable,
        409: Conflict,
        429: RateLimited,
        500: ServerFault,
        502: Unavailable,
        503: Unavailable,
        504: Unavailable,
    }
    is_client_error = problem.status < HTTPStatus.INTERNAL_SERVER_ERROR
    kind = by_status.get(problem.status, InvalidRequest if is_client_error else ServerFault)
    return kind(problem, retry_after_s)


def problem_of(response: httpx.Response) -> Problem | None:
    """Return the problem that an answer is; None if it is none."""
    if not response.headers.get("content-type", "").startswith(_PROBLEM_TYPE):
        return None
    try:
        return Problem.model_validate_json(response.content)
    except ValueError:
        return None


def retry_after(response: httpx.Response) -> float | None:
    """Return what `Retry-After` says, in seconds from now; None if it is not there, or says nothing."""
    value = response.headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def _reason(error: httpx.RequestError) -> str:
    return str(error) or type(error).__name__
