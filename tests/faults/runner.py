"""Runs one fault after the other: a load from outside, the fault in the midst of it, and the count afterwards."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stack.errors import StackError
from tests.faults import load
from tests.faults.accounting import Story, account
from tests.faults.broken_stack import BrokenStack
from tests.faults.fault import FULL, Fault, Strike
from tests.faults.photos import PORTRAITS
from tests.faults.plan import Mixture, Plan, make_entries
from tests.faults.row import Row

PATIENCE_S: Final = 150.0
"""How long the client waits for anything more to end: longer than a lost idempotency lock of 120 s."""
RECOVERS_WITHIN_S: Final = 120.0
LOAD_LIMIT_S: Final = 900.0
"""How much longer than the fault a load may take, whatever happens."""
SLOWEST_PER_S: Final = 12.0
"""Photos in a second that two busy cores measure: a load that is sent faster than that only waits longer."""
PROBE: Final = (PORTRAITS / "grace_hopper.jpg").read_bytes()
_WARM_UP_S: Final = (1.0, 3.0)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Run:
    """What a run is asked for.

    Attributes
    ----------
    seed : int
        Fixes the photos, their order and times, the faults' order and the pauses between strikes. When what is
        killed is where in its work is up to the machine.
    """

    photos: int
    seed: int
    folder: Path

    def scale(self) -> float:
        return min(1.0, self.photos / FULL)


def run_fault(broken: BrokenStack, fault: Fault, run: Run, say: Say) -> Row:
    """Run one fault and return its row."""
    row = Row(fault.number, fault.name, run.seed, run.photos, good_may_fail=fault.good_may_fail)
    began_s = time.monotonic()
    chance = random.Random(f"{run.seed} {fault.number}")
    # Two runs over the same stores do not meet: names are new each time, and nothing depends on them.
    folder = run.folder / f"fault-{fault.number:02}-{os.urandom(3).hex()}"
    plan = _plan(broken, fault, run, chance, folder)
    with loading(plan, folder) as client:
        time.sleep(chance.uniform(*_WARM_UP_S))
        struck_s = time.monotonic()
        strike = Strike(broken, chance, run.scale())
        try:
            fault.strike(strike)
        except (AssertionError, OSError) as error:
            row.problems.append(f"strike: {error}")
        except StackError as error:
            row.problems.append(f"the stack: {error}")
        broken.heal()
        row.struck_s = round(time.monotonic() - struck_s, 1)
        row.recovered_s = broken.seconds_until_measured(PROBE, RECOVERS_WITHIN_S)
        if row.recovered_s is None:
            row.problems.append(f"no photo was measured within {RECOVERS_WITHIN_S:.0f} s after the fault")
        wait_for(client, row, row.struck_s)
    account(broken, plan, Story.read(folder / "load.ndjson"), row)
    if fault.afterwards is not None:
        row.problems += fault.afterwards(strike)
    row.lasted_s = round(time.monotonic() - began_s, 1)
    say(f"{fault.number:2} {fault.name}: {row.verdict}, {row.accepted} accepted, {row.lost} lost, {row.lasted_s:.0f} s")
    for problem in row.problems:
        say(f"   {problem}")
    return row


def _plan(broken: BrokenStack, fault: Fault, run: Run, chance: random.Random, folder: Path) -> Plan:
    mixture = Mixture(
        run.photos,
        max(fault.lasts_s * run.scale(), run.photos / SLOWEST_PER_S),
        fault.special,
        fault.special_share,
        fault.batches,
        fault.webhook_share,
        fault.paths,
    )
    entries = make_entries(mixture, chance, folder / "photos", folder.name, broken.receiver_url)
    hook = f"{broken.receiver_url}{fault.paths[0]}"
    plan = Plan(broken.stack.url, str(folder / "photos"), hook, PATIENCE_S, entries)
    plan.write(folder / "plan.json")
    return plan


@contextmanager
def scratch(*, keep: bool, say: Say) -> Iterator[Path]:
    """Give a folder, and remove it afterwards unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        yield folder
    finally:
        if keep:
            say(f"kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def loading(plan: Plan, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    log = folder / "load.ndjson"
    log.touch()
    command = [sys.executable, "-m", load.__name__, str(folder / "plan.json"), str(log)]
    client = subprocess.Popen(command)
    try:
        yield client
    finally:
        client.kill()
        client.wait()


def wait_for(client: subprocess.Popen[bytes], row: Row, lasted_s: float) -> None:
    """Wait until the load is over, for about as long again as it lasted and some minutes."""
    limit_s = LOAD_LIMIT_S + lasted_s
    try:
        if client.wait(limit_s):
            row.problems.append(f"the client ended with {client.returncode}")
    except subprocess.TimeoutExpired:
        row.problems.append(f"the load was not over after {limit_s:.0f} s")
