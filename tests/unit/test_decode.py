"""Untrusted bytes become upright RGB pixels with a way back to the full photo, or a rejection that says why."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from shared.image_formats import ImageFormat
from tests import files
from worker.vision.decode import REDUCTIONS, DecodeLimits, Photo, decode_photo
from worker.vision.preview import encode_preview

if TYPE_CHECKING:
    from numpy.typing import NDArray

LIMITS = DecodeLimits(max_bytes=20_000_000, max_pixels=50_000_000, min_side_px=64)
FORMATS = tuple(image_format.upper() for image_format in ImageFormat)
RED = files.RED

TIFF_HEADER = b"MM\x00*\x00\x00\x00\x08"
BYTE, ASCII, SHORT = 1, 2, 3
X_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x0128


def colour_at(photo: Photo, x: int, y: int) -> tuple[int, ...]:
    return tuple(int(channel) for channel in photo.pixels[y, x])


def ifd_entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
    """Write EXIF that has a resolution unit and this one entry, whatever it says."""
    unit = struct.pack(">HHI4s", RESOLUTION_UNIT, SHORT, 1, b"\x00\x02\x00\x00")
    entries = sorted([struct.pack(">HHI4s", tag, kind, count, value), unit])
    return TIFF_HEADER + struct.pack(">H", 2) + b"".join(entries) + bytes(4)


def flat_colour(data: bytes) -> tuple[int, ...]:
    """Decode a flat picture and return its one colour, checking that it is one."""
    photo = decode_photo(data, LIMITS)
    assert np.ptp(photo.pixels.reshape(-1, 3).astype(int), axis=0).max() <= 2
    return colour_at(photo, 10, 10)


# What comes out


@pytest.mark.parametrize("file_format", FORMATS)
def test_every_accepted_format_is_decoded_to_the_same_kind_of_array(file_format: str) -> None:
    photo = decode_photo(files.encoded(files.quadrants(121, 83), file_format), LIMITS)

    assert photo.format is ImageFormat(file_format.lower())
    assert (photo.width_px, photo.height_px, photo.reduction, photo.exif_orientation) == (121, 83, 1, 1)
    assert photo.pixels.shape == (83, 121, 3)
    assert photo.pixels.dtype == np.uint8
    assert photo.pixels.flags.c_contiguous
    assert colour_at(photo, 10, 10) == pytest.approx(RED, abs=4)


@pytest.mark.parametrize(
    ("data", "expected", "tolerance"),
    [
        pytest.param(files.encoded(files.flat(RED), "PNG"), RED, 0, id="rgb"),
        pytest.param(files.encoded(files.flat(90, "L"), "PNG"), (90, 90, 90), 0, id="grey"),
        pytest.param(files.encoded(files.flat(90, "L"), "JPEG"), (90, 90, 90), 1, id="grey jpeg"),
        pytest.param(files.encoded(files.flat(1, "1"), "PNG"), (255, 255, 255), 0, id="1-bit"),
        pytest.param(files.encoded(files.flat(0, "1"), "PNG"), (0, 0, 0), 0, id="1-bit black"),
        pytest.param(files.png_16_bit(0, [0x9C40]), (0x9C,) * 3, 0, id="16-bit grey"),
        pytest.param(files.png_16_bit(2, [0x9C40, 0x10FF, 0xFF00]), (0x9C, 0x10, 0xFF), 0, id="16-bit rgb"),
        pytest.param(files.png_16_bit(4, [0x9C40, 0x8000]), (205, 205, 205), 0, id="16-bit grey, alpha"),
        pytest.param(files.png_16_bit(6, [0x9C40, 0, 0xFF00, 0x8000]), (205, 127, 255), 0, id="16-bit rgba"),
        pytest.param(files.palette_png([(200, 0, 0)], [255]), (200, 0, 0), 0, id="palette"),
        pytest.param(files.palette_png([(200, 0, 0)], [128]), (227, 127, 127), 0, id="palette, alpha"),
        pytest.param(files.encoded(files.flat((90, 128), "LA"), "PNG"), (172, 172, 172), 0, id="grey, alpha"),
        pytest.param(files.encoded(files.flat((200, 0, 0, 128), "RGBA"), "PNG"), (227, 127, 127), 0, id="rgba"),
        pytest.param(files.encoded(files.flat((200, 0, 0, 0), "RGBA"), "PNG"), (255, 255, 255), 0, id="invisible"),
        pytest.param(files.encoded(files.flat((200, 0, 0, 128), "RGBA"), "WEBP"), (227, 127, 127), 2, id="rgba webp"),
        pytest.param(files.encoded(files.flat((200, 0, 0, 128), "RGBA"), "HEIC"), (227, 127, 127), 2, id="rgba heic"),
        pytest.param(files.encoded(files.flat((200, 0, 0, 128), "RGBA"), "AVIF"), (227, 127, 127), 2, id="rgba avif"),
        pytest.param(files.grey_10_bit_heic(0x9C40), (0x9C,) * 3, 1, id="10-bit grey heic"),
        pytest.param(files.cmyk_jpeg((51, 102, 0, 51)), (163, 122, 204), 2, id="cmyk"),
        pytest.param(files.ycck_jpeg((51, 102, 0, 51)), (163, 122, 204), 3, id="ycck"),
        pytest.param(files.cmyk_jpeg((0, 0, 0, 0)), (255, 255, 255), 2, id="cmyk paper"),
        pytest.param(files.animated("WEBP", [RED, files.BLUE], lossless=True), RED, 0, id="animated webp"),
        pytest.param(files.animated("PNG", [RED, files.BLUE]), RED, 0, id="animated png"),
        pytest.param(files.animated("AVIF", [RED, files.BLUE]), RED, 2, id="animated avif"),
    ],
)
def test_each_kind_of_pixel_has_one_outcome(data: bytes, expected: tuple[int, ...], tolerance: int) -> None:
    assert flat_colour(data) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize(
    ("colour_type", "samples", "transparent"),
    [(0, [0x9C40], b"\x9c\x40"), (2, [0x9C9C, 0x1010, 0xFFFF], b"\x9c\x9c\x10\x10\xff\xff")],
)
def test_a_transparent_colour_of_a_16_bit_png_becomes_white(
    colour_type: int, samples: list[int], transparent: bytes
) -> None:
    row = struct.pack(f">{len(samples)}H", *samples) * 96
    chunk = files.png_chunk(b"tRNS", transparent)

    assert flat_colour(files.png_by_hand(96, 80, 16, colour_type, row, chunk)) == (255, 255, 255)


def test_the_primary_picture_of_a_heic_is_taken() -> None:
    data = files.encoded(
        files.flat(RED), "HEIC", save_all=True, append_images=[files.flat(files.BLUE)], primary_index=1
    )

    assert flat_colour(data) == pytest.approx(files.BLUE, abs=3)


# Which way up


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("orientation", files.ORIENTATIONS)
def test_every_orientation_is_applied_once(file_format: str, orientation: int) -> None:
    photo = decode_photo(files.oriented(files.quadrants(120, 80), orientation, file_format), LIMITS)

    assert (photo.width_px, photo.height_px) == (120, 80)
    assert photo.pixels.shape == (80, 120, 3)
    corners = [colour_at(photo, x, y) for y in (10, 70) for x in (10, 110)]
    expected = [files.RED, files.GREEN, files.BLUE, files.GREY]
    assert np.abs(np.subtract(corners, expected)).max() <= 6
    # libheif turns HEIC itself, so nothing is left for us to apply
    assert photo.exif_orientation == (1 if file_format == "HEIC" else orientation)


def test_the_turned_heic_of_these_tests_names_its_turn_twice() -> None:
    data = files.oriented(files.quadrants(), 6, "HEIC")

    assert b"irot" in data
    with Image.open(BytesIO(data)) as image:
        assert image.info["original_orientation"] == 6


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"garbage" * 5,
        b"MM",
        b"MM\x00*",
        TIFF_HEADER,
        b"II*\x00\xff\xff\xff\xff",
        TIFF_HEADER + b"\xff\xff" + b"\x01\x12" * 40,
        ifd_entry(files.EXIF_ORIENTATION, SHORT, 1, b"\x00\x00"),
        ifd_entry(files.EXIF_ORIENTATION, SHORT, 1, b"\x00\x09"),
        ifd_entry(files.EXIF_ORIENTATION, ASCII, 2, b"6\x00"),
        ifd_entry(files.EXIF_ORIENTATION, SHORT, 0xFFFFFFFF, b"\x00\x06"),
        # no resolution where Pillow looks for one when it opens a JPEG
        ifd_entry(X_RESOLUTION, ASCII, 1, b"") + b"\x00" * 8,
        ifd_entry(X_RESOLUTION, BYTE, 0, b""),
    ],
)
def test_exif_garbage_leaves_the_picture_as_it_is_stored(exif: bytes) -> None:
    photo = decode_photo(files.jpeg_with_exif(exif), LIMITS)

    assert photo.exif_orientation == 1
    assert colour_at(photo, 10, 10) == pytest.approx(RED, abs=6)


# How much is decoded, and the way back


@pytest.mark.parametrize(
    ("size", "long_side_px", "expected"),
    [
        ((1600, 900), 1600, 1),
        ((1600, 900), 801, 1),
        ((1600, 900), 800, 2),
        ((900, 1600), 400, 4),
        ((1600, 900), 399, 4),
        ((1600, 900), 200, 8),
        ((1600, 900), 10, 8),
        ((1600, 900), 5000, 1),
        ((1601, 900), 801, 2),
        ((1601, 900), None, 1),
    ],
)
def test_a_jpeg_is_reduced_as_far_as_its_long_side_allows(
    size: tuple[int, int], long_side_px: int | None, expected: int
) -> None:
    photo = decode_photo(files.encoded(files.flat(RED, size=size), "JPEG"), LIMITS, long_side_px=long_side_px)

    assert photo.reduction == expected
    assert (photo.width_px, photo.height_px) == size
    assert photo.pixels.shape == (-(-size[1] // expected), -(-size[0] // expected), 3)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_reduction_can_be_asked_for(reduction: int) -> None:
    data = files.encoded(files.flat(RED, size=(403, 305)), "JPEG")

    assert decode_photo(data, LIMITS, reduction=reduction).reduction == reduction


@pytest.mark.parametrize("file_format", [name for name in FORMATS if name != "JPEG"])
def test_other_formats_are_decoded_in_full(file_format: str) -> None:
    data = files.encoded(files.flat(RED, size=(403, 305)), file_format)

    for photo in (decode_photo(data, LIMITS, reduction=8), decode_photo(data, LIMITS, long_side_px=100)):
        assert photo.reduction == 1
        assert photo.pixels.shape == (305, 403, 3)


def test_a_side_never_vanishes() -> None:
    data = files.encoded(files.flat(RED, size=(5, 300)), "JPEG")

    assert decode_photo(data, DecodeLimits(10**6, 10**6, 1), reduction=8).reduction == 4


@pytest.mark.parametrize("arguments", [{"reduction": 3}, {"reduction": 0}, {"reduction": 2, "long_side_px": 100}])
def test_nonsense_from_the_caller_is_the_callers_fault(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="reductions"):
        decode_photo(files.encoded(files.quadrants(), "JPEG"), LIMITS, **arguments)


def centroid_px(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Find the centre of what is dark, (0, 0) being the centre of the first px."""
    weight = 255.0 - pixels.mean(axis=2)
    weight[weight < 8] = 0
    y, x = np.indices(weight.shape)
    return np.array([[np.average(x, weights=weight), np.average(y, weights=weight)]])


