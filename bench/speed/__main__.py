"""The service against the bars it is held to, and against the original service: `make bench`, `make bench-full`.

Everything is measured in one run on one machine, contenders in turns, and reported as ratios. What was measured is
written to a JSON document after each part; `--resume` goes on with the parts that are missing in it. The pages are made
from that document by `python -m bench.speed.page`.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

from bench.speed.accuracy import measure_accuracy
from bench.speed.api_rates import measure_api
from bench.speed.large_batch import measure_large_batch
from bench.speed.latency import measure_latency
from bench.speed.record import FULL_RUN, QUICK_RUN, Record
from bench.speed.scaling import measure_scaling
from bench.speed.setting import FULL, QUICK, Setting
from bench.speed.start_up import measure_start_up
from bench.speed.tables import bars_table
from bench.speed.throughput import measure_formats, measure_throughput

PARTS: Final[Mapping[str, Callable[[Setting], dict[str, Any]]]] = {
    "throughput": measure_throughput,
    "formats": measure_formats,
    "latency": measure_latency,
    "start_up": measure_start_up,
    "scaling": measure_scaling,
    "large_batch": measure_large_batch,
    "accuracy": measure_accuracy,
    "api": measure_api,  # last: it stops the workers
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="more rounds, and a batch of 10,000")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=tuple(PARTS))
    parser.add_argument("--resume", action="store_true", help="keep what the document of an interrupted run has")
    parser.add_argument("--out", type=Path, help=f"{QUICK_RUN}, full: {FULL_RUN}")
    parser.add_argument("--faces", type=Path, help="a folder of more portraits to make photos from")
    for size in fields(QUICK):
        parser.add_argument(
            f"--{size.name}", type=int, help=f"{getattr(QUICK, size.name)}, full: {getattr(FULL, size.name)}"
        )
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # what was started is taken down
    chosen = {size.name: value for size in fields(QUICK) if (value := getattr(given, size.name)) is not None}
    sizes = replace(FULL if given.full else QUICK, **chosen)
    out = given.out or (FULL_RUN if given.full else QUICK_RUN)
    record = (Record.resumed if given.resume else Record)(out, sizes)
    with Setting(sizes, given.faces) as setting:
        for name in (name for name in PARTS if name in given.parts):
            if name in record.parts:
                print(f"{name}: measured already", flush=True)
                continue
            print(f"{name} …", flush=True)
            began_s = time.monotonic()
            found = PARTS[name](setting)
            record.add(name, found, time.monotonic() - began_s)
    print(
        f"\n{bars_table(record.document)}\n\nwritten to {out}; python -m bench.speed.page {out} puts it into the docs"
    )


if __name__ == "__main__":
    main()
