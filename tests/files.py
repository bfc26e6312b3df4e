"""Image files made in memory: honest ones in every format, and the hostile ones that strangers send.

Every function returns the bytes of one file. None of them imports the product, so that tests of any kind may use them
and a mistake in the product cannot hide in its own test data.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pillow_heif
from PIL import Image, PngImagePlugin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

pillow_heif.register_heif_opener()  # Pillow writes HEIC only once this has been called

RED, GREEN, BLUE, GREY = (200, 30, 30), (30, 160, 40), (30, 50, 190), (120, 120, 120)
"""The four quadrants of `quadrants`: top left, top right, bottom left, bottom right."""

EXIF_ORIENTATION = 0x0112
ORIENTATIONS = range(1, 9)

# What undoes each orientation: applied to the upright picture it gives the stored one.
_STORE_AS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


# Pictures


def flat(colour: int | tuple[int, ...], mode: str = "RGB", size: tuple[int, int] = (96, 80)) -> Image.Image:
    """Make a picture of one colour."""
    return Image.new(mode, size, colour)


def quadrants(width: int = 120, height: int = 80) -> Image.Image:
    """Make a picture that no turn or mirror leaves as it is: a different colour in each quarter."""
    picture = Image.new("RGB", (width, height), GREY)
    picture.paste(RED, (0, 0, width // 2, height // 2))
    picture.paste(GREEN, (width // 2, 0, width, height // 2))
    picture.paste(BLUE, (0, height // 2, width // 2, height))
    return picture


def disc(width: int, height: int, centre_px: tuple[float, float], radius_px: float) -> Image.Image:
    """Make a black disc on white whose centroid is `centre_px`, (0, 0) being the centre of the first px."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    distance = np.hypot(x - centre_px[0], y - centre_px[1])
    white = np.clip(distance - radius_px + 0.5, 0, 1)
    return Image.fromarray(np.round(white * 255).astype(np.uint8)).convert("RGB")


def noise(width: int, height: int) -> Image.Image:
    """Make a picture that compresses badly, so that most of its file is pixels."""
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


# Honest files


def encoded(picture: Image.Image, file_format: str, **options: object) -> bytes:
    """Encode a picture; `file_format` is "JPEG", "PNG", "WEBP", "HEIC" or "AVIF", options go to the encoder."""
    file = BytesIO()
    picture.save(file, "HEIF" if file_format == "HEIC" else file_format, **options)
    return file.getvalue()


def oriented(upright: Image.Image, orientation: int, file_format: str = "JPEG", **options: object) -> bytes:
    """Encode a picture so that it is upright only after its EXIF orientation (1 to 8) has been applied.

    HEIC and AVIF get the turn in the container, as phones write it; HEIC keeps the EXIF tag beside it, which readers
    must not follow a second time.
    """
    stored = upright.transpose(_STORE_AS[orientation]) if orientation in _STORE_AS else upright
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    return encoded(stored, file_format, exif=exif.tobytes(), **options)


def animated(file_format: str, colours: Sequence[tuple[int, int, int]], **options: object) -> bytes:
    """Encode an animated "WEBP", "PNG" or "AVIF" of one flat frame for each colour."""
    first, *others = [flat(colour) for colour in colours]
    return encoded(first, file_format, save_all=True, append_images=others, duration=100, **options)


def cmyk_jpeg(ink: tuple[int, int, int, int]) -> bytes:
    """Encode a flat CMYK JPEG, stored inverted and with Adobe's marker, as Photoshop writes it."""
    return encoded(flat(ink, "CMYK"), "JPEG", quality=100, subsampling=0)


def ycck_jpeg(ink: tuple[int, int, int, int]) -> bytes:
    """Encode a flat YCCK JPEG: like `cmyk_jpeg`, with cyan, magenta and yellow stored as luma and chroma."""
    luma_chroma = flat(ink[:3]).convert("YCbCr").getpixel((0, 0))
    assert isinstance(luma_chroma, tuple)
    as_stored = cmyk_jpeg((255 - luma_chroma[0], 255 - luma_chroma[1], 255 - luma_chroma[2], ink[3]))
    at = as_stored.index(b"Adobe") + len(b"Adobe") + 6  # version and two flags of two bytes, then the transform
    assert as_stored[at] == 0
    return as_stored[:at] + b"\x02" + as_stored[at + 1 :]


def png_by_hand(
    width: int, height: int, bit_depth: int, colour_type: int, row: bytes, extra_chunks: bytes = b""
) -> bytes:
    """Write a PNG of equal rows without ever holding its pixels; for depths and sizes that Pillow does not write."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(b"\0" + row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, bit_depth, colour_type, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + extra_chunks + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """Write one chunk of a PNG, with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_16_bit(colour_type: int, samples: Sequence[int], size: tuple[int, int] = (96, 80)) -> bytes:
    """Write a flat PNG of 16 bits a sample; colour type 0 is grey, 2 RGB, 4 grey and alpha, 6 RGBA."""
    return png_by_hand(*size, 16, colour_type, struct.pack(f">{len(samples)}H", *samples) * size[0])


