"""A store that stays shut once its disk has room again, and when it is to be started anew."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import pytest

from shared.errors import StorageUnavailable
from shared.storage.full_disk import ROOM_BYTES, FullDisk, trial_keys
from shared.storage.memory import MemoryObjectStore


class Usage(NamedTuple):
    total: int
    used: int
    free: int


class Trial:
    """A disk and a store that a test fills and shuts."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.free = 10 * ROOM_BYTES
        self.objects = MemoryObjectStore()
        self.disk = FullDisk(Path("store"), "facefit", lambda: self.objects, lambda: self.now_s)

    def passes(self, seconds: int) -> list[float]:
        """Return when the store was to be started again."""
        found = []
        for _ in range(seconds):
            self.now_s += 1
            if self.disk.store_is_shut():
                found.append(self.now_s)
        return found


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> Trial:
    made = Trial()
    monkeypatch.setattr("shared.storage.full_disk.shutil.disk_usage", lambda _: Usage(100 * ROOM_BYTES, 0, made.free))
    return made


def test_a_store_that_is_away_with_a_disk_that_was_never_full_is_left_alone(trial: Trial) -> None:
    trial.objects.away = True
    assert trial.passes(300) == []


def test_a_store_is_not_started_again_while_its_disk_is_full(trial: Trial) -> None:
    trial.free, trial.objects.away = 0, True
    assert trial.passes(300) == []


def test_a_store_that_stays_shut_is_started_again_and_given_time_to(trial: Trial) -> None:
    trial.free, trial.objects.away = 0, True
    trial.passes(10)
    trial.free = 10 * ROOM_BYTES
    first, second = trial.passes(110)
    assert 20 <= first - 10 <= 30
    assert second - first >= 60
    trial.objects.away = False
    assert trial.passes(300) == []


def test_a_store_that_takes_writes_again_is_not_asked_any_more(trial: Trial) -> None:
    trial.free = 0
    trial.passes(3)
    trial.free = 10 * ROOM_BYTES
    assert trial.passes(6) == []
    trial.objects.away = True
    assert trial.passes(300) == []


def test_one_shut_part_of_the_index_is_enough(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    shut = list(trial_keys("facefit"))[5]
    put = trial.objects.put

    def put_unless_shut(key: str, body: bytes) -> None:
        if key == shut:
            raise StorageUnavailable("no space left on device")
        put(key, body)

    monkeypatch.setattr(trial.objects, "put", put_unless_shut)
    trial.free = 0
    trial.passes(1)
    trial.free = 10 * ROOM_BYTES
    assert len(trial.passes(40)) == 1


def test_every_part_of_the_index_is_tried_and_nothing_is_left_there(trial: Trial) -> None:
    folders = [f"/buckets/facefit/{key.rpartition('/')[0]}" for key in trial_keys("facefit")]
    parts = {hashlib.md5(folder.encode(), usedforsecurity=False).digest()[-1] % 8 for folder in folders}
    assert parts == set(range(8))
    trial.free = 0
    trial.passes(1)
    trial.free = 10 * ROOM_BYTES
    trial.passes(10)
    assert list(trial.objects.list("")) == []
