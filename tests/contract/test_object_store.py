"""What every object store must do; the memory one and a real S3 server pass the same tests."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest

from shared.clock import system_clock, to_ms
from shared.errors import ObjectMissing
from shared.storage.base import ObjectStore
from shared.storage.memory import MemoryObjectStore
from shared.storage.post_policy import UploadForm, UploadPermit


@pytest.fixture
def key(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Keys of this test alone: the real store is shared and kept."""
    prefix = f"contract/{request.node.name}/"
    return lambda name: prefix + name


def test_an_object_in_pieces(objects: ObjectStore) -> None:
    body = bytes(range(256)) * 1000
    objects.put("pieces", body)
    pieces = list(objects.chunks("pieces"))
    assert b"".join(pieces) == body
    assert len(pieces) > 1
    with pytest.raises(ObjectMissing):
        next(objects.chunks("no such key"))


def test_bytes_and_files_come_back(objects: ObjectStore, key: Callable[[str], str]) -> None:
    objects.put(key("bytes"), b"\x00\xff" * 100_000)
    objects.put(key("file"), io.BytesIO(b"abc" * 1_000_000), content_type="image/jpeg")
    assert objects.get(key("bytes")) == b"\x00\xff" * 100_000
    assert objects.get(key("file")) == b"abc" * 1_000_000


def test_an_empty_object_is_an_object(objects: ObjectStore, key: Callable[[str], str]) -> None:
    objects.put(key("empty"), b"")
    assert objects.exists(key("empty"))
    assert objects.get(key("empty")) == b""
    assert objects.get(key("empty"), first_bytes=10) == b""


def test_a_file_is_read_from_where_it_stands(objects: ObjectStore, key: Callable[[str], str]) -> None:
    body = io.BytesIO(b"skipped and kept")
    body.seek(12)
    objects.put(key("tail"), body)
    assert objects.get(key("tail")) == b"kept"


def test_putting_again_replaces(objects: ObjectStore, key: Callable[[str], str]) -> None:
    objects.put(key("twice"), b"one")
    objects.put(key("twice"), b"two")
    assert objects.get(key("twice")) == b"two"


def test_a_part_of_an_object(objects: ObjectStore, key: Callable[[str], str]) -> None:
    objects.put(key("long"), b"0123456789")
    assert objects.get_part(key("long"), 0, 3) == b"012"
    assert objects.get_part(key("long"), 4, 2) == b"45"
    assert objects.get_part(key("long"), 8, 100) == b"89"
    assert objects.get_part(key("long"), 10, 1) == b""
    with pytest.raises(ObjectMissing):
        objects.get_part(key("none"), 0, 1)


def test_the_first_bytes(objects: ObjectStore, key: Callable[[str], str]) -> None:
    objects.put(key("long"), b"0123456789")
    assert objects.get(key("long"), first_bytes=4) == b"0123"
    assert objects.get(key("long"), first_bytes=4096) == b"0123456789"


def test_what_is_not_there(objects: ObjectStore, key: Callable[[str], str]) -> None:
    assert not objects.exists(key("nothing"))
    with pytest.raises(ObjectMissing):
        objects.get(key("nothing"))
    with pytest.raises(ObjectMissing):
        objects.get(key("nothing"), first_bytes=4)
    objects.delete(key("nothing"))


def test_deleting(objects: ObjectStore, key: Callable[[str], str]) -> None:
    objects.put(key("gone"), b"x")
    objects.delete(key("gone"))
    assert not objects.exists(key("gone"))
    assert objects.put_if_absent(key("gone"), b"again")


def test_deleting_several_of_which_some_are_there(objects: ObjectStore, key: Callable[[str], str]) -> None:
    for name in ("one", "three", "stays"):
        objects.put(key(name), b"x")
    objects.delete(key("one"), key("two"), key("three"))
    assert [objects.exists(key(name)) for name in ("one", "two", "three", "stays")] == [False, False, False, True]


def test_the_first_writer_wins_even_with_the_same_bytes(objects: ObjectStore, key: Callable[[str], str]) -> None:
    assert objects.put_if_absent(key("once"), b"one")
    assert not objects.put_if_absent(key("once"), b"one")
    assert not objects.put_if_absent(key("once"), b"two")
    assert objects.get(key("once")) == b"one"


def test_one_of_many_writers_wins(objects: ObjectStore, key: Callable[[str], str]) -> None:
    for race in range(5):
        won: list[int] = []
        start = threading.Barrier(8)

        def write(
            number: int, target: str = key(f"race-{race}"), start: threading.Barrier = start, won: list[int] = won
        ) -> None:
            start.wait()
            if objects.put_if_absent(target, str(number).encode()):
                won.append(number)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [str(number).encode() for number in won] == [objects.get(key(f"race-{race}"))]


