"""The ways by which many photos come in, as a client would use them; each returns the id of its batch."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx

from bench.bulk.photos import MadePhoto

UPLOADS_AT_ONCE = 8
PATIENCE_S = 600.0


def send_zip(http: httpx.Client, photos: list[MadePhoto], folder: Path, options: dict[str, str]) -> str:
    path = folder / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for photo in photos:
            archive.writestr(photo.name, photo.data)
    with path.open("rb") as file:
        return _made(http.post("/v1/batches", files={"archive": ("photos.zip", file)}, data=options))


def send_parts(http: httpx.Client, photos: list[MadePhoto], _: Path, options: dict[str, str]) -> str:
    files = [("images", (photo.name, io.BytesIO(photo.data))) for photo in photos]
    return _made(http.post("/v1/batches", files=files, data=options))


def send_forms(http: httpx.Client, photos: list[MadePhoto], _: Path, options: dict[str, str]) -> str:
    by_name = {photo.name: photo for photo in photos}
    items = [
        {"reference": photo.name, "size": len(photo.data), "content_type": "image/jpeg"} for photo in by_name.values()
    ]
    answer = http.post("/v1/batches", json={**options, "items": items})
    batch_id = _made(answer)
    with httpx.Client(timeout=PATIENCE_S, trust_env=False) as straight, ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:

        def upload(item: dict[str, Any]) -> None:
            form = item["upload"]
            photo = by_name[item["reference"]]
            straight.post(form["url"], data=form["fields"], files={"file": photo.data}).raise_for_status()

        list(pool.map(upload, answer.json()["items"]))
    http.post(f"/v1/batches/{batch_id}/start").raise_for_status()
    return batch_id


def send_urls(http: httpx.Client, photos: list[MadePhoto], base_url: str, options: dict[str, str]) -> str:
    items = [{"reference": photo.name, "image_url": f"{base_url}/{quote(photo.name)}"} for photo in photos]
    return _made(http.post("/v1/batches", json={**options, "items": items}))


def _made(answer: httpx.Response) -> str:
    if answer.status_code not in {201, 202}:
        raise SystemExit(f"POST /v1/batches answers {answer.status_code}: {answer.text[:500]}")
    batch_id: str = answer.json()["id"]
    return batch_id


@contextmanager
def served(photos: list[MadePhoto], port: int) -> Iterator[str]:
    """Serve photos on loopback, as a portal's own storage would."""
    by_path = {f"/{photo.name}": photo.data for photo in photos}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            data = by_path.get(unquote(self.path))
            self.send_response(200 if data else 404)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
