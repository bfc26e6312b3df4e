"""The worker's decoder at the scale of its first look, and the worker's mesh: what no way of working can save."""

from __future__ import annotations

from typing import Final

from bench.speed.photos import PORTRAITS
from worker.pipeline import FIRST_PASS_LONG_SIDE_PX
from worker.vision.decode import DecodeLimits, decode_photo
from worker.vision.face_mesh import FaceMesh

LIMITS: Final = DecodeLimits(max_bytes=20_000_000, max_pixels=50_000_000, min_side_px=64)
_WARM_UP: Final = 3


class WorkerDecoder:
    """One mesh, used again for every photo."""

    def __init__(self) -> None:
        self._mesh = FaceMesh()
        for _ in range(_WARM_UP):
            self.finds_face((PORTRAITS / "astronaut.png").read_bytes())

    def finds_face(self, photo: bytes) -> bool:
        """Decode and fit."""
        pixels = decode_photo(photo, LIMITS, long_side_px=FIRST_PASS_LONG_SIDE_PX).pixels
        return bool(self._mesh.detect(pixels))
