"""Batches whose photos come along, as parts of a form or in a zip: one outcome for everything that may be sent."""

from __future__ import annotations

import errno
import io
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from api.context import Services
from api.storing import AT_ONCE
from api.waiting import Waiters
from shared.clock import system_clock
from shared.config import Settings
from shared.errors import StorageUnavailable
from shared.jobs.batch_store import BatchQuery
from shared.schemas import JobStatus
from shared.storage import layout
from shared.storage.memory import MemoryObjectStore
from tests.core import Core
from tests.unit.submitting import JPEG, large_form, problem
from tests.zips import (
    ENCRYPTED,
    LINK,
    PIPE,
    Member,
    lying_directory,
    nested_headers_zip,
    overlapping_zip,
    plain_zip,
    zip_of,
)

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
Item = tuple[str | None, str | None]


def send_photos(api: FlaskClient, *photos: tuple[str, bytes], query: str = "", **fields: str) -> TestResponse:
    files = [(io.BytesIO(data), name) for name, data in photos]
    return api.post(f"/v1/batches{query}", data={"images": files, **fields})


def send_zip(api: FlaskClient, data: bytes, query: str = "", **fields: str) -> TestResponse:
    if not fields:
        return api.post(f"/v1/batches{query}", **large_form(data, "archive"))
    return api.post(f"/v1/batches{query}", data={"archive": (io.BytesIO(data), "photos.zip"), **fields})


def outcomes(api: FlaskClient, response: TestResponse) -> list[Item]:
    """Return the reference of each item, and its code if it is rejected."""
    assert response.status_code == 202, response.text
    assert response.headers["Location"] == f"/v1/batches/{response.get_json()['id']}"
    listed = api.get(f"{response.headers['Location']}/items?limit=1000").get_json()["data"]
    for item in listed:
        assert item["status"] == ("rejected" if item["error"] else "queued")
        assert item["error"] is None or (item["error"]["message"] and item["error"]["retake"])
    return [(item["reference"], item["error"] and item["error"]["code"]) for item in listed]


def is_untouched(core: Core) -> bool:
    return core.stored_alive() == [] and core.store.batches.list_batches(BatchQuery("local", 10)) == []


@pytest.fixture
def small_core() -> Core:
    """A core that takes little."""
    settings = Settings(max_batch_items=3, max_upload_bytes=1000, max_batch_upload_bytes=5000, max_batch_uploads=1)
    core = Core(clock=system_clock, settings=settings)
    core.reconciler.round()
    return core


@pytest.fixture
def small(small_core: Core) -> Iterator[FlaskClient]:
    waiters = Waiters(small_core.store, places=1)
    with create_app(Services(small_core.jobs, small_core.desk, waiters, small_core.settings)).test_client() as client:
        yield client


# Parts of a form


def test_parts_are_items_in_the_order_in_which_they_came(api: FlaskClient, live_core: Core) -> None:
    names = [f"{n}.jpg" for n in range(3 * AT_ONCE)]
    bodies = [JPEG + bytes([n]) * n * 1000 for n in range(3 * AT_ONCE)]
    response = send_photos(api, *zip(names, bodies, strict=True), max_faces="2", require="eye_gap,face_width")
    assert outcomes(api, response) == [(name, None) for name in names]
    items = live_core.items(response.get_json()["id"])
    stored = [live_core.objects.get(layout.upload_key("local", item.id, item.batch_id)) for item in items]
    assert stored == bodies
    assert {(item.options.max_faces, tuple(item.options.require)) for item in items} == {(2, ("eye_gap", "face_width"))}


