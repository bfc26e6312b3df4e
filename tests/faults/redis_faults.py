"""Faults 8 to 13 and 18: what can happen to Redis, to the connections with it, and to messages."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from typing import Final

import httpx
import redis

from tests.faults import points
from tests.faults.broken_stack import REDIS
from tests.faults.fault import Fault, On, Strike
from tests.faults.photos import PORTRAITS

FROZEN_S: Final = 60.0
STORM_S: Final = 12.0
FULL_S: Final = 12.0
TWICE_S: Final = 30.0
DARK_S: Final = 12.0
REFUSED_WITHIN_S: Final = 10.0
"""Of a request while Redis is frozen: two time-outs of 2 s and a try anew of each, and room for a busy machine."""
PHOTO: Final = (PORTRAITS / "grace_hopper.jpg").read_bytes()


def killed(strike: Strike) -> None:
    for _ in range(strike.times(4, 2)):
        strike.broken.kill(REDIS)
        strike.pause(3.0, 7.0)


def flushed(strike: Strike) -> None:
    for _ in range(strike.times(3, 1)):
        with strike.broken.redis() as client:
            client.flushall()
        strike.pause(4.0, 8.0)


def frozen(strike: Strike) -> None:
    strike.broken.kill(REDIS, signal.SIGSTOP)
    until = time.monotonic() + strike.seconds(FROZEN_S, 8.0)
    asked = 0
    try:
        while time.monotonic() < until:
            _must_be_refused(strike)
            asked += 1
            time.sleep(1.0)
    finally:
        strike.broken.kill(REDIS, signal.SIGCONT)
    strike.check(asked > 0, "nobody asked while Redis was frozen")


def _must_be_refused(strike: Strike) -> None:
    began_s = time.monotonic()
    with strike.broken.http(timeout_s=4 * REFUSED_WITHIN_S) as http:
        try:
            answer = http.post("/v1/jobs", content=PHOTO, headers={"Content-Type": "image/jpeg"})
        except httpx.TransportError as error:
            strike.check(False, f"no answer while Redis was away: {type(error).__name__}")
            return
    took_s = time.monotonic() - began_s
    is_right = answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and "Retry-After" in answer.headers
    strike.check(is_right, f"answered {answer.status_code} while Redis was away")
    strike.check(took_s < REFUSED_WITHIN_S, f"refused after {took_s:.1f} s while Redis was away")


def cut(strike: Strike) -> None:
    until = time.monotonic() + strike.seconds(STORM_S, 4.0)
    n_cut = 0
    while time.monotonic() < until:
        with suppress(redis.RedisError), strike.broken.redis() as client:
            for kind in ("normal", "pubsub"):
                n_cut += int(client.client_kill_filter(_type=kind, skipme=True))
        strike.pause(0.05, 0.4)
    strike.check(n_cut > 0, "no connection was cut")


def full(strike: Strike) -> None:
    with strike.broken.redis() as client:
        client.config_set("maxmemory", 1)
        try:
            until = time.monotonic() + strike.seconds(FULL_S, 5.0)
            while time.monotonic() < until:
                _must_be_refused(strike)
                strike.pause(0.2, 0.6)
        finally:
            client.config_set("maxmemory", 0)


def rung_twice(strike: Strike) -> None:
    marked = strike.broken.points
    before = marked.noted(points.RANG_TWICE)
    marked.arm(points.RING_TWICE)
    time.sleep(strike.seconds(TWICE_S, 5.0))
    if marked.noted(points.RANG_TWICE) == before:  # the load is over
        strike.broken.send_one()
    strike.check(marked.noted(points.RANG_TWICE) > before, "no message was published twice")


def half_open(strike: Strike) -> None:
    """Let the connections that there are lead nowhere for ever, and new ones for a while."""
    for proxy in strike.broken.proxies:
        strike.check(proxy.darken() > 0, "no connection went through the proxy")
        time.sleep(strike.seconds(DARK_S, 5.0))
        proxy.lighten()
        strike.pause(2.0, 4.0)


FAULTS: Final = (
    Fault(8, "Redis killed and restarted", killed, lasts_s=30),
    Fault(9, "Redis flushed", flushed, lasts_s=30),
    Fault(10, "Redis frozen 60 s", frozen, lasts_s=65),
    Fault(11, "connections cut", cut, lasts_s=20),
    Fault(12, "half-open connections", half_open, lasts_s=35, on=On.PROXIES, in_mix=False),
    Fault(13, "Redis full", full, lasts_s=20),
    Fault(18, "every message published twice", rung_twice, lasts_s=35),
)
