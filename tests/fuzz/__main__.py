"""`python -m tests.fuzz [--seconds 600] [--seed 0] [--only DOOR] [--keep DIR] [--again FILE]`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.fuzz.run import run
from tests.fuzz.targets import MAKERS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", choices=sorted(MAKERS))
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--again", type=Path, help="enter a file that was kept, in this process")
    asked = parser.parse_args()
    if asked.again:
        door = asked.only or asked.again.name.partition("-")[0]
        print(MAKERS[door]().enter(asked.again.read_bytes()))  # noqa: T201 - a person asked
        return
    doors = [asked.only] if asked.only else list(MAKERS)
    n_findings = n_executions = 0
    for door in doors:
        report = run(door, MAKERS[door](), asked.seed, asked.seconds / len(doors), keep=asked.keep)
        n_executions += report.executions
        n_findings += len(report.findings)
        outcomes = ", ".join(f"{name} {count:,}" for name, count in report.outcomes.most_common())
        print(f"{door:5} {report.executions:9,} executions, {len(report.findings)} findings: {outcomes}")  # noqa: T201
        for number, what in report.findings:
            print(f"      {door}-{asked.seed}-{number}: {what}")  # noqa: T201
        sys.stdout.flush()
    print(f"seed {asked.seed}: {n_executions:,} executions, {n_findings} findings")  # noqa: T201
    sys.exit(bool(n_findings))


if __name__ == "__main__":
    main()