def test_options_may_come_before_or_after_the_photos_or_in_the_query(api: FlaskClient, live_core: Core) -> None:
    head = b'--limit\r\nContent-Disposition: form-data; name="'
    body = head + b'max_faces"\r\n\r\n2\r\n' + head + b'images"; filename="a.jpg"\r\n\r\n' + JPEG + b"\r\n"
    body += head + b'landmarks"\r\n\r\nfalse\r\n--limit--\r\n'
    kind = "multipart/form-data; boundary=limit"
    response = api.post("/v1/batches?keep_image=true", data=body, content_type=kind)
    assert outcomes(api, response) == [("a.jpg", None)]
    options = live_core.items(response.get_json()["id"])[0].options
    assert (options.max_faces, options.landmarks, options.keep_image) == (2, False, True)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("IMG 1.jpg", "IMG 1.jpg"),
        ("_DSC0001.JPG", "DSC0001.JPG"),
        ("=cmd.jpg", "cmd.jpg"),
        ("../../etc/passwd", "etc/passwd"),
        ("a\tb\u202ec.jpg", "a_b_c.jpg"),
        ("写真 №1.jpg", "写真 №1.jpg"),
        ("фото.jpg", "фото.jpg"),
        ("صورة.jpg", "صورة.jpg"),
        ("😀.jpg", "jpg"),
        ("x" * 200 + ".jpg", "x" * 128),
        ("---", None),
    ],
)
def test_a_files_name_is_made_a_reference(api: FlaskClient, name: str, reference: str | None) -> None:
    assert outcomes(api, send_photos(api, (name, JPEG))) == [(reference, None)]


def test_what_is_no_photo_is_a_rejected_item_beside_the_others(small: FlaskClient, small_core: Core) -> None:
    response = send_photos(small, ("empty.jpg", b""), ("page.jpg", b"<html>"), ("large.jpg", JPEG + bytes(1000)))
    assert outcomes(small, response) == [
        ("empty.jpg", "unsupported_format"),
        ("page.jpg", "unsupported_format"),
        ("large.jpg", "image_too_large"),
    ]
    assert response.get_json()["status"] == "completed"
    assert small_core.stored(layout.UPLOADS) == []
    mixed = send_photos(small, ("page.jpg", b"<html>"), ("good.png", PNG))
    assert outcomes(small, mixed) == [("page.jpg", "unsupported_format"), ("good.png", None)]


@pytest.mark.parametrize("names", [("a.jpg", "a.jpg"), ("DSC.jpg", "_DSC.jpg"), ("x" * 130, "x" * 140)])
def test_two_files_of_one_name(api: FlaskClient, live_core: Core, names: tuple[str, str]) -> None:
    body = problem(send_photos(api, *[(name, JPEG) for name in names]), 400, "duplicate_reference")
    assert "a zip" in body["detail"]
    assert is_untouched(live_core)


def test_what_a_browser_sends_of_an_empty_field_is_passed_over(api: FlaskClient, live_core: Core) -> None:
    assert outcomes(api, send_photos(api, ("", b""), ("a.jpg", JPEG))) == [("a.jpg", None)]
    problem(send_photos(api, ("", b"")), 400, "invalid_request")
    both = {"archive": (io.BytesIO(plain_zip({"b.jpg": JPEG})), "b.zip"), "images": (io.BytesIO(), "")}
    assert outcomes(api, api.post("/v1/batches", data=both)) == [("b.jpg", None)]
    unnamed = {**both, "archive": (io.BytesIO(b"x"), "b.zip"), "images": (io.BytesIO(JPEG), "")}
    problem(api.post("/v1/batches", data=unnamed), 400, "invalid_request")


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "images"),
        ({"max_faces": "2"}, "images"),
        ({"image": (io.BytesIO(JPEG), "a.jpg")}, "image"),
        ({"images": "text"}, "images"),
        ({"archive": "text"}, "archive"),
        ({"archive": (io.BytesIO(b"x"), "a.zip"), "images": (io.BytesIO(JPEG), "a.jpg")}, "archive"),
        ({"archive": [(io.BytesIO(b"x"), "a.zip"), (io.BytesIO(b"x"), "b.zip")]}, "archive"),
        ({"images": (io.BytesIO(JPEG), "a.jpg"), "max_faces": "11"}, "max_faces"),
        ({"images": (io.BytesIO(JPEG), "a.jpg"), "max_faces": ["1", "1"]}, "max_faces"),
        ({"images": (io.BytesIO(JPEG), "a.jpg"), "reference": "x"}, "reference"),
        ({"images": (io.BytesIO(JPEG), "a.jpg"), "nothing": "x"}, "nothing"),
        ({"images": (io.BytesIO(JPEG), "a.jpg"), **{f"f{n}": "x" for n in range(70)}}, "body"),
    ],
)
def test_wrong_forms(api: FlaskClient, live_core: Core, data: dict[str, Any], field: str) -> None:
    response = api.post("/v1/batches", data=data, content_type="multipart/form-data")
    assert problem(response, 400, "invalid_request")["errors"][0]["field"] == field
    assert is_untouched(live_core)


