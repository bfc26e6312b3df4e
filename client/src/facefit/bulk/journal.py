"""What is known of a run, beside its output: lines of JSON that are only ever added to.

Whatever must not be done twice is written down before it is done. A process that is killed leaves at most half a line,
which the next one passes over.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from facefit.bulk.scan import Found
from facefit.errors import ConfigurationError

if sys.platform != "win32":
    import fcntl

_VERSION: Final = 1
_HEAD: Final = {"version", "folder", "url", "options", "batch_size", "keys", "photos"}


@dataclass(frozen=True, slots=True)
class Task:
    """What a run is about; a run that goes on must be about the same.

    Attributes
    ----------
    folder : str
        Where the photos are.
    url : str
        The service that measures them.
    options : dict
        What is asked for with all of them.
    """

    folder: str
    url: str
    options: Mapping[str, str]


@dataclass(slots=True)
class Part:
    """The photos of one batch.

    Attributes
    ----------
    key : str
        The idempotency key it is made with, however often.
    batch_id : str or None
        None until it is known.
    is_sent : bool
        Whether all photos are there and the batch is started.
    """

    photos: Sequence[Found]
    key: str
    batch_id: str | None = None
    is_sent: bool = False


@dataclass(slots=True)
class Journal:
    """The state of a run; held by one process at a time.

    Attributes
    ----------
    troubles : dict
        Why photos could not be sent, by reference: `empty`, `unreadable`, `changed`.
    sent : set of str
        References of the photos that are in storage.
    """

    path: Path
    task: Task
    photos: Sequence[Found]
    parts: list[Part]
    troubles: dict[str, str]
    sent: set[str] = field(default_factory=set)
    is_resumed: bool = False
    _file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    @classmethod
    def begin(cls, path: Path, task: Task, photos: Sequence[Found], batch_size: int) -> Self:
        """Write down what is to be done, whole or not at all."""
        keys = [str(uuid.uuid4()) for _ in range(0, len(photos), batch_size)]
        head = {
            "version": _VERSION,
            **asdict(task),
            "batch_size": batch_size,
            "keys": keys,
            "photos": [asdict(photo) for photo in photos],
        }
        fresh = path.with_name(path.name + ".new")
        with fresh.open("ab") as file:
            _lock(file, path)
            if path.exists():  # since it was looked for: another process has begun
                with suppress(PermissionError):  # Windows removes nothing that is open
                    fresh.unlink()
                raise ConfigurationError(f"another process has just begun {path}; the same command goes on with it")
            file.truncate(0)
            file.write(_line(head))
            _sync(file)
            if sys.platform != "win32":
                fresh.replace(path)  # while it is locked
        if sys.platform == "win32":  # which replaces nothing that is open
            fresh.replace(path)
        return cls._made(path, head, [])

    @classmethod
    def resume(cls, path: Path, task: Task) -> Self:
        """Read what was done.

        Raises
        ------
        ConfigurationError
            If the file is of another run, or of no run.
        """
        head, *entries = _read(path)
        if not head.keys() >= _HEAD or head["version"] != _VERSION:
            raise ConfigurationError(f"{path} is none of this version's; remove it to begin anew")
        for name, now in asdict(task).items():
            if head[name] != now:
                raise ConfigurationError(
                    f"{path} is of a run with another {name} ({head[name]}, now {now}); give the same as then,"
                    " another --out, or --restart to begin anew"
                )
        journal = cls._made(path, head, entries)
        journal.is_resumed = True
        return journal

    @classmethod
    def _made(cls, path: Path, head: dict[str, Any], entries: list[dict[str, Any]]) -> Self:
        photos = [Found(**photo) for photo in head["photos"]]
        size = head["batch_size"]
        parts = [Part(photos[n * size : (n + 1) * size], key) for n, key in enumerate(head["keys"])]
        troubles = {photo.reference: photo.trouble for photo in photos if photo.trouble}
        journal = cls(path, Task(head["folder"], head["url"], head["options"]), photos, parts, troubles)
        for entry in entries:
            journal._take(entry)
        journal._file = path.open("r+b")
        _lock(journal._file, path)
        journal._end_last_line()
        return journal

    def made(self, part: Part, batch_id: str) -> None:
        """Note the batch that a part of the photos is."""
        self._note({"part": self.parts.index(part), "batch_id": batch_id}, sync=True)

    def all_sent(self, part: Part) -> None:
        """Note that nothing of a part is left to be sent."""
        self._note({"part": self.parts.index(part), "is_sent": True})

    def photo_sent(self, reference: str) -> None:
        """Note that storage has a photo."""
        self._note({"sent": reference})

    def photo_failed(self, reference: str, trouble: str) -> None:
        """Note that a photo cannot be sent."""
        self._note({"failed": reference, "trouble": trouble})

    def remove(self) -> None:
        """Forget the run: its output is there."""
        self.path.unlink(missing_ok=True)

    @staticmethod
    def forget(path: Path) -> None:
        """Forget a former run.

        Raises
        ------
        ConfigurationError
            If a process is at work with it.
        """
        if path.exists():
            with path.open("r+b") as file:
                _lock(file, path)
                path.unlink()

    def _take(self, entry: dict[str, Any]) -> None:
        if "sent" in entry:
            self.sent.add(entry["sent"])
        elif "failed" in entry:
            self.troubles[entry["failed"]] = entry["trouble"]
        elif "part" in entry:
            part = self.parts[entry["part"]]
            part.batch_id = entry.get("batch_id", part.batch_id)
            part.is_sent = entry.get("is_sent", part.is_sent)

    def _note(self, entry: dict[str, Any], *, sync: bool = False) -> None:
        if self._file is None:
            message = "the journal is closed"
            raise ValueError(message)
        self._file.write(_line(entry))
        self._file.flush()
        if sync:
            _sync(self._file)
        self._take(entry)

    def _end_last_line(self) -> None:
        """Put an end to a line that a killed process has left without one."""
        file = self._file
        if file is None or not file.seek(0, os.SEEK_END):
            return
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")


def _line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry).encode() + b"\n"  # names that are no UTF-8 survive as escapes


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _read(path: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for line in path.read_bytes().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # a process was killed while it wrote this
        entries.append(entry if isinstance(entry, dict) else {})
    return entries or [{}]


def _lock(file: BinaryIO, path: Path) -> None:
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise ConfigurationError(
            f"another process is at work with {path}; wait for it, or give another --out"
        ) from error
