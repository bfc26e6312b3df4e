"""The files that the pages speak of."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stack.stack import Stack
from tests.card_scenes import Scene, held
from tests.conftest import RECEIVER_PORT
from tests.docs.running import Reader, reading
from worker.vision.face_mesh import FaceMesh

FACE_BOX = (90, 0, 350, 270)
CARD = Scene(place="forehead", tilt_deg=(0, 5), turn_sd_deg=3, upright=0, fingers=0, focal=(1, 1), long_px=170)


def as_jpeg(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=95)
    return file.getvalue()


def with_card(portrait: bytes) -> bytes:
    """Return the portrait of the astronaut, who now holds a card flat to the forehead."""
    pixels = np.array(Image.open(BytesIO(portrait)).convert("RGB").crop(FACE_BOX))
    with FaceMesh() as mesh:
        landmarks_px = mesh.detect(pixels)[0].landmarks
    return as_jpeg(Image.fromarray(held(pixels, landmarks_px, CARD, seed=2).pixels))


@pytest.fixture(scope="session")
def photos(astronaut: bytes, hopper: bytes) -> dict[str, bytes]:
    """Photos by the names that the pages give them."""
    plain = as_jpeg(Image.open(BytesIO(astronaut)))
    return {"photo.jpg": hopper, "a.jpg": plain, "b.jpg": hopper, "card.jpg": with_card(astronaut)}


@pytest.fixture
def reader(service: Stack, tmp_path: Path, photos: dict[str, bytes]) -> Iterator[Reader]:
    with reading(tmp_path, service.url, RECEIVER_PORT, photos) as found:
        yield found
