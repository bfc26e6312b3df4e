"""The catalogue of hostile and odd photos: what each is, and the one outcome that it must have.

Unit tests decode them, `python -m bench.hostile` measures what each costs a worker's process, and a batch of them is
sent to the running service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from tests import files
from tests import hostile_files as made
from tests.hostile_files import SMALL

DECODED = "no_face"
"""The outcome of what is decoded: none of these has a face in it."""
CORRUPT = "corrupt_image"
UNSUPPORTED = "unsupported_format"
LARGE = "image_too_large"
TINY = "image_too_small"

FORMATS = ("JPEG", "PNG", "WEBP", "HEIC", "AVIF")


@dataclass(frozen=True)
class Case:
    """One file.

    Attributes
    ----------
    name : str
        What it is.
    make : callable
        Returns its bytes.
    code : str
        Why it is rejected, at the end of its way through the service.
    is_costly : bool
        Whether making or decoding it takes a second or hundreds of megabytes.
    """

    name: str
    make: Callable[[], bytes]
    code: str
    is_costly: bool = False


def _not_images() -> Iterator[Case]:
    yield Case("empty", files.empty, UNSUPPORTED)
    yield Case("text", files.plain_text, UNSUPPORTED)
    yield Case("HTML", files.html, UNSUPPORTED)
    yield Case("SVG with a script", made.svg, UNSUPPORTED)
    for file_format in ("GIF", "TIFF", "BMP", "ICO", "EPS", "PDF"):
        yield Case(f"{file_format} named .jpg", partial(files.encoded, SMALL, file_format), UNSUPPORTED)
    yield Case("PSD named .jpg", made.psd, UNSUPPORTED)
    yield Case("signature of a JPEG alone", lambda: files.encoded(SMALL, "JPEG")[:3], CORRUPT)
    yield Case("GIF with a jar behind it", lambda: made.with_archive_behind(files.encoded(SMALL, "GIF")), UNSUPPORTED)
    yield Case("PDF with a JPEG in it", made.pdf_and_jpeg, UNSUPPORTED)
    yield Case("JPEG with a zip behind it", files.jpeg_and_zip, DECODED)
    yield Case("JPEG with a script and a web page", files.jpeg_and_html, DECODED)
    yield Case("PNG with a web page behind it", lambda: files.encoded(SMALL, "PNG") + files.html(), DECODED)


def _cut_and_damaged() -> Iterator[Case]:
    noise = files.noise(200, 160)
    for file_format in FORMATS:
        for per_cent in (10, 60, 97):
            cut = partial(
                lambda form, keep: files.truncated(files.encoded(noise, form), keep / 100), file_format, per_cent
            )
            yield Case(f"{file_format} cut at {per_cent} %", cut, CORRUPT)
    tiled = files.quadrants(256, 256)
    yield Case("tiled HEIC cut at 60 %", lambda: files.truncated(files.encoded(tiled, "HEIC", tile_size=64)), CORRUPT)
    for file_format in ("HEIC", "AVIF"):
        scrambled = partial(lambda form: files.with_scrambled_pixels(files.encoded(SMALL, form)), file_format)
        yield Case(f"{file_format} with scrambled pixels", scrambled, CORRUPT)
    yield Case("PNG with a wrong checksum of its header", lambda: made.png_wrong_checksum(b"IHDR"), CORRUPT)
    yield Case("PNG with a wrong checksum of its pixels", lambda: made.png_wrong_checksum(b"IDAT"), DECODED)
    yield Case("PNG of 49 MP whose stream ends after one row", made.png_too_little_pixels, DECODED, is_costly=True)
    yield Case("JPEG of 12 bits", lambda: made.jpeg_patched(4, b"\x0c"), CORRUPT)
    yield Case("JPEG of two layers", lambda: made.jpeg_patched(9, b"\x02"), CORRUPT)
    yield Case("AVIF sequence without a clock", files.timeless_avif, CORRUPT)


def _honest_but_odd() -> Iterator[Case]:
    yield Case("CMYK JPEG", lambda: files.cmyk_jpeg((51, 102, 0, 51)), DECODED)
    yield Case("YCCK JPEG", lambda: files.ycck_jpeg((51, 102, 0, 51)), DECODED)
    yield Case("grey JPEG", lambda: files.encoded(SMALL.convert("L"), "JPEG"), DECODED)
    yield Case("1-bit PNG", lambda: files.encoded(SMALL.convert("1"), "PNG"), DECODED)
    yield Case("16-bit grey PNG", lambda: files.png_16_bit(0, [40_000]), DECODED)
    yield Case("16-bit RGB PNG", lambda: files.png_16_bit(2, [1, 2, 3]), DECODED)
    yield Case("16-bit RGBA PNG", lambda: files.png_16_bit(6, [1, 2, 3, 4]), DECODED)
    yield Case("palette PNG with alpha", lambda: files.palette_png([files.RED, files.BLUE], [255, 128]), DECODED)
    yield Case("RGBA PNG", lambda: files.encoded(SMALL.convert("RGBA"), "PNG"), DECODED)
    yield Case("interlaced PNG", lambda: made.interlaced_png(80), DECODED)
    yield Case("10-bit grey HEIC", lambda: files.grey_10_bit_heic(30_000), DECODED)
    yield Case("animated GIF", lambda: files.animated("GIF", [files.RED, files.BLUE]), UNSUPPORTED)
    for file_format, name in (("WEBP", "animated WebP"), ("PNG", "animated PNG"), ("AVIF", "AVIF sequence")):
        yield Case(name, partial(files.animated, file_format, [files.RED, files.BLUE]), DECODED)
    yield Case("HEIC with three pictures", made.several_heic, DECODED)
    yield Case("MPO of two pictures", made.mpo, DECODED)
    for orientation in files.ORIENTATIONS:
        yield Case(f"EXIF orientation {orientation}", partial(files.oriented, SMALL, orientation), DECODED)


def _metadata() -> Iterator[Case]:
    yield Case("EXIF garbage", lambda: files.jpeg_with_exif(b"MM\0*\0\0\0\x08\xff\xff" + b"\xa5" * 999), DECODED)
    yield Case("EXIF whose entries all claim all of it", lambda: made.exif_in_pieces(made.exif_bomb(65_000)), DECODED)
    for file_format in FORMATS[1:]:
        bomb = partial(made.with_exif_bomb, file_format, 250_000)
        yield Case(f"250 kB of such EXIF in {file_format}", bomb, DECODED)
        costly = partial(made.with_exif_bomb, file_format, 19_000_000)
        yield Case(f"19 MB of such EXIF in {file_format}", costly, DECODED, is_costly=True)
    yield Case(
        "20 MB of EXIF in pieces of a byte", lambda: made.exif_in_pieces(bytes(1_500_000), 1), CORRUPT, is_costly=True
    )
    yield Case("ICC garbage", lambda: files.encoded(SMALL, "JPEG", icc_profile=b"\xa5" * 500), DECODED)
    yield Case("16 MB of ICC profile", lambda: made.icc_in_jpeg(250), DECODED)
    yield Case("ICC profile that unpacks to 64 MB", made.png_icc_bomb, CORRUPT)
    yield Case("text that unpacks to 64 MB", files.png_with_text_bomb, CORRUPT)
    yield Case("60 texts that unpack to 1 MB each", lambda: made.compressed_text(60, 1_000_000), DECODED)
    yield Case("80 texts that unpack to 1 MB each", lambda: made.compressed_text(80, 1_000_000), CORRUPT)
    yield Case(
        "international text that unpacks to 64 MB", lambda: made.compressed_text(1, 64_000_000, b"iTXt"), CORRUPT
    )
    yield Case("20 MB of empty comments", lambda: made.jpeg_with(made.filling(made.segment(0xFE))), CORRUPT)
    yield Case("20 MB of full comments", lambda: files.heavy_jpeg(made.UPLOAD_BYTES - 65_535), DECODED)
    yield Case("20 MB of fill bytes", lambda: made.jpeg_with(made.filling(b"\xff")), CORRUPT)
    yield Case(
        "20 MB of zeros between segments",
        lambda: made.jpeg_with(made.segment(0xFE) + made.filling(b"\0")),
        CORRUPT,
    )
    yield Case("20 MB of quantisation tables", lambda: made.jpeg_with(_tables()), DECODED, is_costly=True)
    yield Case("20 MB of empty chunks", lambda: made.png_with(made.filling(files.png_chunk(b"prVt", b""))), CORRUPT)
    yield Case(
        "20 MB of empty pixel chunks", lambda: made.png_with(made.filling(files.png_chunk(b"IDAT", b""))), CORRUPT
    )
    yield Case("20 MB of empty boxes", lambda: made.boxes(made.UPLOAD_BYTES), CORRUPT, is_costly=True)


def _tables() -> bytes:
    return made.filling(made.segment(0xDB, (b"\0" + bytes(range(1, 65))) * 1000))


def _sizes() -> Iterator[Case]:
    yield Case("1 x 1 px", files.one_px_png, TINY)
    yield Case("0 x 0 px JPEG", lambda: made.jpeg_patched(5, bytes(4)), CORRUPT)
    yield Case("0 x 0 px PNG", lambda: files.png_by_hand(0, 0, 8, 0, b""), CORRUPT)
    yield Case("1 x 100,000 px", lambda: files.png_by_hand(1, 100_000, 8, 0, b"\0"), TINY)
    yield Case("65,500 x 64 px", lambda: files.encoded(files.flat(9, "L", (65_500, 64)), "JPEG"), DECODED)
    yield Case("21 MB", lambda: files.heavy_jpeg(21_000_000), LARGE)
    yield Case("PNG of 12,000 x 12,000 px in 140 kB", files.bomb_png, LARGE)
    yield Case("WebP canvas of 16,384 x 16,384 px", files.bomb_webp, LARGE)
    # libavif scales what it finds to the size that the file names, and takes none over 16,384 px squared for one.
    claims = (
        *(("HEIC", 100, CORRUPT), ("HEIC", 30_000, LARGE), ("HEIC", 2**31, CORRUPT)),
        *(("AVIF", 100, DECODED), ("AVIF", 12_000, LARGE), ("AVIF", 30_000, CORRUPT), ("AVIF", 2**31, CORRUPT)),
    )
    for file_format, side_px, code in claims:
        claim = partial(
            lambda form, side: files.claiming_size(files.encoded(SMALL, form), side, side), file_format, side_px
        )
        yield Case(f"{file_format} that claims {side_px:,} x {side_px:,} px", claim, code)
    yield Case("HEIC whose grid claims 49 MP of four small tiles", made.grid_bomb, CORRUPT)


def _costly() -> Iterator[Case]:
    def at_the_limit(name: str, make: Callable[[], bytes], code: str = DECODED) -> Case:
        return Case(name, make, code, is_costly=True)

    yield at_the_limit("AVIF that claims 100 x 100 px and codes 49 MP", made.lying_avif)
    yield at_the_limit("49 MP progressive JPEG of 64 scans", lambda: made.scan_bomb(7000, 64))
    yield at_the_limit("49 MP progressive JPEG of 65 scans", lambda: made.scan_bomb(7000, 65), CORRUPT)
    yield at_the_limit("49 MP JPEG with 766,000 restarts", lambda: made.restarting_jpeg(7000))
    yield at_the_limit("49 MP CMYK progressive JPEG", lambda: made.large("JPEG", "CMYK", progressive=True))
    yield at_the_limit("49 MP RGBA PNG in 190 kB", lambda: made.large("PNG", "RGBA"))
    yield at_the_limit("49 MP 16-bit RGBA PNG", lambda: files.png_by_hand(7000, 7000, 16, 6, bytes(56_000)))
    yield at_the_limit("49 MP interlaced PNG", lambda: made.interlaced_png(7000))
    yield at_the_limit("49 MP lossless WebP in 2 kB", lambda: made.large("WEBP", lossless=True))
    yield at_the_limit("49 MP WebP with alpha", lambda: made.large("WEBP", "RGBA", method=0))
    yield at_the_limit("animated WebP of 120,000 frames", lambda: made.many_frames_webp(120_000))
    yield at_the_limit("48 MP JPEG of noise", lambda: made.large_noise("JPEG", quality=80))
    yield at_the_limit("48 MP WebP of noise", lambda: made.large_noise("WEBP", quality=40, method=0))
    yield at_the_limit("48 MP HEIC of noise", lambda: made.large_noise("HEIC", quality=30))
    yield at_the_limit("48 MP AVIF of noise", lambda: made.large_noise("AVIF", quality=30, speed=10))


CASES: tuple[Case, ...] = (
    *_not_images(),
    *_cut_and_damaged(),
    *_honest_but_odd(),
    *_metadata(),
    *_sizes(),
    *_costly(),
)
