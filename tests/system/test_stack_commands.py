"""`python -m stack up` and `demo`, as a person at a terminal meets them."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from stack.data_folder import free_ports
from stack.services import ROOT, WORKERS
from stack.stack import Stack

pytestmark = pytest.mark.system

READY = "facefit is ready at "


def command(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "stack", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def finish(process: subprocess.Popen[str]) -> str:
    with process:
        output, _ = process.communicate()
    return output


@contextmanager
def up(cwd: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run `up` and yield it with what it said, once it is ready."""
    with command("up", *arguments, cwd=cwd) as process:
        try:
            said: list[str] = []
            assert process.stdout is not None
            for line in process.stdout:
                said.append(line.rstrip("\n"))
                if line.startswith(READY):
                    break
            assert said[-1].startswith(READY), "\n".join(said)
            yield process, said
        finally:
            process.kill()


def test_up_says_where_it_is_and_stops_when_told(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    with up(tmp_path, "--port", str(port), "--data", "here") as (process, said):
        url = f"http://127.0.0.1:{port}"
        assert said[-1] == f"{READY}{url}"
        text = "\n".join(said)
        assert f"curl -F image=@stack/portraits/astronaut.png {url}/face-coordinates" in text
        assert f"curl -F image=@stack/portraits/astronaut.png -H 'Prefer: wait=20' {url}/v1/jobs" in text
        assert f"{url}/docs" in text
        assert httpx.get(f"{url}/readyz", trust_env=False, timeout=20).status_code == httpx.codes.OK

        refused = command("up", "--port", "0", "--data", "here", cwd=tmp_path)
        assert "another facefit runs on the data folder" in finish(refused)
        assert refused.returncode == 2

        process.send_signal(signal.SIGTERM)
        rest = finish(process)
        assert process.returncode == 0
        assert sum(line.startswith(READY) for line in (*said, *rest.splitlines())) == 1
    assert_all_gone(tmp_path / "here")


def test_a_killed_up_leaves_nothing_running(tmp_path: Path) -> None:
    with up(tmp_path, "--port", "0", "--data", "here") as (process, _):
        process.kill()
        process.wait()
        assert_all_gone(tmp_path / "here")


def test_a_taken_port_is_one_clear_line_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = command("up", "--port", str(port), "--data", "here", cwd=tmp_path)
        said = finish(process).splitlines()
    assert process.returncode == 2
    assert said == [f"facefit: port {port} is taken: stop what listens there, or choose another (make up PORT=…)"]
    assert list((tmp_path / "here" / "logs").iterdir()) == []


def test_up_can_be_stopped_while_it_starts(tmp_path: Path) -> None:
    with command("up", "--port", "0", "--data", "here", cwd=tmp_path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("waiting for"):
                break
        process.send_signal(signal.SIGINT)
        assert READY not in finish(process)
    assert process.returncode == 0
    assert_all_gone(tmp_path / "here")


def test_the_demo_measures_both_portraits_and_ends_well(tmp_path: Path) -> None:
    process = command("demo", cwd=tmp_path)
    output = finish(process)
    assert process.returncode == 0, output
    for name in ("astronaut", "grace_hopper"):
        picture = tmp_path / "demo-output" / f"{name}.svg"
        assert f"overlay written to demo-output/{name}.svg" in output
        assert "<svg" in picture.read_text()
    assert output.count('"... 476 more"') == 2
    assert output.count('"... 466 more"') == 1


def test_unfinished_jobs_are_done_after_the_next_start(tmp_path: Path, astronaut: bytes) -> None:
    with Stack(tmp_path) as stack:
        for worker in WORKERS:
            stack.supervisor.stop(worker.name)
        accepted = httpx.post(
            f"{stack.url}/v1/jobs", files={"image": ("a.png", astronaut, "image/png")}, trust_env=False, timeout=20
        )
        assert accepted.status_code == httpx.codes.ACCEPTED
    job = accepted.headers["location"]
    with Stack(tmp_path) as stack, httpx.Client(base_url=stack.url, trust_env=False, timeout=40) as client:
        answer = client.get(job, params={"wait": "30"}).json()
    assert answer["status"] == "succeeded"
    assert answer["attempts"] == 1


def assert_all_gone(folder: Path) -> None:
    """Once the folder's lock is free, no process may have anything to do with the folder."""
    password = json.loads((folder / "secrets.json").read_text())["redis_password"].encode()
    left = []
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it ended meanwhile
                here = (process / "cwd").readlink().is_relative_to(folder)
                if here or password in (process / "environ").read_bytes():
                    left.append((process / "cmdline").read_text())
    assert left == []
