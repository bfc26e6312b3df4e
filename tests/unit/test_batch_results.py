"""Results and errors of a batch as files: every item in its place, no number changed, no text that runs."""

from __future__ import annotations

import csv
import io
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.batch_results import without_landmarks
from api.results_csv import COLUMNS
from shared.batch_report_schemas import BatchItemError, BatchResult
from shared.errors import StorageUnavailable
from shared.measurements import DEFINITIONS
from shared.names import LOCAL_TENANT, new_batch_id
from shared.schemas import JobStatus
from tests.core import Core
from tests.results import a_face, a_result, as_written
from tests.unit.batch_making import end, make_batch, varied
from tests.unit.submitting import problem

MIXED = (
    as_written(varied(1)),
    JobStatus.REJECTED,
    as_written(varied(2)),
    JobStatus.FAILED,
    JobStatus.QUEUED,
    JobStatus.CANCELLED,
    JobStatus.RUNNING,
    as_written(varied(3)),
)
HOSTILE = (
    'a "quoted" one',
    "comma, and; semicolon",
    "0042",
    "1e5",
    "überfrau/名前/😀",
    "שלום",
    "x" * 128,
    "a;=1+1",
    "'already",
    "true",
    "NaN",
    "null",
)


def lines(response: TestResponse) -> list[dict[str, Any]]:
    assert response.status_code == 200
    assert response.content_type == "application/x-ndjson"
    body = response.get_data()
    assert body == b"" or body.endswith(b"\n")
    return [orjson.loads(line) for line in body.splitlines()]


def rows(response: TestResponse) -> list[dict[str, str]]:
    """Read the table as RFC 4180 has it; `csv` alone would take other line ends too."""
    assert response.status_code == 200
    assert response.content_type == "text/csv; charset=utf-8; header=present"
    text = response.get_data().decode()
    assert text.endswith("\r\n")
    assert "\n" not in text.replace("\r\n", "")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def results_of(api: FlaskClient, batch_id: str, query: str = "") -> TestResponse:
    return api.get(f"/v1/batches/{batch_id}/results{query}")


def test_one_record_for_each_item_in_item_order(api: FlaskClient, live_core: Core) -> None:
    batch_id = make_batch(live_core, MIXED)
    got = lines(results_of(api, batch_id))
    assert [(line["item_index"], line["reference"], line["status"], line["error_code"]) for line in got] == [
        (0, "0", "succeeded", None),
        (1, "1", "rejected", "no_face"),
        (2, "2", "succeeded", None),
        (3, "3", "failed", "processing_failed"),
        (5, "5", "cancelled", None),
        (7, "7", "succeeded", None),
    ]
    ids = [item.id for item in live_core.items(batch_id)]
    assert [line["job_id"] for line in got] == [ids[line["item_index"]] for line in got]
    assert [line["result"] is None for line in got] == [line["status"] != "succeeded" for line in got]
    for line in got:
        BatchResult.model_validate(line)


def test_unfinished_items_come_when_all_are_asked_for(api: FlaskClient, live_core: Core) -> None:
    batch_id = make_batch(live_core, MIXED)
    statuses = [line["status"] for line in lines(results_of(api, batch_id, "?include=all"))]
    assert statuses == [
        "succeeded",
        "rejected",
        "succeeded",
        "failed",
        "queued",
        "cancelled",
        "running",
        "succeeded",
    ]
    assert [row["status"] for row in rows(results_of(api, batch_id, "?include=all&format=csv"))] == statuses


def test_results_are_those_of_the_jobs_less_the_points(api: FlaskClient, live_core: Core) -> None:
    batch_id = make_batch(live_core, [as_written(varied(1, faces=3)), as_written(a_result(a_face(landmarks=False)))])
    got, whole = lines(results_of(api, batch_id)), lines(results_of(api, batch_id, "?landmarks=true"))
    for few, all_of_it in zip(got, whole, strict=True):
        job = api.get(f"/v1/jobs/{few['job_id']}").get_json()
        assert all_of_it["result"] == job["result"]
        for face in job["result"]["faces"]:
            face.pop("landmarks", None)
        assert few["result"] == job["result"]


def test_results_with_points_are_the_bytes_that_the_worker_wrote(api: FlaskClient, live_core: Core) -> None:
    written = b'{"faces":[],  "number":1.0000,"text":"\\u00e9"}'
    batch_id = make_batch(live_core, [written])
    assert written in results_of(api, batch_id, "?landmarks=true").get_data()
    assert written in results_of(api, batch_id).get_data()


