"""Asks for a request whether its tenant may have it: before its body is read, and again when all of it is known.

    with admission(OF_PHOTOS) as admitted:
        admitted.ask_before_body(request, Take(...))
        ...read the request...
        admitted.ask(Take(...))
        ...make it...
        admitted.accepted(size_bytes)

What is left without `accepted` gives back what it took. Nothing is asked of a store where a tenant has no limits.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, cast

from flask import Flask, Request, Response, current_app, g

from api.context import Services, tenant
from api.draining import drain_briefly
from api.problems import RATE_LIMITED, ProblemError
from api.rate_limit_fields import POLICY, REMAINING, policy, remaining, seconds
from shared.admission.limits import LimitKind, TenantLimits
from shared.admission.store import NOTHING, AdmissionStore, Decision, Take, Usage
from shared.admission.tenants import LimitsInForce
from shared.clock import Clock, to_ms
from shared.errors import Transient
from shared.schemas import FieldError

OF_PHOTOS: Final = (LimitKind.PHOTOS, LimitKind.JOBS, LimitKind.BYTES)
"""What a photo of its own counts against."""
OF_BATCHES: Final = (LimitKind.BATCHES, LimitKind.JOBS, LimitKind.BYTES)
"""What a batch counts against."""
_STORING_S: Final = 60.0
"""How much longer than the photo itself takes to arrive its place is held: for storing it."""
_OPEN_RETRY_S: Final = 10
"""When to come again where only the end of jobs makes room: nobody knows when they end."""
_EXTENSION: Final = "facefit_limits"
_FIELDS: Final = "rate_limit_fields"

_SAID: Final = {
    LimitKind.PHOTOS: "{limit} photos a minute",
    LimitKind.JOBS: "{limit} jobs that have not ended",
    LimitKind.BYTES: "{limit} bytes of photos a day",
    LimitKind.BATCHES: "{limit} batches that are not complete",
}


def register_admission(app: Flask, services: Services) -> None:
    """Give an app the limits of its tenants, and its answers the fields that tell of them."""
    app.extensions[_EXTENSION] = LimitsInForce(services.jobs.objects, services.settings, services.jobs.clock)

    @app.after_request
    def tell(response: Response) -> Response:
        if fields := g.get(_FIELDS):
            response.headers.update(fields)
        return response


class Admission:
    """What the request in hand takes of its tenant's limits."""

    def __init__(
        self, store: AdmissionStore, limits: TenantLimits, kinds: tuple[LimitKind, ...], clock: Clock, lease_s: float
    ) -> None:
        self._store = store
        self._limits = limits
        self._kinds = tuple(kind for kind in kinds if limits.of(kind))
        self._clock = clock
        self._lease_s = lease_s
        self._tenant = tenant()
        self._token = secrets.token_hex(16)
        self._held = NOTHING
        self._held_ms = 0
        if self._kinds:
            setattr(g, _FIELDS, {POLICY: policy(limits, self._kinds)})

    def ask(self, take: Take) -> None:
        """Take as much, unless it is held already.

        Raises
        ------
        ProblemError
            429 if that is more than the tenant may have; then nothing is held any more.
        RecordsUnavailable
        """
        if not self._kinds or self._covers(take):
            return
        # Noted first: should the answer be lost, it may be held all the same.
        self._held, self._held_ms = self._and_what_is_held(take), self._clock()
        decision = self._admit(self._held)
        if decision.refused is not None:
            self._held = NOTHING
            raise self._refusal(decision.refused, decision, take)

    def ask_before_body(self, request: Request, take: Take) -> None:
        """Do the same, and read on for a moment where it is refused, so that its client hears why; raises as `ask`."""
        try:
            self.ask(take)
        except (ProblemError, Transient):
            drain_briefly(request)
            raise

    def keep(self) -> None:
        """Hold what was taken longer: costs nothing but now and then. Raises `RecordsUnavailable`."""
        if self._held != NOTHING and self._clock() - self._held_ms > to_ms(self._lease_s / 2):
            self._held_ms = self._clock()
            self._store.keep(self._tenant, self._token, lease_s=self._lease_s)

    def accepted(self, size_bytes: int) -> None:
        """Say that the request was accepted, and how many bytes its photos have."""
        if self._held != NOTHING:
            self._held = NOTHING
            with suppress(Transient):  # the place that is held then is free when its lease ends
                self._store.settle(self._tenant, self._token, size_bytes=size_bytes)

    def give_back(self) -> None:
        """Give back what is held: nothing came of the request."""
        if self._held != NOTHING:
            self._held = NOTHING
            with suppress(Transient):
                self._admit(NOTHING)

    def _covers(self, take: Take) -> bool:
        held = self._held
        return take.batch_id == held.batch_id and all(take.of(kind) <= held.of(kind) for kind in LimitKind)

    def _and_what_is_held(self, take: Take) -> Take:
        held = self._held
        return Take(
            photos=max(take.photos, held.photos),
            jobs=max(take.jobs, held.jobs),
            size_bytes=max(take.size_bytes, held.size_bytes),
            batches=max(take.batches, held.batches),
            batch_id=take.batch_id,
        )

    def _admit(self, take: Take) -> Decision:
        decision = self._store.admit(self._tenant, self._token, take, self._limits, lease_s=self._lease_s)
        self._tell(decision.usage)
        return decision

    def _tell(self, usage: Usage) -> None:
        fields = {POLICY: policy(self._limits, self._kinds), REMAINING: remaining(self._limits, usage, self._kinds)}
        setattr(g, _FIELDS, fields)

    def _refusal(self, kind: LimitKind, decision: Decision, take: Take) -> ProblemError:
        limit = self._limits.of(kind)
        may_have = f"Your tenant may have {_SAID[kind].format(limit=limit)}"
        errors = None
        if take.of(kind) > limit:
            alone = f"this request alone has {take.of(kind)}: send less at a time."
            detail, errors = f"{may_have}, and {alone}", [FieldError(field="body", message=alone)]
        else:
            detail = f"{may_have}; with this request there would be more. Send it again after Retry-After."
        retry_s = seconds(decision.retry_ms) if decision.retry_ms else _OPEN_RETRY_S
        headers = {"Retry-After": str(retry_s)}
        return ProblemError(RATE_LIMITED, f"{detail} Nothing was accepted.", errors=errors, headers=headers)


@contextmanager
def admission(here: Services, kinds: tuple[LimitKind, ...]) -> Iterator[Admission]:
    """Hold what the request in hand takes of its tenant's limits, until it is accepted or nothing comes of it."""
    limits = cast("LimitsInForce", current_app.extensions[_EXTENSION]).of(tenant())
    lease_s = here.settings.max_upload_s + _STORING_S
    admitted = Admission(here.jobs.store.admissions, limits, kinds, here.jobs.clock, lease_s)
    try:
        yield admitted
    finally:
        admitted.give_back()
