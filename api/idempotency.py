"""`Idempotency-Key`: the same request sent twice under one key is accepted once, and answered alike.

    with once(request, here, tenant) as key:
        ...read the request...
        made, is_replay = key.settle(fingerprint, find=..., make=...)

The key is held from the first line on, so that the second of two requests at once is turned away before it stores
anything. Reading or making what takes longer than a minute calls `keep` now and then. Whatever goes wrong before `make`
returns gives the key back, but where what was refused may have been left in storage: the key's next request buries it.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, BinaryIO, Final, Self, TypeVar

from flask import Request

from api import rate_limit_fields
from api.context import Services
from api.problems import IDEMPOTENCY_IN_FLIGHT, IDEMPOTENCY_KEY_REUSED, ProblemError, invalid
from shared.clock import Clock, system_clock, to_ms
from shared.errors import NotTakenBack, Transient
from shared.jobs.batch_replays import accepted_batch
from shared.jobs.batches import BatchLifecycle
from shared.jobs.idempotency import (
    LOCK_S,
    IdempotencyIndex,
    KeyMark,
    KeySlot,
    KnownRequest,
    Reservation,
)
from shared.jobs.replays import accepted_job
from shared.names import is_batch_id

logger = logging.getLogger(__name__)

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = {"Idempotent-Replayed": "true"}
"""The header of an answer to a request that was accepted before."""
MAX_KEY_LENGTH: Final = 255
_QUOTED: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
"""A String of RFC 9651, as the draft of the header field has it."""
_BARE: Final = re.compile(r"[ !#-+\--~]+")
"""Printable ASCII without quotation marks, and without a comma: the server joins two headers of one name by one."""
_LENGTH_BYTES: Final = 8
_CHUNK_BYTES: Final = 64 * 1024

T = TypeVar("T")

PARAMETER: Final = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
    "description": "Printable ASCII of your own, new for each request, such as a UUID; bare or as a quoted string. The"
    " same request under the same key within 24 h is accepted once: later answers tell of what the first one made, with"
    " `Idempotent-Replayed: true`.",
}
"""Parameter object of OpenAPI."""
REPLAYED_HEADERS: Final = {
    "Idempotent-Replayed": {
        "schema": {"type": "string", "const": "true"},
        "description": "The same request was accepted before, under the same key.",
    }
}
"""Headers of an answer, as OpenAPI has them."""


def replayable(description: str, model: str) -> dict[str, Any]:
    """Return the OpenAPI description of an answer that may be a replay.

    Parameters
    ----------
    model : str
        The name of what it holds, as some other route describes it.
    """
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model}"}}},
        "headers": {**REPLAYED_HEADERS, **rate_limit_fields.HEADERS},
    }


def given_key(request: Request) -> str | None:
    """Return the key of a request, or None if it has none.

    Raises
    ------
    ProblemError
        400 naming the header, if it is none or more than one.
    """
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    text = given[0].strip(" ")
    quoted = _QUOTED.fullmatch(text)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text
    if len(given) > 1 or not (quoted or _BARE.fullmatch(text)) or not key:
        raise invalid(HEADER, "must be one key of printable ASCII; one with a comma or a quotation mark must be quoted")
    if len(key) > MAX_KEY_LENGTH:
        raise invalid(HEADER, f"must have at most {MAX_KEY_LENGTH} characters, this one has {len(key)}")
    return key


class Fingerprint:
    """What tells one request from another: a running hash over its parts, each with its length.

    Parameters
    ----------
    route : str
        Method and path, so that a key of one route is not taken for that of another.
    """

    def __init__(self, route: str) -> None:
        self._hash = hashlib.sha256()
        self.add(route.encode())

    def add(self, part: bytes) -> Self:
        """Take in a part of the request, such as its options or the name of a file."""
        self._hash.update(len(part).to_bytes(_LENGTH_BYTES))
        self._hash.update(part)
        return self

    def add_file(self, body: BinaryIO) -> Self:
        """Take in a file from its start, held in pieces; it stands at its start again afterwards."""
        body.seek(0)
        digest = hashlib.sha256()
        while chunk := body.read(_CHUNK_BYTES):
            digest.update(chunk)
        body.seek(0)
        self.add(digest.digest())
        return self

    def text(self) -> str:
        """Return the fingerprint of what was taken in."""
        return self._hash.hexdigest()


class HeldKey:
    """The idempotency key of the request in hand, if it has one.

    Parameters
    ----------
    stands : callable
        Tells by its id whether a job or batch that was made under the key is still there, whichever route made it.
    bury : callable
        Makes sure by its id that one which was refused never comes to be.
    """

    def __init__(
        self,
        index: IdempotencyIndex,
        slot: KeySlot | None,
        stands: Callable[[str], bool],
        bury: Callable[[str], None],
        clock: Clock = system_clock,
    ) -> None:
        self._index = index
        self._slot = slot
        self._stands = stands
        self._bury = bury
        self._clock = clock
        self._token = secrets.token_hex(16)
        self._known: KnownRequest | None = None
        self._reserved_ms = 0
        self._is_over = False

    @property
    def is_given(self) -> bool:
        """Whether the request has a key; if not, no fingerprint is needed."""
        return self._slot is not None

    @property
    def is_known(self) -> bool:
        """Whether something was made under the key before, so that this may be a replay."""
        return self._known is not None and not self._known.is_left_behind

    def reserve(self) -> None:
        """Hold the key, also anew.

        Raises
        ------
        ProblemError
            409 if another request holds it.
        RecordsRebuilding, RecordsUnavailable
        """
        if self._slot is None:
            return
        self._reserved_ms = self._clock()
        answer = self._index.reserve(self._slot, self._token, lock_s=LOCK_S)
        if answer is Reservation.IN_FLIGHT:
            raise in_flight()
        self._known = answer if isinstance(answer, KnownRequest) else None

    def keep(self) -> None:
        """Hold the key longer: costs nothing but every minute. Raises as `reserve` does."""
        if self.is_given and self._known is None and self._clock() - self._reserved_ms > to_ms(LOCK_S / 2):
            self.reserve()

    def keeping(self, parts: Iterable[T]) -> Iterator[T]:
        """Yield the parts of a request that takes long, and hold the key meanwhile. Raises as `reserve` does."""
        for part in parts:
            self.keep()
            yield part

    def settle(
        self,
        fingerprint: Callable[[], str],
        *,
        find: Callable[[str], T | None],
        make: Callable[[KeyMark | None], T],
    ) -> tuple[T, bool]:
        """Return what the request makes, or has made before, and whether the latter.

        Parameters
        ----------
        fingerprint : callable
            Returns the fingerprint of the request; not asked when it has no key.
        find : callable
            Returns what the same request made, by its id, None if it is gone; then the key is as new.
        make : callable
            Makes it; is given what has to be kept with it.

        Raises
        ------
        ProblemError
            422 if the key was used for another request; otherwise as `reserve`, `find` and `make` do.
        """
        if self._slot is None:
            return make(None), False
        mark = KeyMark(self._slot, fingerprint(), self._token)
        if self._known is None or self._known.is_left_behind:
            # It may be lost since: nothing should be stored then that somebody had to find and undo. And what was left
            # behind stands where records were lost meanwhile and made again: somebody may have been told of it.
            self.reserve()
        while self._known is not None:
            if self._known.is_left_behind:
                self._bury(self._known.object_id)
            elif self._known.fingerprint == mark.fingerprint:
                if (found := find(self._known.object_id)) is not None:
                    return found, True
            elif self._stands(self._known.object_id):
                raise ProblemError(IDEMPOTENCY_KEY_REUSED, "This key was used for another request; take a new one.")
            self._index.forget(self._known.object_id)
            self.reserve()
        try:
            made = make(mark)
        except (ProblemError, Transient) as error:
            self._is_over = isinstance(error, NotTakenBack) or isinstance(error.__cause__, NotTakenBack)
            raise
        self._is_over = True
        return made, False

    def release(self) -> None:
        """Give the key back unless something was made under it, or left behind; what fails is over with the lock."""
        if self._slot is not None and self._known is None and not self._is_over:
            with suppress(Transient):
                self._index.release(self._slot, self._token)


@contextmanager
def once(request: Request, here: Services, tenant: str) -> Iterator[HeldKey]:
    """Hold the idempotency key of a request, if it has one, while the request is answered.

    Raises
    ------
    ProblemError
        400 for a header that is no key, 409 if another request holds it.
    RecordsRebuilding, RecordsUnavailable
        If that cannot be told now.
    """
    key = given_key(request)
    slot = None if key is None else KeySlot.of(tenant, key)
    stands, bury = partial(_stands, here, tenant), partial(_bury, here, tenant)
    held = HeldKey(here.jobs.store.idempotency, slot, stands, bury, here.jobs.clock)
    held.reserve()
    try:
        yield held
    finally:
        held.release()


def _stands(here: Services, tenant: str, object_id: str) -> bool:
    if is_batch_id(object_id):
        return accepted_batch(BatchLifecycle(here.jobs), tenant, object_id) is not None
    return accepted_job(here.jobs, tenant, object_id) is not None


def _bury(here: Services, tenant: str, object_id: str) -> None:
    if is_batch_id(object_id):
        BatchLifecycle(here.jobs).bury(tenant, object_id)
    else:
        here.jobs.bury(tenant, object_id)


def in_flight() -> ProblemError:
    """Return the problem of a key that another request holds."""
    detail = "A request with this key is being answered; ask again in a moment."
    return ProblemError(IDEMPOTENCY_IN_FLIGHT, detail, headers={"Retry-After": "1"})
