"""CPU that each process of the service spends on a photo: `python -m bench.spent singles batch --photos 300`.

Starts a stack of its own, sends photos one by one (each waits for its result, four clients) or as one zip, and divides
what the kernel charged each process by the number of photos. Counts what Redis was asked for beside it. CPU, not time,
so that neighbours on the machine count little; what they take from shared caches still shows, so compare within one
run: `--trees` runs the same in other checkouts of this repository.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import redis
from PIL import Image

from bench.bulk.photos import make_photos
from bench.bulk.watching import NAMES
from stack.stack import Stack

CLIENTS = 4
PATIENCE_S = 600.0
SEED = 20261128
DIFFERENT = 24
"""Photos that are made; they are sent again and again."""
WARM = 24
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
MILLION = 1_000_000
WAYS = ("singles", "batch")


def photos_of(megapixels: float) -> list[bytes]:
    """Return photos of about so many pixels, JPEG."""
    made = [photo.data for photo in make_photos(DIFFERENT * 2, SEED) if photo.expected == "succeeded"][:DIFFERENT]
    return made if megapixels < 1 else [_enlarged(data, megapixels) for data in made[:6]]


def _enlarged(data: bytes, megapixels: float) -> bytes:
    picture = Image.open(io.BytesIO(data))
    factor = (megapixels * MILLION / (picture.width * picture.height)) ** 0.5
    buffer = io.BytesIO()
    picture.resize((round(picture.width * factor), round(picture.height * factor)), Image.Resampling.BICUBIC).save(
        buffer, "JPEG", quality=90
    )
    return buffer.getvalue()


def cpu_s(stack: Stack) -> dict[str, float]:
    """Return what each service has been charged with, its children that are alive included."""
    leaders = {stack.supervisor.pid(name): name for name in NAMES}
    spent = dict.fromkeys(NAMES, 0.0)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if name := leaders.get(int(fields[2])):
                spent[name] += sum(map(int, fields[11:13])) / TICKS_PER_S
    return spent


class Service:
    """A running stack, and what is asked of it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._redis = redis.Redis.from_url(stack.settings_env["FACEFIT_REDIS_URL"])
        self._here = threading.local()

    def _http(self) -> httpx.Client:
        if not hasattr(self._here, "http"):
            self._here.http = httpx.Client(base_url=self.stack.url, timeout=PATIENCE_S, trust_env=False)
        http: httpx.Client = self._here.http
        return http

    def singles(self, photos: list[bytes], count: int) -> None:
        """Submit photos one by one and wait for each."""

        def send(number: int) -> None:
            http = self._http()
            answer = http.post(
                "/v1/jobs",
                content=photos[number % len(photos)],
                headers={"Content-Type": "image/jpeg", "Prefer": "wait=30"},
            )
            answer.raise_for_status()
            while answer.json()["status"] in {"queued", "running"}:
                answer = http.get(f"/v1/jobs/{answer.json()['id']}", params={"wait": 30})
            if answer.json()["status"] != "succeeded":
                raise SystemExit(answer.text[:500])

        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(send, range(count)))

    def batch(self, photos: list[bytes], count: int) -> None:
        """Send one zip and wait for its end."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for number in range(count):
                archive.writestr(f"{number:05}.jpg", photos[number % len(photos)])
        packed.seek(0)
        http = self._http()
        answer = http.post("/v1/batches", files={"archive": ("photos.zip", packed)})
        answer.raise_for_status()
        while (batch := http.get(f"/v1/batches/{answer.json()['id']}").json())["completed_at"] is None:
            time.sleep(0.5)
        if batch["counts"]["succeeded"] != count:
            raise SystemExit(str(batch["counts"]))

    def measure(self, way: str, photos: list[bytes], count: int) -> dict[str, Any]:
        """Send photos one way; return CPU by service and commands of Redis by name, for a photo."""
        send = {"singles": self.singles, "batch": self.batch}[way]
        send(photos, WARM)
        before, calls_before, began_s = cpu_s(self.stack), self._calls(), time.monotonic()
        send(photos, count)
        took_s = time.monotonic() - began_s
        after, calls_after = cpu_s(self.stack), self._calls()
        return {
            "cpu_ms": {name: round((after[name] - before[name]) / count * 1000, 2) for name in NAMES},
            "photos_per_s": round(count / took_s, 1),
            "redis_calls": {
                name: round((calls_after[name] - calls_before.get(name, 0)) / count, 2) for name in calls_after
            },
        }

    def _calls(self) -> dict[str, int]:
        stats: Any = self._redis.info("commandstats")
        return {name.removeprefix("cmdstat_"): told["calls"] for name, told in stats.items()}


def here(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure the checkout that this runs in."""
    found = []
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder), echo=lambda _: None) as stack:
        service = Service(stack)
        for megapixels in args.megapixels:
            photos = photos_of(megapixels)
            count = args.photos if megapixels < 1 else max(1, args.photos // 4)
            found += [
                {"way": way, "megapixels": megapixels, "count": count, **service.measure(way, photos, count)}
                for way in args.ways
            ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ways", nargs="*", default=WAYS)
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.3, 12])
    parser.add_argument("--trees", type=Path, nargs="*", default=[])
    parser.add_argument("--json", action="store_true", help="one line for a program")
    args = parser.parse_args()
    if args.json:
        print(json.dumps(here(args)))
        return
    for tree in [Path.cwd(), *args.trees]:
        command = [sys.executable, Path(__file__).resolve(), *args.ways, "--json", "--photos", str(args.photos)]
        command += ["--megapixels", *map(str, args.megapixels)]
        env = {**os.environ, "PYTHONPATH": str(tree)}
        told = subprocess.run(command, cwd=tree, env=env, check=True, capture_output=True, text=True).stdout
        print(f"\n{tree}")
        for row in json.loads(told.splitlines()[-1]):
            print(f"\n{row['way']}, {row['megapixels']} MP, {row['count']} photos, {row['photos_per_s']} photos/s")
            print(" ".join(f"{name} {ms}" for name, ms in row["cpu_ms"].items() if ms >= 0.05))
            print(
                " ".join(
                    f"{name} {n}" for name, n in sorted(row["redis_calls"].items(), key=lambda i: -i[1]) if n >= 0.1
                )
            )


if __name__ == "__main__":
    main()