def test_cutting_out_the_points_is_not_misled_by_texts() -> None:
    result = varied(1, faces=2)
    result["faces"][0]["quality"]["retake"] = [{"code": ',"landmarks":[', "message": '],"landmarks":[1]'}]
    cut = orjson.loads(without_landmarks(as_written(result)))
    for face in result["faces"]:
        del face["landmarks"]
    assert cut == result


def expected_cells(result: dict[str, Any], number: int) -> dict[str, Any]:
    """The cells of one face, by the contract."""
    face = result["faces"][number]
    scale = face["scale"] or {"source": None, "mm_per_px": None, "sd": None}
    cells = {
        "face_index": number,
        "scale_source": scale["source"],
        "mm_per_px": scale["mm_per_px"],
        "scale_sd": scale["sd"],
        **{name: face["pose"][name] for name in ("yaw_deg", "pitch_deg", "roll_deg")},
        "quality_score": face["quality"]["score"],
    }
    for definition in DEFINITIONS:
        measured = face["measurements"][definition.key]
        cells |= {f"{definition.key}_{name}": measured[name] for name in ("px", "mm", "mm_sd", "status")}
        cells[f"{definition.key}_reasons"] = "|".join(measured["reasons"]) or None
    return cells


def test_a_row_for_each_face_with_the_numbers_of_the_result(api: FlaskClient, live_core: Core) -> None:
    unscaled = a_result(a_face(scaled=False))
    results = [varied(1), varied(2, faces=3), orjson.loads(as_written(unscaled))]
    batch_id = make_batch(live_core, [*map(as_written, results), JobStatus.REJECTED])
    table = rows(results_of(api, batch_id, "?format=csv"))
    assert [(row["item_index"], row["face_index"]) for row in table] == [
        ("0", "0"),
        ("1", "0"),
        ("1", "1"),
        ("1", "2"),
        ("2", "0"),
        ("3", ""),
    ]
    for row in table[:-1]:
        expected = expected_cells(results[int(row["item_index"])], int(row["face_index"]))
        for name, value in expected.items():
            assert row[name] == ("" if value is None else str(value)), name
            if isinstance(value, float):
                assert float(row[name]) == value
    assert {name: cell for name, cell in table[-1].items() if cell} == {
        "reference": "3",
        "job_id": live_core.items(batch_id)[3].id,
        "item_index": "3",
        "status": "rejected",
        "error_code": "no_face",
    }


def test_the_columns_are_those_of_the_contract(api: FlaskClient, live_core: Core) -> None:
    batch_id = make_batch(live_core, [JobStatus.QUEUED])
    head = results_of(api, batch_id, "?format=csv").get_data().decode()
    assert head.startswith(
        "reference,job_id,item_index,status,error_code,face_index,scale_source,mm_per_px,scale_sd,yaw_deg,pitch_deg,"
        "roll_deg,quality_score,forehead_width_px,forehead_width_mm,forehead_width_mm_sd,forehead_width_status,"
        "forehead_width_reasons,eye_gap_px,"
    )
    assert head == ",".join(COLUMNS) + "\r\n"
    assert len(COLUMNS) == 13 + 5 * len(DEFINITIONS)


def test_a_result_of_an_earlier_version_has_pixels(api: FlaskClient, live_core: Core) -> None:
    face = {"bounding_box": {}, "confidence": 0.9, "measurements": {"eye_gap": {"px": 44.57}}, "landmarks": []}
    old = as_written({"image": {}, "model": {}, "timings_ms": {}, "faces": [face]})
    batch_id = make_batch(live_core, [old])
    (row,) = rows(results_of(api, batch_id, "?format=csv"))
    assert (row["eye_gap_px"], row["eye_gap_mm"], row["face_width_px"], row["yaw_deg"]) == ("44.57", "", "", "")


@pytest.mark.parametrize("query", ["", "?format=csv"])
def test_hostile_references_come_back_as_they_were(api: FlaskClient, live_core: Core, query: str) -> None:
    batch_id = make_batch(live_core, [JobStatus.REJECTED] * len(HOSTILE), HOSTILE)
    response = results_of(api, batch_id, query)
    read = rows(response) if query else lines(response)
    assert tuple(row["reference"] for row in read) == HOSTILE


