"""The command: what scripts read and tell by, and how it goes on when it was killed."""

from __future__ import annotations

import csv
import json
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from facefit.bulk.journal import Journal, Task
from facefit.cli.exits import Exit
from facefit.errors import ConfigurationError
from stack.data_folder import free_ports
from stack.stack import Stack
from tests.client.command import PATIENCE_S, lines, ran, started
from tests.client.scripted import Answer, answering, ok, problem
from tests.conftest import PORTRAITS

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

HOPPER, ASTRONAUT = PORTRAITS / "grace_hopper.jpg", PORTRAITS / "astronaut.png"
KEY = "ffk_verysecret"
SEEDS = (1, pytest.param(2, marks=pytest.mark.long))


def test_photos_are_measured_for_people_and_for_programs(service: Stack, tmp_path: Path) -> None:
    (tmp_path / "page.jpg").write_bytes(b"<html>")
    photos = [HOPPER, tmp_path / "page.jpg", tmp_path / "gone.jpg", ASTRONAUT]
    ended = ran("measure", *photos, "--json", "--pd", "62", "--overlay", tmp_path / "drawn", FACEFIT_URL=service.url)
    assert (ended.returncode, ended.stderr) == (Exit.SOME_NOT_MEASURED, "")
    found = lines(ended)
    assert [line["photo"] for line in found] == list(map(str, photos))
    assert [(line["error"] or {}).get("code") for line in found] == [None, "unsupported_format", "unreadable", None]
    assert found[0]["job"]["result"]["faces"][0]["scale"]["source"] == "known_pd"
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["astronaut.svg", "grace_hopper.svg"]
    for_people = ran("measure", HOPPER, "--forget", FACEFIT_URL=service.url)
    assert (for_people.returncode, for_people.stderr) == (Exit.DONE, "")
    for said in ("face_width", "± ", "unreliable", "glasses", "from iris", "Take off your glasses."):
        assert said in for_people.stdout


def test_jobs_batches_and_deliveries_are_listed_shown_and_deleted(service: Stack) -> None:
    [measured] = lines(ran("measure", HOPPER, "--json", FACEFIT_URL=service.url))
    job_id = measured["job"]["id"]
    assert lines(ran("jobs", "list", "--limit", "1", "--json", FACEFIT_URL=service.url))[0]["id"] == job_id
    assert job_id in ran("jobs", "list", FACEFIT_URL=service.url).stdout
    assert "face_width" in ran("jobs", "show", job_id, FACEFIT_URL=service.url).stdout
    assert lines(ran("deliveries", "list", "--job", job_id, "--json", FACEFIT_URL=service.url)) == []
    [receipt] = lines(ran("jobs", "delete", job_id, "--json", FACEFIT_URL=service.url))
    assert receipt["id"] == job_id
    gone = ran("jobs", "show", job_id, "--json", FACEFIT_URL=service.url)
    assert (gone.returncode, gone.stdout, gone.stderr.count("\n")) == (Exit.REFUSED, "", 1)
    assert [line["status"] for line in lines(ran("check", "--json", FACEFIT_URL=service.url))] == ["ready"]


UNAUTHORIZED = problem(401, "unauthorized")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (UNAUTHORIZED, Exit.UNAUTHORIZED),
        (problem(429, "rate_limited", Retry_After="3600"), Exit.TRY_AGAIN),
        (problem(400, "host_forbidden"), Exit.REFUSED),
        (Answer(200, b"<html>", "text/html"), Exit.REFUSED),
    ],
    ids=["key", "busy", "refused", "a page"],
)
def test_scripts_can_tell_by_the_exit_code(tmp_path: Path, answer: Answer, expected: Exit) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(HOPPER, tmp_path / "in")
    with answering(answer) as server:
        ended = ran("bulk", tmp_path / "in", "--out", tmp_path / "o.csv", FACEFIT_URL=server.url, FACEFIT_API_KEY=KEY)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (expected, "", 1)
    assert KEY not in ended.stderr
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_what_is_wrong_here_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    (tmp_path / "there.csv").write_text("old")
    for arguments, expected in (
        (("bulk", tmp_path, "--out", tmp_path / "there.csv"), Exit.USAGE),
        (("bulk", tmp_path, "--out", tmp_path / "no" / "o.csv"), Exit.USAGE),
        (("bulk", tmp_path, "--out", tmp_path / "o.csv", "-o", "measure_and_delete=true"), Exit.USAGE),
        (("jobs", "list", "--url", "nonsense"), Exit.USAGE),
        (("measure", HOPPER, "-o", "colour=red"), Exit.USAGE),
        (("check",), Exit.TRY_AGAIN),
    ):
        ended = ran(*arguments, FACEFIT_URL=nowhere)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (expected, "", 1), ended.stderr


