"""Where doorbells go, by the settings."""

from __future__ import annotations

from typing import Any

import pytest
from celery.worker.consumer import Consumer
from pydantic import ValidationError

from shared.broker import Broker
from shared.config import Settings
from shared.consumer import PromptConsumer
from shared.names import QueueName
from shared.queue import make_celery

RABBIT = "amqp://user:secret@rabbit-a//;amqp://user:secret@rabbit-b//"


def settings(**changed: Any) -> Settings:
    return Settings.model_validate(changed)


def test_doorbells_go_to_the_records_redis_unless_told_otherwise() -> None:
    told = settings(redis_url="redis://user:secret@here/3")
    assert Broker.of(told).url == "redis://user:secret@here/3"
    assert Broker.of(settings(redis_url="redis://here/3", broker_url="redis://there/1")).url == "redis://there/1"


def test_doorbells_go_through_the_sentinels_with_the_login_of_the_redis() -> None:
    told = settings(redis_url="redis://user:secret@unused/3", redis_sentinels="a:1, [::1]:2", redis_sentinel_master="m")
    broker = Broker.of(told)
    assert broker.url == "sentinel://user:secret@a:1/3;sentinel://user:secret@[::1]:2/3"
    assert broker.transport_options["master_name"] == "m"
    assert broker.transport_options["socket_timeout"] == told.redis_timeout_s


def test_sentinels_do_not_take_the_place_of_a_broker_that_is_named() -> None:
    assert Broker.of(settings(redis_sentinels="a:1", broker_url=RABBIT)).url == RABBIT


@pytest.mark.parametrize("wrong", ["redis-a", "redis-a:none", ":26379", "redis-a:0"])
def test_a_sentinel_without_name_or_port_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError):
        settings(redis_sentinels=wrong)


def test_rabbitmq_gets_quorum_queues_confirms_and_no_step_without_a_time_limit() -> None:
    conf = make_celery(settings(broker_url=RABBIT, broker_timeout_s=1.5)).conf
    assert {queue.name: queue.queue_arguments for queue in conf.task_queues} == {
        name.value: {"x-queue-type": "quorum"} for name in QueueName
    }
    options = conf.broker_transport_options
    assert options["confirm_publish"] is True
    assert {options[f"{step}_timeout"] for step in ("connect", "read", "write")} == {1.5}
    # Kombu would try to connect for ever.
    assert options["max_retries"] == conf.task_publish_retry_policy["max_retries"] == 1
    assert 0 < conf.broker_heartbeat <= 10
    assert conf.worker_detect_quorum_queues  # or prefetch would be asked for globally, which quorum queues refuse


def test_redis_is_spoken_to_as_before() -> None:
    conf = make_celery(settings()).conf
    assert [queue.queue_arguments for queue in conf.task_queues] == [None, None]
    assert conf.task_publish_retry is False


def test_the_consumer_has_every_step_but_that_of_delayed_delivery() -> None:
    theirs = set(Consumer.Blueprint.default_steps)
    assert theirs - set(PromptConsumer.Blueprint.default_steps) == {
        "celery.worker.consumer.delayed_delivery:DelayedDelivery"
    }
    assert make_celery(settings()).conf.worker_consumer == "shared.consumer:PromptConsumer"


def test_no_address_is_shown_with_its_password() -> None:
    told = settings(broker_url="amqp://user:unshown@rabbit-a//", redis_sentinel_password="unshown")  # noqa: S106
    assert "unshown" not in repr(told)
