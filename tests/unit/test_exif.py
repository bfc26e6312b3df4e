"""What EXIF is believed, and what not."""

from __future__ import annotations

import numpy as np
import piexif
import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base

from tests import files
from worker.vision.decode import DecodeLimits, decode_photo
from worker.vision.exif import Exif

LIMITS = DecodeLimits(max_bytes=20_000_000, max_pixels=50_000_000, min_side_px=64)
STORED = (4000, 3000)


def block(**photo_tags: object) -> bytes:
    tags = {getattr(piexif.ExifIFD, name): value for name, value in photo_tags.items()}
    dumped: bytes = piexif.dump({"0th": {piexif.ImageIFD.Orientation: 6}, "Exif": tags})
    return dumped


def whole_frame(**more: object) -> bytes:
    return block(**{"FocalLengthIn35mmFilm": 26, "PixelXDimension": 4000, "PixelYDimension": 3000, **more})


def test_the_lens_of_a_whole_frame_is_believed() -> None:
    assert Exif(whole_frame()).focal_length_35mm(STORED) == 26


@pytest.mark.parametrize("size", [(2000, 1500), (3000, 4000), (1008, 756), (1280, 961)])
def test_a_smaller_copy_of_the_frame_has_the_same_lens(size: tuple[int, int]) -> None:
    assert Exif(whole_frame()).focal_length_35mm(size) == 26


@pytest.mark.parametrize(
    ("size", "tags"),
    [
        ((3000, 3000), {}),  # cropped square
        ((4000, 2250), {}),  # cropped to 16:9
        ((8000, 6000), {}),  # larger than what was taken
        (STORED, {"DigitalZoomRatio": (2, 1)}),
        (STORED, {"FocalLengthIn35mmFilm": 0}),
        (STORED, {"FocalLengthIn35mmFilm": 5}),
        (STORED, {"FocalLengthIn35mmFilm": 65535}),
        (STORED, {"PixelXDimension": 0, "PixelYDimension": 0}),
    ],
)
def test_of_anything_else_the_lens_is_not_known(size: tuple[int, int], tags: dict[str, object]) -> None:
    assert Exif(whole_frame(**tags)).focal_length_35mm(size) is None


@pytest.mark.parametrize("data", [None, b"", b"Exif\x00\x00", b"MM\x00*\x00\x00\x00\x08\xff\xff", block()])
def test_what_says_nothing_says_nothing(data: bytes | None) -> None:
    assert Exif(data).focal_length_35mm(STORED) is None


def test_zoom_of_one_and_of_nothing_are_no_zoom() -> None:
    for ratio in ((1, 1), (0, 1), (0, 0)):
        assert Exif(whole_frame(DigitalZoomRatio=ratio)).focal_length_35mm(STORED) == 26


def test_orientation_is_read_beside_it() -> None:
    assert Exif(whole_frame()).orientation == 6


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
def test_the_photo_carries_its_lens_in_every_format(file_format: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(IFD.Exif).update({Base.FocalLengthIn35mmFilm: 28, Base.ExifImageWidth: 400, Base.ExifImageHeight: 304})
    data = files.encoded(files.flat((200, 120, 90), size=(400, 304)), file_format, exif=exif.tobytes())
    assert decode_photo(data, LIMITS).focal_35mm == 28


@pytest.mark.parametrize("reduction", [1, 2, 4])
@pytest.mark.parametrize("orientation", files.ORIENTATIONS)
def test_a_mirrored_photo_is_turned_back_to_the_pixel(orientation: int, reduction: int) -> None:
    upright = files.disc(397, 311, (171.3, 140.8), 60)
    data = files.oriented(upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT), orientation, quality=95)
    photo = decode_photo(data, LIMITS, reduction=reduction, mirrored=True)
    assert (photo.width_px, photo.height_px, photo.mirrored) == (397, 311, True)
    darkness = 255.0 - photo.pixels.mean(axis=2)
    darkness[darkness < 8] = 0
    rows, columns = darkness.nonzero()
    weight = darkness[rows, columns]
    centre = photo.to_full_px(np.array([[np.average(columns, weights=weight), np.average(rows, weights=weight)]]))
    assert centre[0] == pytest.approx((171.3, 140.8), abs=0.06)
