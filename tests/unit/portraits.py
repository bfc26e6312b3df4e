"""Two real portraits with their meshes, for tests of what a picture shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.composites import covered
from worker.vision.face_mesh import FaceMesh

PORTRAITS = Path(__file__).parents[2] / "stack" / "portraits"
COLLINS, HOPPER = "astronaut.png", "grace_hopper.jpg"
"""Eileen Collins laughs under a fringe; Grace Hopper, 78, wears glasses and a cap and keeps her lips together."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture and the mesh found in it."""

    pixels: NDArray[np.uint8]
    mesh: NDArray[np.float64]


@cache
def _graph() -> FaceMesh:
    return FaceMesh()


def seen(pixels: NDArray[np.uint8]) -> Seen:
    """Detect the face anew, as the service does."""
    pixels = np.ascontiguousarray(pixels)
    return Seen(pixels, _graph().detect(pixels)[0].landmarks)


@cache
def portrait(name: str) -> Seen:
    return seen(np.array(Image.open(PORTRAITS / name).convert("RGB")))


@cache
def wearing(kind: str, name: str) -> Seen:
    """Draw a cover of `tests/composites.py` onto a portrait."""
    bare = portrait(name)
    return seen(covered(kind, bare.pixels, bare.mesh, name))


def mirrored(face: Seen) -> Seen:
    """Turn a picture left to right, and look at it anew."""
    return seen(face.pixels[:, ::-1])


def scaled(face: Seen, ratio: float) -> Seen:
    """Shrink or enlarge a picture, and look at it anew."""
    image = Image.fromarray(face.pixels)
    size = (round(image.width * ratio), round(image.height * ratio))
    return seen(np.array(image.resize(size, Image.Resampling.LANCZOS)))
