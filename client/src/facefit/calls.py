"""Requests as values, and conversations as generators of them: the part that both clients share.

A `Call` is one request and how its answer is read. A `Flow` is a conversation of several: a generator that yields steps
and is sent what they came to. Neither knows whether it is carried out by threads or by an event loop; `blocking.py` and
`asynchronous.py` do that.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import httpx
from pydantic import ValidationError

from facefit.errors import ConfigurationError, UnexpectedAnswer
from facefit.models.base import Model

T = TypeVar("T")
M = TypeVar("M", bound=Model)

_MAX_KEY: Final = 255

Body = Callable[[ExitStack], dict[str, Any]]
"""Makes the arguments for httpx that hold a body, anew for each attempt; what it opens is closed with the stack."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request.

    Attributes
    ----------
    method, path : str
        What is asked; the path is one of the service's, or the whole URL of an upload to storage.
    read : callable
        From a successful answer to what the caller wants of it.
    repeatable : bool
        Whether sending it twice comes to the same as once, so that a lost answer can be asked for again.
    wait_s : float
        How long the service may keep it waiting on purpose.
    to_storage : bool
        Whether it goes straight to storage: without the key, and without the service's errors.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    repeatable: bool = True
    wait_s: float = 0.0
    to_storage: bool = False

    @property
    def shown(self) -> str:
        """The request for people, without what may be secret in a query."""
        return f"{self.method} {self.path.partition('?')[0]}"

    def parameters(self) -> dict[str, str]:
        """Return the query; what is None is left out."""
        found = {name: value for name, value in self.query.items() if value is not None}
        return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in found.items()}


@dataclass(frozen=True, slots=True)
class Pause:
    """A step that lets time pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Together(Generic[T]):
    """A step of many conversations, some at once.

    Attributes
    ----------
    flows : iterator of Flow
        Begun as places become free.
    done : callable
        Told what each came to, one after the other. What it raises ends them all.
    """

    flows: Iterator[Flow[T]]
    at_once: int
    done: Callable[[T], None]


Step = Call[Any] | Pause | Together[Any]
Flow = Generator[Step, Any, T]


def ask(call: Call[T]) -> Flow[T]:
    """Return what one call comes to, within a flow: `job = yield from ask(read_job(id))`."""
    answer: T = yield call
    return answer


def reader_of(model: type[M]) -> Callable[[httpx.Response], M]:
    """Return what reads a model from an answer."""

    def read(response: httpx.Response) -> M:
        try:
            return model.model_validate_json(response.content)
        except ValidationError as error:
            raise unexpected(response) from error

    return read


def read_nothing(response: httpx.Response) -> None:
    """Read an answer that has no body."""


def read_text(response: httpx.Response) -> str:
    """Read an answer that is text."""
    return response.text


def unexpected(response: httpx.Response) -> UnexpectedAnswer:
    """Return the error of an answer that facefit would not have given."""
    kind = response.headers.get("content-type", "no type").partition(";")[0]
    asked = f"{response.request.method} {response.request.url.copy_with(query=None)}"
    return UnexpectedAnswer(
        f"{asked} answered {response.status_code} with {kind}, which is none of facefit's answers;"
        " check the address (FACEFIT_URL)"
    )


def idempotency(key: str | None) -> dict[str, str]:
    """Return the header by which a request is known when it comes again."""
    key = str(uuid.uuid4()) if key is None else key
    if not (0 < len(key) <= _MAX_KEY and key.isascii() and key.isprintable()):
        raise ConfigurationError(f"an idempotency key has 1 to {_MAX_KEY} characters of printable ASCII")
    quoted = key.replace("\\", "\\\\").replace('"', '\\"')
    return {"Idempotency-Key": f'"{quoted}"'}


def json_body(value: Any) -> Body:
    """Return a body of JSON."""
    return lambda _: {"json": value}
