"""How long a photo of one tenant waits behind those of another: `python -m bench.neighbours --queued 500`.

Starts a stack, queues photos of a noisy tenant, then times one photo of a quiet one from its acceptance to its end;
before that the same with nothing queued. The photos go in by the core, since the service here has one tenant alone.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from pathlib import Path
from typing import Final

from shared.jobs.lifecycle import JobLifecycle, Upload
from shared.jobs.record import JobRecord
from shared.names import QueueName
from shared.schemas import JobOptions
from shared.services import connect
from stack.services import settings_of
from stack.stack import Stack

PHOTO: Final = (Path(__file__).parents[1] / "stack" / "portraits" / "grace_hopper.jpg").read_bytes()
PATIENCE_S: Final = 600.0
POLL_S: Final = 0.02
QUIET_PHOTOS: Final = 5


def accept(jobs: JobLifecycle, tenant: str) -> JobRecord:
    return jobs.accept(tenant, Upload(io.BytesIO(PHOTO), "image/jpeg"), JobOptions(), QueueName.INTERACTIVE)


def seconds_to_end(jobs: JobLifecycle, tenant: str) -> float:
    begun_s = time.monotonic()
    record = accept(jobs, tenant)
    while not jobs.find(tenant, record.id).status.is_terminal:
        if time.monotonic() - begun_s > PATIENCE_S:
            raise TimeoutError(record.id)
        time.sleep(POLL_S)
    return time.monotonic() - begun_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queued", type=int, default=500)
    queued = parser.parse_args().queued
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))
        try:
            stack.start_stores()
            stack.start_services()
            jobs = connect(settings_of(stack.settings_env)).jobs
            alone_s = sorted(seconds_to_end(jobs, "quiet") for _ in range(QUIET_PHOTOS))
            begun_s = time.monotonic()
            for _ in range(queued):
                accept(jobs, "noisy")
            behind = jobs.store.queued_count(QueueName.INTERACTIVE)
            accepting_s = time.monotonic() - begun_s
            behind_s = seconds_to_end(jobs, "quiet")
        finally:
            stack.close()
    print(f"alone: {alone_s[len(alone_s) // 2]:.2f} s (median of {QUIET_PHOTOS})")
    print(f"{queued} of another tenant accepted in {accepting_s:.1f} s; {behind} still queued: {behind_s:.2f} s")


if __name__ == "__main__":
    main()
