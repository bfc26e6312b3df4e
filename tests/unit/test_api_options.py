"""The options of a photo: how they are described, read and refused."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from shared.measurements import DEFINITIONS
from shared.schemas import JobOptions, KnownPdKind, ReferencePlacement, WebhookEvent
from tests.core import Core
from tests.unit.submitting import JPEG, problem, submit

PLAIN = {
    "reference": "SKU-7/0042",
    "max_faces": "3",
    "known_pd_mm": "63.5",
    "known_pd_kind": "near",
    "reference_object": "aruco:4x4_50:40",
    "reference_object_placement": "upper_lip",
    "mirrored": "true",
    "require": "face_width, eye_gap,face_width",
    "max_mm_sd": "4",
    "landmarks": "false",
    "keep_image": "false",
    "measure_and_delete": "true",
    "webhook_url": "https://portal.example/hooks?token=1",
    "webhook_events": "job.succeeded, job.failed,job.succeeded",
}


@pytest.fixture
def operation(api: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/openapi.json").get_json()["paths"]["/v1/jobs"]["post"]
    return found


def described(operation: dict[str, Any]) -> dict[str, Any]:
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    return {name: schema for name, schema in form.items() if name != "image"}


def test_options_are_described_once_and_the_same_everywhere(operation: dict[str, Any]) -> None:
    query = {found["name"]: found["schema"] for found in operation["parameters"] if found["in"] == "query"}
    assert described(operation) == query
    assert set(query) == set(JobOptions.model_fields)
    assert {f"image/{name}" for name in ("jpeg", "png", "webp", "heic", "avif")} < set(
        operation["requestBody"]["content"]
    )


def test_options_are_described_as_text_fields_can_hold_them(operation: dict[str, Any]) -> None:
    schemas = described(operation)
    for name, schema in schemas.items():
        Draft202012Validator.check_schema(schema)
        assert schema["type"] in {"string", "integer", "number", "boolean", "array"}, name
        assert schema["description"]
        assert "$ref" not in str(schema)
        default = JobOptions.model_fields[name].default
        assert schema.get("default") == (default if default is not None else None)
    assert schemas["known_pd_kind"]["enum"] == list(KnownPdKind)
    assert schemas["reference_object_placement"]["enum"] == list(ReferencePlacement)
    assert (schemas["known_pd_mm"]["minimum"], schemas["known_pd_mm"]["maximum"]) == (40, 80)
    assert schemas["max_mm_sd"]["exclusiveMinimum"] == 0


def test_required_measurements_are_described_as_a_list_with_commas(operation: dict[str, Any]) -> None:
    assert described(operation)["require"]["items"]["enum"] == [definition.key for definition in DEFINITIONS]
    parameter = next(found for found in operation["parameters"] if found["name"] == "require")
    encoding = operation["requestBody"]["content"]["multipart/form-data"]["encoding"]["require"]
    for place in (parameter, encoding):
        assert (place["style"], place["explode"]) == ("form", False)


@pytest.mark.parametrize("way", ["form", "query"])
def test_every_option_is_read(api: FlaskClient, live_core: Core, way: str) -> None:
    assert set(PLAIN) == set(JobOptions.model_fields)
    if way == "form":
        response = submit(api, **PLAIN)
    else:
        response = api.post("/v1/jobs", query_string=PLAIN, data=JPEG, content_type="image/jpeg")
    assert response.status_code == 202, response.text
    record = live_core.store.get(response.get_json()["id"])
    assert record is not None
    assert record.options == JobOptions(
        reference="SKU-7/0042",
        max_faces=3,
        known_pd_mm=63.5,
        known_pd_kind=KnownPdKind.NEAR,
        reference_object="aruco:4x4_50:40",
        reference_object_placement=ReferencePlacement.UPPER_LIP,
        mirrored=True,
        require=["face_width", "eye_gap"],
        max_mm_sd=4,
        landmarks=False,
        measure_and_delete=True,
        webhook_url="https://portal.example/hooks?token=1",
        webhook_events=[WebhookEvent.JOB_SUCCEEDED, WebhookEvent.JOB_FAILED],
    )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"max_faces": "0"}, "max_faces"),
        ({"max_faces": "11"}, "max_faces"),
        ({"max_faces": "many"}, "max_faces"),
        ({"landmarks": "perhaps"}, "landmarks"),
        ({"keep_image": ""}, "keep_image"),
        ({"reference": "x" * 129}, "reference"),
        ({"reference": ""}, "reference"),
        ({"reference": "two\nlines"}, "reference"),
        ({"webhook_url": ""}, "webhook_url"),
        ({"webhook_url": "https://a.example/" + "x" * 2048}, "webhook_url"),
        ({"webhook_url": "https://a.example/", "webhook_events": "job.done"}, "webhook_events.0"),
        ({"webhook_events": "job.failed"}, "webhook_events"),
        ({"colour": "red"}, "colour"),
        ({"known_pd": "63"}, "known_pd"),
        ({"known_pd_mm": "39.9"}, "known_pd_mm"),
        ({"known_pd_mm": "80.1"}, "known_pd_mm"),
        ({"known_pd_mm": "nan"}, "known_pd_mm"),
        ({"known_pd_mm": "inf"}, "known_pd_mm"),
        ({"known_pd_mm": ""}, "known_pd_mm"),
        ({"known_pd_mm": "63", "known_pd_kind": "far"}, "known_pd_kind"),
        ({"reference_object": "card"}, "reference_object"),
        ({"reference_object": "aruco:4x4_50:9"}, "reference_object"),
        ({"reference_object": "aruco:4x4_51:40"}, "reference_object"),
        ({"reference_object": "aruco:4x4_50:nan"}, "reference_object"),
        ({"reference_object": "id1_card", "reference_object_placement": "chin"}, "reference_object_placement"),
        ({"reference_object_placement": "forehead"}, "reference_object_placement"),
        ({"mirrored": "yes please"}, "mirrored"),
        ({"require": "face_width,head_width"}, "require"),
        ({"max_mm_sd": "3"}, "max_mm_sd"),
        ({"max_mm_sd": "3", "require": " , "}, "max_mm_sd"),
        ({"max_mm_sd": "0", "require": "eye_gap"}, "max_mm_sd"),
        ({"max_mm_sd": "nan", "require": "eye_gap"}, "max_mm_sd"),
        ({"max_mm_sd": "inf", "require": "eye_gap"}, "max_mm_sd"),
    ],
)
def test_wrong_options_are_named(api: FlaskClient, live_core: Core, fields: dict[str, str], field: str) -> None:
    for response in (
        submit(api, **fields),
        api.post("/v1/jobs", query_string=fields, data=JPEG, content_type="image/jpeg"),
    ):
        body = problem(response, 400, "invalid_request")
        assert [entry["field"] for entry in body["errors"]] == [field]
        assert "Value error" not in response.text
    assert live_core.stored() == []


def test_every_wrong_option_is_named_at_once(api: FlaskClient) -> None:
    body = problem(submit(api, max_faces="0", known_pd_mm="200", colour="red"), 400, "invalid_request")
    assert {entry["field"] for entry in body["errors"]} == {"max_faces", "known_pd_mm", "colour"}


def test_an_unknown_measurement_is_answered_with_those_there_are(api: FlaskClient) -> None:
    body = problem(submit(api, require="head_width"), 400, "invalid_request")
    assert "head_width" in body["detail"]
    assert "face_edge_breadth" in body["detail"]


@pytest.mark.parametrize(
    ("name", "other"), [("max_mm_sd", "require"), ("reference_object_placement", "reference_object")]
)
def test_what_says_something_about_another_option_needs_it(api: FlaskClient, name: str, other: str) -> None:
    body = problem(submit(api, **{name: PLAIN[name]}), 400, "invalid_request")
    assert body["errors"][0]["field"] == name
    assert other in body["errors"][0]["message"]
    assert submit(api, **{key: PLAIN[key] for key in (name, other)}).status_code == 202


def test_an_option_given_twice_is_no_option(api: FlaskClient) -> None:
    for response in (
        submit(api, "?max_faces=1", max_faces="2"),
        submit(api, "?max_faces=1&max_faces=1"),
    ):
        assert problem(response, 400, "invalid_request")["errors"][0]["field"] == "max_faces"
    again = submit(api, "?require=eye_gap&require=chin_width")
    assert "commas" in problem(again, 400, "invalid_request")["detail"]
