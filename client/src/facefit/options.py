"""What may be asked for with a photo, and how it travels in forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict


class JobOptions(TypedDict, total=False):
    """Options of a photo or a batch; what each means is in the service's `docs/api.md`."""

    reference: str
    max_faces: int
    known_pd_mm: float
    known_pd_kind: str
    reference_object: str
    reference_object_placement: str
    mirrored: bool
    require: Sequence[str]
    max_mm_sd: float
    landmarks: bool
    measure_and_delete: bool
    keep_image: bool
    webhook_url: str
    webhook_events: Sequence[str]


def form_fields(options: Mapping[str, Any]) -> dict[str, str]:
    """Return options as fields of a form; what is None is left out."""
    return {name: _text(value) for name, value in options.items() if value is not None}


def json_members(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as members of a JSON object; what is None is left out."""
    return {
        name: value if isinstance(value, str | bool | int | float) else list(value)
        for name, value in options.items()
        if value is not None
    }


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, list | tuple | set | frozenset) else str(value)
