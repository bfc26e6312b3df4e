"""The doorbell: how a worker learns that there is a photo to measure. The door to Celery for all outside `worker/`.

A message carries an id, or none where tenants take turns, and proves nothing. Losing one costs time until the
reconciler rings again; a second one is refused by the claim. So nothing here waits for an answer, keeps a result or
schedules for later.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, Protocol

from celery import Celery
from kombu.entity import Queue
from kombu.exceptions import KombuError, OperationalError

from shared.broker import Broker
from shared.errors import QueueUnavailable, UndeclaredQueue
from shared.lost_acknowledgements import forgive_lost_acknowledgements
from shared.names import QueueName, TaskName, is_job_id

if TYPE_CHECKING:
    from shared.config import Settings

_CHILD_START_LIMIT_S: Final = 60

ANY: Final = "any"
"""Stands for a message that names no job."""
A_CANARY: Final = "canary"
"""Stands for a canary."""


class Doorbell(Protocol):
    """Rings for jobs."""

    def ring(self, queue: QueueName, job_id: str) -> None:
        """Send one message.

        Raises
        ------
        QueueUnavailable
            If the broker takes none now.
        UndeclaredQueue
            If nobody watches such a queue.
        """
        ...

    def call(self, queue: QueueName, times: int) -> None:
        """Send messages that name no job, on a queue that takes turns; raises as `ring` does."""
        ...

    def send_canary(self, queue: QueueName) -> None:
        """Send a message that has its receiver measure a known portrait; raises as `ring` does."""
        ...

    def depth(self, queue: QueueName) -> int:
        """Return how many messages wait at the broker; raise `QueueUnavailable` if it does not answer."""
        ...


def make_celery(settings: Settings) -> Celery:
    """Return the Celery application that both sides share: JSON messages, declared queues, no results."""
    forgive_lost_acknowledgements()
    broker = Broker.of(settings)
    app = Celery("facefit", broker=broker.url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        result_backend=None,
        # Sent to by name, past any exchange: no binding is looked up in Redis, so a flushed broker routes as before.
        task_queues=[Queue(name.value, queue_arguments=broker.queue_arguments) for name in QueueName],
        task_create_missing_queues=False,
        task_default_queue=QueueName.INTERACTIVE,
        # Early: the record's lease, not the broker, brings a photo back.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        worker_proc_alive_timeout=_CHILD_START_LIMIT_S,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # Stands behind the photo's own timer, for what is done before and after it: past the lease the photo is
        # somebody else's.
        task_time_limit=settings.lease_s,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=broker.transport_options,
        broker_heartbeat=broker.heartbeat_s,
        worker_consumer="shared.consumer:PromptConsumer",
        task_publish_retry=bool(broker.publish_retry),
        task_publish_retry_policy=broker.publish_retry,
    )
    return app


class CeleryDoorbell:
    """Rings through Celery. Safe to share between threads."""

    def __init__(self, app: Celery, *, confirm_timeout_s: float | None = None) -> None:
        self._app = app
        self._options = {} if confirm_timeout_s is None else {"confirm_timeout": confirm_timeout_s}

    def ring(self, queue: QueueName, job_id: str) -> None:
        """Send one message; see `Doorbell`."""
        _check(queue, job_id)
        self._send(TaskName.MEASURE_JOB, [job_id], queue)

    def call(self, queue: QueueName, times: int) -> None:
        """Send messages that name no job; see `Doorbell`."""
        _check_turns(queue)
        for _ in range(times):
            self._send(TaskName.MEASURE_BULK, [], queue)

    def send_canary(self, queue: QueueName) -> None:
        """Send a message that has its receiver measure a known portrait; see `Doorbell`."""
        _check_declared(queue)
        self._send(TaskName.CANARY, [queue.value], queue)

    def _send(self, task: TaskName, args: list[str], queue: QueueName) -> None:
        try:
            self._app.send_task(task, args=args, queue=queue.value, **self._options)
        except (KombuError, OperationalError, OSError) as error:
            raise QueueUnavailable(f"the broker took no message: {type(error).__name__}") from error

    def depth(self, queue: QueueName) -> int:
        """Return how many messages wait at the broker."""
        with self._app.pool.acquire(block=True) as connection:
            try:
                # Not passive: RabbitMQ closes the channel of whoever asks for a queue that nothing was sent to yet.
                declared: Any = self._app.amqp.queues[queue.value].bind(connection.default_channel).queue_declare()
            except (OperationalError, *connection.connection_errors, *connection.channel_errors) as error:
                raise QueueUnavailable(f"the broker did not answer: {type(error).__name__}") from error
        return int(declared.message_count)


class MemoryDoorbell:
    """Keeps what was rung, for tests and trials; refuses what the real one would.

    Attributes
    ----------
    rung : dict of QueueName to list of str
        The ids in each queue, in the order they were rung; `ANY` for a message that names none.
    away : bool
        Set to make every call raise `QueueUnavailable`.
    """

    def __init__(self) -> None:
        self.rung: defaultdict[QueueName, list[str]] = defaultdict(list)
        self.away = False

    def _reach(self) -> None:
        if self.away:
            message = "the doorbell in memory is set to be away"
            raise QueueUnavailable(message)

    def ring(self, queue: QueueName, job_id: str) -> None:
        """Keep one message."""
        _check(queue, job_id)
        self._reach()
        self.rung[queue].append(job_id)

    def call(self, queue: QueueName, times: int) -> None:
        """Keep messages that name no job."""
        _check_turns(queue)
        self._reach()
        self.rung[queue] += [ANY] * times

    def send_canary(self, queue: QueueName) -> None:
        """Keep one message."""
        _check_declared(queue)
        self._reach()
        self.rung[queue].append(A_CANARY)

    def depth(self, queue: QueueName) -> int:
        """Return how many messages nobody has taken."""
        self._reach()
        return len(self.rung[queue])

    def take(self, queue: QueueName) -> str | None:
        """Return the oldest message and forget it, as a worker does; None if there is none."""
        return self.rung[queue].pop(0) if self.rung[queue] else None


def _check(queue: object, job_id: str) -> None:
    if not isinstance(queue, QueueName) or queue.takes_turns:
        raise UndeclaredQueue(f"no worker watches {queue!r} for messages that name a job")
    if not is_job_id(job_id):
        message = f"not a job id: {job_id!r}"
        raise ValueError(message)


def _check_turns(queue: object) -> None:
    if not isinstance(queue, QueueName) or not queue.takes_turns:
        raise UndeclaredQueue(f"no worker watches {queue!r} for messages that name no job")


def _check_declared(queue: object) -> None:
    if not isinstance(queue, QueueName):
        raise UndeclaredQueue(f"no worker watches {queue!r}")