def test_a_reference_that_a_spreadsheet_would_run_is_prefixed_in_tables_alone(
    api: FlaskClient, live_core: Core
) -> None:
    reference = '=HYPERLINK("http://evil.example","open")'
    batch_id = make_batch(live_core, [JobStatus.REJECTED], [reference])
    assert rows(results_of(api, batch_id, "?format=csv"))[0]["reference"] == "'" + reference
    assert rows(api.get(f"/v1/batches/{batch_id}/errors?format=csv"))[0]["reference"] == "'" + reference
    assert lines(results_of(api, batch_id))[0]["reference"] == reference


def test_a_byte_order_mark_when_it_is_asked_for(api: FlaskClient, live_core: Core) -> None:
    batch_id = make_batch(live_core, [JobStatus.REJECTED])
    plain = results_of(api, batch_id, "?format=csv").get_data()
    assert plain.startswith(b"reference,")
    assert results_of(api, batch_id, "?format=csv&bom=true").get_data() == b"\xef\xbb\xbf" + plain


def test_files_have_names(api: FlaskClient, live_core: Core) -> None:
    batch_id = make_batch(live_core, [JobStatus.REJECTED])
    for report in ("results", "errors"):
        for form in ("ndjson", "csv"):
            response = api.get(f"/v1/batches/{batch_id}/{report}?format={form}")
            assert response.headers["Content-Disposition"] == f'attachment; filename="{batch_id}-{report}.{form}"'


def test_going_on_where_a_download_broke_off(api: FlaskClient, live_core: Core) -> None:
    batch_id = make_batch(live_core, MIXED)
    for report, query in (("results", "include=all"), ("results", ""), ("errors", "")):
        whole = lines(api.get(f"/v1/batches/{batch_id}/{report}?{query}"))
        rest = lines(api.get(f"/v1/batches/{batch_id}/{report}?{query}&after_index=2"))
        assert rest == [line for line in whole if line["item_index"] > 2]


def test_errors_are_the_rest_with_what_helps(api: FlaskClient, live_core: Core) -> None:
    batch_id = make_batch(live_core, MIXED)
    got = lines(api.get(f"/v1/batches/{batch_id}/errors"))
    assert [(line["item_index"], line["status"], line["error_code"], line["error_message"]) for line in got] == [
        (1, "rejected", "no_face", "No face was found."),
        (3, "failed", "processing_failed", "Three attempts, no result."),
        (5, "cancelled", None, None),
    ]
    assert [line["retake"] for line in got] == [[{"code": "no_face", "message": "Face the camera."}], [], []]
    for line in got:
        BatchItemError.model_validate(line)
    table = rows(api.get(f"/v1/batches/{batch_id}/errors?format=csv"))
    assert list(table[0]) == [
        "reference",
        "job_id",
        "item_index",
        "status",
        "error_code",
        "error_message",
        "retake_codes",
        "retake_messages",
    ]
    assert [tuple(row.values())[2:] for row in table] == [
        ("1", "rejected", "no_face", "No face was found.", "no_face", "Face the camera."),
        ("3", "failed", "processing_failed", "Three attempts, no result.", "", ""),
        ("5", "cancelled", "", "", "", ""),
    ]


def test_errors_read_no_result(api: FlaskClient, live_core: Core) -> None:
    batch_id = make_batch(live_core, MIXED)
    api.get("/v1/measurements")  # which API keys there are is known for a minute
    live_core.objects.away = True
    assert len(lines(api.get(f"/v1/batches/{batch_id}/errors"))) == 3


def test_deleted_items_are_gone(api: FlaskClient, live_core: Core) -> None:
    batch_id = make_batch(live_core, MIXED)
    live_core.jobs.delete(LOCAL_TENANT, live_core.items(batch_id)[2].id)
    assert [line["item_index"] for line in lines(results_of(api, batch_id))] == [0, 1, 3, 5, 7]


@pytest.mark.parametrize("report", ["results", "errors", "summary"])
def test_batches_that_are_not_there(api: FlaskClient, live_core: Core, report: str) -> None:
    deleted = make_batch(live_core, [JobStatus.REJECTED])
    live_core.batches.delete(LOCAL_TENANT, deleted)
    others = live_core.accept_batch(["a"], tenant="another").id
    for batch_id in (deleted, others, new_batch_id(), "bat_x", live_core.accept().id):
        problem(api.get(f"/v1/batches/{batch_id}/{report}"), 404, "not_found")


