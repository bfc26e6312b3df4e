"""What a batch says of the people in it: against closed forms, and against a population that is known."""

from __future__ import annotations

import math
import random
import statistics
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient

from api.batch_summary import ENOUGH_FOR_TRUE_SD, SummaryBuilder
from api.kept_summaries import WORTH_KEEPING_ITEMS, KeptSummaries
from api.photo_error import chance_variance_mm2
from shared.batch_report_schemas import BatchSummary
from shared.measurement_definition import Kind
from shared.measurements import DEFINITIONS, DEFINITIONS_VERSION
from shared.names import LOCAL_TENANT
from shared.results import MeasurementStatus
from shared.schemas import JobStatus
from tests.core import Core
from tests.results import a_face, a_result, as_written
from tests.unit.batch_making import Ending, make_batch, varied

BY_KEY = {definition.key: definition for definition in DEFINITIONS}
ROUNDED = 0.00051
"""Figures are given to a thousandth of a millimetre."""


def summary_of(api: FlaskClient, core: Core, endings: list[Ending]) -> BatchSummary:
    batch_id = make_batch(core, endings)
    response = api.get(f"/v1/batches/{batch_id}/summary")
    assert response.status_code == 200
    summary = BatchSummary.model_validate(response.get_json())
    assert summary.batch_id == batch_id
    return summary


def with_values(key: str, values: list[tuple[float, float]], *, share: float = 0.0) -> list[Ending]:
    """Results that measure `key` as (mm, SD), and by a scale with that share of uncertainty."""
    face = a_face(landmarks=False)
    face["scale"]["sd"] = share * face["scale"]["mm_per_px"]
    endings: list[Ending] = []
    for mm, mm_sd in values:
        face["measurements"][key].update(mm=mm, mm_sd=mm_sd)
        endings.append(as_written(a_result(face)))
    return endings


def test_figures_are_those_of_the_textbook(api: FlaskClient, live_core: Core) -> None:
    chance = random.Random(1)
    values = [round(chance.gauss(140, 6), 2) for _ in range(57)]
    summary = summary_of(api, live_core, with_values("face_width", [(value, 2.5) for value in values]))
    found = summary.measurements["face_width"]
    assert found.n_ok == 57
    assert found.mean == pytest.approx(statistics.fmean(values), abs=ROUNDED)
    assert found.sd_observed == pytest.approx(statistics.stdev(values), abs=ROUNDED)
    assert found.mm_sd_rms == pytest.approx(2.5, abs=ROUNDED)
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    assert found.percentiles is not None
    assert found.percentiles.model_dump() == pytest.approx(
        {f"p{percent}": cuts[percent - 1] for percent in (1, 5, 25, 50, 75, 95, 99)}, abs=ROUNDED
    )


def test_percentiles_lie_between_the_nearest_values(api: FlaskClient, live_core: Core) -> None:
    values = [float(number) for number in range(101)]
    random.Random(2).shuffle(values)
    summary = summary_of(api, live_core, with_values("eye_gap", [(value, 1.0) for value in values]))
    found = summary.measurements["eye_gap"].percentiles
    assert found is not None
    assert found.model_dump() == {"p1": 1, "p5": 5, "p25": 25, "p50": 50, "p75": 75, "p95": 95, "p99": 99}
    two = summary_of(api, live_core, with_values("eye_gap", [(30.0, 1.0), (40.0, 1.0)]))
    found = two.measurements["eye_gap"].percentiles
    assert found is not None
    assert (found.p1, found.p50, found.p99) == (30.1, 35, 39.9)


def test_counts_add_up(api: FlaskClient, live_core: Core) -> None:
    results = [varied(seed) for seed in range(12)]
    others = [JobStatus.REJECTED, JobStatus.REJECTED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.QUEUED]
    summary = summary_of(api, live_core, [*map(as_written, results), *others])
    assert summary.status == "running"
    assert {status: count for status, count in summary.counts.items() if count} == {
        JobStatus.SUCCEEDED: 12,
        JobStatus.REJECTED: 2,
        JobStatus.FAILED: 1,
        JobStatus.CANCELLED: 1,
        JobStatus.QUEUED: 1,
    }
    assert summary.rejections == {"no_face": 2}
    assert summary.definitions == [DEFINITIONS_VERSION]
    assert summary.scale_sources == {"iris": 12}
    assert list(summary.measurements) == list(BY_KEY)
    for key, found in summary.measurements.items():
        measured = [result["faces"][0]["measurements"][key] for result in results]
        good = [one["mm"] for one in measured if one["status"] == "ok"]
        assert found.n_ok == found.statuses[MeasurementStatus.OK] == len(good)
        assert found.statuses[MeasurementStatus.UNRELIABLE] == len(measured) - len(good)
        assert found.mean == pytest.approx(statistics.fmean(good), abs=ROUNDED)
        for reason in ("glasses", "head_turned"):
            assert found.reasons.get(reason, 0) == sum(reason in one["reasons"] for one in measured)
    assert any(found.n_ok < 12 for found in summary.measurements.values())


