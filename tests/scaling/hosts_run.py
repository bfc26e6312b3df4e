"""Two hosts' worth of the service over the same stores: `make hosts-test`.

Beside the stack, a second API, second workers, sender and upkeep run under another host name (`unshare --uts`, which
needs root), once with a clock that is five seconds ahead. Photos go to both APIs one by one, and a batch to one; then
one process of each kind dies.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from shared.names import QueueName
from shared.services import connect
from stack.child import ChildSpec
from stack.data_folder import LOOPBACK, free_ports
from stack.services import services, settings_of
from stack.stack import Stack
from tests.conftest import CALLABLE, RECEIVER_PORT
from tests.receiver import OK, Receiver, receiving
from tests.scaling.load import Load, assert_nothing_lost, small_photo, wait_for_ends
from tests.scaling.patient import is_ready, patient_stack
from tests.scaling.processes import wait_until

pytestmark = [pytest.mark.timeout(2400), pytest.mark.filterwarnings("default")]

PHOTOS = int(os.environ.get("PHOTOS", "300"))
BATCH: Final = 60
PER_S: Final = 8.0
PATIENCE_S = 600.0
OTHER: Final = "-of-b"
KILLED: Final = ("worker-interactive", f"api{OTHER}", f"worker-bulk{OTHER}", "upkeep", f"delivery{OTHER}")
"""One of each kind, of either host."""
SETTINGS: Final = {
    **CALLABLE,
    "FACEFIT_LEASE_S": "12",
    "FACEFIT_PHOTO_TIME_LIMIT_S": "8",
    "FACEFIT_DOORBELL_GRACE_S": "4",
    "FACEFIT_DELIVERY_LEASE_S": "12",
    "FACEFIT_WEBHOOK_TIMEOUT_S": "8",
}
CLOCK_OF_B: Final = """
import time
time_ns = time.time_ns
time.time_ns = lambda: time_ns() + {ahead_s} * 10**9
time.time = lambda: time.time_ns() / 10**9
"""
"""What Python runs before anything else of a process. The store's client is no Python and keeps the machine's clock."""
ENDED: Final = re.compile(r"(job_[0-9a-z]{26}) ended: succeeded")


def clock_of_b(folder: Path, ahead_s: int) -> dict[str, str]:
    """Return the environment of a process whose clock is ahead."""
    (folder / "clock").mkdir()
    (folder / "clock" / "sitecustomize.py").write_text(CLOCK_OF_B.format(ahead_s=ahead_s))
    return {"PYTHONPATH": str(folder / "clock")}


def other_host(settings: Mapping[str, str], port: int, clock: Mapping[str, str]) -> tuple[ChildSpec, ...]:
    """Return the product's processes as another host would run them."""
    unshare = shutil.which("unshare")
    assert unshare, "this trial needs util-linux's unshare"
    as_b = (unshare, "--uts", "sh", "-c", 'hostname b && exec "$@"', "sh")
    here = services({**settings, "FACEFIT_LISTEN_PORT": str(port), "FACEFIT_PUBLIC_URL": f"http://{LOOPBACK}:{port}"})
    return tuple(
        replace(
            spec,
            name=f"{spec.name}{OTHER}",
            command=(*as_b, *spec.command),
            env={**spec.env, **clock},
        )
        for spec in here
    )


@pytest.mark.parametrize("ahead_s", [0, 5], ids=["clocks-agree", "five-seconds-apart"])
def test_two_hosts_over_the_same_stores(tmp_path: Path, ahead_s: int) -> None:
    clock = clock_of_b(tmp_path, ahead_s)
    port_b = free_ports(1)[0]
    address = (LOOPBACK, RECEIVER_PORT)
    with (
        receiving(lambda wire: wire.sendall(OK), address=address) as receiver,
        patient_stack(tmp_path, SETTINGS) as stack,
    ):
        for spec in other_host(stack.settings_env, port_b, clock):
            stack.supervisor.run(spec)
        url_b = f"http://{LOOPBACK}:{port_b}"
        wait_until("the other API is ready", lambda: is_ready(url_b))
        wait_until("the workers of both say so", lambda: _live_workers(stack) >= 2)
        batch_id = _send_batch(url_b)
        load = Load([stack.url, url_b], PHOTOS, PER_S, webhook_url=f"http://{LOOPBACK}:{RECEIVER_PORT}/hook")
        load.run(lambda load: _kill_one_of_each(load, stack))
        found = wait_for_ends(load, stack.url, PATIENCE_S)
        found["batch"] = _batch(url_b, batch_id)
        wait_until("all webhooks are there", lambda: len(_told(receiver)) >= PHOTOS)
        found["webhooks"] = dict(Counter(_told(receiver).values()))
        found["measured on"] = _measured(stack, set(load.promised))
    print(json.dumps(found, indent=1))
    assert_nothing_lost(found, PHOTOS, of_batches=BATCH)
    assert found["batch"] == {"succeeded": BATCH}
    # Equal shares are not promised, some of either are.
    assert min(found["measured on"].values()) > PHOTOS // 10
    assert set(found["by API"]) == {stack.url, url_b}


def _kill_one_of_each(load: Load, stack: Stack) -> None:
    for number, name in enumerate(KILLED, start=1):
        count = number * PHOTOS // (len(KILLED) + 2)
        wait_until(f"{count} photos are sent", lambda count=count: len(load.promised) >= count)  # type: ignore[misc]
        stack.supervisor.kill(name, signal.SIGKILL)


def _live_workers(stack: Stack) -> int:
    """Return how many workers for single photos say that they measure."""
    return connect(settings_of(stack.settings_env)).jobs.store.live_workers(QueueName.INTERACTIVE)


def _send_batch(url: str) -> str:
    files = [("images", (f"{number}.jpg", small_photo(), "image/jpeg")) for number in range(BATCH)]
    answer = httpx.post(f"{url}/v1/batches", files=files, data={"landmarks": "false"}, timeout=60, trust_env=False)
    made: str = answer.raise_for_status().json()["id"]
    return made


def _batch(url: str, batch_id: str) -> dict[str, int]:
    counts: dict[str, Any] = {}

    def has_ended() -> bool:
        answer = httpx.get(f"{url}/v1/batches/{batch_id}", timeout=20, trust_env=False)
        counts.update(answer.json().get("counts", {}))
        return bool(answer.is_success and answer.json()["status"] == "completed")

    wait_until("the batch has ended", has_ended)
    return {name: count for name, count in counts.items() if count}


def _told(receiver: Receiver) -> dict[str, int]:
    """Return how often each webhook came, by its id."""
    ids = (re.search(rb"(?i)^webhook-id: (\S+)", request, re.MULTILINE) for request in list(receiver.requests))
    return dict(Counter(found[1].decode() for found in ids if found))


def _measured(stack: Stack, ids: set[str]) -> dict[str, int]:
    found = {}
    for host in ("", OTHER):
        log = (stack.folder.logs / f"worker-interactive{host}.log").read_text()
        found[host or "-of-a"] = len(set(ENDED.findall(log)) & ids)
    return found