@pytest.mark.parametrize("report", ["results", "errors", "summary"])
def test_while_records_are_rebuilt(api: FlaskClient, live_core: Core, report: str) -> None:
    batch_id = make_batch(live_core, [JobStatus.REJECTED])
    live_core.lose_records()
    response = api.get(f"/v1/batches/{batch_id}/{report}")
    problem(response, 503, "unavailable")
    assert response.headers["Retry-After"]
    live_core.reconciler.round()
    assert api.get(f"/v1/batches/{batch_id}/{report}").status_code == 200


@pytest.mark.parametrize("report", ["results", "results?format=csv", "summary"])
def test_storage_away_from_the_first_is_a_503(api: FlaskClient, live_core: Core, report: str) -> None:
    batch_id = make_batch(live_core, MIXED)
    live_core.objects.away = True
    problem(api.get(f"/v1/batches/{batch_id}/{report}"), 503, "unavailable")


def test_storage_away_in_the_middle_is_no_end(api: FlaskClient, live_core: Core) -> None:
    batch_id = make_batch(live_core, [as_written(varied(number)) for number in range(30)])
    response = api.get(f"/v1/batches/{batch_id}/results?landmarks=true", buffered=False)
    pieces = response.iter_encoded()
    assert next(pieces).startswith(b"{")
    live_core.objects.away = True
    with pytest.raises(StorageUnavailable):
        list(pieces)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?format=xml", "format"),
        ("?include=none", "include"),
        ("?landmarks=true&format=csv", "landmarks"),
        ("?bom=true", "body"),
        ("?after_index=-2", "after_index"),
        ("?after_index=99999999999999999999", "after_index"),
        ("?limit=3", "limit"),
    ],
)
def test_wrong_queries(api: FlaskClient, live_core: Core, query: str, field: str) -> None:
    batch_id = make_batch(live_core, [JobStatus.REJECTED])
    body = problem(results_of(api, batch_id, query), 400, "invalid_request")
    assert body["errors"][0]["field"] == field


@pytest.mark.parametrize("report", ["results", "results?format=csv", "errors", "summary"])
def test_the_head_alone(api: FlaskClient, live_core: Core, report: str) -> None:
    batch_id = make_batch(live_core, MIXED)
    path = f"/v1/batches/{batch_id}/{report}"
    head, whole = api.head(path), api.get(path)
    assert (head.status_code, head.get_data()) == (200, b"")
    assert head.content_type == whole.content_type
    assert head.headers.get("Content-Disposition") == whole.headers.get("Content-Disposition")
    assert api.head(f"/v1/batches/{new_batch_id()}/{report}").status_code == 404


@pytest.mark.parametrize("report", ["results", "results?format=csv", "errors", "summary"])
def test_what_was_read_once_is_not_read_again(api: FlaskClient, live_core: Core, report: str) -> None:
    batch_id = make_batch(live_core, [as_written(varied(1)), JobStatus.REJECTED, JobStatus.QUEUED])
    path = f"/v1/batches/{batch_id}/{report}"
    assert "ETag" not in api.get(path).headers
    open_item = live_core.items(batch_id)[2].id
    end(live_core, open_item, JobStatus.FAILED)
    etag = api.get(path).headers["ETag"]
    live_core.objects.away = True
    again = api.get(path, headers={"If-None-Match": etag})
    assert (again.status_code, again.get_data(), again.headers["ETag"]) == (304, b"", etag)
    live_core.objects.away = False
    live_core.jobs.retry(LOCAL_TENANT, open_item)
    assert api.get(path, headers={"If-None-Match": etag}).status_code == 200
    end(live_core, open_item, as_written(varied(2)))
    changed = api.get(path, headers={"If-None-Match": etag})
    assert (changed.status_code, changed.headers["ETag"] == etag) == (200, False)
    live_core.jobs.delete(LOCAL_TENANT, open_item)
    assert api.get(path, headers={"If-None-Match": changed.headers["ETag"]}).status_code == 200


def test_each_form_of_a_report_has_its_own_etag(api: FlaskClient, live_core: Core) -> None:
    batch_id = make_batch(live_core, [as_written(varied(1)), JobStatus.REJECTED])
    queries = ("results", "results?landmarks=true", "results?format=csv", "results?after_index=0", "errors", "summary")
    etags = []
    for query in queries:
        with api.get(f"/v1/batches/{batch_id}/{query}") as answer:  # one that is not closed keeps its place
            etags.append(answer.headers["ETag"])
    assert len(set(etags)) == len(queries)
