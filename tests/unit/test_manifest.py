"""Manifests: what is written comes back, in any pieces, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.clock import system_clock
from shared.jobs.batch_record import BatchSource
from shared.jobs.manifest import HEAD_BYTES, BatchHead, Item, ManifestFile, decode_head, decode_item, lines_of
from shared.names import new_batch_id, new_job_id
from shared.schemas import JobError, JobOptions

REFERENCES = st.none() | st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=128)
OPTIONS = st.builds(JobOptions, reference=REFERENCES, max_faces=st.integers(1, 10), landmarks=st.booleans())
ERRORS = st.none() | st.builds(JobError, code=st.just("no_face"), message=st.text(max_size=20))
ITEMS = st.builds(
    Item,
    job_id=st.builds(new_job_id),
    options=OPTIONS,
    size_bytes=st.none() | st.integers(0, 20_000_000),
    content_type=st.none() | st.just("image/jpeg"),
    url=st.none() | st.text(max_size=300),
    error=ERRORS,
)


def head_with(options: JobOptions | None = None, **extra: object) -> BatchHead:
    now = system_clock()
    return BatchHead(
        new_batch_id(), "a", BatchSource.UPLOAD, options or JobOptions(), now, now + 1, deadline_ms=7, extra=extra
    )


@settings(deadline=None)  # byte by byte it takes as long as the machine is busy
@given(items=st.lists(ITEMS, max_size=5), options=OPTIONS, piece=st.integers(1, 40_000))
def test_a_manifest_comes_back_whatever_pieces_it_comes_in(items: list[Item], options: JobOptions, piece: int) -> None:
    head = head_with(options.model_copy(update={"reference": None}), target="https://example.org/")
    with ManifestFile(head) as manifest:
        assert [manifest.add(item) for item in items] == list(range(len(items)))
        data = manifest.finished().read()
        assert list(manifest.items()) == items
        finished = manifest.head
    first, *rest = lines_of(data[start : start + piece] for start in range(0, len(data), piece))
    assert decode_head(first) == finished
    assert finished.total == len(items)
    assert [decode_item(finished, line) for line in rest] == items


def test_options_of_the_batch_are_not_written_for_each_item() -> None:
    options = JobOptions(max_faces=3, require=["forehead_width"])
    with ManifestFile(head_with(options)) as manifest:
        for number in range(1000):
            manifest.add(Item(new_job_id(), options.model_copy(update={"reference": f"{number:05d}"})))
        assert len(manifest.finished().read()) == HEAD_BYTES + 1000 * 61


def test_a_head_that_would_not_fit_is_refused_before_any_photo() -> None:
    with pytest.raises(ValueError, match="16384 bytes"):
        ManifestFile(head_with(note="x" * HEAD_BYTES))


@pytest.mark.parametrize("data", [[b"no end"], [b"x" * 70_000, b"\n"], [b"{}\n", b"half a"]])
def test_what_was_cut_short_is_no_manifest(data: list[bytes]) -> None:
    with pytest.raises(ValueError, match="not a manifest"):
        list(lines_of(data))


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"version":2}'])
def test_what_is_no_head_is_refused(line: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        decode_head(line)
