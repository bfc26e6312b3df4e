"""What strangers send costs little and ends as a rejection with a stated code; nothing else leaves the decoder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.errors import CorruptImage, ImageTooLarge, ImageTooSmall, Rejected, UnsupportedFormat
from shared.image_formats import ImageFormat
from tests import files
from worker.vision.decode import DecodeLimits, decode_photo

LIMITS = DecodeLimits(max_bytes=20_000_000, max_pixels=50_000_000, min_side_px=64)
FORMATS = tuple(image_format.upper() for image_format in ImageFormat)
SMALL = files.quadrants(72, 66)
PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        pytest.param(files.empty(), UnsupportedFormat, "empty", id="empty"),
        pytest.param(files.plain_text(), UnsupportedFormat, "JPEG, PNG, WebP, HEIC or AVIF", id="text"),
        pytest.param(files.html(), UnsupportedFormat, "By its first bytes", id="html"),
        pytest.param(files.encoded(SMALL, "GIF"), UnsupportedFormat, None, id="gif"),
        pytest.param(files.encoded(SMALL, "TIFF"), UnsupportedFormat, None, id="tiff"),
        pytest.param(files.encoded(SMALL, "JPEG")[:3], CorruptImage, "its 3 bytes", id="signature alone"),
        pytest.param(files.one_px_png(), ImageTooSmall, "1 x 1 px.* at least 64 px", id="1 x 1"),
        pytest.param(
            files.encoded(files.flat(files.RED, size=(63, 500)), "JPEG"), ImageTooSmall, "63 x 500", id="narrow"
        ),
        pytest.param(
            files.heavy_jpeg(21_000_000), ImageTooLarge, r"21,\d\d\d,\d\d\d bytes; at most 20,000,000", id="21 MB"
        ),
        pytest.param(
            files.bomb_png(), ImageTooLarge, "12,000 x 12,000 px, .* 144,000,000 .* 50,000,000", id="bomb png"
        ),
        pytest.param(files.bomb_webp(), ImageTooLarge, "16,384 x 16,384", id="bomb webp"),
        pytest.param(
            files.claiming_size(files.encoded(SMALL, "HEIC"), 60_000, 60_000),
            ImageTooLarge,
            "60,000 x 60,000",
            id="absurd heic",
        ),
        pytest.param(
            files.claiming_size(files.encoded(SMALL, "AVIF"), 12_000, 12_000),
            ImageTooLarge,
            "12,000 x 12,000",
            id="absurd avif",
        ),
        pytest.param(
            files.claiming_size(files.encoded(SMALL, "AVIF"), 2**31, 2**31), CorruptImage, None, id="overflowing avif"
        ),
        pytest.param(files.claiming_size(files.encoded(SMALL, "HEIC"), 100, 100), CorruptImage, None, id="lying heic"),
        pytest.param(files.png_with_text_bomb(), CorruptImage, None, id="text bomb"),
    ],
)
def test_each_bad_file_has_its_own_rejection(data: bytes, error: type[Rejected], message: str | None) -> None:
    with pytest.raises(error, match=message):
        decode_photo(data, LIMITS)


@pytest.mark.parametrize("data", [files.jpeg_and_zip(), files.jpeg_and_html()], ids=["zip", "html"])
def test_of_a_polyglot_only_the_picture_is_seen(data: bytes) -> None:
    photo = decode_photo(data, LIMITS)

    assert photo.format is ImageFormat.JPEG
    assert photo.pixels[10, 10].tolist() == pytest.approx(list(files.RED), abs=6)


@pytest.mark.parametrize(("width", "accepted"), [(1000, True), (1001, False)])
def test_the_limit_on_pixels_is_exact(width: int, accepted: bool) -> None:
    data = files.encoded(files.flat(files.RED, size=(width, 100)), "JPEG")
    limits = DecodeLimits(max_bytes=len(data), max_pixels=100_000, min_side_px=100)

    if accepted:
        assert decode_photo(data, limits, reduction=8).width_px == width
    else:
        # the full size counts, not the reduced one
        with pytest.raises(ImageTooLarge):
            decode_photo(data, limits, reduction=8)


def test_limits_beyond_what_pillow_opens_are_no_crash() -> None:
    with pytest.raises(ImageTooLarge):
        decode_photo(files.bomb_webp(), DecodeLimits(10**9, 10**9, 1))


@pytest.mark.parametrize("keep", [0.1, 0.3, 0.6, 0.9, 0.97])
@pytest.mark.parametrize("file_format", FORMATS)
def test_a_file_cut_short_is_never_taken_for_a_whole_one(file_format: str, keep: float) -> None:
    data = files.encoded(files.noise(200, 160), file_format)

    with pytest.raises(CorruptImage, match="bytes"):
        decode_photo(files.truncated(data, keep), LIMITS)


@pytest.mark.parametrize("keep", [0.6, 0.9])
def test_a_tiled_heic_cut_short_is_not_passed_off_with_blank_tiles(keep: float) -> None:
    data = files.encoded(files.noise(256, 256), "HEIC", tile_size=64)
    assert decode_photo(data, LIMITS).width_px == 256

    with pytest.raises(CorruptImage, match=r"cut short: it has [\d,]+ bytes, and at least [\d,]+ more"):
        decode_photo(files.truncated(data, keep), LIMITS)


def test_what_follows_the_boxes_of_a_heic_does_not_matter() -> None:
    assert decode_photo(files.encoded(SMALL, "HEIC") + b"trailer" * 9, LIMITS).width_px == 72


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(files.with_scrambled_pixels(files.encoded(SMALL, "AVIF")), id="avif pixels"),
        pytest.param(files.with_scrambled_pixels(files.encoded(SMALL, "HEIC")), id="heic pixels"),
        pytest.param(files.timeless_avif(), id="avif without a clock"),
    ],
)
def test_damage_that_decoders_report_in_their_own_ways_is_all_called_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptImage):
        decode_photo(data, LIMITS)


# Nothing but a rejection leaves the decoder

HONEST = {
    "jpeg": files.oriented(SMALL, 6),
    "progressive jpeg": files.encoded(SMALL, "JPEG", progressive=True),
    "cmyk jpeg": files.cmyk_jpeg((51, 102, 0, 51)),
    "png": files.oriented(SMALL, 3, "PNG"),
    "16-bit png": files.png_16_bit(0, [0x9C40]),
    "palette png": files.palette_png([files.RED, files.BLUE, files.GREEN], [255, 128, 0]),
    "animated png": files.animated("PNG", [files.RED, files.BLUE]),
    "webp": files.oriented(SMALL, 8, "WEBP"),
    "lossless webp": files.encoded(SMALL.convert("RGBA"), "WEBP", lossless=True),
    "animated webp": files.animated("WEBP", [files.RED, files.BLUE]),
    "heic": files.oriented(SMALL, 6, "HEIC"),
    "tiled heic": files.encoded(files.quadrants(128, 128), "HEIC", tile_size=64),
    "avif": files.oriented(SMALL, 6, "AVIF"),
    "animated avif": files.animated("AVIF", [files.RED, files.BLUE]),
}
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["set", "delete", "insert", "cut"]),
        st.floats(0, 1, exclude_max=True),
        st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"])),
    ),
    min_size=1,
    max_size=6,
)


def changed(data: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    for how, where, what in changes:
        at = int(where * len(data))
        if how == "set":
            data = data[:at] + what + data[at + len(what) :]
        elif how == "delete":
            data = data[:at] + data[at + len(what) :]
        elif how == "insert":
            data = data[:at] + what + data[at:]
        else:
            data = data[:at]
    return data


@settings(max_examples=400, derandomize=True, deadline=None, database=None)
@given(name=st.sampled_from(sorted(HONEST)), changes=CHANGES, long_side_px=st.sampled_from([None, 20]))
@example(name="avif", changes=[("cut", 0.0, b"-")], long_side_px=None)
def test_a_damaged_file_is_decoded_or_rejected(
    name: str, changes: list[tuple[str, float, bytes]], long_side_px: int | None
) -> None:
    limits = DecodeLimits(max_bytes=1_000_000, max_pixels=1_000_000, min_side_px=16)
    data = changed(HONEST[name], changes)
    try:
        photo = decode_photo(data, limits, long_side_px=long_side_px)
    except Rejected:
        return
    height, width = -(-photo.height_px // photo.reduction), -(-photo.width_px // photo.reduction)
    assert photo.pixels.shape == (height, width, 3)


# What a bomb costs, measured in a process of its own because a peak never comes down again

MEASURE = """
import re, resource, sys
from pathlib import Path
from shared.errors import ImageTooLarge
from tests.files import bomb_png
from worker.vision.decode import DecodeLimits, decode_photo

