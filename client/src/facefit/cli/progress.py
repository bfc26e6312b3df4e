"""How far a run is: a bar on a terminal, a line now and then elsewhere. All of it on stderr."""

from __future__ import annotations

import time
from typing import Final, Self

from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from facefit.cli.service import Service, shown

_LINE_EVERY_S: Final = 10.0
_RATE_OVER_S: Final = 2.0


class Progress:
    """A watcher of runs.

    Parameters
    ----------
    service : Service
        To whose stderr it speaks.
    """

    def __init__(self, service: Service) -> None:
        self._notes = service.notes
        self._bars = Bars(
            TextColumn("{task.description:9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[trouble]}"),
            console=self._notes,
            disable=not self._notes.is_terminal,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, tuple[float, int]] = {}
        self._said_at = 0.0
        self._last_trouble = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def sent(self, n_sent: int, total: int) -> None:
        """Hear how many photos are sent, or cannot be."""
        self._tell("sent", n_sent, total, None)

    def measured(self, n_ended: int, total: int, rate: float | None) -> None:
        """Hear how many photos have ended, and how many do in a second."""
        self._tell("measured", n_ended, total, rate)

    def pausing(self, what: str, pause_s: float) -> None:
        """Hear of a pause before the same is tried again."""
        trouble = f"{shown(what)}; trying again in {pause_s:.0f} s"
        for task in self._tasks.values():
            self._bars.update(task, trouble=trouble)
        if what != self._last_trouble and self._bars.disable:
            self._notes.print(trouble)
        self._last_trouble = what

    def _tell(self, what: str, n_done: int, total: int, rate: float | None) -> None:
        now = time.monotonic()
        since, n_before = self._began.setdefault(what, (now, n_done))
        if rate is None and now - since > _RATE_OVER_S and n_done > n_before:
            rate = (n_done - n_before) / (now - since)
        self._last_trouble = ""
        shown_rate = "" if rate is None else f"{rate:.1f}/s"
        if not self._bars.disable:
            if what not in self._tasks:
                self._bars.start()
                self._tasks[what] = self._bars.add_task(what, total=total, rate="", trouble="")
            self._bars.update(self._tasks[what], completed=n_done, rate=shown_rate, trouble="")
        elif now - self._said_at > _LINE_EVERY_S or (n_done == total and what == "measured"):
            self._said_at = now
            eta = f", {(total - n_done) / rate:.0f} s to go" if rate and n_done < total else ""
            self._notes.print(f"{what} {n_done} of {total} {shown_rate}{eta}".rstrip())
