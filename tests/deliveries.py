"""Deliveries over any stores: events to tell, a desk, and a sender whose receivers are a test's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.config import Settings
from shared.deliveries.desk import DeliveryDesk
from shared.deliveries.memory_store import MemoryDeliveryStore
from shared.deliveries.record import DeliveryRecord, Event, new_delivery
from shared.deliveries.store import DeliveryQuery, DeliveryStore, Limits
from shared.deliveries.upkeep import DeliveryUpkeep
from shared.names import LOCAL_TENANT, new_job_id
from shared.outbound import OutboundAnswer, OutboundClient
from shared.storage.base import ObjectStore
from shared.storage.memory import MemoryObjectStore
from shared.targets import OutboundPolicy
from shared.wire import TargetUnreachable, Trouble
from tests.clock import FakeClock
from tests.receiver import HERE, NAME, Receiver
from worker.delivery import Sender

URL = "https://receiver.example/hook?token=secret"
BODY = b'{"type":"job.succeeded","timestamp":"2026-11-18T12:26:40Z","data":{}}'
LIMITS = Limits(per_receiver=2, per_tenant=8, per_receiver_all=100)
LEASE_S = 60.0
KEPT_S = 7 * 86_400
BATCH_ID = "bat_01k00000000000000000000000"


def an_event(clock: Callable[[], int], tenant: str = LOCAL_TENANT, **changed: Any) -> Event:
    fields = {
        "tenant": tenant,
        "name": "job.succeeded",
        "run": 1,
        "job_id": new_job_id(),
        "batch_id": None,
        "expires_ms": clock() + KEPT_S * 1000,
        "request_id": "a-request",
    }
    return Event(**{**fields, **changed})


def a_delivery(clock: Callable[[], int], url: str = URL, tenant: str = LOCAL_TENANT, **changed: Any) -> DeliveryRecord:
    return new_delivery(an_event(clock, tenant, **changed), url, now_ms=clock())


def client_to(receivers: Sequence[Receiver], *, total_s: float = 10.0, **options: Any) -> OutboundClient:
    policy = OutboundPolicy(
        total_s=total_s,
        max_answer_bytes=100,
        allow_http=True,
        ports=frozenset(found.port for found in receivers),
        allowed_hosts=frozenset({NAME}),
    )
    return OutboundClient(policy, **{"resolve": lambda *_: [HERE], **options})


@dataclass
class Office:
    """A desk, its upkeep, and what is behind them."""

    clock: Any = field(default_factory=FakeClock)
    settings: Settings = field(default_factory=Settings)
    objects: ObjectStore = field(default_factory=MemoryObjectStore)
    make_store: Callable[[Any], DeliveryStore] = MemoryDeliveryStore
    jitter: Callable[[], float] = lambda: 0.0

    def __post_init__(self) -> None:
        self.store = self.make_store(self.clock)
        self.desk = DeliveryDesk(self.store, self.objects, self.settings, self.clock, self.jitter)
        self.upkeep = DeliveryUpkeep(self.desk)

    def owe(self, url: str = URL, tenant: str = LOCAL_TENANT, **changed: Any) -> DeliveryRecord:
        return self.desk.owe(an_event(self.clock, tenant, **changed), url, BODY)

    def find(self, record: DeliveryRecord) -> DeliveryRecord:
        return self.desk.find(record.tenant, record.id)

    def list_all(self, tenant: str = LOCAL_TENANT) -> list[DeliveryRecord]:
        return self.desk.list_deliveries(DeliveryQuery(tenant, 1000))

    def archive_body(self, record: DeliveryRecord) -> bytes:
        return self.desk.archive.read(record)[1]

    def sender(self, client: OutboundClient) -> Sender:
        return Sender(self.desk, client)

    def send_due(self, client: OutboundClient) -> int:
        """Make every attempt that is due now, one after the other; return how many there were."""
        sender = self.sender(client)
        n_sent = 0
        while claim := self.desk.claim():
            sender.deliver(claim)
            n_sent += 1
        return n_sent

    def log_of(self, record: DeliveryRecord) -> list[tuple[int | None, str | None]]:
        return [(attempt.status_code, attempt.error) for attempt in self.find(record).attempts]


def objects_of(office: Office) -> MemoryObjectStore:
    assert isinstance(office.objects, MemoryObjectStore)
    return office.objects


def store_of(office: Office) -> MemoryDeliveryStore:
    assert isinstance(office.store, MemoryDeliveryStore)
    return office.store


def stored(office: Office, prefix: str = "deliveries/") -> list[str]:
    return [found.key for found in office.objects.list(prefix)]


Answer = int | Trouble | Callable[[], int]


@dataclass
class Answers(OutboundClient):
    """A way out that leads nowhere: it answers what it was told to, the last answer again and again."""

    script: list[Answer]
    retry_after: str | None = None
    sent: list[tuple[str, bytes, Mapping[str, str]]] = field(default_factory=list)
    policy: OutboundPolicy = field(default_factory=OutboundPolicy)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> OutboundAnswer:
        self.sent.append((url, body, headers))
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Trouble):
            raise TargetUnreachable("it was told to", answer)
        status = answer if isinstance(answer, int) else answer()
        kept = {} if self.retry_after is None else {"retry-after": self.retry_after}
        return OutboundAnswer(status, kept, b"", is_whole=True, duration_s=0.0)
