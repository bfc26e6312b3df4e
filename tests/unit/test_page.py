"""The page as it is served: how it is kept by browsers, what it may do, how heavy it is, and what it sends."""

from __future__ import annotations

import gzip
import json
import re

import pytest
from flask.testing import FlaskClient

from shared.schemas import JobOptions
from stack.services import ROOT

WEB = ROOT / "api" / "web"
SOURCES = ROOT / "web"
MAX_WIRE_BYTES = 180_000
"""Of all that a first visit loads, compressed: about two seconds of a slow mobile connection."""
HASHED = re.compile(r"[a-z]+-[0-9a-f]{12}\.[a-z]+")


def linked(api: FlaskClient) -> list[str]:
    return re.findall(r'(?:href|src)="(/web/[^"]+)"', api.get("/").text)


def test_the_page_names_only_files_that_are_there(api: FlaskClient) -> None:
    assert len(linked(api)) == 3  # script, style, icon
    for path in linked(api):
        assert api.get(path).status_code == 200


def test_a_first_visit_is_light(api: FlaskClient) -> None:
    answers = [api.get(path, headers={"Accept-Encoding": "gzip"}) for path in ("/", *linked(api))]
    assert all(answer.headers["Content-Encoding"] == "gzip" for answer in answers)
    assert sum(len(answer.data) for answer in answers) < MAX_WIRE_BYTES


@pytest.mark.parametrize("name", sorted(path.name for path in WEB.iterdir()))
def test_files_come_compressed_to_those_who_take_it_and_whole_to_others(api: FlaskClient, name: str) -> None:
    content = (WEB / name).read_bytes()
    plain, packed = api.get(f"/web/{name}"), api.get(f"/web/{name}", headers={"Accept-Encoding": "br, gzip"})
    assert plain.data == content
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(packed.data) == content
    assert plain.headers["ETag"] != packed.headers["ETag"]
    assert {answer.headers["Vary"] for answer in (plain, packed)} == {"Accept-Encoding"}
    refused = api.get(f"/web/{name}", headers={"Accept-Encoding": "gzip;q=0"})
    assert refused.data == content


@pytest.mark.parametrize("name", sorted(path.name for path in WEB.iterdir()))
def test_only_what_is_named_after_its_content_is_kept_without_asking(api: FlaskClient, name: str) -> None:
    kept = api.get(f"/web/{name}").headers["Cache-Control"]
    assert kept == ("public, max-age=31536000, immutable" if HASHED.fullmatch(name) else "no-cache")


def test_an_unchanged_file_is_not_sent_again(api: FlaskClient) -> None:
    for path in ("/", *linked(api)):
        for encoding in ("gzip", "identity"):
            first = api.get(path, headers={"Accept-Encoding": encoding})
            headers = {"Accept-Encoding": encoding, "If-None-Match": first.headers["ETag"]}
            again = api.get(path, headers=headers)
            assert (again.status_code, again.data) == (304, b"")


def test_the_page_may_do_nothing_but_what_it_needs(api: FlaskClient) -> None:
    answer = api.get("/")
    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:;"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert answer.headers["Permissions-Policy"] == "camera=(self), microphone=(), geolocation=()"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    for inline in ("<style", "style=", "<script>", " onclick", "data:"):
        assert inline not in answer.text
    assert "data:" not in next(WEB.glob("page-*.css")).read_text()


def test_the_form_sends_only_options_that_there_are() -> None:
    source = (SOURCES / "src" / "options.ts").read_text().split("fieldsOf")[1]
    sent = set(re.findall(r"fields\.([a-z_]+) =", source)) | set(re.findall(r"\b([a-z_]+): said\.", source))
    assert {"known_pd_mm", "known_pd_kind", "reference_object", "reference_object_placement", "mirrored"} < sent
    assert sent <= set(JobOptions.model_fields)


def test_the_lock_of_the_page_names_versions_and_hashes_and_no_registry() -> None:
    text = (SOURCES / "package-lock.json").read_text()
    packages = {path: entry for path, entry in json.loads(text)["packages"].items() if path}
    assert all(entry["version"] and entry["integrity"].startswith("sha512-") for entry in packages.values())
    assert not any("resolved" in entry for entry in packages.values())


def test_every_picture_of_the_page_is_small() -> None:
    pictures = sorted((ROOT / "docs" / "images" / "page").iterdir())
    assert pictures
    assert [path.name for path in pictures if path.stat().st_size > 200_000] == []
