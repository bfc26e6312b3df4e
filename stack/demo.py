"""The demonstration: two portraits through the running service, as any client would send them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx

from stack.errors import DemoFailed
from stack.stack import Stack, say

PORTRAITS: Final = Path(__file__).parent / "portraits"
PHOTOS: Final = (PORTRAITS / "astronaut.png", PORTRAITS / "grace_hopper.jpg")
OUTPUT: Final = Path("demo-output")

UNFINISHED: Final = frozenset({"awaiting_upload", "queued", "running"})
LANDMARKS_SHOWN: Final = 2
POLLS: Final = 60
"""How often an unfinished job is asked for, at most; the service says how long to pause in between."""

REQUEST_TIMEOUT_S: Final = 60.0

_TYPES: Final = {".png": "image/png", ".jpg": "image/jpeg"}


def run_demo(stack: Stack, output: Path = OUTPUT) -> None:
    """Measure the portraits, print what comes back, and write an overlay of each.

    Raises
    ------
    DemoFailed
        If anything is not as a client may expect.
    """
    output.mkdir(parents=True, exist_ok=True)
    with httpx.Client(base_url=stack.url, trust_env=False, timeout=REQUEST_TIMEOUT_S) as client:
        try:
            for photo in PHOTOS:
                _measure(client, photo, output, pause=stack.pause)
            _original_endpoint(client, PHOTOS[0])
        except httpx.HTTPError as exc:
            message = f"{exc.__class__.__name__}: {exc}"
            raise DemoFailed(message) from exc


def _measure(client: httpx.Client, photo: Path, output: Path, pause: Callable[[float], None]) -> None:
    say(f"\nPOST /v1/jobs?keep_image=true  image={photo.name}")
    accepted = _upload(client, "/v1/jobs", photo, keep_image="true")
    _expect(accepted, httpx.codes.ACCEPTED)
    where = accepted.headers.get("location")
    if where is None:
        raise DemoFailed("the answer 202 names no Location to poll")
    say(f"202, Location: {where}")
    job = _poll(client, where, pause)
    if job["status"] != "succeeded":
        message = f"{photo.name} ended {job['status']}: {job.get('error')}"
        raise DemoFailed(message)
    if not job["result"]["faces"]:
        message = f"{photo.name} succeeded without a face"
        raise DemoFailed(message)
    say(json.dumps(shorten(job), indent=2))
    overlay = _expect(client.get(f"{where}/overlay.svg"), httpx.codes.OK)
    picture = output / f"{photo.stem}.svg"
    picture.write_bytes(overlay.content)
    say(f"overlay written to {picture}")


def _poll(client: httpx.Client, where: str, pause: Callable[[float], None]) -> dict[str, Any]:
    for _ in range(POLLS):
        response = _expect(client.get(where), httpx.codes.OK)
        job: dict[str, Any] = response.json()
        if job["status"] not in UNFINISHED:
            return job
        wait = response.headers.get("retry-after", "1")
        say(f"GET {where}  {job['status']}, asking again in {wait} s")
        pause(float(wait) if wait.isdigit() else 1.0)
    message = f"{where} did not finish"
    raise DemoFailed(message)


def _original_endpoint(client: httpx.Client, photo: Path) -> None:
    say(f"\nPOST /face-coordinates  image={photo.name}")
    answer = _expect(_upload(client, "/face-coordinates", photo), httpx.codes.OK).json()
    if not answer["landmarks"]:
        raise DemoFailed("/face-coordinates answered without landmarks")
    say(json.dumps(shorten(answer), indent=2))


def _upload(client: httpx.Client, path: str, photo: Path, **options: str) -> httpx.Response:
    files = {"image": (photo.name, photo.read_bytes(), _TYPES[photo.suffix])}
    return client.post(path, params=options, files=files)


def _expect(response: httpx.Response, status: int) -> httpx.Response:
    if response.status_code != status:
        asked = f"{response.request.method} {response.request.url.path}"
        message = f"{asked} answered {response.status_code}, not {status}: {response.text[:500]}"
        raise DemoFailed(message)
    return response


def shorten(value: Any) -> Any:
    """Return `value` with each list of landmarks cut to its first two and a count of the rest."""
    if isinstance(value, list):
        return [shorten(item) for item in value]
    if not isinstance(value, dict):
        return value
    short = {}
    for key, item in value.items():
        if key == "landmarks" and isinstance(item, list) and len(item) > LANDMARKS_SHOWN:
            short[key] = [*item[:LANDMARKS_SHOWN], f"... {len(item) - LANDMARKS_SHOWN} more"]
        else:
            short[key] = shorten(item)
    return short
