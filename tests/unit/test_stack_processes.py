"""What the stack would run, without running it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from shared.config import Settings
from shared.names import QueueName
from stack.child import LOG_LIMIT_BYTES, Child, ChildSpec
from stack.data_folder import DataFolder, Ports
from stack.demo import shorten
from stack.object_store import object_store
from stack.redis_server import find_redis, redis_server, redis_url
from stack.services import WORKERS, services, settings_env
from stack.stack import Stack

PORTS = Ports(*range(20_000, 20_009))


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path / 'a "quoted" folder')


@pytest.fixture
def settings(folder: DataFolder) -> dict[str, str]:
    return settings_env(PORTS, folder.secrets(), 8000, {"FACEFIT_LEASE_S": "6"})


def test_every_queue_is_watched_by_one_worker() -> None:
    watched = [queue for worker in WORKERS for queue in worker.queues]
    assert sorted(watched) == sorted(QueueName)


def test_workers_are_told_their_queues_and_how_many_photos_at_once(settings: dict[str, str]) -> None:
    commands = {spec.name: spec.command for spec in services(settings)}
    for worker in WORKERS:
        command = commands[worker.name]
        assert command[command.index("--queues") + 1] == ",".join(worker.queues)
        assert command[command.index("--concurrency") + 1] == str(worker.concurrency)
        assert command[command.index("--prefetch-multiplier") + 1] == "1"


def test_every_variable_is_a_setting_of_the_product(settings: dict[str, str]) -> None:
    assert {name.removeprefix("FACEFIT_").lower() for name in settings} <= set(Settings.model_fields)


def test_overrides_win_and_reach_every_process(settings: dict[str, str]) -> None:
    assert all(spec.env["FACEFIT_LEASE_S"] == "6" for spec in services(settings))


def test_all_processes_run_on_the_same_interpreter(settings: dict[str, str]) -> None:
    assert {spec.command[:2] for spec in services(settings)} == {(sys.executable, "-m")}


def test_the_api_stops_before_the_workers_and_the_stores_last(folder: DataFolder, settings: dict[str, str]) -> None:
    stores = (object_store(folder, PORTS, folder.secrets()), redis_server(folder, PORTS, folder.secrets()))
    ranked = sorted((*services(settings), *stores), key=lambda spec: spec.stop_rank)
    assert [spec.name for spec in ranked] == [
        "api",
        *(worker.name for worker in WORKERS),
        "delivery",
        "upkeep",
        "store",
        "redis",
    ]


def test_the_store_reports_to_nobody_and_listens_on_loopback(folder: DataFolder) -> None:
    spec = object_store(folder, PORTS, folder.secrets())
    assert {"-master.telemetry=false", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"} <= set(spec.command)
    assert not spec.inherit_env


def test_the_password_of_redis_is_in_its_file_and_address_only(folder: DataFolder) -> None:
    secrets = folder.secrets()
    spec = redis_server(folder, PORTS, secrets)
    config = folder.redis / "redis.conf"
    assert spec.command[1:] == (str(config),)
    assert f"requirepass {secrets.redis_password}" in config.read_text().splitlines()
    assert 'a \\"quoted\\" folder' in config.read_text()
    assert redis_url(PORTS, secrets) == f"redis://:{secrets.redis_password}@127.0.0.1:20000/0"


@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_a_server_of_the_machine_is_taken_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    server = tmp_path / name
    server.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_redis() == server


def test_a_long_log_is_put_aside_when_its_process_starts(tmp_path: Path) -> None:
    log = tmp_path / "prints.log"
    with log.open("wb") as file:
        file.truncate(LOG_LIMIT_BYTES + 1)
    child = Child(ChildSpec("prints", (sys.executable, "-c", "print('new')")), tmp_path)
    child.spawn()
    child.wait(60)
    child.sweep()
    assert log.read_text() == "new\n"
    assert (tmp_path / "prints.log.old").stat().st_size == LOG_LIMIT_BYTES + 1


def test_only_the_end_of_a_log_is_shown(tmp_path: Path) -> None:
    child = Child(ChildSpec("prints", ("true",)), tmp_path)
    assert child.log_tail() == "    (no log)"
    child.log.write_text("\n".join(f"line {number}" for number in range(5000)))
    assert child.log_tail(lines=2) == "    line 4998\n    line 4999"


def test_long_lists_of_landmarks_are_shortened_wherever_they_are() -> None:
    faces = [{"landmarks": [{"id": n} for n in range(478)], "measurements": {"eye_gap": {"px": 1.5}}}]
    assert shorten({"faces": faces, "landmarks": [1, 2]}) == {
        "faces": [{"landmarks": [{"id": 0}, {"id": 1}, "... 476 more"], "measurements": {"eye_gap": {"px": 1.5}}}],
        "landmarks": [1, 2],
    }


def test_a_stack_that_was_not_started_can_be_closed(tmp_path: Path) -> None:
    said: list[str] = []
    Stack(tmp_path, echo=said.append).close()
    assert said == []
