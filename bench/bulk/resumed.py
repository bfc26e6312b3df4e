"""The command over a folder, killed in the middle: `python -m bench.bulk.resumed --photos 2000`.

Makes a folder of photos, no two alike, starts `facefit bulk` on it, sends it SIGKILL once half of them are in storage,
and runs the same command again. Then it counts, in the table and at the service: every photo once, as its bytes
deserve. It starts a stack of its own, or takes a service that is there (`--url`). Prints what it counted; ends with 1
if it does not come out even.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.bulk.photos import MadePhoto, make_photos
from stack.services import ROOT
from stack.stack import Stack

SEED = 20261128
SENT = b'{"sent"'
LOOK_AGAIN_S = 0.05
PAGE = 500
DONE = (0, 1)
"""Exit codes of a run that came to its end: every photo has a result, or some are at fault."""


@contextmanager
def service(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory() as data, Stack(Path(data)) as stack:
        yield stack.url


def written(folder: Path, photos: Sequence[MadePhoto]) -> None:
    for photo in photos:
        path = folder / photo.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo.data)


def started(folder: Path, out: Path, url: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "facefit", "bulk", str(folder), "--out", str(out), "--json", "--url", url]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "client" / "src")}
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE)


def killed_once_sent(process: subprocess.Popen[bytes], state: Path, wanted: int) -> int:
    """Kill the command when so many photos are noted as sent; return how many were."""
    while not state.exists() or (sent := state.read_bytes().count(SENT)) < wanted:
        if process.poll() is not None:
            raise SystemExit(f"the command ended by itself with {process.returncode}, before it could be killed")
        time.sleep(LOOK_AGAIN_S)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return sent


def items_of(http: httpx.Client, batch_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    query: dict[str, str | int] = {"limit": PAGE}
    while query.get("cursor", "") is not None:
        page = http.get(f"/v1/batches/{batch_id}/items", params=query).raise_for_status().json()
        found += page["data"]
        query["cursor"] = page["next_cursor"]
    return found


def faults_of(
    wanted: dict[str, str], rows: Sequence[dict[str, str]], batches: Sequence[str], items: Sequence[dict[str, Any]]
) -> dict[str, int]:
    """Count what does not come out even between the folder, the table and the service; nothing, that is.

    Parameters
    ----------
    wanted : dict
        How each file of the folder must end: `succeeded`, or a code.
    rows : sequence of dict
        Of the table.
    batches, items : sequence
        Which batches the runs made together, and what is in them.
    """
    found = {"more than one batch": max(0, len(batches) - 1)}
    for kind, names in (("row", [row["file"] for row in rows]), ("item", [item["reference"] for item in items])):
        counts = Counter(names)
        found[f"photos with more than one {kind}"] = sum(count > 1 for count in counts.values())
        found[f"photos with no {kind}"] = len(wanted.keys() - counts.keys())
        found[f"{kind}s of no photo"] = len(counts.keys() - wanted.keys())
    found["ended otherwise"] = sum((row["error_code"] or row["status"]) != wanted.get(row["file"]) for row in rows)
    return {what: count for what, count in found.items() if count}


def run(photos: Sequence[MadePhoto], url: str, work: Path) -> dict[str, Any]:
    """Kill, resume, count."""
    folder, out = work / "photos", work / "results.csv"
    written(folder, photos)
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
        before = {batch["id"] for batch in http.get("/v1/batches?limit=100").raise_for_status().json()["data"]}
        sent = killed_once_sent(started(folder, out, url), out.with_name(out.name + ".state"), len(photos) // 2)
        report: dict[str, Any] = {"photos": len(photos), "sent_when_killed": sent, "table_when_killed": out.exists()}
        with started(folder, out, url) as process:
            said = process.communicate()[0]
        if process.returncode not in DONE:
            raise SystemExit(f"the second run ended with {process.returncode}")
        after = http.get("/v1/batches?limit=100").raise_for_status().json()["data"]
        batches = [batch["id"] for batch in after if batch["id"] not in before]
        items = [item for batch in batches for item in items_of(http, batch)]
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    report |= {"batches": len(batches), "items": len(items), "rows": len(rows), "counts": json.loads(said)["counts"]}
    report["attempts"] = dict(Counter(item["attempts"] for item in items))
    report["faults"] = faults_of({photo.name: photo.expected for photo in photos}, rows, batches, items)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--url", help="a service that is there, instead of a stack of its own")
    args = parser.parse_args()
    with service(args.url) as url, tempfile.TemporaryDirectory() as work:
        report = run(list(make_photos(args.photos, SEED)), url, Path(work))
    print(json.dumps(report, indent=1))
    if report["faults"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
