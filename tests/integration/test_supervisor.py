"""The supervisor against children that misbehave: real processes, real signals."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from stack.child import ChildSpec
from stack.services import ROOT
from stack.supervisor import DEATHS_ALLOWED, Supervisor

PATIENCE_S = 60.0
NEVER_S = 3600.0

BEHAVES = "import time; print('here', flush=True); time.sleep(3600)"
IGNORES_SIGTERM = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {BEHAVES}"
DIES_AT_ONCE = "import sys; print('my last words', flush=True); sys.exit(3)"
HANGS_STOPPED = "import os, signal; print('here', flush=True); os.kill(os.getpid(), signal.SIGSTOP)"
SPAWNS_GRANDCHILD = f"""\
import subprocess, sys
grandchild = subprocess.Popen([sys.executable, "-c", {IGNORES_SIGTERM!r}], stdout=subprocess.PIPE)
grandchild.stdout.readline()
{BEHAVES}
"""
NOTES_ITS_END = """\
import signal, sys
def end(*_):
    with open("ends", "a") as ends:
        ends.write(sys.argv[1] + "\\n")
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("here", flush=True)
signal.pause()
"""


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    with Supervisor(tmp_path / "logs", said.append) as running:
        yield running


def child(name: str, code: str, grace_s: float = 1.0, stop_rank: int = 0, cwd: Path | None = None) -> ChildSpec:
    return ChildSpec(name, (sys.executable, "-c", code, name), grace_s=grace_s, stop_rank=stop_rank, cwd=cwd)


def run(supervisor: Supervisor, spec: ChildSpec) -> int:
    """Start a child that prints `here`, wait for that, and return its process id."""
    supervisor.run(spec)
    eventually(lambda: "here" in supervisor.log_tail(spec.name), f"{spec.name} is here")
    pid = supervisor.pid(spec.name)
    assert pid is not None
    return pid


def eventually(holds: Callable[[], bool], what: str) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < give_up_at, f"never happened: {what}"
        time.sleep(0.01)


def alive_in_group(pgid: int) -> list[int]:
    """Return the processes of a group, zombies left out."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(group) == pgid and state != "Z":
                found.append(int(folder.name))
    return found


def test_closing_ends_every_child_whatever_state_it_is_in(supervisor: Supervisor) -> None:
    groups = [
        run(supervisor, child("behaves", BEHAVES)),
        run(supervisor, child("ignores_sigterm", IGNORES_SIGTERM)),
        run(supervisor, child("hangs_stopped", HANGS_STOPPED)),
        run(supervisor, child("spawns_grandchild", SPAWNS_GRANDCHILD)),
    ]
    stopped_and_deaf = run(supervisor, child("stopped_and_deaf", IGNORES_SIGTERM))
    supervisor.kill("stopped_and_deaf", signal.SIGSTOP)
    supervisor.run(child("dies_at_once", DIES_AT_ONCE))
    assert len(alive_in_group(groups[3])) == 2

    supervisor.close()

    assert [alive_in_group(group) for group in (*groups, stopped_and_deaf)] == [[]] * 5
    assert supervisor.pid("dies_at_once") is None


def test_closing_says_which_child_had_to_be_killed(supervisor: Supervisor, said: list[str]) -> None:
    run(supervisor, child("ignores_sigterm", IGNORES_SIGTERM, grace_s=0.2))
    run(supervisor, child("behaves", BEHAVES, grace_s=NEVER_S))
    supervisor.close()
    assert said == ["ignores_sigterm did not end within 0.2 s and was killed"]


def test_a_second_request_to_stop_leaves_no_grace(supervisor: Supervisor) -> None:
    pid = run(supervisor, child("ignores_sigterm", IGNORES_SIGTERM, grace_s=NEVER_S))
    closing = threading.Thread(target=supervisor.close)
    closing.start()
    supervisor.hurry()
    closing.join()
    assert alive_in_group(pid) == []


def test_children_are_stopped_in_the_order_of_their_ranks(supervisor: Supervisor, tmp_path: Path) -> None:
    for name, rank in (("store", 3), ("api", 0), ("worker", 1)):
        run(supervisor, child(name, NOTES_ITS_END, grace_s=NEVER_S, stop_rank=rank, cwd=tmp_path))
    supervisor.close()
    assert (tmp_path / "ends").read_text().split() == ["api", "worker", "store"]


def test_ctrl_c_at_the_terminal_does_not_reach_the_children(supervisor: Supervisor) -> None:
    pid = run(supervisor, child("behaves", BEHAVES))
    assert os.getpgid(pid) == os.getsid(pid) == pid != os.getpgrp()


