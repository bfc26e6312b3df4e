"""A worker that only notes which doorbells it took: `celery -A tests.scaling.taking_worker worker --pool solo`.

It takes them as the product's does, with the same connection, queues and consumer, and needs no store and no mesh.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from shared.config import Settings
from shared.names import QueueName, TaskName
from shared.queue import make_celery
from tests.scaling.processes import Server

NOTES: Final = "TRIAL_NOTES"

app = make_celery(Settings())


@app.task(name=TaskName.MEASURE_JOB)  # type: ignore[untyped-decorator]
def note(job_id: str) -> None:
    """Write the id down, in one write, so that none is half there when this process is killed."""
    with Path(os.environ[NOTES]).open("a") as notes:
        notes.write(job_id + "\n")


def taking_worker(folder: Path, settings: dict[str, str]) -> Server:
    """Return how to run one; its notes are `notes` in the folder."""
    command = (sys.executable, "-m", "celery", "--quiet", "-A", "tests.scaling.taking_worker", "worker")
    how = ("--pool", "solo", "--queues", QueueName.INTERACTIVE, "--without-gossip", "--without-mingle", "-l", "INFO")
    return Server("worker", (*command, *how), folder / "worker.log", {**settings, NOTES: str(folder / "notes")})


def taken(folder: Path) -> list[str]:
    """Return the ids in the order they were taken."""
    notes = folder / "notes"
    return notes.read_text().split() if notes.exists() else []
