"""What every model is made from."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Base of every model: names that a later service adds are kept, not refused."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True, protected_namespaces=())


Item = TypeVar("Item", bound=Model)


class Page(Model, Generic[Item]):
    """A page of a list."""

    data: list[Item]
    next_cursor: str | int | None = None
    """Pass as `cursor` for the next page; None on the last one."""
