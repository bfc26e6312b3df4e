"""A process as the worker's children are, for one file at a time: the same imports, limits, finder and flow."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from shared.config import MEGABYTE, Settings
from shared.errors import Rejected
from shared.schemas import JobOptions
from worker.memory_limit import MemoryLimit
from worker.pipeline import measure_photo
from worker.time_limit import process_ends_after
from worker.vision.decode import DecodeLimits
from worker.vision.find_faces import FaceFinder

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_PEAK = "5"
"""Sets the peak of resident memory back to what is resident now (proc(5))."""
SETTINGS = Settings()
LIMITS = DecodeLimits(SETTINGS.max_upload_bytes, SETTINGS.max_image_pixels, SETTINGS.min_image_side_px)


@dataclass(frozen=True)
class Cost:
    """What a process took for one file.

    Attributes
    ----------
    outcome : str
        The code of the rejection, `succeeded`, or how the process ended.
    resident_mb, mapped_mb : float
        Peak over the process that is ready: resident memory, and address space, which is what the limit is on.
    cpu_s : float
        Of all its threads.
    """

    outcome: str
    resident_mb: float
    mapped_mb: float
    cpu_s: float


def peak_mb(name: str) -> float:
    [kibibytes] = re.findall(rf"{name}:\s+(\d+) kB", STATUS.read_text())
    return int(kibibytes) * 1024 / MEGABYTE


def in_a_process(work: Callable[[], str], timeout_s: float = 120) -> str:
    """Run `work` in a forked process; return what it returned, or by which signal the process ended."""
    reader, writer = os.pipe()
    process_id = os.fork()
    if process_id == 0:
        signal.alarm(int(timeout_s))
        try:
            os.write(writer, work().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        told = answer.read().decode()
    _, status = os.waitpid(process_id, 0)
    return told or f"process ended by {signal.Signals(os.WTERMSIG(status)).name}" if status else told


def measured(path: Path) -> Cost:
    """Measure a photo in a new process that is ready as the worker's are."""

    def work() -> str:
        threading.Thread(target=threading.Event().wait, daemon=True).start()  # the worker's beat
        finder = FaceFinder()
        MemoryLimit(SETTINGS.photo_memory_bytes)
        data = path.read_bytes()
        CLEAR_REFS.write_text(RESET_PEAK)
        resident_mb, mapped_mb, began_s = peak_mb("VmHWM"), peak_mb("VmPeak"), time.process_time()
        try:
            with process_ends_after(SETTINGS.photo_time_limit_s):
                measure_photo(data, JobOptions(), finder, LIMITS)
            outcome = "succeeded"
        except Rejected as rejection:
            outcome = rejection.code
        except MemoryError:
            outcome = "out of memory"
        cost = Cost(
            outcome,
            round(peak_mb("VmHWM") - resident_mb),
            round(peak_mb("VmPeak") - mapped_mb),
            round(time.process_time() - began_s, 2),
        )
        return json.dumps(asdict(cost))

    told = in_a_process(work)
    return Cost(**json.loads(told)) if told.startswith("{") else Cost(told, 0, 0, 0)