def test_a_death_is_told_with_name_cause_and_last_words(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.run(child("dies_at_once", DIES_AT_ONCE))
    eventually(lambda: bool(said), "the death is told")
    assert "dies_at_once died unexpectedly (exit code 3)" in said[0]
    assert "dies_at_once.log" in said[0]
    assert "my last words" in said[0]


def test_a_death_by_signal_names_the_signal(supervisor: Supervisor, said: list[str]) -> None:
    run(supervisor, child("behaves", BEHAVES))
    supervisor.kill("behaves", signal.SIGKILL)
    eventually(lambda: bool(said), "the death is told")
    assert "behaves died unexpectedly (signal SIGKILL)" in said[0]


def test_a_death_during_the_stop_of_others_is_told_too(tmp_path: Path, said: list[str]) -> None:
    supervisor = Supervisor(tmp_path, said.append)
    pid = run(supervisor, child("behaves", BEHAVES))
    with supervisor._lock:  # the supervisor cannot look until it closes
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: alive_in_group(pid) == [], "it is dead")
        supervisor._closing.set()
    supervisor.close()
    assert "behaves died unexpectedly (signal SIGKILL)" in said[0]


def test_a_child_that_died_is_started_again(supervisor: Supervisor, said: list[str]) -> None:
    first = run(supervisor, child("behaves", BEHAVES))
    supervisor.kill("behaves", signal.SIGKILL)
    eventually(lambda: supervisor.pid("behaves") not in {None, first}, "another process")
    eventually(lambda: said[-1] == "behaves was started again", "the restart is told")


def test_what_a_dead_child_left_running_is_ended(supervisor: Supervisor) -> None:
    pid = run(supervisor, child("spawns_grandchild", SPAWNS_GRANDCHILD))
    supervisor.restart("spawns_grandchild", automatically=False)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: alive_in_group(pid) == [], "the grandchild is gone")


def test_a_child_can_be_left_dead_and_started_by_hand(supervisor: Supervisor, said: list[str]) -> None:
    run(supervisor, child("left_dead", BEHAVES))
    run(supervisor, child("restarted", BEHAVES))
    supervisor.restart("left_dead", automatically=False)
    supervisor.kill("left_dead", signal.SIGKILL)
    eventually(lambda: bool(said), "the first death is told")
    supervisor.kill("restarted", signal.SIGKILL)
    eventually(lambda: said[-1] == "restarted was started again", "what died later is back")
    assert supervisor.pid("left_dead") is None

    supervisor.start("left_dead")
    assert supervisor.pid("left_dead") is not None


def test_a_child_is_stopped_and_started_without_a_word(supervisor: Supervisor, said: list[str]) -> None:
    run(supervisor, child("stopped", BEHAVES))
    run(supervisor, child("restarted", BEHAVES))
    supervisor.stop("stopped")
    supervisor.kill("restarted", signal.SIGKILL)
    eventually(lambda: "restarted was started again" in said, "what died later is back")
    assert supervisor.pid("stopped") is None
    assert not any("stopped died" in line for line in said)
    with pytest.raises(ProcessLookupError, match="stopped does not run"):
        supervisor.kill("stopped", signal.SIGKILL)

    supervisor.start("stopped")
    assert supervisor.pid("stopped") is not None
    assert not any("stopped died" in line for line in said)


def test_it_gives_up_on_a_child_that_keeps_dying_and_stops_the_others(supervisor: Supervisor, said: list[str]) -> None:
    neighbour = run(supervisor, child("behaves", BEHAVES))
    supervisor.run(child("dies_at_once", DIES_AT_ONCE))
    eventually(lambda: supervisor.gave_up is not None, "it gives up")
    assert supervisor.gave_up == f"dies_at_once died {DEATHS_ALLOWED} times within 60 s"
    assert sum("dies_at_once died unexpectedly" in line for line in said) == DEATHS_ALLOWED
    eventually(lambda: alive_in_group(neighbour) == [], "the neighbour is stopped")


@pytest.mark.parametrize("guard_killed_before", [False, True])
def test_a_killed_supervisor_leaves_no_process_and_holds_its_lock_until_then(
    tmp_path: Path, guard_killed_before: bool
) -> None:
    lock = tmp_path / "lock"
    code = f"""
        import fcntl, time
        from pathlib import Path
        from tests.integration.test_supervisor import *
        with open({str(lock)!r}, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            supervisor = Supervisor(Path({str(tmp_path)!r}), print, held=(lock.fileno(),))
            print(run(supervisor, child("ignores_sigterm", IGNORES_SIGTERM)))
            print(run(supervisor, child("hangs_stopped", HANGS_STOPPED)))
            print(run(supervisor, child("spawns_grandchild", SPAWNS_GRANDCHILD)))
            if {guard_killed_before}:
                kill_guard(supervisor)
            print("ready", flush=True)
            time.sleep(3600)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        groups = [int(process.stdout.readline()) for _ in range(3)]
        assert process.stdout.readline() == "ready\n"
        assert [len(alive_in_group(group)) for group in groups] == [1, 1, 2]
        process.kill()
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
    assert [alive_in_group(group) for group in groups] == [[], [], []]


def kill_guard(supervisor: Supervisor) -> None:
    """Kill the guard and wait until another knows the children."""
    first = supervisor._guard
    first.kill()
    eventually(lambda: supervisor._guard is not first, "another guard")
    with supervisor._lock:  # held until it was told everything
        pass
