"""Files that only an attacker, or a broken program, makes: each function returns the bytes of one.

Like `tests/files.py`, which has the simpler ones, it imports nothing of the product.
"""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib
from io import BytesIO

from PIL import Image

from tests import files

SMALL = files.quadrants(96, 80)
SEGMENT_BYTES = 65_000
"""Of a JPEG's segment, nearly full."""
UPLOAD_BYTES = 19_900_000
"""As much as is accepted, nearly."""


def segment(code: int, body: bytes = b"") -> bytes:
    return struct.pack(">BBH", 0xFF, code, len(body) + 2) + body


def jpeg_with(head: bytes) -> bytes:
    """Put bytes behind the start of a small JPEG."""
    photo = files.encoded(SMALL, "JPEG")
    return photo[:2] + head + photo[2:]


def filling(part: bytes, n_bytes: int = UPLOAD_BYTES) -> bytes:
    return part * (n_bytes // len(part))


def exif_in_pieces(block: bytes, piece_bytes: int = SEGMENT_BYTES) -> bytes:
    """Write a JPEG whose EXIF goes on from segment to segment."""
    pieces = (block[at : at + piece_bytes] for at in range(0, len(block), piece_bytes))
    return jpeg_with(b"".join(segment(0xE1, b"Exif\0\0" + piece) for piece in pieces))


def exif_bomb(n_bytes: int) -> bytes:
    """Write an EXIF block of as many entries as fit, each of which claims all of it as its value."""
    n_entries = min(60_000, (n_bytes - 14) // 12)
    entries = b"".join(struct.pack(">HHII", 1000 + n, 7, n_bytes - 8, 8) for n in range(n_entries))
    head = b"MM\0*\0\0\0\x08" + struct.pack(">H", n_entries) + entries
    return head + bytes(n_bytes - len(head))


def with_exif_bomb(file_format: str, n_bytes: int) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow looks into what it writes
        return files.encoded(SMALL, file_format, exif=exif_bomb(n_bytes))


def icc_in_jpeg(n_segments: int) -> bytes:
    parts = (b"ICC_PROFILE\0" + bytes([n + 1, n_segments]) + b"\x55" * SEGMENT_BYTES for n in range(n_segments))
    return jpeg_with(b"".join(segment(0xE2, part) for part in parts))


def png_with(chunks: bytes) -> bytes:
    """Put chunks behind the header of a small PNG."""
    photo = files.encoded(SMALL, "PNG")
    return photo[:33] + chunks + photo[33:]


def compressed_text(n_chunks: int, unpacked_bytes: int, kind: bytes = b"zTXt") -> bytes:
    packed = zlib.compress(bytes(unpacked_bytes), 9)
    body = b"a\0\0" + packed if kind == b"zTXt" else b"a\0\1\0\0\0" + packed
    return png_with(files.png_chunk(kind, body) * n_chunks)


def png_icc_bomb() -> bytes:
    return png_with(files.png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(64_000_000), 9)))


def png_wrong_checksum(kind: bytes) -> bytes:
    photo = files.encoded(SMALL, "PNG")
    at = photo.index(kind)
    end = at + 4 + struct.unpack(">I", photo[at - 4 : at])[0]
    return photo[:end] + bytes([photo[end] ^ 1]) + photo[end + 1 :]


def interlaced_png(side_px: int) -> bytes:
    """Write a black PNG in the seven passes of Adam7 (PNG, section 8)."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    packer, packed = zlib.compressobj(9), b""
    for left, top, step_x, step_y in passes:
        width, height = -(-(side_px - left) // step_x), -(-(side_px - top) // step_y)
        for _ in range(height):
            packed += packer.compress(bytes(1 + width))
    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 0, 0, 0, 1)
    chunks = ((b"IHDR", header), (b"IDAT", packed + packer.flush()), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(files.png_chunk(*chunk) for chunk in chunks)


def png_too_little_pixels() -> bytes:
    """Write a PNG of 7,000 x 7,000 px with the pixels of its first row."""
    whole = files.png_by_hand(7000, 1, 8, 2, bytes(21_000))
    header = files.png_chunk(b"IHDR", struct.pack(">IIBBBBB", 7000, 7000, 8, 2, 0, 0, 0))
    return whole[:8] + header + whole[33:]


def jpeg_patched(offset: int, value: bytes) -> bytes:
    """Change bytes of a JPEG's frame header: 4 is the precision, 5 and 7 the height and width, 9 the layers."""
    photo = files.encoded(SMALL, "JPEG")
    at = photo.index(b"\xff\xc0") + offset
    return photo[:at] + value + photo[at + len(value) :]


