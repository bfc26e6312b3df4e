"""The limit on a photo ends even native code that never gives the interpreter back."""

from __future__ import annotations

import signal
import subprocess
import sys

HANG = "ctypes.PyDLL(None).pause()"  # PyDLL keeps the interpreter's lock: no Python code runs meanwhile
SCRIPT = """
import ctypes, signal, time
from worker.time_limit import process_ends_after
with process_ends_after({seconds}):
    {inside}
{after}
print("alive")
"""


def run(seconds: float, inside: str, after: str = "") -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(seconds=seconds, inside=inside, after=after)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)


def test_a_hang_in_native_code_ends_the_process() -> None:
    ended = run(0.2, HANG)
    assert (ended.returncode, ended.stdout) == (-signal.SIGALRM, "")


def test_work_in_time_is_left_alone_and_the_timer_goes_with_the_block() -> None:
    ended = run(0.2, "pass", after="time.sleep(0.5)")
    assert (ended.returncode, ended.stdout) == (0, "alive\n")


def test_an_error_in_the_block_takes_the_timer_along() -> None:
    script = SCRIPT.format(seconds=60, inside="raise ValueError", after="")
    caught = (
        script.replace("with process", "try:\n  with process")
        .replace("    raise", "      raise")
        .replace('print("alive")', "except ValueError:\n  print(signal.getitimer(signal.ITIMER_REAL))")
    )
    ended = subprocess.run([sys.executable, "-c", caught], capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout == "(0.0, 0.0)\n"
