"""How photos and options come in, and what is refused at once."""

from __future__ import annotations

import io
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.config import MEGABYTE
from shared.schemas import JobOptions
from tests.core import Core
from tests.unit.submitting import JPEG, form, large_form, problem


def test_raw_bytes_with_options_in_the_query(api: FlaskClient, live_core: Core) -> None:
    response = api.post(
        "/v1/jobs?max_faces=3&landmarks=false&keep_image=true&reference=x", data=JPEG, content_type="image/jpeg"
    )
    assert response.status_code == 202
    record = live_core.store.get(response.get_json()["id"])
    assert record is not None
    assert record.options == JobOptions(max_faces=3, landmarks=False, keep_image=True, reference="x")


def test_a_png_that_says_it_is_a_jpeg_is_taken_for_what_it_is(api: FlaskClient) -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(64)
    assert api.post("/v1/jobs", data=png, content_type="image/jpeg").status_code == 202


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"", None),
        (b"", "image/jpeg"),
        ({"image": (io.BytesIO(b""), "empty.jpg")}, "multipart/form-data"),
        ({"image": "text"}, "multipart/form-data"),
        ({"photo": (io.BytesIO(JPEG), "photo.jpg")}, "multipart/form-data"),
        ({"image": [(io.BytesIO(JPEG), "a.jpg"), (io.BytesIO(JPEG), "b.jpg")]}, "multipart/form-data"),
        (b"--x\r\nno form", "multipart/form-data; boundary=x"),
        (b"no boundary", "multipart/form-data"),
    ],
)
def test_requests_without_one_photo(api: FlaskClient, live_core: Core, data: Any, content_type: str | None) -> None:
    problem(api.post("/v1/jobs", data=data, content_type=content_type), 400, "invalid_request")
    assert live_core.stored() == []


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"<html>not a photo</html>", "image/jpeg"),
        (b"GIF89a" + bytes(64), "image/gif"),
        (JPEG, "text/plain"),
        (JPEG, "application/x-www-form-urlencoded"),
    ],
)
def test_what_is_no_accepted_image(api: FlaskClient, live_core: Core, data: bytes, content_type: str) -> None:
    problem(api.post("/v1/jobs", data=data, content_type=content_type), 415, "unsupported_format")
    assert live_core.stored() == []


@pytest.mark.parametrize("as_form", [True, False])
@pytest.mark.parametrize("too_many", [1, 3 * MEGABYTE])
def test_too_many_bytes(api: FlaskClient, live_core: Core, as_form: bool, too_many: int) -> None:
    body = JPEG + bytes(20 * MEGABYTE - len(JPEG) + too_many)
    if as_form:
        response = api.post("/v1/jobs", **large_form(body))
    else:
        response = api.post("/v1/jobs", data=body, content_type="image/jpeg")
    problem(response, 413, "payload_too_large")
    assert live_core.stored() == []


def test_as_many_bytes_as_are_allowed(api: FlaskClient) -> None:
    assert api.post("/v1/jobs", **large_form(JPEG + bytes(20 * MEGABYTE - len(JPEG)))).status_code == 202


def test_a_raw_photo_that_was_cut_short_is_not_accepted(api: FlaskClient, live_core: Core) -> None:
    response = api.post(
        "/v1/jobs",
        input_stream=io.BytesIO(JPEG),
        content_type="image/jpeg",
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": str(len(JPEG) + 1)},
    )
    problem(response, 400, "invalid_request")
    assert live_core.stored() == []


def test_a_form_with_too_many_fields_is_not_called_a_large_photo(api: FlaskClient) -> None:
    problem(api.post("/v1/jobs", data=form(**{f"f{n}": "x" for n in range(70)})), 400, "invalid_request")


def test_a_photo_is_stored_to_the_byte_wherever_a_read_of_its_form_ends(api: FlaskClient, live_core: Core) -> None:
    """Werkzeug's own parser adds a byte to the last file when a read of 64 KiB ends within the form's last line."""
    head = b'--limit\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    end = b"\r\n--limit--\r\n"
    for missing in range(len(end) + 1):
        photo = JPEG.ljust(65_536 - len(head) - len(end) + missing, b"\0")
        body, content_type = head + photo + end, "multipart/form-data; boundary=limit"
        record = live_core.find(api.post("/v1/jobs", data=body, content_type=content_type).get_json()["id"])
        assert live_core.jobs.read_upload(record) == photo
