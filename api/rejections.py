"""Items of a batch that are refused before they become photos."""

from __future__ import annotations

from typing import Final

from shared.errors import REJECTIONS, Rejected
from shared.results import RetakeHint
from shared.schemas import JobError

_BY_CODE: Final[dict[str, type[Rejected]]] = {rejection.code: rejection for rejection in REJECTIONS}


def rejection(code: str, message: str) -> JobError:
    """Return why an item is rejected, with what would help."""
    return JobError(code=code, message=message, retake=[RetakeHint(code=code, message=_BY_CODE[code].retake)])
