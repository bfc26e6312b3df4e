"""The settings of deliveries and of the way out that they share with photos at URLs."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, NonNegativeInt, model_validator
from pydantic.functional_validators import BeforeValidator
from pydantic_settings import NoDecode

from shared.config import CommaSeparated, Settings
from shared.targets import DEFAULT_PORTS, OutboundPolicy


def _ports(value: object) -> object:
    return tuple(int(part) for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Ports = Annotated[tuple[NonNegativeInt, ...], NoDecode, BeforeValidator(_ports)]


class DeliverySettings(Settings):
    """What can be set beside `Settings`, in the same way."""

    public_url: str = Field(
        "http://127.0.0.1:8000",
        description="Where clients reach the API; what `result_url` in a webhook begins with.",
    )
    outbound_allowed_hosts: CommaSeparated = Field(
        (),
        description="Names or addresses (`host` or `host:port`, comma-separated) that webhooks and photos at URLs may"
        " go to although they are, or resolve to, addresses of a private network or this machine.",
    )
    outbound_allow_http: bool = Field(False, description="Let webhooks and photos at URLs use `http` beside `https`.")
    outbound_ports: Ports = Field(
        tuple(sorted(DEFAULT_PORTS.values())),
        description="The ports that webhooks and photos at URLs may go to, comma-separated.",
    )
    webhook_timeout_s: float = Field(
        15.0, gt=0, description="The longest that an attempt at a delivery may take, look-up and answer included."
    )
    delivery_lease_s: float = Field(
        60.0, gt=0, description="How long a sender may hold a delivery before it is given to another."
    )
    delivery_threads: int = Field(16, ge=1, description="Attempts at deliveries that one sender process makes at once.")
    delivery_per_receiver: int = Field(
        2, ge=1, description="Attempts of one tenant at once to one `host:port`, over all senders."
    )
    delivery_per_tenant: int = Field(
        8, ge=1, description="Attempts of one tenant at once, over all senders; keep it below their threads together."
    )
    delivery_poll_s: float = Field(
        0.25, gt=0, description="Pause of an idle sender before it looks again whether a delivery is due."
    )

    @model_validator(mode="after")
    def _lease_outlasts_an_attempt(self) -> Self:
        if self.delivery_lease_s <= self.webhook_timeout_s:
            message = "FACEFIT_DELIVERY_LEASE_S must be longer than FACEFIT_WEBHOOK_TIMEOUT_S"
            raise ValueError(message)
        return self

    def webhook_policy(self) -> OutboundPolicy:
        """Return where webhooks may go, and how long an attempt may take."""
        return OutboundPolicy(
            total_s=self.webhook_timeout_s,
            ports=frozenset(self.outbound_ports),
            allow_http=self.outbound_allow_http,
            allowed_hosts=frozenset(host.lower() for host in self.outbound_allowed_hosts),
        )
