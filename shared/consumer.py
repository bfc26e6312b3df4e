"""Celery's consumer without its delayed delivery, which on RabbitMQ would declare 28 queues that nothing is sent to.

Named by `worker_consumer` in `shared/queue.py`, so that only a worker imports it.
"""

from __future__ import annotations

from typing import Any, Final

from celery.worker.consumer import Consumer

_DELAYED: Final = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


class PromptConsumer(Consumer):  # type: ignore[misc]
    """Takes messages as they come; schedules are kept elsewhere."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
        """The steps of starting a consumer, but one."""

        default_steps: Any = tuple(step for step in Consumer.Blueprint.default_steps if step != _DELAYED)
