"""`RateLimit-Policy` and `RateLimit`: what a tenant may ask for, and what of it is left.

As draft-ietf-httpapi-ratelimit-headers-11 has them: lists of strings with parameters, by RFC 9651.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

from shared.admission.limits import LimitKind, TenantLimits
from shared.admission.store import BYTES_WINDOW, PHOTOS_WINDOW, Usage
from shared.clock import MS_PER_S

POLICY: Final = "RateLimit-Policy"
REMAINING: Final = "RateLimit"

_UNIT_AND_SPAN: Final = {
    LimitKind.PHOTOS: f";w={PHOTOS_WINDOW.span_ms // MS_PER_S}",  # the unit left out means requests
    LimitKind.JOBS: ';qu="concurrent-requests"',
    LimitKind.BYTES: f';qu="content-bytes";w={BYTES_WINDOW.span_ms // MS_PER_S}',
    LimitKind.BATCHES: ';qu="concurrent-requests"',
}

HEADERS: Final[dict[str, Any]] = {
    POLICY: {
        "schema": {"type": "string", "example": '"photos";q=600;w=60'},
        "description": "The limits of your tenant that such a request counts against: `q` at most, within `w` seconds"
        " or, where there is no `w`, at the same time.",
    },
    REMAINING: {
        "schema": {"type": "string", "example": '"photos";r=599;t=42'},
        "description": "What is left of each of them: `r`; there will be more in `t` seconds.",
    },
}
"""Headers of an answer, as OpenAPI has them."""


def seconds(time_ms: int) -> int:
    """Return milliseconds as whole seconds, never fewer."""
    return math.ceil(time_ms / MS_PER_S)


def policy(limits: TenantLimits, kinds: Iterable[LimitKind]) -> str:
    """Return the field that tells of the limits of some kinds; empty if there are none."""
    return ", ".join(f'"{kind}";q={limits.of(kind)}{_UNIT_AND_SPAN[kind]}' for kind in kinds if limits.of(kind))


def remaining(limits: TenantLimits, usage: Usage, kinds: Iterable[LimitKind]) -> str:
    """Return the field that tells what is left of them."""
    return ", ".join(_left(limits, usage, kind) for kind in kinds if limits.of(kind))


def _left(limits: TenantLimits, usage: Usage, kind: LimitKind) -> str:
    free_ms = usage.free_ms(kind)
    return f'"{kind}";r={max(0, limits.of(kind) - usage.of(kind))}' + (f";t={seconds(free_ms)}" if free_ms else "")
