"""The faults, each with a load of its own: `python -m tests.faults.run [--faults 1 3 9] [--photos 500] [--seed 7]`.

Prints a table, saves it as JSON after each fault, and ends with 1 if anything was lost, doubled or not as it must be.
`make faults FAULTS="1 3" PHOTOS=500 SEED=7 OUT=faults.json` calls it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from stack.errors import StackError
from tests.faults.catalogue import CATALOGUE
from tests.faults.fault import Fault, On
from tests.faults.row import Row
from tests.faults.runner import Run, run_fault, scratch
from tests.faults.stacks import NotHere, standing
from tests.faults.table import markdown, read

DEFAULT_PHOTOS: Final = 500
DEFAULT_SEED: Final = 7


def say(line: str) -> None:
    print(line, flush=True)


def arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Break a real stack under load, and count.")
    parser.add_argument("--faults", type=int, nargs="*", default=[], help="their numbers; all of them by default")
    parser.add_argument("--photos", type=int, default=DEFAULT_PHOTOS, help="photos for each fault")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--out", type=Path, default=Path("faults.json"))
    parser.add_argument("--resume", action="store_true", help="leave out what --out has with the same seed and photos")
    parser.add_argument("--keep", action="store_true", help="keep logs and data, and say where")
    return parser.parse_args(given)


def chosen(numbers: Sequence[int]) -> list[Fault]:
    """Return the faults, those that share a stack one after the other."""
    unknown = set(numbers) - CATALOGUE.keys()
    if unknown:
        sys.exit(f"there is no fault {min(unknown)}; there are {', '.join(map(str, CATALOGUE))}")
    faults = [CATALOGUE[number] for number in numbers or CATALOGUE]
    return sorted(faults, key=lambda fault: (list(On).index(fault.on), fault.number))


class Results:
    """The rows so far, written to a file after each."""

    def __init__(self, path: Path, run: Run, *, resume: bool) -> None:
        self._path = path
        self._run = run
        self.rows: list[Row] = []
        if resume and path.exists():
            _, rows = read(path)
            same = [row for row in rows if (row.seed, row.photos) == (run.seed, run.photos)]
            self.rows = [row for row in same if row.passed]

    def has(self, fault: Fault) -> bool:
        return any(row.number == fault.number for row in self.rows)

    def add(self, row: Row) -> None:
        self.rows = sorted([*self.rows, row], key=lambda each: each.number)
        rows = [each.as_json() for each in self.rows]
        values = {"seed": self._run.seed, "photos": self._run.photos, "cores": os.cpu_count(), "rows": rows}
        self._path.write_text(json.dumps(values, indent=1) + "\n")


def run_all(faults: Sequence[Fault], run: Run, results: Results) -> None:
    for on, group in groupby(faults, key=lambda fault: fault.on):
        _run_on(on, [fault for fault in group if not results.has(fault)], run, results)


def _run_on(on: On, faults: list[Fault], run: Run, results: Results) -> None:
    """Run faults on one stack, and on a new one after a fault that the stack did not survive."""
    while faults:
        try:
            with standing(on, run.folder / f"{on.name.lower()}-{len(faults)}") as broken:
                while faults:
                    row = run_fault(broken, faults.pop(0), run, say)
                    results.add(row)
                    if row.recovered_s is None:
                        break
        except NotHere as reason:
            for fault in faults:
                results.add(Row(fault.number, fault.name, run.seed, run.photos, not_run=str(reason)))
            return
        except StackError as error:
            fault = faults.pop(0)
            results.add(Row(fault.number, fault.name, run.seed, run.photos, problems=[f"no stack: {error}"]))


def main(given: Sequence[str]) -> int:
    asked = arguments(given)
    began_s = time.monotonic()
    with scratch(keep=asked.keep, say=say) as folder:
        run = Run(asked.photos, asked.seed, folder)
        results = Results(asked.out, run, resume=asked.resume)
        run_all(chosen(asked.faults), run, results)
    say(f"\n{markdown(results.rows)}\n")
    say(f"seed {run.seed}, {run.photos} photos for each, {time.monotonic() - began_s:.0f} s; saved in {asked.out}")
    return int(any(row.verdict == "FAILED" for row in results.rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
