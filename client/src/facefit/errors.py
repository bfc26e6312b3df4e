"""The one tree of errors: everything that this package raises on purpose is a `FacefitError`.

Errors say what happened and what to do about it in one line, and never show a key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facefit.models.jobs import Job
    from facefit.models.problems import Problem


class FacefitError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigurationError(FacefitError):
    """Raised when the address, the key or the configuration file cannot be used."""


class PhotoUnreadable(FacefitError):
    """Raised when a photo on this machine cannot be read; nothing was sent."""


class InvalidWebhook(FacefitError):
    """Raised when a request to a receiver of webhooks is not proven to be facefit's, or is too old."""


class ServiceUnreachable(FacefitError):
    """Raised when no answer came, or none that was whole, however often it was asked for."""


class UnexpectedAnswer(FacefitError):
    """Raised when what answered does not speak as facefit does: a wrong address, or a proxy in between."""


class UploadRefused(FacefitError):
    """Raised when storage does not take a photo by its upload form.

    Attributes
    ----------
    status : int
        What storage answered.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ApiError(FacefitError):
    """Raised when the service answers with a problem (RFC 9457).

    Attributes
    ----------
    problem : Problem
        As it came.
    status : int
        Of HTTP.
    code : str
        A stable name, such as `invalid_request`; `docs/errors.md` of the service lists them all.
    detail : str
        What happened and what to do, for people.
    request_id : str
        What the service's log calls this request.
    retry_after_s : float or None
        When to send the same again, where the service says so.
    """

    def __init__(self, problem: Problem, retry_after_s: float | None = None) -> None:
        request = f" (request {problem.request_id})" if problem.request_id else ""
        super().__init__(f"{problem.code}: {problem.detail or problem.title}{request}")
        self.problem = problem
        self.status = problem.status
        self.code = problem.code
        self.detail = problem.detail
        self.request_id = problem.request_id
        self.retry_after_s = retry_after_s


class InvalidRequest(ApiError):
    """Raised when the request is at fault (400, 413, 415, 422 and the rarer 4xx); mend it."""


class Unauthorized(ApiError):
    """Raised when the key is missing or not valid (401), or may not be used from here (403)."""


class NotFound(ApiError):
    """Raised when there is no such thing, it was deleted, or it is another tenant's (404)."""


class Conflict(ApiError):
    """Raised when what is asked does not fit the state of things (409): ended already, or not yet."""


class RateLimited(ApiError):
    """Raised when the tenant would have more than it may (429), and waiting was not enough."""


class Unavailable(ApiError):
    """Raised when the service cannot serve now (408, 502, 503, 504), however often it was asked."""


class ServerFault(ApiError):
    """Raised when the service has a fault (500); report the `request_id`."""


class WaitTimeout(FacefitError):
    """Raised when something has not ended in the time it was waited for; it goes on, and can be waited for again.

    Attributes
    ----------
    id : str
        Of the job, batch or deletion.
    """

    def __init__(self, what_id: str, waited_s: float) -> None:
        super().__init__(f"{what_id} has not ended within {waited_s:g} s; it goes on, wait for it again")
        self.id = what_id


class JobEndedWithoutResult(FacefitError):
    """Raised when a job that was waited for has ended without a result.

    Attributes
    ----------
    job : Job
        As it ended.
    code : str or None
        Why, such as `no_face`; None when it was cancelled.
    retake : sequence of str
        What would help, for people.
    """

    def __init__(self, job: Job) -> None:
        error = job.error
        self.job = job
        self.code = error.code if error else None
        self.retake: Sequence[str] = [hint.message for hint in error.retake] if error else []
        why = f"{error.code}: {error.message}" if error else job.status
        super().__init__(" ".join([f"{job.reference or job.id}: {why}", *self.retake]))


class PhotoRejected(JobEndedWithoutResult):
    """Raised when the photo is at fault; sending it again cannot help, `retake` says what would."""


class JobFailed(JobEndedWithoutResult):
    """Raised when the service did not manage to measure a photo; `jobs.retry` gives it another run."""


class JobCancelled(JobEndedWithoutResult):
    """Raised when somebody has cancelled the job."""


def ended_without_result(job: Job) -> JobEndedWithoutResult:
    """Return the error of a job that has ended without a result."""
    kinds = {"rejected": PhotoRejected, "cancelled": JobCancelled}
    return kinds.get(job.status, JobFailed)(job)
