"""What a batch says of the people in it: one pass over its results, a few numbers kept of each."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any, Final

import orjson

from api.batch_results import without_landmarks
from api.photo_error import chance_variance_mm2
from shared.batch_report_schemas import BatchSummary, MeasurementSummary, Percentiles
from shared.jobs.batch_record import BatchRecord
from shared.jobs.record import JobRecord
from shared.measurement_definition import MeasurementDefinition
from shared.measurements import DEFINITIONS
from shared.results import MeasurementStatus
from shared.schemas import JobStatus

ENOUGH_FOR_TRUE_SD: Final = 30
"""With as many values a standard deviation is known to about 1/√(2 (n - 1)) = 13 %; with fewer, the difference of two
of them tells nothing."""
_DECIMALS: Final = 3
"""One more than single measurements have."""
_PERCENT: Final = 100


@dataclass(slots=True)
class _Tally:
    """What is kept of one measurement."""

    definition: MeasurementDefinition
    values_mm: array[float] = field(default_factory=lambda: array("d"))
    variance_sum_mm2: float = 0.0
    chance_variance_sum_mm2: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, measured: dict[str, Any], scale: dict[str, Any] | None, pose: dict[str, Any] | None) -> None:
        if "status" not in measured:  # a result of an earlier version, in pixels alone
            return
        self.statuses[measured["status"]] += 1
        self.reasons.update(measured["reasons"])
        mm, mm_sd = measured["mm"], measured["mm_sd"]
        if measured["status"] == MeasurementStatus.OK and mm is not None and scale is not None:
            self.values_mm.append(mm)
            self.variance_sum_mm2 += mm_sd**2
            share = scale["sd"] / scale["mm_per_px"]
            turn = self.definition.turn
            turned = turn.remaining_sd(pose["yaw_deg"], pose["pitch_deg"]) if turn and pose else 0.0
            self.chance_variance_sum_mm2 += chance_variance_mm2(self.definition, mm, mm_sd, share, turned)

    def summary(self) -> MeasurementSummary:
        values, n = self.values_mm, len(self.values_mm)
        mean = math.fsum(values) / n if n else None
        variance = None if mean is None or n == 1 else math.fsum((value - mean) ** 2 for value in values) / (n - 1)
        return MeasurementSummary(
            n_ok=n,
            mean=_rounded(mean),
            sd_observed=_root(variance),
            sd_true_estimate=self._true_sd(variance),
            mm_sd_rms=_root(self.variance_sum_mm2 / n) if n else None,
            percentiles=_percentiles(values) if n else None,
            statuses={status: self.statuses[status] for status in MeasurementStatus},
            reasons=dict(self.reasons.most_common()),
        )

    def _true_sd(self, variance_mm2: float | None) -> float | None:
        n = len(self.values_mm)
        if variance_mm2 is None or n < ENOUGH_FOR_TRUE_SD:
            return None
        left_mm2 = variance_mm2 - self.chance_variance_sum_mm2 / n
        return _root(left_mm2) if left_mm2 > 0 else None


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, _DECIMALS)


def _root(variance: float | None) -> float | None:
    return None if variance is None else round(math.sqrt(variance), _DECIMALS)


def _percentiles(values: Sequence[float]) -> Percentiles:
    cuts = [values[0]] * (_PERCENT - 1) if len(values) == 1 else quantiles(values, n=_PERCENT, method="inclusive")
    return Percentiles(
        **{name: round(cuts[int(name.removeprefix("p")) - 1], _DECIMALS) for name in Percentiles.model_fields}
    )


class SummaryBuilder:
    """Takes the items of a batch one by one; keeps 8 bytes of each measurement."""

    def __init__(self) -> None:
        self._counts: Counter[JobStatus] = Counter()
        self._rejections: Counter[str] = Counter()
        self._definitions: set[str] = set()
        self._scale_sources: Counter[str] = Counter()
        self._tallies = {definition.key: _Tally(definition) for definition in DEFINITIONS}

    def add(self, record: JobRecord, result_json: bytes | None) -> None:
        """Count an item."""
        self._counts[record.status] += 1
        if record.status is JobStatus.REJECTED and record.error is not None:
            self._rejections[record.error.code] += 1
        if result_json is None:
            return
        result = orjson.loads(without_landmarks(result_json))
        if not result["faces"]:
            return
        face = result["faces"][0]
        self._definitions.update(filter(None, [result["model"].get("definitions")]))
        scale = face.get("scale")
        self._scale_sources[scale["source"] if scale else "none"] += 1
        for key, measured in face["measurements"].items():
            if key in self._tallies:
                self._tallies[key].add(measured, scale, face.get("pose"))

    def summary(self, batch: BatchRecord) -> BatchSummary:
        """Return what was counted, as that of `batch`."""
        return BatchSummary(
            batch_id=batch.id,
            status=batch.status,
            counts={status: self._counts[status] for status in JobStatus},
            rejections=dict(self._rejections.most_common()),
            definitions=sorted(self._definitions),
            scale_sources=dict(self._scale_sources.most_common()),
            measurements={key: tally.summary() for key, tally in self._tallies.items()},
        )