@pytest.mark.parametrize("size", [(403, 305), (400, 304), (397, 311)])
@pytest.mark.parametrize("orientation", files.ORIENTATIONS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_disc_is_found_where_it_is_in_the_full_photo(reduction: int, orientation: int, size: tuple[int, int]) -> None:
    true_centre = np.array([[171.3, 140.8]])
    upright = files.disc(*size, (171.3, 140.8), 60)
    data = files.oriented(upright, orientation, quality=95)

    photo = decode_photo(data, LIMITS, reduction=reduction)
    found = centroid_px(photo.pixels)

    assert (photo.width_px, photo.height_px, photo.reduction) == (*size, reduction)
    assert photo.to_full_px(found) == pytest.approx(true_centre, abs=0.05)
    if reduction > 1:
        # neither forgetting the half px nor forgetting which end hangs over would pass
        assert np.abs(found * reduction - true_centre).max() > 0.4


def test_an_overhanging_block_at_the_front_matters() -> None:
    data = files.oriented(files.disc(403, 305, (171.3, 140.8), 60), 3, quality=95)
    photo = decode_photo(data, LIMITS, reduction=8)

    without_overhang = centroid_px(photo.pixels) * 8 + 3.5

    # 403 px are 51 blocks of 8 less 5 px, 305 px are 39 blocks less 7 px
    assert without_overhang - photo.to_full_px(centroid_px(photo.pixels)) == pytest.approx(np.array([[5, 7]]))


def test_depth_is_scaled_and_not_moved() -> None:
    photo = decode_photo(files.encoded(files.flat(RED, size=(400, 304)), "JPEG"), LIMITS, reduction=4)
    points = np.array([[0.0, 0.0, -2.5], [10.0, 20.0, 1.0]])

    assert photo.to_full_px(points).tolist() == [[1.5, 1.5, -10.0], [41.5, 81.5, 4.0]]
    assert points.tolist() == [[0.0, 0.0, -2.5], [10.0, 20.0, 1.0]]


# The preview


def test_a_preview_is_a_small_jpeg_with_nothing_but_pixels() -> None:
    exif = Image.Exif()
    exif[files.EXIF_ORIENTATION] = 6
    exif[0x010F] = "SECRET CAMERA"
    stored = files.quadrants(1500, 2000)
    photo = decode_photo(files.encoded(stored, "JPEG", exif=exif.tobytes(), comment=b"SECRET"), LIMITS)

    preview = encode_preview(photo)

    assert b"SECRET" not in preview
    assert b"Exif" not in preview
    again = decode_photo(preview, LIMITS)
    assert (again.width_px, again.height_px, again.exif_orientation) == (1280, 960, 1)
    assert colour_at(again, 1270, 10) == pytest.approx(RED, abs=4)


def test_a_preview_is_never_larger_than_the_photo() -> None:
    photo = decode_photo(files.encoded(files.quadrants(120, 80), "PNG"), LIMITS)

    preview = decode_photo(encode_preview(photo), LIMITS)

    assert (preview.width_px, preview.height_px) == (120, 80)