def test_listing_is_by_prefix_in_order_with_sizes(objects: ObjectStore, key: Callable[[str], str]) -> None:
    for name, body in (("b/2", b"22"), ("a/1", b"1"), ("b/1", b""), ("bb", b"333")):
        objects.put(key(name), body)
    assert [(found.key, found.size_bytes) for found in objects.list(key("b/"))] == [(key("b/1"), 0), (key("b/2"), 2)]
    assert [found.key for found in objects.list(key(""))] == [key(name) for name in ("a/1", "b/1", "b/2", "bb")]
    assert list(objects.list(key("nobody/"))) == []


def test_a_listing_has_each_folder_in_one_piece_whatever_comes_first(
    objects: ObjectStore, key: Callable[[str], str]
) -> None:
    names = ["a-b/1", "a-b/2", "a/1", "a/2", "a0/1"]
    for name in names:
        objects.put(key(name), b"x")
    listed = [found.key for found in objects.list(key(""))]
    assert sorted(listed) == [key(name) for name in names]
    for folder in ("a-b/", "a/", "a0/"):
        at = [place for place, found in enumerate(listed) if found.startswith(key(folder))]
        assert at == list(range(at[0], at[0] + len(at)))
        assert [listed[place] for place in at] == sorted(listed[place] for place in at)


def test_the_folders_below_a_prefix(objects: ObjectStore, key: Callable[[str], str]) -> None:
    for name in ("t/a-b/1", "t/a/1", "t/a/2", "t/file", "other/c/1"):
        objects.put(key(name), b"x")
    assert sorted(objects.folders(key("t/"))) == ["a", "a-b"]
    assert list(objects.folders(key("nobody/"))) == []


def test_listing_more_than_a_page(objects: ObjectStore, key: Callable[[str], str]) -> None:
    names = [key(f"many/{number:04d}") for number in range(1005)]
    for name in names:
        objects.put(name, b"x")
    assert [found.key for found in objects.list(key("many/"))] == names


def test_the_store_answers(objects: ObjectStore) -> None:
    objects.check()


PHOTO = b"\xff\xd8\xff" + bytes(97)


def permit(key: str, **changed: Any) -> UploadPermit:
    until_ms = system_clock() + to_ms(60)
    return replace(UploadPermit(key, len(PHOTO), "image/jpeg", until_ms), **changed)


def post(objects: ObjectStore, form: UploadForm, body: bytes = PHOTO, changed: Mapping[str, str] | None = None) -> bool:
    """Post a form as a client does; tell whether the store took it."""
    fields = {**form.fields, **(changed or {})}
    if isinstance(objects, MemoryObjectStore):
        return objects.post(fields, body)
    answer = httpx.post(form.url, data=fields, files={"file": ("any name.jpg", body)}, trust_env=False)
    assert answer.is_success or answer.is_client_error
    return answer.is_success


def test_what_a_form_allows_is_taken(objects: ObjectStore, key: Callable[[str], str]) -> None:
    assert post(objects, objects.upload_form(permit(key("photo"))))
    assert objects.get(key("photo")) == PHOTO
    assert post(objects, objects.upload_form(permit(key("photo"))))  # a client may send it again


@pytest.mark.parametrize("body", [PHOTO + b"x", PHOTO[:-1], b""])
def test_a_form_allows_one_size(objects: ObjectStore, key: Callable[[str], str], body: bytes) -> None:
    assert not post(objects, objects.upload_form(permit(key("photo"))), body)
    assert not objects.exists(key("photo"))


@pytest.mark.parametrize(
    "changed",
    [
        {"Content-Type": "text/html"},
        {"Content-Type": ""},
        {"x-amz-signature": "0" * 64},
        {"x-amz-meta-note": "more than was signed"},
    ],
)
def test_a_form_allows_nothing_else(objects: ObjectStore, key: Callable[[str], str], changed: dict[str, str]) -> None:
    assert not post(objects, objects.upload_form(permit(key("photo"))), changed=changed)
    assert not objects.exists(key("photo"))


def test_a_form_allows_one_key(objects: ObjectStore, key: Callable[[str], str]) -> None:
    form = objects.upload_form(permit(key("photo")))
    assert not post(objects, form, changed={"key": key("another")})
    assert not post(objects, form, changed={"key": key("${filename}")})
    assert not objects.exists(key("another"))


def test_a_policy_that_was_rewritten_is_refused(objects: ObjectStore, key: Callable[[str], str]) -> None:
    form = objects.upload_form(permit(key("photo")))
    wider = base64.b64decode(form.fields["policy"]).replace(b"100,100", b"0,9999999")
    assert not post(objects, form, changed={"policy": base64.b64encode(wider).decode()})
    assert not post(objects, form, changed={"policy": "no policy"})
    assert not objects.exists(key("photo"))


def test_a_form_ends(objects: ObjectStore, key: Callable[[str], str]) -> None:
    assert not post(objects, objects.upload_form(permit(key("photo"), until_ms=system_clock() - to_ms(1))))
    assert not objects.exists(key("photo"))
