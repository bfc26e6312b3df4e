"""Large batches end to end: `python -m bench.bulk --photos 2000 --ways zip parts forms urls`.

Starts a stack of its own, sends the same photos by each way in, waits for the end, and checks what came out against
what went in: every reference once, in order, each with the outcome that its bytes deserve; one `batch.completed`.
Prints and writes (`--out`) how long it took, how many photos a second, and the memory of every process. With
`--kill-every` a random process of the workers is killed meanwhile; with `--latency` single photos are timed before and
during the batch.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from bench.bulk.fairness import run_fairness
from bench.bulk.killing import Killing
from bench.bulk.latency import SinglePhotos, measure_latencies_s, percentiles_ms
from bench.bulk.photos import MadePhoto, make_photos
from bench.bulk.watching import Watch
from bench.bulk.ways import PATIENCE_S, send_forms, send_parts, send_urls, send_zip, served
from stack.data_folder import free_ports
from stack.stack import Stack

WAYS = ("zip", "parts", "forms", "urls")
SEED = 20261123
NOBODY = "https://nobody.invalid/hook"
POLL_S = 1.0
SHORT_LEASES = {
    "FACEFIT_LEASE_S": "6",
    "FACEFIT_PHOTO_TIME_LIMIT_S": "4",
    "FACEFIT_DOORBELL_GRACE_S": "2",
    "FACEFIT_RECONCILE_INTERVAL_S": "0.5",
    "FACEFIT_MAX_ATTEMPTS": "20",
}
"""Where workers are killed all the time: not to wait 40 s for each, and not to count kills against photos."""
LATENCIES = 60


def run_way(way: str, stack: Stack, photos: list[MadePhoto], port: int, args: argparse.Namespace) -> dict[str, Any]:
    """Send one batch, wait for its end, check it."""
    options = {"webhook_url": NOBODY, "landmarks": "false"} if way in {"zip", "parts"} else {"webhook_url": NOBODY}
    report: dict[str, Any] = {"way": way, "photos": len(photos)}
    with ExitStack() as during:
        http = during.enter_context(httpx.Client(base_url=stack.url, timeout=PATIENCE_S, trust_env=False))
        folder = Path(during.enter_context(tempfile.TemporaryDirectory()))
        idle_s = measure_latencies_s(http, LATENCIES) if args.latency else []
        watch = during.enter_context(Watch(stack))
        began_s = time.monotonic()
        if way == "urls":
            base_url = during.enter_context(served(photos, port))
            batch_id = send_urls(http, photos, base_url, options)
        else:
            batch_id = {"zip": send_zip, "parts": send_parts, "forms": send_forms}[way](http, photos, folder, options)
        report["accepted_after_s"] = round(time.monotonic() - began_s, 1)
        singles = SinglePhotos(stack.url)
        if args.latency:
            singles.start()
        killing = during.enter_context(Killing(stack, args.kill_every, SEED)) if args.kill_every else None
        batch = wait_for_end(http, batch_id)
        report["ended_after_s"] = round(time.monotonic() - began_s, 1)
        if args.latency:
            report["single_photo_ms"] = {"idle": percentiles_ms(idle_s), "during": percentiles_ms(singles.stop())}
        report["kills"] = killing.kills if killing else {}
        report["counts"] = {name: count for name, count in batch["counts"].items() if count}
        report["faults"] = check(http, batch_id, photos, landmarks=way not in {"zip", "parts"})
        report["csv_s"], report["csv_rows"] = time_of_csv(http, batch_id)
    report["memory_mb"] = watch.table()
    report["photos_per_s"] = round(len(photos) / report["ended_after_s"], 1)
    return report


def wait_for_end(http: httpx.Client, batch_id: str) -> dict[str, Any]:
    while True:
        answer = http.get(f"/v1/batches/{batch_id}")
        batch: dict[str, Any] = answer.json() if answer.status_code == httpx.codes.OK else {}
        if batch.get("status") == "completed":
            return batch
        time.sleep(POLL_S)


def check(http: httpx.Client, batch_id: str, photos: list[MadePhoto], *, landmarks: bool) -> list[str]:
    """Return what is not as it should be; nothing, that is."""
    faults = []
    found: list[tuple[str, str]] = []
    with http.stream("GET", f"/v1/batches/{batch_id}/results", params={"format": "ndjson"}) as stream:
        for line in stream.iter_lines():
            item = json.loads(line)
            found.append((item["reference"], item["error_code"] or item["status"]))
            has = bool(item.get("result")) and "landmarks" in item["result"]["faces"][0]
            if item["status"] == "succeeded" and has and not landmarks:
                faults.append(f"{item['reference']} has landmarks that were not asked for")
    wanted = [(photo.name, photo.expected) for photo in photos]
    if [name for name, _ in found] != [name for name, _ in wanted]:
        faults.append("references differ in number or order")
    differing = Counter((want[1], got[1]) for want, got in zip(wanted, found, strict=False) if want != got)
    faults += [f"{count} should be {want} and are {got}" for (want, got), count in differing.items()]
    told = http.get("/v1/deliveries", params={"batch_id": batch_id, "limit": 100}).json()["data"]
    if [delivery["event"] for delivery in told] != ["batch.completed"]:
        faults.append(f"told {[delivery['event'] for delivery in told]}")
    return faults


def time_of_csv(http: httpx.Client, batch_id: str) -> tuple[float, int]:
    began_s = time.monotonic()
    text = http.get(f"/v1/batches/{batch_id}/results", params={"format": "csv", "include": "all"}).text
    return round(time.monotonic() - began_s, 1), len(list(csv.DictReader(io.StringIO(text, newline=""))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=WAYS)
    parser.add_argument("--kill-every", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--latency", action="store_true")
    parser.add_argument("--fairness", action="store_true", help="first, a small batch behind a large one")
    parser.add_argument("--out", type=Path, default=Path("bulk-output/bulk.json"))
    args = parser.parse_args()
    photos = list(make_photos(args.photos, SEED))
    port = free_ports(1)[0]
    overrides = {
        "FACEFIT_OUTBOUND_ALLOWED_HOSTS": f"127.0.0.1:{port}",
        "FACEFIT_OUTBOUND_ALLOW_HTTP": "1",
        "FACEFIT_MAX_BATCH_ITEMS": str(max(10_000, args.photos)),
    }
    if args.kill_every:
        overrides |= SHORT_LEASES
    reports = []
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder), overrides=overrides) as stack:
        if args.fairness:
            reports.append({"way": "two tenants", "faults": [], **run_fairness(stack, photos)})
            print(json.dumps(reports[-1], indent=1), flush=True)
        for way in args.ways:
            reports.append(run_way(way, stack, photos, port, args))
            print(json.dumps(reports[-1], indent=1), flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(reports, indent=1) + "\n")
    if faults := [fault for report in reports for fault in report["faults"]]:
        raise SystemExit("; ".join(faults))


if __name__ == "__main__":
    main()