def test_the_largest_face_of_a_photo_is_counted(api: FlaskClient, live_core: Core) -> None:
    result = varied(1, faces=3)
    summary = summary_of(api, live_core, [as_written(result)])
    found = summary.measurements["eye_gap"]
    assert sum(found.statuses.values()) == 1
    assert sum(summary.scale_sources.values()) == 1
    alone = result["faces"][0]["measurements"]["face_width"]
    assert summary.measurements["face_width"].mean == (alone["mm"] if alone["status"] == "ok" else None)


def test_a_face_without_a_scale_has_no_millimetres(api: FlaskClient, live_core: Core) -> None:
    summary = summary_of(api, live_core, [as_written(a_result(a_face(scaled=False)))])
    assert summary.scale_sources == {"none": 1}
    found = summary.measurements["eye_gap"]
    assert found.n_ok == 0
    assert [found.mean, found.sd_observed, found.mm_sd_rms, found.percentiles] == [None] * 4


def test_one_value_has_no_spread(api: FlaskClient, live_core: Core) -> None:
    found = summary_of(api, live_core, with_values("eye_gap", [(31.5, 1.2)])).measurements["eye_gap"]
    assert (found.n_ok, found.mean, found.sd_observed, found.sd_true_estimate) == (1, 31.5, None, None)
    assert found.percentiles is not None
    assert set(found.percentiles.model_dump().values()) == {31.5}


def test_results_of_an_earlier_version_are_counted_as_photos(api: FlaskClient, live_core: Core) -> None:
    face = {"bounding_box": {}, "confidence": 0.9, "measurements": {"eye_gap": {"px": 44.57}}, "landmarks": []}
    summary = summary_of(api, live_core, [as_written({"image": {}, "model": {}, "timings_ms": {}, "faces": [face]})])
    assert summary.counts[JobStatus.SUCCEEDED] == 1
    assert summary.measurements["eye_gap"].n_ok == 0
    assert summary.definitions == []


def test_nothing_at_all(api: FlaskClient, live_core: Core) -> None:
    summary = summary_of(api, live_core, [JobStatus.CANCELLED])
    assert {found.n_ok for found in summary.measurements.values()} == {0}


def summarise(core: Core, results: list[dict[str, Any]]) -> BatchSummary:
    """Summarise results without the way through storage."""
    batch_id = make_batch(core, [JobStatus.QUEUED])
    record = core.items(batch_id)[0].ended(JobStatus.SUCCEEDED, at_ms=0)
    builder = SummaryBuilder()
    for result in results:
        builder.add(record, orjson.dumps(result))
    return builder.summary(core.find_batch(batch_id))


MEAN_MM, TRUE_SD_MM = 142.0, 6.0
"""About a face's width, and how much people differ in it."""
PEOPLE = 5000
"""So that the spread of people is known to 0.13 mm when errors by chance are as large as it."""


@pytest.mark.parametrize("key", ["face_width", "interpupillary_distance", "monocular_pd_left"])
@pytest.mark.parametrize("shared_error", [0.0, 0.06])
def test_the_spread_of_people_comes_out_of_photos_with_errors(live_core: Core, key: str, shared_error: float) -> None:
    """Errors by chance are taken out; one that all photos share moves the mean and spreads nothing."""
    chance = random.Random(3)
    definition = BY_KEY[key]
    share = 0.04
    by_chance = math.hypot(share, definition.repeatability.high, definition.definition_sd)
    sd_share = by_chance if definition.kind is Kind.TO_MIDLINE else math.hypot(by_chance, 0.03)
    result = a_result(a_face(landmarks=False))
    (face,) = result["faces"]
    face["scale"]["sd"] = share * face["scale"]["mm_per_px"]
    results = []
    for _ in range(PEOPLE):
        mm = chance.gauss(MEAN_MM, TRUE_SD_MM) * (1 + chance.gauss(0, by_chance)) * (1 + shared_error)
        measured = {**face["measurements"][key], "mm": mm, "mm_sd": mm * sd_share}
        results.append({**result, "faces": [{**face, "measurements": {key: measured}}]})
    found = summarise(live_core, results).measurements[key]
    assert found.mean == pytest.approx(MEAN_MM * (1 + shared_error), abs=0.5)
    assert found.sd_observed is not None
    assert found.sd_observed > 8
    assert found.sd_true_estimate == pytest.approx(TRUE_SD_MM * (1 + shared_error), abs=0.4)


