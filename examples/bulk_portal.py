"""Measure a folder of photos: upload them straight to storage, wait, save the table. Killed at any point, it resumes.

    pip install httpx
    python bulk_portal.py FOLDER --out results.csv

Where the service is comes from FACEFIT_URL, the key from FACEFIT_API_KEY if there are keys. What was done lies beside
the table (`results.csv.state`) until it is complete; run the same command again after a crash: nothing is sent twice.
"""

import argparse
import hashlib
import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".heic": "image/heic",
    ".avif": "image/avif",
}
UPLOADS_AT_ONCE = 8
ATTEMPTS = 8
MAX_REFERENCE = 128
AGAIN = {429, 500, 502, 503, 504}


class Progress:
    """What is known of a run: lines of JSON that are only ever added to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.known: dict[str, Any] = {}
        self.uploaded: set[str] = set()
        for line in path.read_text().splitlines() if path.exists() else ():
            try:
                self._take(json.loads(line))
            except ValueError:
                continue  # a process was killed while it wrote this

    def _take(self, entry: dict[str, Any]) -> None:
        self.uploaded |= {entry["uploaded"]} if "uploaded" in entry else set()
        self.known.update(entry)

    def note(self, **entry: Any) -> None:
        """Write something down before going on."""
        with self._path.open("a") as file:
            file.write("\n" * (self._path.stat().st_size > 0) + json.dumps(entry))
        self._take(entry)

    def forget(self) -> None:
        """Remove what was written: the table is there."""
        self._path.unlink()


def ask(http: httpx.Client, method: str, url: str, **options: Any) -> httpx.Response:
    """Send a request until it is answered; what is away comes back."""
    for attempt in range(ATTEMPTS):
        try:
            answer = http.request(method, url, **options)
        except httpx.TransportError as error:
            trouble = str(error)
        else:
            # The latter: a request that a killed run sent is still being answered.
            if answer.status_code not in AGAIN and b"idempotency_in_flight" not in answer.content[:1000]:
                if answer.is_error:
                    sys.exit(f"{method} {url.partition('?')[0]} answers {answer.status_code}: {answer.text[:500]}")
                return answer
            trouble = f"status {answer.status_code}"
        time.sleep(min(2**attempt, 30))
    sys.exit(f"{method} {url.partition('?')[0]}: {trouble}; giving up, run the same again later")


def reference_of(number: int, name: str) -> str:
    """Return the path of a photo, or one made of it: a letter or digit first, 128 printable characters, unique."""
    if name[0].isalnum() and name.isprintable() and len(name) <= MAX_REFERENCE:
        return name
    return "".join(letter if letter.isprintable() else "_" for letter in f"{number} {name}")[:MAX_REFERENCE]


def photos_in(folder: Path) -> dict[str, Path]:
    """Return the photos of a folder, and of the folders in it, by their references."""
    found = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in TYPES and path.is_file()]
    for path in found:
        if path.stat().st_size == 0:
            print(f"{path} is empty and left out", file=sys.stderr)
    names = [(path.relative_to(folder).as_posix(), path) for path in found if path.stat().st_size]
    return {reference_of(number, name): path for number, (name, path) in enumerate(names)}


def make_batch(http: httpx.Client, photos: dict[str, Path], progress: Progress) -> str:
    """Return the id of the batch; the same for every run until the table is there."""
    listing = hashlib.sha256(json.dumps([(name, path.stat().st_size) for name, path in photos.items()]).encode())
    if progress.known.setdefault("listing", listing.hexdigest()) != listing.hexdigest():
        sys.exit("the folder has changed since this was begun; remove the .state file to begin anew")
    if "key" not in progress.known:
        # Noted before it is used: should this process die before it reads the answer, the next one gets the same batch.
        progress.note(listing=listing.hexdigest(), key=str(uuid.uuid4()))
    if "batch" not in progress.known:
        items = [
            {"reference": name, "size": path.stat().st_size, "content_type": TYPES[path.suffix.lower()]}
            for name, path in photos.items()
        ]
        body = {"items": items, "landmarks": False}
        answer = ask(http, "POST", "/v1/batches", json=body, headers={"Idempotency-Key": progress.known["key"]})
        progress.note(batch=answer.json()["id"])
    batch: str = progress.known["batch"]
    return batch


def awaited(http: httpx.Client, batch: str) -> Iterator[dict[str, Any]]:
    """Yield the items whose photo has not come, each with the form it is uploaded by."""
    query: dict[str, Any] = {"status": "awaiting_upload", "limit": 100}
    while True:
        page = ask(http, "GET", f"/v1/batches/{batch}/items", params=query).json()
        yield from page["data"]
        if page["next_cursor"] is None:
            return
        query["cursor"] = page["next_cursor"]


def upload_all(http: httpx.Client, batch: str, photos: dict[str, Path], progress: Progress) -> None:
    """Send each photo straight to storage, by its form."""
    with httpx.Client(timeout=120) as storage, ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:

        def upload(item: dict[str, Any]) -> str:
            form, data = item["upload"], photos[item["reference"]].read_bytes()
            ask(storage, "POST", form["url"], data=form["fields"], files={"file": data})
            return str(item["reference"])

        missing = (item for item in awaited(http, batch) if item["reference"] not in progress.uploaded)
        for reference in pool.map(upload, missing):
            progress.note(uploaded=reference)
            print(f"\ruploaded {len(progress.uploaded)} of {len(photos)}", end="", file=sys.stderr)


def wait_for(http: httpx.Client, batch: str) -> None:
    """Return when every photo has ended."""
    while True:
        now = ask(http, "GET", f"/v1/batches/{batch}").json()
        eta = "" if now["eta_s"] is None else f", {now['eta_s']:.0f} s to go"
        print(f"\rmeasured {100 * now['progress']:.0f} %{eta}          ", end="", file=sys.stderr)
        if now["status"] in {"completed", "cancelled"}:
            print(file=sys.stderr)
            return
        time.sleep(2)


def main() -> None:
    """Do it."""
    arguments = argparse.ArgumentParser(description="Measure a folder of photos.")
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--out", type=Path, default=Path("results.csv"))
    given = arguments.parse_args()
    photos = photos_in(given.folder)
    if not photos:
        sys.exit(f"there is no photo in {given.folder}")
    progress = Progress(given.out.with_name(given.out.name + ".state"))
    key = os.environ.get("FACEFIT_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    base_url = os.environ.get("FACEFIT_URL", "http://127.0.0.1:8000")
    with httpx.Client(base_url=base_url, headers=headers, timeout=120) as http:
        batch = make_batch(http, photos, progress)
        if "started" not in progress.known:
            upload_all(http, batch, photos, progress)
            ask(http, "POST", f"/v1/batches/{batch}/start")
            progress.note(started=True)
        wait_for(http, batch)
        table = ask(http, "GET", f"/v1/batches/{batch}/results", params={"format": "csv", "include": "all"})
    partial = given.out.with_name(given.out.name + ".part")
    partial.write_bytes(table.content)
    partial.replace(given.out)
    progress.forget()
    print(f"{given.out}: {len(photos)} photos, batch {batch}", file=sys.stderr)


if __name__ == "__main__":
    main()
