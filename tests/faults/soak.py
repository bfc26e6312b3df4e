"""Load without a pause, and faults at random from a seed: `python -m tests.faults.soak [--minutes 60] [--rate 5]`.

Ends with 1 if anything was lost, doubled or not as it must be, or if a process grew. `make soak MINUTES=60` calls it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stack.errors import StackError
from tests.faults.accounting import Story, account
from tests.faults.broken_stack import BrokenStack
from tests.faults.catalogue import CATALOGUE
from tests.faults.fault import Fault, On, Strike
from tests.faults.memory import Growth, Memory
from tests.faults.photos import PORTRAITS
from tests.faults.plan import Mixture, Plan, make_entries
from tests.faults.row import Row
from tests.faults.runner import RECOVERS_WITHIN_S, loading, scratch, wait_for
from tests.faults.stacks import standing
from tests.faults.table import markdown

SCALE: Final = 0.1
"""How much of its full number or time a fault strikes, one of many."""
PAUSE_S: Final = (10.0, 30.0)
RATE_PER_S: Final = 5.0
PATIENCE_S: Final = 600.0
"""How long the client waits: rebuilding an hour's records takes minutes, and keyed photos are put off then."""
PER_BATCH: Final = 2000
MIXED: Final = tuple(fault for fault in CATALOGUE.values() if fault.in_mix and fault.on is On.USUAL)
PROBE: Final = (PORTRAITS / "grace_hopper.jpg").read_bytes()


def say(line: str) -> None:
    print(line, flush=True)


@dataclass(frozen=True, slots=True)
class Mix:
    """What a mix is asked for; the seed fixes the photos, the faults and the pauses between them."""

    seed: int
    photos: int
    lasts_s: float
    faults: Sequence[Fault] = MIXED
    pause_s: tuple[float, float] = PAUSE_S
    special_share: float = 0.005


@dataclass
class Mixed:
    """What came of it."""

    row: Row
    struck: Counter[str] = field(default_factory=Counter)
    growth: list[Growth] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return self.row.passed and all(each.is_flat for each in self.growth)


def run_mix(broken: BrokenStack, mix: Mix, folder: Path) -> Mixed:
    """Send a load, strike at random while it lasts, and count; raises nothing for what is found."""
    chance = random.Random(f"{mix.seed} mix")
    row = Row(0, "random mix", mix.seed, mix.photos, good_may_fail=True)
    mixed = Mixed(row)
    plan = _plan(broken, mix, chance, folder)
    memory = Memory(broken)
    began_s = time.monotonic()
    with loading(plan, folder) as client:
        with memory.watching():
            _strike_until(broken, mix, chance, mixed, began_s + mix.lasts_s)
            broken.heal()
            row.struck_s = round(time.monotonic() - began_s, 1)
            row.recovered_s = broken.seconds_until_measured(PROBE, RECOVERS_WITHIN_S)
            if row.recovered_s is None:
                row.problems.append("no photo was measured after the last fault")
        wait_for(client, row, mix.lasts_s)
    account(broken, plan, Story.read(folder / "load.ndjson"), row)
    mixed.growth = memory.growth(row.accepted) if memory.samples else []
    row.lasted_s = round(time.monotonic() - began_s, 1)
    return mixed


def _plan(broken: BrokenStack, mix: Mix, chance: random.Random, folder: Path) -> Plan:
    mixture = Mixture(mix.photos, mix.lasts_s, special_share=mix.special_share, batches=1 + mix.photos // PER_BATCH)
    name = f"mix-{os.urandom(3).hex()}"
    entries = make_entries(mixture, chance, folder / "photos", name, broken.receiver_url)
    hook = f"{broken.receiver_url}{mixture.paths[0]}"
    plan = Plan(broken.stack.url, str(folder / "photos"), hook, PATIENCE_S, entries)
    plan.write(folder / "plan.json")
    return plan


def _strike_until(broken: BrokenStack, mix: Mix, chance: random.Random, mixed: Mixed, ends_s: float) -> None:
    """Strike until time is over, with every fault once in each round, in an order of chance; one round at least."""
    left: list[Fault] = []
    while True:
        left = left or chance.sample(mix.faults, len(mix.faults))
        time.sleep(chance.uniform(*mix.pause_s))
        if time.monotonic() >= ends_s and mixed.struck.total() >= len(mix.faults):
            return
        fault = left.pop()
        mixed.struck[fault.name] += 1
        try:
            fault.strike(Strike(broken, random.Random(chance.random()), SCALE))
        except (AssertionError, OSError, StackError) as error:
            mixed.row.problems.append(f"{fault.name}: {error}")
        broken.heal()


def as_json(mixed: Mixed, minutes: float) -> dict[str, Any]:
    return {
        "minutes": minutes,
        "seed": mixed.row.seed,
        "struck": dict(mixed.struck),
        "memory": [each.as_json() for each in mixed.growth],
        "rows": [mixed.row.as_json()],
    }


def show(mixed: Mixed) -> None:
    say(f"\n{markdown([mixed.row])}\n")
    say("| process | series | mean MB | largest MB | MB an hour | flat |\n| --- | --- | --- | --- | --- | --- |")
    for each in mixed.growth:
        verdict = "yes" if each.is_flat else "NO"
        say(f"| {each.name} | {each.series} | {each.mean_mb} | {each.largest_mb} | {each.mb_per_h:+.2f} | {verdict} |")
    say(f"\n{sum(mixed.struck.values())} strikes: {', '.join(f'{n} of {name}' for name, n in mixed.struck.items())}")
    for problem in mixed.row.problems:
        say(f"   {problem}")


def main(given: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Load without a pause, and faults at random.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=RATE_PER_S, help="photos a second")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("soak.json"))
    parser.add_argument("--keep", action="store_true", help="keep logs and data, and say where")
    asked = parser.parse_args(given)
    lasts_s = 60.0 * asked.minutes
    with scratch(keep=asked.keep, say=say) as folder, standing(On.USUAL, folder / "stack") as broken:
        mixed = run_mix(broken, Mix(asked.seed, int(asked.rate * lasts_s), lasts_s), folder / "mix")
    asked.out.write_text(json.dumps(as_json(mixed, asked.minutes), indent=1) + "\n")
    show(mixed)
    return int(not mixed.passed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
