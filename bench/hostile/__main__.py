"""What each hostile file costs a worker's process: `python -m bench.hostile [--only WORD] [--out FILE.json] [--page]`.

Each file is made in a process and measured in another that is as the worker's are; the peaks are those of that one.
With `--page` the tables of `docs/hostile-input.md` are written anew. Linux only: the peaks are read from /proc.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from api.archive_entries import RefusedEntry
from api.archives import ArchiveLimits, read_archive
from bench.hostile.child import SETTINGS, Cost, in_a_process, measured
from bench.hostile.page import write_tables
from shared.errors import ArchiveInvalid
from tests.hostile import CASES, Case
from tests.hostile_zips import INVALID, TAKEN, ZIP_CASES, ZipCase
from worker.vision import face_mesh


def made(case: Case | ZipCase, folder: Path) -> Path:
    """Make a file in a process of its own: what that leaves in the heap would hide what the measured one takes."""
    path = folder / "file"

    def work() -> str:
        path.write_bytes(case.make())
        return "made"

    if in_a_process(work, timeout_s=300) != "made":
        message = f"{case.name!r} could not be made"
        raise RuntimeError(message)
    return path


def read_out(path: Path, folder: Path) -> Cost:
    """Unpack an archive, entry by entry, as a request does; the bytes of the dearest entry on disk are not counted."""

    def work() -> str:
        limits = ArchiveLimits(SETTINGS.max_upload_bytes, SETTINGS.max_batch_upload_bytes, folder=str(folder))
        data = io.BytesIO(path.read_bytes())
        began_s, codes = time.process_time(), set()
        try:
            for entry in read_archive(data, limits):
                codes.add(entry.code if isinstance(entry, RefusedEntry) else TAKEN)
                if not isinstance(entry, RefusedEntry):
                    entry.body.close()
        except ArchiveInvalid:
            codes.add(INVALID)
        return json.dumps([", ".join(sorted(codes)), round(time.process_time() - began_s, 2)])

    outcome, cpu_s = json.loads(in_a_process(work))
    return Cost(outcome, 0, 0, cpu_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--page", action="store_true")
    asked = parser.parse_args()
    face_mesh.preload()
    rows: dict[str, list[dict[str, object]]] = {"photos": [], "archives": []}
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, cases in (("photos", CASES), ("archives", ZIP_CASES)):
            for case in cases:
                if asked.only not in case.name:
                    continue
                path = made(case, folder)
                cost = measured(path) if isinstance(case, Case) else read_out(path, folder)
                as_stated = cost.outcome == case.code or (kind == "archives" and case.code in cost.outcome.split(", "))
                wrong += not as_stated
                rows[kind].append({"case": case.name, "bytes": path.stat().st_size, **asdict(cost)})
                print(f"{case.name:55} {path.stat().st_size:11,} {cost}{'' if as_stated else '  <- ' + case.code}")
    if asked.out:
        asked.out.write_text(json.dumps(rows, indent=1) + "\n")
    if asked.page:
        write_tables(rows)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