def scan_bomb(side_px: int, n_scans: int) -> bytes:
    """Write a progressive JPEG that goes over the whole picture `n_scans` times."""
    photo = files.encoded(Image.new("RGB", (side_px, side_px), files.GREY), "JPEG", progressive=True, quality=30)
    last = photo[photo.rindex(b"\xff\xda") : -2]
    return photo[:-2] + last * (n_scans - photo.count(b"\xff\xda")) + b"\xff\xd9"


def restarting_jpeg(side_px: int) -> bytes:
    """Write a JPEG with a restart marker behind every block."""
    return files.encoded(Image.new("L", (side_px, side_px)), "JPEG", restart_marker_blocks=1)


def large(file_format: str, mode: str = "RGB", side_px: int = 7_000, **options: object) -> bytes:
    """Encode the largest black picture that is accepted: small as a file, 49 million pixels in memory."""
    return files.encoded(Image.new(mode, (side_px, side_px)), file_format, **options)


def large_noise(file_format: str, **options: object) -> bytes:
    """Encode 48 megapixels of soft noise: the most that an honest photo is."""
    noise = Image.effect_noise((800, 600), 60).convert("RGB").resize((8_000, 6_000))
    return files.encoded(noise, file_format, **options)


def lying_avif() -> bytes:
    """Make an AVIF that says 100 x 100 px and codes 7,000 x 7,000."""
    return files.claiming_size(large("AVIF", speed=10), 100, 100)


def grid_bomb() -> bytes:
    """Make a tiled HEIC that says 7,000 x 7,000 px and has four tiles."""
    return files.claiming_size_everywhere(files.encoded(files.quadrants(128, 128), "HEIC", tile_size=64), 7000, 7000)


def several_heic() -> bytes:
    file = BytesIO()
    SMALL.save(file, "HEIF", save_all=True, append_images=[files.flat(files.RED), files.flat(files.BLUE)])
    return file.getvalue()


def mpo() -> bytes:
    file = BytesIO()
    SMALL.save(file, "MPO", save_all=True, append_images=[files.flat(files.RED)])
    return file.getvalue()


def many_frames_webp(n_frames: int) -> bytes:
    frame = files.encoded(files.flat(files.RED, size=(64, 64)), "WEBP")[12:]
    body = struct.pack("<6x3s3s4x", *[(63).to_bytes(3, "little")] * 2) + frame
    frames = (b"ANMF" + struct.pack("<I", len(body)) + body) * n_frames
    head = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + b"\x3f\0\0" * 2 + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    content = b"WEBP" + head + frames
    return b"RIFF" + struct.pack("<I", len(content)) + content


def with_archive_behind(data: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as entries:
        entries.writestr("Evil.class", b"\xca\xfe\xba\xbe")
    return data + archive.getvalue()


def svg() -> bytes:
    return b'<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100"><script>alert(1)</script></svg>'


def psd() -> bytes:
    return b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 80, 96, 8, 3) + bytes(200)


def pdf_and_jpeg() -> bytes:
    return b"%PDF-1.4\n1 0 obj<</Filter/DCTDecode>>stream\n" + files.encoded(SMALL, "JPEG") + b"endstream endobj\n%%EOF"


def boxes(n_bytes: int) -> bytes:
    """Make a HEIC with millions of empty boxes behind its first one."""
    photo = files.encoded(SMALL, "HEIC")
    at = int.from_bytes(photo[:4], "big")
    return photo[:at] + filling(struct.pack(">I4s", 8, b"free"), n_bytes) + photo[at:]
