"""How many photos and polls a second of the API's CPU is good for, while nobody measures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from bench.speed.bars import reached
from bench.speed.client import Http, UnexpectedAnswer, each_at_once, submit
from bench.speed.photos import PORTRAIT_512, of_size
from bench.speed.rounds import Figure, rotated
from bench.speed.setting import Setting

PHOTO_BYTES: Final = 100_000
AT_ONCE: Final = 4
POLLS_EACH: Final = 4
API: Final = "API"
WORKERS: Final = ("worker-interactive", "worker-bulk")

ACCEPT: Final = "a photo of 100 kB accepted"
POLL: Final = "poll of a queued job"
POLL_304: Final = "the same, unchanged (`If-None-Match`)"
RESULT: Final = "poll of a measured job, with its landmarks"
RESULT_304: Final = "the same, unchanged"


@dataclass(frozen=True, slots=True)
class Polled:
    """A job to be asked for, and what is known of it."""

    path: str
    etag: str


def measure_api(setting: Setting) -> dict[str, Any]:
    """Measure one job, stop the workers for good, then send and poll in turns."""
    service, pool = setting.service, setting.pool(PORTRAIT_512)
    with Http(service.url) as http:
        measured = _polled(http, submit(http, pool.take(1)[0], PORTRAIT_512, wait_s=30)[0])
    for name in (*WORKERS, *service.more_bulk_workers):
        service.stack.supervisor.stop(name)
    return _rates(setting, measured)


def _rates(setting: Setting, measured: Polled) -> dict[str, Any]:
    service, count = setting.service, setting.sizes.requests
    base = setting.pool(PORTRAIT_512).take(1)[0]
    with Http(service.url) as http:
        queued = [_polled(http, submit(http, of_size(base, PHOTO_BYTES, -1 - n), PORTRAIT_512)[0]) for n in range(8)]
    sent = iter(range(10**9))

    def accept() -> Sequence[object]:
        photos = [of_size(base, PHOTO_BYTES, next(sent)) for _ in range(count)]
        return each_at_once(service.url, photos, AT_ONCE, lambda http, photo: submit(http, photo, PORTRAIT_512))

    def poll(jobs: Sequence[Polled], expected: HTTPStatus) -> Callable[[], Sequence[object]]:
        many = [jobs[number % len(jobs)] for number in range(count * POLLS_EACH)]
        return lambda: each_at_once(service.url, many, AT_ONCE, lambda http, job: _poll(http, job, expected))

    ways = {
        ACCEPT: accept,
        POLL: poll(queued, HTTPStatus.OK),
        POLL_304: poll(queued, HTTPStatus.NOT_MODIFIED),
        RESULT: poll([measured], HTTPStatus.OK),
        RESULT_304: poll([measured], HTTPStatus.NOT_MODIFIED),
    }
    rates, cpu_ms = defaultdict(list), defaultdict(lambda: defaultdict(list))
    for _, name in rotated(list(ways), setting.sizes.rounds):
        with service.window() as window:
            requests = len(ways[name]())
        rates[name].append(requests / window.cpu_s[API])
        for kind, used_s in window.cpu_s.items():
            cpu_ms[name][kind].append(1000 * used_s / requests)
    figures = {name: reached(Figure.of(values)) for name, values in rates.items()}
    return {
        "bars": {"accepted": figures[ACCEPT], "polls": figures[POLL], "polls_unchanged": figures[POLL_304]},
        "per_api_cpu_s": figures,
        "cpu_ms": {
            name: {kind: Figure.of(values).median for kind, values in kinds.items()} for name, kinds in cpu_ms.items()
        },
    }


def _polled(http: Http, job: dict[str, Any]) -> Polled:
    path = f"/v1/jobs/{job['id']}"
    _, _, headers = http.ask("GET", path)
    return Polled(path, headers["ETag"] or "")


def _poll(http: Http, job: Polled, expected: HTTPStatus) -> None:
    headers = {"If-None-Match": job.etag} if expected is HTTPStatus.NOT_MODIFIED else {}
    status, body, _ = http.ask("GET", job.path, headers=headers)
    if status != expected:
        raise UnexpectedAnswer(f"GET {job.path} answers {status}, not {expected}: {body[:300]!r}")