def test_a_target_that_may_not_be_called(api: FlaskClient, live_core: Core) -> None:
    response = send_photos(api, ("a.jpg", JPEG), webhook_url="https://127.0.0.1/")
    problem(response, 400, "webhook_target_forbidden")
    assert is_untouched(live_core)


def test_too_much_of_everything(small: FlaskClient, small_core: Core) -> None:
    photos = [(f"{n}.jpg", JPEG) for n in range(4)]
    assert "at most 3 items" in problem(send_photos(small, *photos), 400, "invalid_request")["detail"]
    problem(send_photos(small, *[(name, bytes(2000)) for name, _ in photos[:3]]), 413, "payload_too_large")
    problem(small.post("/v1/batches", **large_form(bytes(11_000_000), "images")), 413, "payload_too_large")
    problem(send_zip(small, bytes(5001)), 413, "payload_too_large")
    assert is_untouched(small_core)


def test_a_form_that_was_cut_short(api: FlaskClient, live_core: Core) -> None:
    body = b'--limit\r\nContent-Disposition: form-data; name="images"; filename="a.jpg"\r\n\r\n' + JPEG
    response = api.post("/v1/batches", data=body, content_type="multipart/form-data; boundary=limit")
    assert "cut short" in problem(response, 400, "invalid_request")["detail"]
    assert is_untouched(live_core)


class FailsLater(MemoryObjectStore):
    """A store that takes some photos and then no more."""

    def __init__(self, takes: int) -> None:
        super().__init__()
        self._left = takes

    def put(self, key: str, body: bytes | BinaryIO, *, content_type: str = "application/octet-stream") -> None:
        self._left -= 1
        if self._left < 0:
            raise StorageUnavailable(key)
        super().put(key, body, content_type=content_type)


@pytest.mark.parametrize("takes", [0, 3, 39, 40])
def test_a_store_that_goes_away_in_the_middle_leaves_nothing(api: FlaskClient, live_core: Core, takes: int) -> None:
    """Forty photos and a manifest are to be written."""
    live_core.objects = live_core.jobs.objects = FailsLater(takes)
    live_core.jobs.archive.batches.objects = live_core.objects
    response = send_photos(api, *[(f"{n}.jpg", JPEG) for n in range(40)])
    assert "Nothing was accepted" in problem(response, 503, "unavailable")["detail"]
    assert is_untouched(live_core)


def test_records_that_are_away_are_said_before_anything_is_read(api: FlaskClient, live_core: Core) -> None:
    live_core.set_records_away(True)
    problem(send_photos(api, ("a.jpg", JPEG)), 503, "unavailable")
    live_core.set_records_away(False)
    assert is_untouched(live_core)


