"""The `Prefer` header, RFC 7240, of which this service knows `wait`."""

from __future__ import annotations

import re
from typing import Final

_WAIT: Final = re.compile(r"wait\s*=\s*\"?(\d{1,9})\"?", re.IGNORECASE)


def preferred_wait_s(headers: list[str], longest_s: float) -> float | None:
    """Return how long a client prefers to wait, clamped; None if it does not say, or says nonsense.

    Parameters
    ----------
    headers : list of str
        Every `Prefer` header of the request.
    longest_s : float
        What is clamped to [s].
    """
    for header in headers:
        for preference in header.split(","):
            found = _WAIT.fullmatch(preference.split(";")[0].strip())
            if found:
                return min(float(found.group(1)), longest_s)
    return None
