"""The folder that holds all that a stack keeps: data, logs, ports, secrets, and the lock that makes it one stack's."""

from __future__ import annotations

import fcntl
import json
import os
import random
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

from stack.errors import FolderInUse, PortTaken, StackError

LOOPBACK: Final = "127.0.0.1"

PORTS_FROM: Final = range(20_000, 32_000)
"""Below the range of outgoing connections: a port that is free when it is chosen is still free a moment later."""

_chance = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the stores listen, all on loopback."""

    redis: int
    s3: int
    s3_grpc: int
    filer: int
    filer_grpc: int
    volume: int
    volume_grpc: int
    master: int
    master_grpc: int


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the stores ask for at their doors; made once for each folder."""

    redis_password: str
    s3_access_key_id: str
    s3_secret_access_key: str
    jwt_volume_write: str
    jwt_volume_read: str
    jwt_filer_write: str
    jwt_filer_read: str

    def __repr__(self) -> str:
        return "Secrets(…)"


class DataFolder:
    """A stack's folder; made when it is not there, readable by its owner alone."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self.redis = self.path / "redis"
        self.store = self.path / "store"
        try:
            for folder in (self.path, self.logs, self.redis, self.store):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            message = f"cannot use {path} as the data folder: {exc}"
            raise StackError(message) from exc

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the folder for one stack; yields the descriptor that holds it.

        Raises
        ------
        FolderInUse
            If another stack holds it.
        """
        with (self.path / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                message = (
                    f"another facefit runs on the data folder {self.path}: stop it, or choose another folder"
                    " (make up DATA=…)"
                )
                raise FolderInUse(message) from exc
            yield lock.fileno()

    def ports(self, held: ExitStack | None = None) -> Ports:
        """Return the ports of last time while all of them are free, new ones otherwise, and remember them.

        Parameters
        ----------
        held : ExitStack, optional
            Keeps new ones from whoever chooses after, until it is closed.
        """
        file = self.path / "ports.json"
        remembered = _read(file)
        names = [field.name for field in fields(Ports)]
        if set(remembered) == set(names) and all(is_free(int(port)) for port in remembered.values()):
            return Ports(**{name: int(remembered[name]) for name in names})
        ports = Ports(*free_ports(len(names), held))
        _write_private(file, asdict(ports))
        return ports

    def secrets(self) -> Secrets:
        """Return the folder's secrets; made the first time."""
        file = self.path / "secrets.json"
        names = [field.name for field in fields(Secrets)]
        kept = {name: str(value) for name, value in _read(file).items()}
        if set(kept) != set(names):
            kept = {name: secrets.token_hex(20) for name in names}
            _write_private(file, kept)
        return Secrets(**kept)


def last_used(path: Path) -> tuple[Ports, Secrets] | None:
    """Return the ports and secrets of the stack that ran last on a folder, or runs there now; changes nothing."""
    ports, secrets = _read(path / "ports.json"), _read(path / "secrets.json")
    if set(ports) != {field.name for field in fields(Ports)} or set(secrets) != {
        field.name for field in fields(Secrets)
    }:
        return None
    return (
        Ports(**{name: int(port) for name, port in ports.items()}),
        Secrets(**{name: str(secret) for name, secret in secrets.items()}),
    )


def is_free(port: int) -> bool:
    """Tell whether `port` can be listened on, on loopback."""
    with socket.socket() as listener:
        # As servers do: connections of an earlier server that linger do not count.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports(count: int, held: ExitStack | None = None) -> list[int]:
    """Return `count` different ports that are free on loopback.

    Parameters
    ----------
    count : int
        How many.
    held : ExitStack, optional
        Keeps them from whoever chooses after, until it is closed: two stacks that start at once may not choose the same
        before either listens.

    Raises
    ------
    PortTaken
        If there are not so many.
    """
    found: list[int] = []
    with ExitStack() as chosen:
        for port in _chance.sample(PORTS_FROM, len(PORTS_FROM)):
            if len(found) == count:
                if held is not None:
                    held.push(chosen.pop_all())
                return found
            with suppress(OSError):
                _take(port, chosen)
                found.append(port)
    message = f"no free ports on {LOOPBACK} between {PORTS_FROM.start} and {PORTS_FROM.stop}"
    raise PortTaken(message)


def _take(port: int, held: ExitStack) -> None:
    """Bind a port that nobody has, and listen to nothing; raise `OSError` if somebody has it.

    A server that sets SO_REUSEADDR, as all of ours do, can still listen there; whoever binds without it cannot.
    """
    taken = held.enter_context(socket.socket())
    taken.bind((LOOPBACK, port))
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def write_private(path: Path, text: str) -> None:
    """Replace a file by one that only its owner can read, at once or not at all."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def _write_private(path: Path, values: dict[str, int] | dict[str, str]) -> None:
    write_private(path, json.dumps(values, indent=1) + "\n")


def _read(path: Path) -> dict[str, int | str]:
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as exc:
        message = f"{path} is damaged; remove it, and what it held is made anew"
        raise StackError(message) from exc
    return values if isinstance(values, dict) else {}