class SmallDisk(tempfile.SpooledTemporaryFile[bytes]):
    """A temporary file on a disk that has room for an archive and not for what is in it."""

    room_bytes = 50_000

    def write(self, data: ReadableBuffer) -> int:
        if self.tell() + len(bytes(data)) > self.room_bytes:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def test_a_disk_that_is_full_when_photos_come(
    api: FlaskClient, live_core: Core, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", SmallDisk)
    problem(send_photos(api, ("a.jpg", JPEG + bytes(2 * SmallDisk.room_bytes))), 503, "unavailable")
    assert "spool folder" in caplog.text
    assert is_untouched(live_core)


def test_a_disk_that_is_full_when_the_archive_is_unpacked(
    api: FlaskClient, live_core: Core, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", SmallDisk)
    archive = plain_zip({"a.jpg": JPEG + bytes(2 * SmallDisk.room_bytes)})
    assert len(archive) < SmallDisk.room_bytes
    problem(send_zip(api, archive), 503, "unavailable")
    assert "spool folder" in caplog.text
    assert is_untouched(live_core)


def test_only_so_many_batches_come_in_at_once(small: FlaskClient, small_core: Core) -> None:
    arrived, may_go_on = threading.Event(), threading.Event()

    class Slow(MemoryObjectStore):
        def put(self, key: str, body: bytes | BinaryIO, *, content_type: str = "application/octet-stream") -> None:
            arrived.set()
            assert may_go_on.wait(20)
            super().put(key, body, content_type=content_type)

    small_core.objects = small_core.jobs.objects = Slow()
    first = threading.Thread(target=lambda: send_photos(small.application.test_client(), ("a.jpg", JPEG)))
    first.start()
    assert arrived.wait(20)
    refused = problem(send_photos(small, ("b.jpg", JPEG)), 503, "unavailable")
    may_go_on.set()
    first.join()
    assert "Nothing was accepted" in refused["detail"]
    assert outcomes(small, send_photos(small, ("b.jpg", JPEG))) == [("b.jpg", None)]


# Archives


def test_an_ordinary_zip_of_folders(api: FlaskClient, live_core: Core) -> None:
    files = {
        "shoes/left/a.jpg": JPEG,
        "shoes/left/": b"",
        "shoes/right/a.jpg": PNG,
        "写真/フ.jpg": JPEG,
        "__MACOSX/shoes/left/._a.jpg": b"x",
        "shoes/.DS_Store": b"x",
        "shoes/Thumbs.db": b"x",
        "readme.txt": b"hello",
    }
    response = send_zip(api, plain_zip(files), keep_image="true")
    assert outcomes(api, response) == [
        ("shoes/left/a.jpg", None),
        ("shoes/right/a.jpg", None),
        ("写真/フ.jpg", None),
        ("readme.txt", "unsupported_format"),
    ]
    items = live_core.items(response.get_json()["id"], JobStatus.QUEUED)
    stored = [live_core.objects.get(layout.upload_key("local", item.id, item.batch_id)) for item in items]
    assert stored == [JPEG, PNG, JPEG]
    assert all(item.options.keep_image for item in items)


def test_a_manifest_gives_references_and_options(api: FlaskClient, live_core: Core) -> None:
    manifest = 'file,reference,max_faces,require\na.jpg,SKU-7/1,3,\n_b.jpg,B,,"eye_gap,face_width"\ngone.jpg,G,,\n'
    files = {"a.jpg": JPEG, "_b.jpg": JPEG, "c.jpg": JPEG, "manifest.csv": manifest.encode()}
    response = send_zip(api, plain_zip(files), max_faces="2", landmarks="false")
    assert outcomes(api, response) == [
        ("SKU-7/1", None),
        ("B", None),
        ("c.jpg", None),
        ("G", "archive_entry_refused"),
    ]
    options = [item.options for item in live_core.items(response.get_json()["id"])]
    assert [one.max_faces for one in options] == [3, 2, 2, 2]
    assert [one.require for one in options] == [[], ["eye_gap", "face_width"], [], []]
    assert not any(one.landmarks for one in options)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a.jpg,,11,", "line 2: max_faces"),
        ("a.jpg,,x,", "line 2: max_faces"),
        ("a.jpg,,,3", "line 2: max_mm_sd"),
        ("a.jpg,=x,,", "line 2: a reference starts"),
        ("a.jpg,,", "line 2 has 3 cells"),
    ],
)
def test_a_manifest_that_is_wrong_names_the_line(api: FlaskClient, live_core: Core, line: str, said: str) -> None:
    manifest = f"file,reference,max_faces,max_mm_sd\n{line}\n".encode()
    body = problem(send_zip(api, plain_zip({"a.jpg": JPEG, "manifest.csv": manifest})), 400, "archive_invalid")
    assert "manifest.csv" in body["detail"]
    assert said in body["detail"]
    assert is_untouched(live_core)


def test_a_manifest_cannot_name_a_forbidden_target(api: FlaskClient, live_core: Core) -> None:
    manifest = b"file,webhook_url\na.jpg,https://10.0.0.1/\n"
    body = problem(send_zip(api, plain_zip({"a.jpg": JPEG, "manifest.csv": manifest})), 400, "archive_invalid")
    assert "line 2: webhook_url" in body["detail"]
    assert is_untouched(live_core)


def test_a_manifest_that_gives_a_reference_twice(api: FlaskClient, live_core: Core) -> None:
    manifest = b"file,reference\na.jpg,A\nb.jpg,A\n"
    data = plain_zip({"a.jpg": JPEG, "b.jpg": JPEG, "manifest.csv": manifest})
    problem(send_zip(api, data), 400, "duplicate_reference")
    assert is_untouched(live_core)


