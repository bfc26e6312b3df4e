from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import astuple
from pathlib import Path

import pytest

from stack.administration import COMMANDS, administer
from stack.data_folder import LOOPBACK, PORTS_FROM, DataFolder, free_ports, is_free, last_used, write_private
from stack.errors import FolderInUse, NotReady, StackError

pytestmark = pytest.mark.enable_socket


def test_ports_are_remembered_while_they_are_free(tmp_path: Path) -> None:
    assert DataFolder(tmp_path).ports() == DataFolder(tmp_path).ports()


def test_all_ports_are_new_when_one_was_taken_meanwhile(tmp_path: Path) -> None:
    before = DataFolder(tmp_path).ports()
    with socket.create_server(("127.0.0.1", before.filer)):
        after = DataFolder(tmp_path).ports()
    assert after != before
    assert DataFolder(tmp_path).ports() == after


def test_ports_are_different_and_below_the_range_of_outgoing_connections(tmp_path: Path) -> None:
    ports = astuple(DataFolder(tmp_path).ports())
    assert len(set(ports)) == len(ports)
    assert all(port in PORTS_FROM for port in ports)


def test_a_port_is_taken_while_somebody_listens_and_free_again_afterwards() -> None:
    (port,) = free_ports(1)
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
    assert is_free(port)


def test_a_port_that_is_held_is_nobody_elses_and_its_server_can_listen_there() -> None:
    with ExitStack() as held:
        (port,) = free_ports(1, held)
        with socket.socket() as another, pytest.raises(OSError, match="in use"):
            another.bind((LOOPBACK, port))
        with socket.create_server((LOOPBACK, port)), socket.create_connection((LOOPBACK, port), timeout=5):
            pass


def test_new_ports_of_a_folder_are_held(tmp_path: Path) -> None:
    with ExitStack() as held:
        ports = astuple(DataFolder(tmp_path).ports(held))
        for port in ports:
            with socket.socket() as another, pytest.raises(OSError, match="in use"):
                another.bind((LOOPBACK, port))


def test_secrets_are_made_once_for_each_folder_and_not_shown(tmp_path: Path) -> None:
    ours = DataFolder(tmp_path / "ours").secrets()
    assert DataFolder(tmp_path / "ours").secrets() == ours
    assert DataFolder(tmp_path / "theirs").secrets() != ours
    assert len(set(astuple(ours))) == len(astuple(ours))
    assert ours.redis_password not in repr(ours)


def test_a_private_file_replaces_what_was_there_and_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("before")
    file.chmod(0o644)
    write_private(file, "after")
    assert file.read_text() == "after"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    (tmp_path / "ports.json").write_text("{")
    with pytest.raises(StackError, match=r"ports\.json is damaged; remove it"):
        folder.ports()


def test_only_one_holds_the_folder(tmp_path: Path) -> None:
    with (
        DataFolder(tmp_path).locked(),
        pytest.raises(FolderInUse, match="another facefit runs"),
        DataFolder(tmp_path).locked(),
    ):
        pass
    with DataFolder(tmp_path).locked():
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match=r"cannot use .*file/data as the data folder"):
        DataFolder(tmp_path / "file" / "data")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_stack_that_runs_is_administered_and_no_other(command: str, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    with pytest.raises(NotReady, match="start it with `make up`"):
        administer(command, nowhere, ["list"])
    assert not nowhere.exists()
    folder = DataFolder(tmp_path)
    used = folder.ports(), folder.secrets()
    assert last_used(tmp_path) == used
    with pytest.raises(NotReady):
        administer(command, tmp_path, ["list"])
    with socket.create_server(("127.0.0.1", used[0].s3)):
        assert last_used(tmp_path) == used  # where `ports` would choose others