def peak():
    status = Path("/proc/self/status")  # where there is none, a child's ru_maxrss does not start at its parent's
    if status.exists():
        return int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text()).group(1))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

data = bomb_png(int(sys.argv[1]))
decode_photo(bomb_png(64), DecodeLimits(10**9, 10**9, 1))
before = peak()
try:
    decode_photo(data, DecodeLimits(10**9, int(sys.argv[2]), 1))
    outcome = "decoded"
except ImageTooLarge:
    outcome = "refused"
print(outcome, peak() - before)
"""


def peak_growth(side_px: int, max_pixels: int) -> tuple[str, int]:
    """Decode a bomb in a fresh process; return how it ended and by how much the peak of its memory grew."""
    command = [sys.executable, "-c", MEASURE, str(side_px), str(max_pixels)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    outcome, growth = done.stdout.split()
    return outcome, int(growth)


def test_a_bomb_costs_a_hundredth_of_the_memory_that_unpacking_it_would() -> None:
    how_one_ended, growth_of_one = peak_growth(3_000, 9_000_000)
    how_the_bomb_ended, growth_of_the_bomb = peak_growth(12_000, 50_000_000)

    assert (how_one_ended, how_the_bomb_ended) == ("decoded", "refused")
    assert growth_of_the_bomb < growth_of_one * (12_000 / 3_000) ** 2 / 100
