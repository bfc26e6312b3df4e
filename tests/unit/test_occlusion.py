"""What covers a face, on real portraits and with covers drawn over them. `bench/occlusion.py` has the rates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tests.composites import (
    DEGRADATIONS,
    FOREHEADS,
    MASKS,
    SUNGLASSES,
    THICK_FRAMES,
    covered,
    grey,
    halved,
    lit_from_the_side,
    tinted,
)
from tests.unit.portraits import COLLINS, HOPPER, Seen, mirrored, portrait, scaled, seen, wearing
from worker.measure.occlusion import COVERED, Occlusion, find_occlusion
from worker.measure.patches import LIGHT, RED_GREEN, find_skin, sample, sample_face

LONDON = Path(__file__).parents[3] / "shared" / "data" / "faces" / "london"
DIFFERENT_SKINS = ("002", "008", "061", "070", "137")
"""From the palest to the darkest of the set, among them stubble and lipstick."""

every_portrait = pytest.mark.parametrize("name", [COLLINS, HOPPER])


def found(face: Seen) -> Occlusion:
    return find_occlusion(face.pixels, face.mesh)


def regions(occlusion: Occlusion) -> set[str]:
    return {name for name in ("forehead", "nose", "mouth", "chin") if getattr(occlusion, name) >= COVERED}


@every_portrait
def test_what_the_portraits_really_wear(name: str) -> None:
    occlusion = found(portrait(name))
    assert regions(occlusion) == {"forehead"}  # a fringe and a cap
    assert not occlusion.eyewear.sunglasses
    assert (occlusion.eyewear.glasses >= COVERED) is (name == HOPPER)


@every_portrait
@pytest.mark.parametrize("kind", MASKS)
def test_a_mask_covers_mouth_and_chin(kind: str, name: str) -> None:
    occlusion = found(wearing(kind, name))
    assert {"mouth", "chin"} <= regions(occlusion)
    assert not occlusion.eyewear.sunglasses


@pytest.mark.parametrize(
    ("kind", "hides"), [("surgical, blue", True), ("cloth, own skin", True), ("mask under the nose", False)]
)
def test_a_mask_covers_the_nose_or_sits_below_it(kind: str, hides: bool) -> None:
    assert ("nose" in regions(found(wearing(kind, HOPPER)))) is hides


@pytest.mark.parametrize("spoil", [grey, tinted(1.0, 1.0, 0.7), lit_from_the_side, DEGRADATIONS["JPEG quality 40"]])
@pytest.mark.parametrize("kind", ["surgical, white", "cloth, black", "cloth, own skin", "FFP2, white"])
def test_bad_photos_hide_no_mask(kind: str, spoil: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> None:
    masked, bare = (seen(spoil(face.pixels)) for face in (wearing(kind, HOPPER), portrait(HOPPER)))
    assert {"mouth", "chin"} <= regions(found(masked))
    assert not {"mouth", "chin"} & regions(found(bare))


@every_portrait
def test_a_full_beard_covers_the_chin_and_leaves_the_mouth(name: str) -> None:
    assert regions(found(wearing("full beard", name))) - {"forehead"} == {"chin"}


@every_portrait
@pytest.mark.parametrize("kind", SUNGLASSES)
def test_sunglasses_hide_the_eyes(kind: str, name: str) -> None:
    occlusion = found(wearing(kind, name))
    assert occlusion.eyewear.sunglasses
    if name == COLLINS:  # over Hopper's own glasses and under her cap too little skin is left to compare with
        assert not {"mouth", "chin"} & regions(occlusion)


@pytest.mark.parametrize("kind", [*THICK_FRAMES, "thin, black"])
def test_frames_are_seen_and_the_eyes_behind_them_too(kind: str) -> None:
    eyewear = found(wearing(kind, COLLINS)).eyewear
    assert eyewear.glasses >= COVERED
    assert not eyewear.sunglasses


@every_portrait
@pytest.mark.parametrize("change", [mirrored, lambda face: scaled(face, 0.8), lambda face: scaled(face, 1.3)])
@pytest.mark.parametrize("kind", ["surgical, blue", "cap", None])
def test_mirror_and_small_scaling_change_no_verdict(
    kind: str | None, change: Callable[[Seen], Seen], name: str
) -> None:
    face = wearing(kind, name) if kind else portrait(name)
    before, after = found(face), found(change(face))
    assert regions(after) == regions(before)
    assert after.eyewear.sunglasses is before.eyewear.sunglasses


def test_the_share_grows_with_what_is_covered() -> None:
    shares = [
        found(face).share for face in (portrait(COLLINS), wearing("full beard", COLLINS), wearing("scarf", COLLINS))
    ]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[2] <= 1


@given(st.tuples(*[st.floats(0.6, 1.6)] * 3))
def test_light_and_white_balance_add_the_same_to_every_colour(gains: tuple[float, float, float]) -> None:
    skins = np.array([[150.0, 110.0, 90.0], [75.0, 55.0, 45.0], [100.0, 80.0, 60.0]])
    lit = (skins * gains).round().astype(np.uint8)
    before, after = (sample(one[np.newaxis], POINTS, 0.0) for one in (skins.astype(np.uint8), lit))
    steps = after - before
    assert np.ptp(steps[:, RED_GREEN]) < 0.15
    assert np.ptp(steps[:, LIGHT]) < 0.2


POINTS = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])


@pytest.mark.parametrize("kind", ["surgical, blue", "dark lenses", "fringe"])
def test_the_skin_is_found_whatever_is_worn(kind: str) -> None:
    bare, worn = (
        find_skin(sample_face(face.pixels, face.mesh)) for face in (portrait(COLLINS), wearing(kind, COLLINS))
    )
    assert np.abs(worn.colour - bare.colour).max() < 0.15


def test_points_outside_the_picture_take_its_edge() -> None:
    pixels = np.full((4, 4, 3), 50, np.uint8)
    pixels[:, 3] = 200
    colours = sample(pixels, np.array([[99.0, 1.0], [3.0, 1.0], [-7.0, -7.0], [0.0, 0.0]]), 0.0)
    assert colours[0] == pytest.approx(colours[1])
    assert colours[2] == pytest.approx(colours[3])


@pytest.mark.skipif(not LONDON.exists(), reason="needs the photos beside the repository")
@pytest.mark.parametrize("person", DIFFERENT_SKINS)
def test_people_of_every_skin_bare_and_masked(person: str) -> None:
    pixels = np.array(Image.open(LONDON / f"{person}_03.jpg").convert("RGB"))
    bare = seen(halved(pixels))
    assert not regions(found(bare))
    assert found(bare).eyewear.glasses < COVERED
    for kind in ("surgical, white", "surgical, black", "cloth, own skin"):
        assert {"mouth", "chin"} <= regions(found(seen(covered(kind, bare.pixels, bare.mesh, person))))


@pytest.mark.skipif(not LONDON.exists(), reason="needs the photos beside the repository")
@pytest.mark.parametrize("kind", FOREHEADS)
def test_hair_and_caps_cover_the_forehead(kind: str) -> None:
    bare = seen(halved(np.array(Image.open(LONDON / "070_03.jpg").convert("RGB"))))
    assert regions(found(seen(covered(kind, bare.pixels, bare.mesh, "070")))) == {"forehead"}
