"""A batch's manifest: JSON lines, the batch first, then an item on each line in item order.

The line of the batch is padded, so that it can be written over once the number of items is known; nothing here holds
more than a line.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from types import TracebackType
from typing import IO, Any, Final, Self, cast

import orjson

from shared.clock import to_ms
from shared.fetches.tickets import FetchFrom
from shared.jobs.batch_record import BatchRecord, BatchSource
from shared.jobs.idempotency import KeyMark
from shared.jobs.record import JobRecord
from shared.names import QueueName, job_id_time
from shared.schemas import JobError, JobOptions, JobStatus, WebhookEvent
from shared.targets import receiver_of

VERSION: Final = 1
HEAD_BYTES: Final = 16_384
"""What the line of the batch takes up, padded: more than options, a target and the like can have."""
_IN_MEMORY_BYTES: Final = 1_000_000
"""How long a manifest in the making may be before it goes to disk; one of 10,000 uploads takes about 1.4 MB."""
_LINE_LIMIT_BYTES: Final = 65_536
_KEY: Final = "idempotency"


@dataclass(frozen=True, slots=True)
class BatchHead:
    """What a manifest says of the batch itself. Times are milliseconds since the epoch.

    Attributes
    ----------
    options : JobOptions
        What every item gets that does not say otherwise.
    deadline_ms : int or None
        By when photos must have come that do not come with the request.
    extra : dict
        What other parts of the service keep with a batch, such as whom to call back.
    request_id : str or None
        That of the request that made it, for log lines alone.
    """

    batch_id: str
    tenant: str
    source: BatchSource
    options: JobOptions
    created_ms: int
    expires_ms: int
    deadline_ms: int | None = None
    total: int = 0
    extra: dict[str, Any] = field(default_factory=dict)
    request_id: str | None = None

    @property
    def mark(self) -> KeyMark | None:
        """The idempotency key that the batch was made under, if any."""
        kept = self.extra.get(_KEY)
        return KeyMark.from_kept(self.tenant, kept) if kept else None

    def marked(self, mark: KeyMark) -> BatchHead:
        """Return what the manifest says of a batch that was made under an idempotency key."""
        return replace(self, extra={**self.extra, _KEY: mark.as_kept()})

    def record(self, *, started_ms: int | None = None, cancelled_ms: int | None = None) -> BatchRecord:
        """Return the record of this batch, without any item counted."""
        return BatchRecord(
            id=self.batch_id,
            tenant=self.tenant,
            source=self.source,
            total=self.total,
            created_ms=self.created_ms,
            expires_ms=self.expires_ms,
            deadline_ms=self.deadline_ms,
            started_ms=started_ms,
            cancelled_ms=cancelled_ms,
            announces=self.options.hears_of(WebhookEvent.BATCH_COMPLETED),
        )


@dataclass(frozen=True, slots=True)
class Item:
    """What a manifest says of one item.

    Attributes
    ----------
    options : JobOptions
        Those of the batch included.
    size_bytes, content_type : int or None, str or None
        What the upload form allows, if the photo comes by one.
    url : str or None
        Where the photo is fetched from, if it is.
    error : JobError or None
        Why the item was rejected before it became a photo, if it was.
    line : (int, int) or None
        Where its line begins in the manifest, and how many bytes it has; known of one that was read.
    """

    job_id: str
    options: JobOptions
    size_bytes: int | None = None
    content_type: str | None = None
    url: str | None = None
    error: JobError | None = None
    line: tuple[int, int] | None = field(default=None, compare=False)

    @property
    def is_awaited(self) -> bool:
        """Whether its photo comes after the manifest."""
        return self.error is None and (self.size_bytes is not None or self.url is not None)


def item_record(head: BatchHead, item: Item, index: int) -> JobRecord:
    """Return the record of an item as it is when its batch was just accepted."""
    created_ms = to_ms(job_id_time(item.job_id).timestamp())
    record = JobRecord(
        id=item.job_id,
        tenant=head.tenant,
        queue=QueueName.BULK,
        options=item.options,
        created_ms=created_ms,
        expires_ms=head.expires_ms,
        status=JobStatus.AWAITING_UPLOAD if item.is_awaited else JobStatus.QUEUED,
        batch_id=head.batch_id,
        item_index=index,
        fetch=FetchFrom(receiver_of(item.url), item.line) if item.url is not None and item.error is None else None,
        request_id=head.request_id,
    )
    return record.ended(JobStatus.REJECTED, at_ms=created_ms, error=item.error) if item.error else record


def encode_head(head: BatchHead) -> bytes:
    """Write the line of a batch, padded.

    Raises
    ------
    ValueError
        If it would not fit.
    """
    line = orjson.dumps(
        {
            "version": VERSION,
            "batch": head.batch_id,
            "tenant": head.tenant,
            "source": head.source,
            "options": head.options.model_dump(exclude_defaults=True),
            "created_ms": head.created_ms,
            "expires_ms": head.expires_ms,
            "deadline_ms": head.deadline_ms,
            "total": head.total,
            "extra": head.extra,
            "request_id": head.request_id,
        }
    )
    if len(line) >= HEAD_BYTES:
        message = f"the line of a batch may have {HEAD_BYTES} bytes, this one has {len(line)}"
        raise ValueError(message)
    return line.ljust(HEAD_BYTES - 1) + b"\n"


def decode_head(line: bytes) -> BatchHead:
    """Read what `encode_head` wrote; raises ValueError, KeyError or TypeError of anything else."""
    fields: dict[str, Any] = orjson.loads(line)
    if fields["version"] != VERSION:
        message = f"a manifest of version {fields['version']}"
        raise ValueError(message)
    return BatchHead(
        batch_id=fields["batch"],
        tenant=fields["tenant"],
        source=BatchSource(fields["source"]),
        options=JobOptions.model_validate(fields["options"]),
        created_ms=fields["created_ms"],
        expires_ms=fields["expires_ms"],
        deadline_ms=fields["deadline_ms"],
        total=fields["total"],
        extra=fields["extra"],
        request_id=fields.get("request_id"),
    )


def encode_item(head: BatchHead, item: Item) -> bytes:
    """Write the line of an item; options that are the batch's are left out."""
    shared_options = item.options.model_copy(update={"reference": None}) == head.options
    fields: dict[str, Any] = {
        "job": item.job_id,
        "reference": item.options.reference,
        "options": None if shared_options else item.options.model_dump(exclude_defaults=True, exclude={"reference"}),
        "size": item.size_bytes,
        "content_type": item.content_type,
        "url": item.url,
        "error": item.error.model_dump() if item.error else None,
    }
    return orjson.dumps({name: value for name, value in fields.items() if value is not None}) + b"\n"


