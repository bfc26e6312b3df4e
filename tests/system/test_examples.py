"""The examples do what they say, against the whole service: also those that are killed on their way.

The receiver of webhooks is run by `test_webhooks.py`.
"""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageEnhance, ImageOps

from stack.services import ROOT
from stack.stack import Stack

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

PATIENCE_S = 120.0
SEEDS = (1, 2)
SHOWN = 100
"""Of a path that is too long."""


def environment(service: Stack) -> dict[str, str]:
    return {"FACEFIT_URL": service.url, "PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


# One photo, with curl


@pytest.fixture
def shell() -> str:
    if shutil.which("curl", path="/usr/local/bin:/usr/bin:/bin") is None:
        pytest.skip("curl is not on this machine")
    return "sh"


def submit_and_poll(shell: str, service: Stack, photo: Path) -> subprocess.CompletedProcess[str]:
    command = [shell, str(ROOT / "examples" / "submit_and_poll.sh"), str(photo)]
    return subprocess.run(
        command, env=environment(service), capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


@pytest.mark.parametrize("name", ["portrait.jpg", "Jörg Müller; front, 1.jpg", "@-a.jpg"])
def test_one_photo_is_submitted_and_measured(
    shell: str, service: Stack, hopper: bytes, tmp_path: Path, name: str
) -> None:
    photo = tmp_path / name
    photo.write_bytes(hopper)
    ended = submit_and_poll(shell, service, photo)
    assert ended.returncode == 0, ended.stderr
    job = json.loads(ended.stdout)
    assert (job["status"], job["reference"], len(job["result"]["faces"])) == ("succeeded", name, 1)


@pytest.mark.parametrize(("content", "says"), [(b"<html>", "unsupported_format"), (b"\xff\xd8\xff\xe0", "rejected")])
def test_what_is_no_photo_ends_as_an_error(
    shell: str, service: Stack, tmp_path: Path, content: bytes, says: str
) -> None:
    photo = tmp_path / "page.jpg"
    photo.write_bytes(content)
    ended = submit_and_poll(shell, service, photo)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert says in ended.stderr


def test_a_service_that_fails_once_is_asked_again(shell: str, service: Stack, hopper: bytes, tmp_path: Path) -> None:
    photo = tmp_path / "portrait.jpg"
    photo.write_bytes(hopper)
    service.supervisor.kill("api", signal.SIGKILL)
    ended = submit_and_poll(shell, service, photo)
    assert ended.returncode == 0, ended.stderr


# A folder, killed again and again


def in_a_folder(folder: Path, portraits: list[bytes]) -> dict[str, str]:
    """Make photos, and what is none; return how each is expected to end, by its reference."""
    good = ["a.jpg", "b.png", "Front/Jörg Müller 1.jpg", "Front/nested/c.JPEG", "Front/nested/d.webp", "写真/é.jpg"]
    good += [f"many/{n:02}.jpg" for n in range(9)]
    for number, name in enumerate(good):
        picture = Image.open(BytesIO(portraits[number % len(portraits)])).convert("RGB")
        picture = ImageOps.mirror(picture) if number % 4 > 1 else picture
        picture = ImageEnhance.Brightness(picture).enhance(1 + 0.02 * number).resize((picture.width, picture.height))
        save(picture, folder / name)
    expected = dict.fromkeys(good, "")
    for name in ("_DSC0001.JPG", f"{'long-' * 24}/{'name-' * 24}.jpg"):
        save(Image.open(BytesIO(portraits[0])).convert("RGB"), folder / name)
        expected[name[:SHOWN]] = ""
    rubbish = {"page.jpg": (b"<html>", "unsupported_format"), "Front/cut.png": (portraits[0][:5000], "corrupt_image")}
    grey = BytesIO()
    Image.new("RGB", (300, 300), "grey").save(grey, "PNG")
    rubbish["wall.png"] = (grey.getvalue(), "no_face")
    for name, (content, code) in rubbish.items():
        (folder / name).write_bytes(content)
        expected[name] = code
    (folder / "empty.jpg").touch()
    (folder / "notes.txt").write_text("no photo")
    return expected


def path_of(reference: str) -> str:
    """Return the beginning of the path that a reference was made of, if it is none itself."""
    made = re.fullmatch(r"\d+ (.*)", reference)
    return made[1][:SHOWN] if made else reference


def save(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, quality=95)


@dataclass
class Portal:
    """The example, run again and again with one table to make."""

    service: Stack
    folder: Path
    table: Path

    def start(self) -> subprocess.Popen[str]:
        script = ROOT / "examples" / "bulk_portal.py"
        return subprocess.Popen(
            [sys.executable, str(script), str(self.folder), "--out", str(self.table)],
            env=environment(self.service),
            stderr=subprocess.PIPE,
            text=True,
        )

    def noted(self) -> dict[str, Any]:
        """What it has written down so far, the photos that were uploaded in a list."""
        state = self.table.with_name(self.table.name + ".state")
        noted: dict[str, Any] = {"photos": []}
        for line in state.read_text().splitlines() if state.exists() else ():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # it is just being written
            noted["photos"] += [entry.pop("uploaded")] if "uploaded" in entry else []
            noted.update(entry)
        return noted

    def kill_when(self, moment: Callable[[dict[str, Any]], bool], after_s: float) -> None:
        """Run it until what it has noted says that the moment has come, and a little longer."""
        deadline = time.monotonic() + PATIENCE_S
        with self.start() as process:
            while not moment(self.noted()):
                assert process.poll() is None, process.communicate()[1]
                assert time.monotonic() < deadline, self.noted()
                time.sleep(0.001)
            time.sleep(after_s)
            process.kill()
            process.communicate()
        assert process.returncode == -signal.SIGKILL, "it ended before it was killed"

    def finish(self) -> str:
        """Run it to its end; return what it said."""
        with self.start() as process:
            said = process.communicate(timeout=PATIENCE_S)[1]
        assert process.returncode == 0, said
        return said

    def rows(self) -> list[dict[str, str]]:
        with self.table.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def portal(service: Stack, tmp_path: Path) -> Portal:
    (tmp_path / "photos").mkdir()
    return Portal(service, tmp_path / "photos", tmp_path / "results.csv")


def batches(http: httpx.Client) -> set[str]:
    listed = http.get("/v1/batches?limit=100").raise_for_status().json()
    return {batch["id"] for batch in listed["data"]}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_folder_is_measured_once_whenever_it_is_killed(
    portal: Portal, http: httpx.Client, astronaut: bytes, hopper: bytes, seed: int
) -> None:
    chance, before = random.Random(seed), batches(http)
    expected = in_a_folder(portal.folder, [astronaut, hopper])
    n_uploaded = chance.randint(1, len(expected) // 2)
    portal.kill_when(lambda noted: "key" in noted, chance.uniform(0, 0.05))
    portal.kill_when(lambda noted: len(noted["photos"]) >= n_uploaded, chance.uniform(0, 0.01))
    portal.kill_when(lambda noted: "started" in noted, chance.uniform(0, 0.5))
    assert portal.noted()["batch"] in batches(http) - before
    said = portal.finish()
    assert "empty.jpg is empty and left out" in said
    rows = portal.rows()
    assert sorted(path_of(row["reference"]) for row in rows) == sorted(expected)
    assert {path_of(row["reference"]): row["error_code"] for row in rows} == expected
    assert {row["status"] for row in rows} == {"succeeded", "rejected"}
    assert len(batches(http) - before) == 1
    assert sorted(path.name for path in portal.table.parent.iterdir()) == ["photos", "results.csv"]


def test_a_folder_that_has_changed_meanwhile_is_said(portal: Portal, hopper: bytes) -> None:
    (portal.folder / "a.jpg").write_bytes(hopper)
    portal.kill_when(lambda noted: "key" in noted, 0)
    (portal.folder / "b.jpg").write_bytes(hopper)
    with portal.start() as process:
        said = process.communicate(timeout=PATIENCE_S)[1]
    assert process.returncode == 1
    assert "has changed" in said
