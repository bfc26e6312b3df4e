"""The arithmetic of `make bench`: what is counted, how rounds become figures, and what the tables say of them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bench.speed import photos as bench_photos
from bench.speed.accounting import LeaderChanged, ProcessTimes, cpu_window, processes, session_cpu_s
from bench.speed.bars import BARS, Bar, reached
from bench.speed.client import BatchBody, ended_of
from bench.speed.page import PAGE, updated
from bench.speed.photos import PORTRAIT_512, WEBP, Kind, Pool, of_size, with_comment
from bench.speed.plot import merged
from bench.speed.record import Record
from bench.speed.rounds import Figure, Turn, percentile, ratios, rotated
from bench.speed.setting import FULL, QUICK
from bench.speed.start_up import packages_of
from bench.speed.tables import TABLES, bars_table
from bench.speed.throughput import BARE, BEST, CROWD, against_original, efficiency, summary

BURN = "import time; end = time.process_time() + {}\nwhile time.process_time() < end: pass"
HZ = os.sysconf("SC_CLK_TCK")


def turn(wall_s: float, photos: int = 10, **cpu_s: float) -> Turn:
    return Turn(photos, photos, wall_s, {name.replace("_", " "): used for name, used in cpu_s.items()})


def test_a_line_of_proc_is_read_whatever_the_process_is_called() -> None:
    fields = ["S", "7", "41", "42", *["0"] * 7, *(str(HZ * ticks) for ticks in (1, 2, 3, 4)), *["0"] * 30]
    found = ProcessTimes.parse(f"43 (a) name) (of 9) {' '.join(fields)}")
    assert found == ProcessTimes(pid=43, parent=7, session=42, own_s=3.0, ended_s=7.0)


def test_a_session_counts_each_process_once_and_nobody_elses() -> None:
    among = [
        ProcessTimes(1, 0, 1, own_s=1.0, ended_s=4.0),
        ProcessTimes(2, 1, 1, own_s=2.0, ended_s=0.0),
        ProcessTimes(3, 0, 3, own_s=8.0, ended_s=8.0),
    ]
    assert session_cpu_s(1, among) == 7.0


@pytest.mark.skipif(sys.platform != "linux", reason="counts by /proc")
def test_children_that_ended_are_counted_with_those_that_run() -> None:
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN.format(0.2)!r}], check=True)"
    code = f"input(); {child}; print('ended', flush=True); input()"
    leader = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert leader.stdin is not None
    assert leader.stdout is not None
    try:
        with cpu_window(lambda: {"leader": leader.pid}) as window:
            leader.stdin.write("\n")
            leader.stdin.flush()
            assert leader.stdout.readline() == "ended\n"
        assert not [each for each in processes() if each.session == leader.pid and each.pid != leader.pid]
        assert window.cpu_s["leader"] >= 0.18  # in ticks of the clock
        assert window.wall_s >= 0.18
    finally:
        leader.communicate("\n")


def test_a_window_in_which_a_process_was_started_anew_is_refused() -> None:
    pids = iter((os.getpid(), os.getpid() + 1))
    with pytest.raises(LeaderChanged), cpu_window(lambda: {"api": next(pids)}):
        pass


def test_each_round_begins_with_another_contender_and_has_all() -> None:
    order = list(rotated(["a", "b", "c"], 4))
    assert [name for number, name in order if number == 1] == ["b", "c", "a"]
    assert [name for number, name in order if number == 3] == ["a", "b", "c"]


def test_figures_are_medians_with_their_extremes_and_ratios_go_round_by_round() -> None:
    assert Figure.of([3.0, 1.0, 2.0, 9.0]) == Figure(2.5, 1.0, 9.0, 4)
    assert ratios([2.0, 30.0, 8.0], [1.0, 10.0, 2.0]) == Figure(3.0, 2.0, 4.0, 3)
    assert percentile([float(value) for value in range(101)], 95) == 95.0
    with pytest.raises(ValueError, match="argument"):
        ratios([1.0], [1.0, 2.0])


def test_efficiency_is_of_all_worker_processes_and_of_no_other() -> None:
    turns = {
        BARE: [turn(1.0, bare_loop=0.1)],
        CROWD: [turn(1.0, API=5.0, interactive_worker=0.1, bulk_worker=0.05, bulk_worker_2=0.05, client=9.0)],
        BEST: [turn(2.0, original_service=3.0)],
    }
    assert efficiency(turns, CROWD).median == pytest.approx(0.5)
    assert against_original(turns, CROWD).median == pytest.approx(2.0)
    found = summary(turns[CROWD])
    assert found["cpu_ms"]["API"] == pytest.approx(500.0)
    assert found["cpu_ms_all"]["median"] == pytest.approx(520.0), "the client is not the service"


@pytest.mark.parametrize(
    ("bar", "value", "is_met"),
    [
        (Bar("more", 0.85), 0.85, True),
        (Bar("more", 0.85), 0.849, False),
        (Bar("less", 20, at_least=False), 20.0, True),
        (Bar("less", 20, at_least=False), 20.1, False),
    ],
)
def test_a_bar_is_met_on_its_side_of_the_goal(bar: Bar, value: float, is_met: bool) -> None:
    assert bar.is_met(value) is is_met


def document(**bars: Any) -> dict[str, Any]:
    return {
        "date": "2026-11-28",
        "machine": {"cpu": "A", "cores": 2, "system": "Linux"},
        "versions": {"python": "3.11"},
        "sizes": {"rounds": 3, "batch": 600},
        "load_at_start": 0.5,
        "parts": {"throughput": {"bars": bars, "took_s": 60.0}},
    }


def test_the_table_has_every_bar_also_those_that_were_not_measured() -> None:
    found = bars_table(
        document(
            efficiency_12mp=reached(Figure(0.9, 0.8, 1.0, 3)),
            idle_latency=reached(Figure(31.26, 31.26, 31.26, 1)),
        )
    ).splitlines()
    assert len(found) == len(BARS) + 2
    assert found[2].endswith("| ≥ 0.85 | 0.90 | 0.80 to 1.00 | yes |")
    assert next(line for line in found if "idle service, submit" in line).endswith("| ≤ 20 ms | 31.3 ms |  | **no** |")
    assert sum("not measured" in line for line in found) == len(BARS) - 2


def test_the_page_has_one_place_for_each_table_and_keeps_the_rest() -> None:
    page = "before\n" + "".join(f"<!-- speed:{name} -->\nold\n<!-- /speed:{name} -->\n" for name in TABLES) + "after"
    written = updated(page, document())
    assert written.startswith("before\n")
    assert written.endswith("after")
    assert "old" not in written
    assert updated(written, document()) == written
    with pytest.raises(ValueError, match="no one place"):
        updated("nothing", document())
    updated(PAGE.read_text(), document())


def test_a_run_is_resumed_only_with_the_same_sizes(tmp_path: Path) -> None:
    path = tmp_path / "out" / "speed.json"
    Record(path, QUICK).add("latency", {"bars": {}, "figure": 1 / 3}, 1.0)
    assert Record.resumed(path, QUICK).parts["latency"]["figure"] == 0.33333
    assert not Record.resumed(path, FULL).parts
    assert not Record(path, QUICK).parts


def test_photos_differ_in_their_bytes_and_not_in_their_pixels() -> None:
    pool = Pool(Kind("tiny", (64, 80)), 2)
    photos = pool.take(4) + pool.take(2)
    assert len(set(photos)) == 6
    pixels = [Image.open(io.BytesIO(photo)).tobytes() for photo in photos]
    assert pixels[0] == pixels[2] == pixels[4] != pixels[1]
    with pytest.raises(ValueError, match="no more photos"):
        Pool(Kind("tiny", (64, 80), "webp"), 2).take(3)


def test_a_phone_photo_is_stored_turned_and_says_so() -> None:
    [photo] = Pool(Kind("phone", (120, 160), is_phone=True), 1).take(1)
    picture = Image.open(io.BytesIO(photo))
    assert picture.size == (160, 120)
    assert picture.getexif()[0x0112] == 6


def test_a_jpeg_is_filled_up_to_a_size_with_several_comments() -> None:
    [photo] = Pool(Kind("tiny", (64, 80)), 1).take(1)
    filled = [of_size(photo, 100_000, number) for number in (1, 2)]
    assert filled[0] != filled[1]
    assert all(100_000 <= len(each) < 100_000 + 32 for each in filled)
    assert Image.open(io.BytesIO(filled[0])).tobytes() == Image.open(io.BytesIO(photo)).tobytes()
    assert with_comment(photo, b"x") == photo[:2] + b"\xff\xfe\x00\x03x" + photo[2:]


def test_a_batch_is_one_zip_in_the_order_of_its_photos() -> None:
    with BatchBody(iter([b"one", b"two"]), PORTRAIT_512) as body:
        form = b"".join(body._chunks())
    assert body.photos == 2
    archive = form.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]
    with zipfile.ZipFile(io.BytesIO(archive)) as read:
        assert [(name, read.read(name)) for name in read.namelist()] == [("000000.jpg", b"one"), ("000001.jpg", b"two")]


def test_ended_photos_are_counted_however_they_ended() -> None:
    assert ended_of({"queued": 1, "running": 2, "succeeded": 3, "rejected": 4, "failed": 5, "cancelled": 6}) == 18


def test_imports_are_added_up_by_package() -> None:
    report = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:       100 |        100 |   numpy.core\n"
        "import time:        50 |        150 | numpy\n"
        "import time:         7 |          7 | worker.face\n"
    )
    assert packages_of(report) == {"numpy": 150, "worker": 7}


def test_numbered_processes_are_drawn_as_one() -> None:
    assert merged({"bulk worker": 1.0, "bulk worker 2": 2.0, "API": 3.0}) == {"API": 3.0, "bulk worker": 3.0}


def test_every_kind_has_an_ending_that_is_sent_with_its_type() -> None:
    assert {kind.ending for kind in (PORTRAIT_512, WEBP, bench_photos.PNG)} == set(bench_photos.CONTENT_TYPES)