def test_what_chance_is_taken_for() -> None:
    width = BY_KEY["face_width"]
    shares = (0.04, width.repeatability.high, width.definition_sd)
    assert chance_variance_mm2(width, 140.0, 9.0, 0.04) == pytest.approx(140**2 * sum(share**2 for share in shares))
    # A known PD makes its own scale: the points' errors cancel, and nothing but the scale's is in its SD.
    turned = width.turn.remaining_sd(19.0, 0.0) if width.turn else 0.0
    assert turned > 0
    of_turned = chance_variance_mm2(width, 140.0, 9.0, 0.04, turned)
    assert of_turned == pytest.approx(140**2 * (sum(share**2 for share in shares) + turned**2))
    assert chance_variance_mm2(BY_KEY["distance_pd"], 64.0, 0.7, 0.7 / 64) == pytest.approx(0.49)
    assert chance_variance_mm2(BY_KEY["monocular_pd_left"], 32.0, 1.9, 0.04) == pytest.approx(1.9**2)


@pytest.mark.parametrize(
    ("values", "share", "known"),
    [
        ([130.0 + number % 21 for number in range(ENOUGH_FOR_TRUE_SD)], 0.01, True),
        ([130.0 + number % 21 for number in range(ENOUGH_FOR_TRUE_SD - 1)], 0.01, False),
        ([130.0 + number % 21 for number in range(ENOUGH_FOR_TRUE_SD)], 0.06, False),
        ([140.0] * ENOUGH_FOR_TRUE_SD, 0.01, False),
    ],
    ids=["enough", "too few", "error explains it", "no spread"],
)
def test_when_the_spread_of_people_is_not_known(
    live_core: Core, values: list[float], share: float, known: bool
) -> None:
    endings = with_values("face_width", [(value, 0.07 * value) for value in values], share=share)
    found = summarise(live_core, [orjson.loads(ending) for ending in endings]).measurements["face_width"]
    assert found.sd_observed is not None
    assert (found.sd_true_estimate is not None) == known
    if known:
        assert 0 < (found.sd_true_estimate or 0) < found.sd_observed


def test_the_summary_of_a_large_batch_is_made_once(api: FlaskClient, live_core: Core) -> None:
    small = make_batch(live_core, [as_written(varied(1, landmarks=False))])
    large = make_batch(live_core, [as_written(varied(1, landmarks=False)), *[JobStatus.REJECTED] * WORTH_KEEPING_ITEMS])
    bodies = [api.get(f"/v1/batches/{batch_id}/summary").get_data() for batch_id in (small, large)]
    live_core.objects.away = True
    assert api.get(f"/v1/batches/{small}/summary").status_code == 503
    assert api.get(f"/v1/batches/{large}/summary").get_data() == bodies[1]
    live_core.objects.away = False
    live_core.jobs.delete(LOCAL_TENANT, live_core.items(large)[1].id)
    changed = BatchSummary.model_validate(api.get(f"/v1/batches/{large}/summary").get_json())
    assert changed.rejections == {"no_face": WORTH_KEEPING_ITEMS - 1}
    live_core.batches.delete(LOCAL_TENANT, large)
    assert api.get(f"/v1/batches/{large}/summary").status_code == 404


def test_kept_summaries_are_few_and_not_kept_for_long() -> None:
    now_s = [0.0]
    kept = KeptSummaries(lambda: now_s[0])
    for number in range(40):
        kept.keep(str(number), bytes([number]))
        now_s[0] += 1
    assert [number for number in range(40) if kept.find(str(number))] == list(range(8, 40))
    now_s[0] = 600 + 20
    assert [number for number in range(40) if kept.find(str(number))] == list(range(21, 40))
