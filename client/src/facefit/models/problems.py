"""Errors as they travel: RFC 9457."""

from __future__ import annotations

from pydantic import Field

from facefit.models.base import Model


class FieldError(Model):
    """What is wrong with one field of a request."""

    field: str
    message: str


class RetakeHint(Model):
    """What a person can do about a photo."""

    code: str
    message: str


class Problem(Model):
    """An answer that is no success."""

    status: int
    code: str
    """A stable name."""
    title: str = ""
    detail: str = ""
    """What happened and what to do about it."""
    request_id: str = ""
    errors: list[FieldError] = Field(default_factory=list)
    """Each field that is wrong, for `invalid_request`."""
    retake: list[RetakeHint] = Field(default_factory=list)
    """What would help, where the photo is at fault."""