def test_the_version_is_told() -> None:
    assert ran("--version").stdout.startswith("facefit 0.")


# A folder, killed again and again


@pytest.fixture(autouse=True)
def ctrl_c_is_heard() -> Iterator[None]:
    """Undo what a script hands down to what it runs in the background: that SIGINT is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def in_a_folder(folder: Path) -> dict[str, str]:
    """Make photos, and what is none; return how each is expected to end, by its path."""
    good = ["a.jpg", "写真/é ü.jpg", "_DSC1.JPG", f"{'long-' * 24}/{'name-' * 4}.jpg"]
    for name in good:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HOPPER, folder / name)
    for number in range(20):
        (folder / f"page {number}.jpg").write_bytes(b"<html>%d" % number)
    (folder / "empty.png").touch()
    (folder / "notes.txt").write_text("no photo")
    (folder / "gone.jpg").symlink_to("nowhere")
    rubbish = {f"page {number}.jpg": "unsupported_format" for number in range(20)}
    return {**dict.fromkeys(good, ""), **rubbish, "empty.png": "empty", "gone.jpg": "unreadable"}


def noted(state: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for line in state.read_bytes().splitlines() if state.exists() else ():
        try:
            found.update(json.loads(line).keys())
        except ValueError:
            continue  # it is just being written
    return found


def stop_when(
    moment: Callable[[Counter[str]], bool],
    number: signal.Signals,
    after_s: float,
    out: Path,
    *command: Any,
    **more: str,
) -> tuple[int, str]:
    deadline = time.monotonic() + PATIENCE_S
    """Stop a run by a signal at a moment that is told by what it has noted itself; what former runs did is left out."""
    state = out.with_name(out.name + ".state")
    before = noted(state)
    with started(*command, **more) as process:
        while not moment(noted(state) - before):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, noted(state)
            time.sleep(0.001)
        time.sleep(after_s)
        process.send_signal(number)
        said = process.communicate(timeout=PATIENCE_S)[1]
    return process.returncode, said


def batches(http: httpx.Client) -> set[str]:
    return {batch["id"] for batch in http.get("/v1/batches?limit=100").raise_for_status().json()["data"]}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_folder_is_measured_once_whenever_it_is_stopped(
    service: Stack, http: httpx.Client, tmp_path: Path, seed: int
) -> None:
    chance, before = random.Random(seed), batches(http)
    folder, out = tmp_path / "photos", tmp_path / "results.csv"
    expected = in_a_folder(folder)
    command, url = ("bulk", folder, "--out", out, "--uploads", "2", "--json"), {"FACEFIT_URL": service.url}
    stop_when(lambda done: done["keys"] > 0, signal.SIGKILL, chance.uniform(0, 0.1), out, *command, **url)
    n_sent = chance.randint(1, 6)
    code, said = stop_when(lambda done: done["sent"] >= n_sent, signal.SIGINT, 0, out, *command, **url)
    assert (code, said.splitlines()[-1]) == (Exit.INTERRUPTED, "facefit: interrupted; the same command goes on")
    assert "Traceback" not in said
    stop_when(lambda done: done["sent"] > 0, signal.SIGKILL, chance.uniform(0, 0.2), out, *command, **url)
    assert not out.exists()
    ended = ran(*command, **url)
    assert ended.returncode == Exit.SOME_NOT_MEASURED, ended.stderr
    [summary] = lines(ended)
    assert summary["counts"] == {"succeeded": 4, "rejected": 20, "not_sent": 2}
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["file"] for row in rows) == sorted(expected)
    assert {row["file"]: row["error_code"] for row in rows} == expected
    [made] = batches(http) - before
    assert summary["batches"] == [made]
    items = http.get(f"/v1/batches/{made}/items?limit=1000").json()["data"]
    assert sorted(item["reference"] for item in items) == sorted(row["reference"] for row in rows if row["job_id"])
    assert [item["attempts"] for item in items if item["status"] == "succeeded"] == [1] * 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "results.csv"]


def test_a_run_that_is_at_work_is_not_forgotten(tmp_path: Path) -> None:
    state = tmp_path / "o.csv.state"
    with Journal.begin(state, Task(str(tmp_path), "http://127.0.0.1", {}), [], 10):
        with pytest.raises(ConfigurationError, match="another process is at work"):
            Journal.forget(state)
        assert state.exists()
    Journal.forget(state)
    assert not state.exists()


def test_a_full_disk_is_told_in_a_line_and_the_same_command_goes_on(service: Stack, tmp_path: Path) -> None:
    folder, out = tmp_path / "photos", tmp_path / "results.csv"
    folder.mkdir()
    (folder / "page.jpg").write_bytes(b"<html>")
    (tmp_path / "results.csv.part").symlink_to("/dev/full")  # what is written there finds no room
    command = ("bulk", folder, "--out", out)
    ended = ran(*command, FACEFIT_URL=service.url)
    assert ended.returncode == Exit.LOCAL
    assert ended.stderr.splitlines()[-1].endswith("No space left on device; make room and run the same again")
    assert not out.exists()
    ended = ran(*command, FACEFIT_URL=service.url)
    assert ended.returncode == Exit.SOME_NOT_MEASURED, ended.stderr
    assert "1 rejected" in ended.stderr


def test_a_photo_that_changes_meanwhile_is_not_sent_and_said(service: Stack, tmp_path: Path) -> None:
    folder, out = tmp_path / "photos", tmp_path / "results.ndjson"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (folder / name).write_bytes(b"<html>")
    command, url = ("bulk", folder, "--out", out, "--uploads", "1"), {"FACEFIT_URL": service.url}
    stop_when(lambda done: done["keys"] > 0, signal.SIGKILL, 0, out, *command, **url)
    (folder / "b.jpg").write_bytes(b"<html>, and more")
    (folder / "c.jpg").unlink()
    ended = ran(*command, **url)
    assert ended.returncode == Exit.SOME_NOT_MEASURED, ended.stderr
    found = {
        line["file"]: (line["status"], line["error_code"]) for line in map(json.loads, out.read_text().splitlines())
    }
    sent = ("rejected", "unsupported_format")
    assert found["a.jpg"] == sent
    # What was in storage before it was changed here was measured as it was.
    assert found["b.jpg"] in {("not_sent", "changed"), sent}
    assert found["c.jpg"] in {("not_sent", "unreadable"), sent}


def test_a_service_that_is_away_for_a_while_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(HOPPER, tmp_path / "in")
    listed = ok({"data": [], "next_cursor": None})
    with answering(listed, problem(503, "unavailable", Retry_After="0"), Answer(502, b""), problem(400, "x")) as server:
        ended = ran("bulk", tmp_path / "in", "--out", tmp_path / "o.csv", FACEFIT_URL=server.url)
    assert ended.returncode == Exit.REFUSED
    posted = [asked for asked in server.asked if asked.method == "POST"]
    assert len(posted) == 3
    assert len({asked.headers["idempotency-key"] for asked in posted}) == 1
    assert (tmp_path / "o.csv.state").exists()
