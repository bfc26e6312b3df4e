from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from worker.vision.excess import _count_pairs
from worker.vision.upright import upright_pixels

ORIENTATION_TAG = 0x0112


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_strip_goes_where_pillows_own_turn_puts_it(orientation: int, mirrored: bool) -> None:
    drawn = np.random.default_rng(7).integers(0, 256, (1411, 700, 3), dtype=np.uint8)  # three strips, one short
    stored = Image.fromarray(drawn)
    stored.getexif()[ORIENTATION_TAG] = orientation
    expected = ImageOps.exif_transpose(stored)
    expected = ImageOps.mirror(expected) if mirrored else expected

    upright = upright_pixels(Image.fromarray(drawn), orientation, mirrored=mirrored)

    assert np.array_equal(upright, np.asarray(expected))
    assert upright.flags.c_contiguous
    assert not upright.flags.writeable


def test_a_picture_wider_than_a_strip_is_turned_row_by_row() -> None:
    drawn = np.random.default_rng(7).integers(0, 256, (3, 450_000, 3), dtype=np.uint8)

    assert np.array_equal(upright_pixels(Image.fromarray(drawn), 6, mirrored=False), np.rot90(drawn, -1))


@given(st.lists(st.sampled_from(b"\xff\xda\x00"), max_size=40).map(bytes), st.integers(0, 45))
def test_pairs_are_counted_as_bytes_count_counts_them(data: bytes, at: int) -> None:
    assert _count_pairs(data, b"\xff\xda", at) == data.count(b"\xff\xda", at)
