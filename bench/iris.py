"""The iris ruler against rings traced by hand: `python -m bench.iris --data DIR`.

Every `.jpg` below the folder whose `.tem` is of the London set's kind (189 points, an iris ring of eight for each eye)
is measured as it is and made worse: by JPEG, halved while decoding, with noise, blurred. Own ÷ traced horizontal
diameter, mean of both eyes, is one number for each person; its coefficient of variation says how good a ruler is.
People are split by their names: the first, third, fifth ... are the fit half, on which constants were set, the others
the held-out half. docs/adr/0007 keeps the figures.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from bench.ground_truth import read_points
from worker.measure.camera import camera_of_photo
from worker.measure.iris import LIMBUS_OVER_TRACED, MAX_DISAGREEMENT, iris_ruler
from worker.measure.limbus import MESH_OVER_TRACED, limbus_diameters_px
from worker.measure.rulers import FaceFacts, Refusal
from worker.vision.decode import DecodeLimits, decode_photo
from worker.vision.face_mesh import FaceMesh

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

LIMITS = DecodeLimits(max_bytes=20_000_000, max_pixels=50_000_000, min_side_px=64)
TEM_POINTS = 189
TRACED_SIDES = np.array([[4, 8], [12, 16]])
MESH_SIDES = np.array([[469, 471], [474, 476]])
SHIFTS_PX = ((3, 0), (0, 3), (6, 3), (3, 7), (8, 8))
"""With the photo itself, six slightly shifted views."""
BOOTSTRAPS = 4000
CPU_REPEATS = 300


class Person(NamedTuple):
    photo: bytes
    traced_px: Floats


class Readings(NamedTuple):
    """Diameters of both irises, px of the full photo."""

    mesh: Floats
    limbus: Floats
    """NaN where it was not believed."""


def people(folder: Path) -> list[Person]:
    found = []
    for path in sorted(folder.rglob("*.jpg"), key=lambda path: path.stem):
        points_file = path.with_suffix(".tem")
        points = read_points(points_file) if points_file.exists() else np.empty((0, 2))
        if len(points) == TEM_POINTS:
            sides = points[TRACED_SIDES]
            found.append(Person(path.read_bytes(), np.linalg.norm(sides[:, 1] - sides[:, 0], axis=1)))
    return found


def decoded(data: bytes, reduction: int = 1) -> Pixels:
    return decode_photo(data, LIMITS, reduction=reduction).pixels


def as_jpeg(pixels: Pixels, quality: int) -> Pixels:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return decoded(file.getvalue())


def noisy(pixels: Pixels, sd: float) -> Pixels:
    noise = np.random.default_rng(0).normal(0, sd, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def blurred(pixels: Pixels, sigma_px: float) -> Pixels:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma_px)))


VERSIONS: dict[str, tuple[Callable[[bytes], Pixels], int]] = {
    "as photographed": (decoded, 1),
    "JPEG quality 60": (lambda data: as_jpeg(decoded(data), 60), 1),
    "half resolution": (lambda data: decoded(data, 2), 2),
    "half, noise 5, JPEG 60": (lambda data: as_jpeg(noisy(decoded(data, 2), 5), 60), 2),
    "noise, SD 8 of 255": (lambda data: noisy(decoded(data), 8), 1),
    "blur, sigma 2 px": (lambda data: blurred(decoded(data), 2), 1),
    "blur, sigma 4 px": (lambda data: blurred(decoded(data), 4), 1),
    "quarter resolution": (lambda data: decoded(data, 4), 4),
}


def mesh_diameters(landmarks: Floats) -> Floats:
    sides = landmarks[MESH_SIDES, :2]
    return np.asarray(np.linalg.norm(sides[:, 1] - sides[:, 0], axis=1))


def read(mesh: FaceMesh, pixels: Pixels, reduction: int) -> Readings:
    landmarks = mesh.detect(pixels)[0].landmarks
    limbus = [np.nan if diameter is None else diameter for diameter in limbus_diameters_px(pixels, landmarks)]
    return Readings(reduction * mesh_diameters(landmarks), reduction * np.array(limbus))


def six_views(mesh: FaceMesh, data: bytes) -> Floats:
    pixels = decoded(data)
    views = [pixels, *(np.ascontiguousarray(pixels[dy:, dx:]) for dx, dy in SHIFTS_PX)]
    return np.asarray(np.mean([mesh_diameters(mesh.detect(view)[0].landmarks) for view in views], axis=0))


def log_ratio(diameters: Floats, traced: Floats) -> Floats:
    """Of each person, mean of both eyes."""
    return np.asarray(np.log(diameters.mean(axis=1) / traced.mean(axis=1)))


def spread(ratios: Floats) -> str:
    """Bias, and the CV of all, of the fit half and of the held-out half."""
    cvs = " / ".join(f"{100 * part.std(ddof=1):4.2f}" for part in (ratios, ratios[0::2], ratios[1::2]))
    return f"{np.exp(ratios.mean()):6.4f}  {cvs}"


def interval(worse: Floats, better: Floats) -> str:
    """By how much the second CV is smaller, in per cent, with a 95 % bootstrap interval over people."""
    rng = np.random.default_rng(0)
    picks = rng.integers(0, len(worse), (BOOTSTRAPS, len(worse)))
    low, high = np.quantile(worse[picks].std(axis=1, ddof=1) - better[picks].std(axis=1, ddof=1), (0.025, 0.975))
    return f"{100 * (worse.std(ddof=1) - better.std(ddof=1)):5.2f} ({100 * low:5.2f} to {100 * high:5.2f})"


def ruler_diameters(readings: Readings) -> Floats:
    """As `worker.measure.iris` has them: the fitted limbus, the mesh where it is missing; as if traced."""
    fitted = np.isfinite(readings.limbus)
    return np.asarray(np.where(fitted, readings.limbus / LIMBUS_OVER_TRACED, readings.mesh / MESH_OVER_TRACED))


def eyes_disagree(diameters: Floats) -> str:
    """Of the two eyes of each person, root mean square and most."""
    difference = np.abs(np.log(diameters[:, 0] / diameters[:, 1]))
    return f"{np.sqrt((difference**2).mean()):.1%} (at most {difference.max():.1%})"


def compare(mesh: FaceMesh, set_of_people: list[Person]) -> None:
    traced = np.array([person.traced_px for person in set_of_people])
    print("own ÷ traced: mean, CV in % of all / fit half / held-out half")
    for name, (make, reduction) in VERSIONS.items():
        each = [read(mesh, np.ascontiguousarray(make(person.photo)), reduction) for person in set_of_people]
        readings = Readings(*(np.array(values) for values in zip(*each, strict=True)))
        ruler = ruler_diameters(readings)
        own, of_mesh = log_ratio(ruler, traced), log_ratio(readings.mesh, traced)
        print(f"\n{name}: limbus fitted in {np.isfinite(readings.limbus).mean():.0%} of eyes")
        print(f"  mesh                 {spread(of_mesh)}   eyes disagree by {eyes_disagree(readings.mesh)}")
        print(f"  limbus, else mesh    {spread(own)}   eyes disagree by {eyes_disagree(ruler)}")
        for share in (0.5, 0.75):
            mixed = share * ruler + (1 - share) * readings.mesh / MESH_OVER_TRACED
            print(f"  {share:.0%} of it with mesh {spread(log_ratio(mixed, traced))}")
        print(f"  mesh less limbus     all {interval(of_mesh, own)}; held out {interval(of_mesh[1::2], own[1::2])}")
    six = np.array([six_views(mesh, person.photo) for person in set_of_people])
    print(f"\nmesh, mean of six slightly shifted views {spread(log_ratio(six, traced))}")
    print(f"traced eyes of one person disagree by {eyes_disagree(traced)}: half of it is in every CV above")


def refusals(mesh: FaceMesh, set_of_people: list[Person]) -> None:
    refused: list[str] = []
    for person in set_of_people:
        photo = decode_photo(person.photo, LIMITS)
        landmarks = mesh.detect(photo.pixels)[0].landmarks
        camera = camera_of_photo(photo.width_px, photo.height_px, None)
        face = FaceFacts(landmarks, np.zeros(len(landmarks)), camera, yaw_deg=0)
        ruler = iris_ruler(face, limbus_diameters_px(photo.pixels, landmarks))
        if isinstance(ruler, Refusal):
            refused += ruler.reasons
    print(
        f"refused for small irises or disagreement over {MAX_DISAGREEMENT:.0%}: {len(refused)} of {len(set_of_people)}"
    )


def cpu(mesh: FaceMesh, person: Person) -> None:
    pixels = decoded(person.photo)
    landmarks = mesh.detect(pixels)[0].landmarks
    began = time.process_time()
    for _ in range(CPU_REPEATS):
        limbus_diameters_px(pixels, landmarks)
    print(f"limbus of both eyes: {1000 * (time.process_time() - began) / CPU_REPEATS:.2f} ms of CPU")


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the iris ruler with traced rings.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    set_of_people = people(parser.parse_args().data)
    if not set_of_people:
        print("no .jpg with a .tem of 189 points there", file=sys.stderr)
        return 1
    print(f"{len(set_of_people)} people")
    with FaceMesh() as mesh:
        compare(mesh, set_of_people)
        refusals(mesh, set_of_people)
        cpu(mesh, set_of_people[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
