"""The known portrait that a worker process measures, when it starts and whenever it is asked to."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from importlib.resources import files
from time import perf_counter
from typing import Final

from shared.config import Settings
from shared.errors import FacefitError, RecordsUnavailable, Rejected
from shared.metrics import CANARIES
from shared.names import QueueName
from shared.schemas import JobOptions
from shared.telemetry.meter import Meter
from shared.telemetry.store import MetricStore
from worker.photo_limits import limits_of
from worker.pipeline import FaceFinder, measure_photo

logger = logging.getLogger(__name__)

PORTRAIT: Final = files("worker") / "canary.jpg"
"""280 by 330 px of `astronaut.png` in `stack/portraits`, a NASA photograph in the public domain."""
INTERPUPILLARY_PX: Final = 43.2
"""What the pipeline makes of it; a test says when that changes."""
TOLERANCE: Final = 0.05
"""Ten times what other versions of the decoder change, and far less than any fault of the mesh."""


class CanaryWrong(FacefitError):
    """Raised when the known portrait is not measured as it should be: whatever this process measures is wrong then."""


class Canary:
    """Measures the portrait with all that a photo goes through.

    Parameters
    ----------
    finder : FaceFinder
        The one that photos are measured with.
    store : MetricStore
        Where it is noted what became of it.
    settings : Settings
        Limits of size, as for photos.
    meter : Meter
        Where it is counted.
    """

    def __init__(self, finder: FaceFinder, store: MetricStore, settings: Settings, meter: Meter) -> None:
        self._finder = finder
        self._store = store
        self._limits = limits_of(settings)
        self._meter = meter
        self._portrait = PORTRAIT.read_bytes()

    def sing(self, queues: Iterable[QueueName]) -> None:
        """Measure the portrait and note it for the queues that this process watches.

        Raises
        ------
        CanaryWrong
            If it is not measured as it should be, which is noted too.
        """
        began = perf_counter()
        # No time limit of its own: one that hangs shows as no sign of life, and is ended by Celery's.
        trouble = self._trouble()
        took_s = perf_counter() - began
        for queue in queues:
            # Both are there from the start: a step from nothing to one is none for Prometheus.
            self._meter.count(CANARIES, queue, "ok", by=int(trouble is None))
            self._meter.count(CANARIES, queue, "wrong", by=int(trouble is not None))
            with suppress(RecordsUnavailable):  # another one comes
                self._store.canary_measured(queue, took_s=took_s, is_ok=trouble is None)
        if trouble is not None:
            raise CanaryWrong(trouble)
        logger.debug("the canary took %.3f s", took_s)

    def _trouble(self) -> str | None:
        """Return what is wrong with the answer."""
        try:
            faces = measure_photo(self._portrait, JobOptions(), self._finder, self._limits).result["faces"]
        except Rejected as rejection:
            return f"the known portrait was rejected: {rejection.code}"
        except Exception:  # an outer wall: whatever it is, a photo would fare no better
            logger.exception("the known portrait cannot be measured")
            return "the known portrait cannot be measured"
        if len(faces) != 1:
            return f"{len(faces)} faces in the known portrait"
        found_px = faces[0]["measurements"]["interpupillary_distance"]["px"]
        if found_px is None or abs(found_px / INTERPUPILLARY_PX - 1) > TOLERANCE:
            return "the eyes of the known portrait are not where they are"
        return None
