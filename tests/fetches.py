"""Photos at URLs over any stores: a core, a desk, and a way out that leads to a test's own servers, or nowhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from shared.fetches.desk import FetchDesk
from shared.fetches.store import FetchClaim
from shared.fetches.tickets import PhotoUrl
from shared.jobs.batch_record import BatchRecord, BatchSource
from shared.jobs.record import JobRecord
from shared.names import LOCAL_TENANT, QueueName
from shared.outbound import AnswerTooLarge, OutboundAnswer, OutboundClient
from shared.schemas import JobOptions, JobStatus
from shared.storage import layout
from shared.storage.memory import MemoryObjectStore
from shared.targets import OutboundPolicy
from shared.wire import TargetUnreachable, Trouble
from tests.core import PHOTO, Core
from worker.fetching import Fetcher

URL = "https://photos.example/1.jpg?signature=secret"


@dataclass
class Given:
    """What a server answers: a status, and what comes with it."""

    status: int = 200
    body: bytes = PHOTO
    retry_after: str | None = None


Answer = Given | Trouble | Exception | Callable[[], Given]


@dataclass
class Servers(OutboundClient):
    """A way out that leads nowhere: it answers what it was told to, the last answer again and again."""

    script: list[Answer] = field(default_factory=lambda: [Given()])
    asked: list[str] = field(default_factory=list)
    policy: OutboundPolicy = field(default_factory=OutboundPolicy)

    def fetch(self, url: str, max_bytes: int, sink: BinaryIO) -> OutboundAnswer:
        self.asked.append(url)
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Trouble):
            raise TargetUnreachable("it was told to", answer)
        given = answer if isinstance(answer, Given) else answer()
        kept = {} if given.retry_after is None else {"retry-after": given.retry_after}
        if given.status == 200:
            if len(given.body) > max_bytes:
                raise AnswerTooLarge(f"{len(given.body)} bytes")
            sink.write(given.body)
        return OutboundAnswer(given.status, kept, b"", is_whole=True, duration_s=0.0)


class Interrupted(MemoryObjectStore):
    """A store during whose writes of photos something else happens, before or after."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[], object] = lambda: None
        self.after: Callable[[], object] = lambda: None

    def put(self, key: str, body: bytes | BinaryIO, *, content_type: str = "application/octet-stream") -> None:
        is_photo = key.startswith(layout.UPLOADS)
        if is_photo:
            self.before()
        super().put(key, body, content_type=content_type)
        if is_photo:
            self.after()


@dataclass
class FetchCore(Core):
    """The core, and a desk for photos at URLs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.fetches = FetchDesk(self.jobs, jitter=lambda: 0.0)

    def ask(self, url: str = URL, options: JobOptions | None = None, tenant: str = LOCAL_TENANT) -> JobRecord:
        return self.jobs.accept(tenant, PhotoUrl(url), options or JobOptions(), QueueName.INTERACTIVE)

    def ask_for_batch(self, urls: list[str], tenant: str = LOCAL_TENANT) -> BatchRecord:
        with self.batches.begin(tenant, BatchSource.URL, JobOptions()) as writer:
            for number, url in enumerate(urls):
                writer.add_awaited(JobOptions(reference=f"photo {number}"), url=url)
            return writer.commit()

    def claim(self) -> FetchClaim:
        claim = self.fetches.claim()
        assert claim is not None
        return claim

    def fetch_due(self, client: OutboundClient) -> int:
        """Make every attempt that is due now, one after the other; return how many there were."""
        fetcher = Fetcher(self.fetches, client)
        n_fetched = 0
        while claim := self.fetches.claim():
            fetcher.fetch(claim)
            n_fetched += 1
        return n_fetched

    def code_of(self, record: JobRecord) -> str | None:
        """Return how a job ended, or where it is."""
        found = self.jobs.find(record.tenant, record.id)
        return found.error.code if found.error else found.status.value

    def message_of(self, record: JobRecord) -> str:
        error = self.jobs.find(record.tenant, record.id).error
        assert error is not None
        return error.message

    def is_uploaded(self, record: JobRecord) -> bool:
        return self.objects.exists(layout.upload_key(record.tenant, record.id, record.batch_id))

    def count(self, batch: BatchRecord) -> dict[JobStatus, int]:
        found = self.batches.find(batch.tenant, batch.id)
        return {status: count for status, count in found.counts.items() if count}