def decode_items(head: BatchHead, lines: Iterable[bytes], start: int = 0, stop: int | None = None) -> Iterator[Item]:
    """Read the lines that follow that of the batch, from one place to before another; raises as `decode_head` does."""
    at = HEAD_BYTES
    for place, line in enumerate(islice(lines, stop)):
        if place >= start:
            yield replace(decode_item(head, line), line=(at, len(line)))
        at += len(line) + 1


def decode_item(head: BatchHead, line: bytes) -> Item:
    """Read what `encode_item` wrote."""
    fields: dict[str, Any] = orjson.loads(line)
    own = fields.get("options")
    options = head.options if own is None else JobOptions.model_validate(own)
    error = fields.get("error")
    return Item(
        job_id=fields["job"],
        options=options.model_copy(update={"reference": fields.get("reference")}),
        size_bytes=fields.get("size"),
        content_type=fields.get("content_type"),
        url=fields.get("url"),
        error=JobError.model_validate(error) if error else None,
    )


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of what comes in pieces, holding one line and one piece.

    Raises
    ------
    ValueError
        If a line is too long to be one of a manifest, or the last one has no end.
    """
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if len(rest) > _LINE_LIMIT_BYTES:
            message = "not a manifest: a line without end"
            raise ValueError(message)
    if rest:
        message = "not a manifest: the last line has no end"
        raise ValueError(message)


class ManifestFile:
    """A manifest in the making: lines in a temporary file, on disk once they are many."""

    def __init__(self, head: BatchHead) -> None:
        encode_head(head)  # refused now rather than after thousands of uploads
        self.head = head
        self._file = cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES))  # noqa: SIM115
        self._file.write(b"\n".rjust(HEAD_BYTES))

    def add(self, item: Item) -> int:
        """Append an item; return its place."""
        self._file.write(encode_item(self.head, item))
        self.head = replace(self.head, total=self.head.total + 1)
        return self.head.total - 1

    def finished(self) -> IO[bytes]:
        """Return the whole file, at its start."""
        self._file.seek(0)
        self._file.write(encode_head(self.head))
        self._file.seek(0)
        return self._file

    def items(self) -> Iterator[Item]:
        """Yield what was added, in order; nothing may be added meanwhile."""
        self._file.seek(HEAD_BYTES)
        yield from decode_items(self.head, (line.rstrip(b"\n") for line in self._file))
        self._file.seek(0, 2)

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Delete the file."""
        self._file.close()
