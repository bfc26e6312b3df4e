"""What a bulk run writes down of itself: one run at a time, and nothing forgotten before there is another."""

from __future__ import annotations

from pathlib import Path

import pytest

from facefit import ConfigurationError
from facefit.bulk.journal import Journal, Task
from facefit.bulk.scan import scan
from tests.client.command import ran


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "photos"
    made.mkdir()
    (made / "a.jpg").write_bytes(b"\xff\xd8\xff")
    return made


def test_of_two_runs_that_begin_together_one_goes_on(folder: Path, tmp_path: Path) -> None:
    state, task, (photos, _) = tmp_path / "r.csv.state", Task(str(folder), "http://here", {}), scan(folder)
    with Journal.begin(state, task, photos, 10) as first:
        with pytest.raises(ConfigurationError, match="another process"):
            Journal.begin(state, task, photos, 10)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", state.name]
        keys = [part.key for part in first.parts]
    with Journal.resume(state, task) as again:
        assert [part.key for part in again.parts] == keys


def test_a_restart_with_a_folder_that_is_not_there_forgets_nothing(tmp_path: Path) -> None:
    state = tmp_path / "r.csv.state"
    state.write_text("what was done\n")
    out, nowhere = tmp_path / "r.csv", tmp_path / "typo"
    ended = ran("bulk", nowhere, "--out", out, "--restart", "--url", "http://127.0.0.1:9")
    assert ended.returncode != 0
    assert state.read_text() == "what was done\n"


@pytest.mark.parametrize("head", ["[1]", '{"version": 1}', "null", "no json"])
def test_a_damaged_state_is_told_in_a_line(folder: Path, tmp_path: Path, head: str) -> None:
    state = tmp_path / "r.csv.state"
    state.write_text(head + "\n")
    with pytest.raises(ConfigurationError, match="remove it to begin anew"):
        Journal.resume(state, Task(str(folder), "http://here", {}))


def test_a_folder_is_no_table(folder: Path, tmp_path: Path) -> None:
    ended = ran("bulk", folder, "--out", tmp_path, "--url", "http://127.0.0.1:9")
    assert (ended.returncode, "is a folder" in ended.stderr, "Traceback" in ended.stderr) == (2, True, False)
