"""Fault 19: receivers of webhooks that behave badly, and a sender that is killed once it has its 200."""

from __future__ import annotations

import json
from typing import Final

from tests.faults import points, receiver
from tests.faults.failing_delivery import CHANGING
from tests.faults.fault import COMES_WITHIN_S, Fault, Strike
from tests.faults.waiting import wait_until


def bad_receivers(strike: Strike) -> None:
    for _ in range(strike.times(6, 2)):
        strike.broken.write_sender_pid()
        strike.break_at(points.KILL_THE_SENDER)
        strike.pause(1.0, 3.0)
    _rebind(strike)


def _rebind(strike: Strike) -> None:
    """Name a receiver whose name leads elsewhere at the first look-up, and to this machine at the second."""
    broken = strike.broken
    broken.points.forget(CHANGING)
    with broken.http() as http:
        url = f"http://{CHANGING}:{broken.receiver_port}{receiver.REBOUND}"
        made = http.post("/v1/webhooks/test", json={"url": url}).raise_for_status().json()
        path = f"/v1/deliveries/{made['id']}"
        wait_until(lambda: len(http.get(path).json()["attempts"]) > 1, "it was not tried twice", COMES_WITHIN_S)
        attempts = http.get(path).json()["attempts"]
    errors = [attempt["error"] for attempt in attempts]
    strike.check(errors[1] == "forbidden_loopback", f"a name that changed was called: {errors}")
    strike.check(
        broken.points.noted(CHANGING) == len(attempts), f"{broken.points.noted(CHANGING)} look-ups in {len(attempts)}"
    )
    heard = [json.loads(line) for line in broken.heard.read_text().splitlines()]
    strike.check(not any(event["path"] == receiver.REBOUND for event in heard), "a name that changed led here")


PATHS: Final = (receiver.TAKES, receiver.FAILS_FIRST, receiver.SLOW_FIRST, receiver.REDIRECTS_FIRST, receiver.TAKES)

FAULTS: Final = (
    Fault(
        19,
        "bad receivers, and a sender killed after the 200",
        bad_receivers,
        lasts_s=50,
        webhook_share=0.5,
        paths=PATHS,
        in_mix=False,
    ),
)
