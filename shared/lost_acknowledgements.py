"""What kombu's Redis transport lacks: an acknowledgement that Redis did not take must not keep the message's place.

A worker holds as many messages as it has processes. kombu gives the place of one free only after Redis has noted the
acknowledgement; when Redis goes away just then, Celery logs it and goes on, and the place is taken for good. Once all
are, the worker asks Redis for nothing any more, and so does not even notice that its connection is gone: it stays alive
and deaf. Found by killing Redis under load (`make faults FAULTS=8`), with kombu 5.7.0.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis, virtual


class ForgivingQoS(redis.QoS):
    """Messages that were taken and not acknowledged, of which none outlives its acknowledgement in this process."""

    def ack(self, delivery_tag: Any) -> None:
        """Note in Redis that a message was taken, and forget it here whether Redis could be told or not.

        What Redis keeps of it then, it delivers once more an hour later; a claim makes that harmless.
        """
        try:
            super().ack(delivery_tag)
        except BaseException:
            virtual.QoS.ack(self, delivery_tag)
            raise


def forgive_lost_acknowledgements() -> None:
    """Have every connection to Redis that kombu makes in this process count messages so, Sentinel's included."""
    redis.Channel.QoS = ForgivingQoS
