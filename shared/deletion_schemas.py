"""What travels over HTTP about deletions."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from shared.schema_base import Schema


class Deletion(Schema):
    """The receipt of a deletion."""

    id: str
    """Of the job or batch that was deleted; an item that went with its batch has no receipt of its own."""
    object: Literal["deletion"] = "deletion"
    status: Literal["pending", "purged"]
    """`purged` when both times are known."""
    deleted_at: datetime
    """From then on nobody can read it."""
    due_at: datetime
    """By when it is promised to be purged."""
    purged_from_records_at: datetime | None
    """When Redis' files had been written anew without it; null until then."""
    purged_from_storage_at: datetime | None
    """When the object store's files had been written anew without it; null until then."""