def palette_png(colours: Sequence[tuple[int, int, int]], alphas: Sequence[int]) -> bytes:
    """Encode a palette PNG whose n-th vertical stripe, 96 px wide, has the n-th colour and alpha."""
    indices = np.repeat(np.arange(len(colours), dtype=np.uint8), 96)
    picture = Image.fromarray(np.tile(indices, (80, 1)))
    picture.putpalette([channel for colour in colours for channel in colour])
    return encoded(picture, "PNG", transparency=bytes(alphas))


def grey_10_bit_heic(level: int) -> bytes:
    """Encode a flat grey HEIC of 10 bits a sample from a level of 0 to 65,535."""
    picture: NDArray[np.uint16] = np.full((80, 96), level, dtype=np.uint16)
    return encoded(Image.fromarray(picture), "HEIC", quality=-1)


# Hostile files


def empty() -> bytes:
    """Make a file of no bytes."""
    return b""


def plain_text() -> bytes:
    """Make a text file."""
    return b"This is not a photo.\n" * 20


def html() -> bytes:
    """Make a web page, to be sent under the name of a photo."""
    return b"<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>\n"


def truncated(data: bytes, keep: float = 0.6) -> bytes:
    """Cut a file short, keeping this share of its bytes."""
    return data[: int(len(data) * keep)]


def bomb_png(side_px: int = 12_000) -> bytes:
    """Write a grey PNG that unpacks to `side_px` squared pixels: 12,000 px from 140 kB."""
    return png_by_hand(side_px, side_px, 8, 0, bytes(side_px))


def bomb_webp() -> bytes:
    """Write an animated WebP of a few hundred bytes on a canvas of 16,384 x 16,384 px."""
    frame = encoded(flat(RED, size=(64, 64)), "WEBP")[12:]
    anmf = struct.pack("<6x3s3s4x", *[(63).to_bytes(3, "little")] * 2) + frame
    chunks = ((b"VP8X", b"\x02\0\0\0" + b"\xff\x3f\0" * 2), (b"ANIM", bytes(6)), (b"ANMF", anmf))
    body = b"WEBP" + b"".join(kind + struct.pack("<I", len(chunk)) + chunk for kind, chunk in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def claiming_size(data: bytes, width: int, height: int) -> bytes:
    """Change the size that a HEIC or AVIF file claims in its header, and nothing else."""
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


def claiming_size_everywhere(data: bytes, width: int, height: int) -> bytes:
    """Change each size that a HEIC or AVIF file claims: of the picture and of its tiles."""
    size = struct.pack(">II", width, height)
    return b"ispe\0\0\0\0".join(
        part if n == 0 else size + part[len(size) :] for n, part in enumerate(data.split(b"ispe\0\0\0\0"))
    )


def with_scrambled_pixels(data: bytes) -> bytes:
    """Invert what a HEIC or AVIF file holds after its headers."""
    at = data.index(b"mdat") + 4
    return data[:at] + bytes(255 - byte for byte in data[at:])


def timeless_avif() -> bytes:
    """Make an animated AVIF that has 0 ticks to the second."""
    data = animated("AVIF", [RED, BLUE])
    at = data.index(b"mdhd") + 4 + 4 + 16  # version and flags, then two 64-bit times, of version 1
    return data[:at] + bytes(4) + data[at + 4 :]


def one_px_png() -> bytes:
    """Encode a picture of 1 x 1 px."""
    return encoded(flat(RED, size=(1, 1)), "PNG")


def heavy_jpeg(n_bytes: int = 21_000_000) -> bytes:
    """Encode a small, valid JPEG that comments make at least `n_bytes` long."""
    photo = encoded(quadrants(), "JPEG")
    comment = b"\xff\xfe" + struct.pack(">H", 65_535) + bytes(65_533)
    return photo[:2] + comment * -(-(n_bytes - len(photo)) // len(comment)) + photo[2:]


def jpeg_with_exif(exif: bytes) -> bytes:
    """Encode an upright JPEG with these bytes where EXIF belongs."""
    photo = encoded(quadrants(), "JPEG")
    body = b"Exif\0\0" + exif
    return photo[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + photo[2:]


def jpeg_and_zip() -> bytes:
    """Make a file that is a JPEG to those who read from the front and a zip archive to those who read from the back."""
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as entries:
        entries.writestr("../../evil.sh", "echo evil\n")
    return encoded(quadrants(), "JPEG") + archive.getvalue()


def jpeg_and_html() -> bytes:
    """Make a JPEG that carries a script in a comment at its front and a web page at its back."""
    photo = encoded(quadrants(), "JPEG", comment=b"<script>alert(1)</script>")
    return photo + html()


def png_with_text_bomb() -> bytes:
    """Make a PNG whose compressed text chunk unpacks to 64 MB."""
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", " " * 64_000_000, zip=True)
    return encoded(flat(RED), "PNG", pnginfo=text)