GOOD = Member("good.jpg", JPEG)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([Member("/etc/a.jpg", JPEG)], [(None, "archive_entry_refused")]),
        ([Member("C:/a.jpg", JPEG)], [("C:/a.jpg", "archive_entry_refused")]),
        ([Member("x/../../a.jpg", JPEG)], [("x/../../a.jpg", "archive_entry_refused")]),
        ([Member("../a.jpg", JPEG)], [(None, "archive_entry_refused")]),
        ([Member("x\\a.jpg", JPEG)], [("x\\a.jpg", "archive_entry_refused")]),
        ([Member("link.jpg", b"/etc/passwd", attributes=LINK)], [("link.jpg", "archive_entry_refused")]),
        ([Member("pipe.jpg", b"", attributes=PIPE)], [("pipe.jpg", "archive_entry_refused")]),
        ([Member("secret.jpg", JPEG, flags=ENCRYPTED)], [("secret.jpg", "archive_entry_refused")]),
        ([Member("inner.zip", plain_zip({"a.jpg": JPEG}))], [("inner.zip", "archive_entry_refused")]),
        ([Member("inner.jpg", plain_zip({"a.jpg": JPEG}))], [("inner.jpg", "archive_entry_refused")]),
        ([Member("a.jpg", JPEG), Member("a.jpg", PNG)], [("a.jpg", None), (None, "archive_entry_refused")]),
        ([Member("a.jpg", JPEG, crc=1)], [("a.jpg", "corrupt_image")]),
        ([Member("a.jpg", JPEG, size=10)], [("a.jpg", "corrupt_image")]),
        ([Member("a.jpg", JPEG, size=21_000_000)], [("a.jpg", "image_too_large")]),
        ([Member("a.jpg", b"")], [("a.jpg", "unsupported_format")]),
        ([Member("___.jpg", JPEG)], [(None, "archive_entry_refused")]),
        ([Member("x" * 129, JPEG)], [(None, "archive_entry_refused")]),
        ([Member("a\u202e.jpg", JPEG)], [(None, "archive_entry_refused")]),
    ],
)
def test_one_bad_entry_is_a_rejected_item_beside_the_others(
    api: FlaskClient, members: list[Member], expected: list[Item]
) -> None:
    assert outcomes(api, send_zip(api, zip_of([*members, GOOD]))) == [*expected, ("good.jpg", None)]


@pytest.mark.parametrize("name", ["фото/я.jpg", "写真.jpg", "صورة.jpg", "फ़ोटो.jpg", "é.jpg", "e\u0301.jpg"])
@pytest.mark.parametrize("flags", [0, 0x800])
def test_names_in_any_script(api: FlaskClient, name: str, flags: int) -> None:
    assert outcomes(api, send_zip(api, zip_of([Member(name, JPEG, flags=flags)]))) == [(name, None)]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a zip"),
        (b"no zip", "not a zip"),
        (JPEG, "not a zip"),
        (plain_zip({"a.jpg": JPEG})[:-30], "not a zip"),
        (plain_zip({}), "no photo"),
        (plain_zip({"__MACOSX/a.jpg": JPEG}), "no photo"),
        (overlapping_zip(JPEG, 5), "shares its bytes"),
        (nested_headers_zip(JPEG, 5), "shares its bytes"),
        (lying_directory(100_000, told_count=1), "its directory has"),
        (zip_of([Member(f"{n}.jpg", b"", size=400_000_000) for n in range(11)]), "0.jpg: with it the archive unpacks"),
        (plain_zip({"a.jpg": JPEG, "manifest.csv": b"\xff"}), "manifest.csv: it is not UTF-8"),
        (plain_zip({"a.jpg": JPEG, "manifest.csv": b"name\na.jpg\n"}), "names no column 'file'"),
    ],
)
def test_an_archive_that_is_refused_whole(api: FlaskClient, live_core: Core, data: bytes, said: str) -> None:
    assert said in problem(send_zip(api, data), 400, "archive_invalid")["detail"]
    assert is_untouched(live_core)


def test_ten_thousand_and_one_entries(api: FlaskClient, live_core: Core) -> None:
    members = [replace(GOOD, name=f"{n}.jpg") for n in range(10_001)]
    assert "10000.jpg" in problem(send_zip(api, zip_of(members)), 400, "archive_invalid")["detail"]
    assert is_untouched(live_core)
    response = send_zip(api, zip_of(members[:-1]))
    assert (response.status_code, response.get_json()["counts"]["queued"]) == (202, 10_000)
