"""How often and how well a card or a marker is found, on photos of people: `python -m bench.reference --data DIR`.

Cards and markers are painted into every photo below the folder that shows a face, in true perspective, under each of
the conditions below; the mesh is run anew on each picture. Then things that only resemble a card, photos as they are,
and photos without a face at invented faces: there nothing may be found. People are told apart by what stands before `_`
in a file's name and sorted by it; constants were set on every other one from the first, and the other half is shown
unless `--half` says otherwise. Exits with 1 on a false find in a photo without any card.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.reference_objects import ARUCO_DICTIONARIES, ReferenceObject, parse_reference_object
from tests.card_scenes import ASSUMED_FOCAL, Held, Scene, held
from worker.measure.camera import ASSUMED_SD_FRACTION, EXIF_SD_FRACTION, Camera, camera_of_photo
from worker.vision.decode import DecodeLimits, decode_photo
from worker.vision.face_mesh import FaceMesh
from worker.vision.reference_object import find_reference

LIMITS = DecodeLimits(max_bytes=20_000_000, max_pixels=50_000_000, min_side_px=64)
CARD = parse_reference_object("id1_card")
MARKER = parse_reference_object("aruco:4x4_50:40")
MARKER_MM = (40.0, 40.0)
KINDS = ("white", "stripe", "dark", "pictured", "identity")

CARDS: dict[str, tuple[str | None, dict[str, Any]]] = {
    **{f"{kind} card": (kind, {}) for kind in KINDS},
    "no fingers": (None, {"fingers": 0}),
    "fingers on 4 sides": (None, {"fingers": 4}),
    "straight, tilt <= 5": (None, {"tilt_deg": (0.0, 5.0)}),
    "tilt 20 to 25": (None, {"tilt_deg": (20.0, 25.0)}),
    "tilt <= 25, focal known": (None, {"focal": (0.97, 1.03)}),
    "glare": (None, {"glare": True}),
    "hair over it": (None, {"hair": True}),
    "JPEG q60": (None, {"jpeg_quality": 60}),
    "blur 1 px": (None, {"blur_px": 1.0}),
    "noise 6": (None, {"noise_sd": 6.0}),
    "100 px": (None, {"long_px": 100}),
    "150 px": (None, {"long_px": 150}),
    "400 px": (None, {"long_px": 400}),
    "600 px": (None, {"long_px": 600}),
    "dark, forehead": ("dark", {"place": "forehead"}),
}
_MARKER: dict[str, Any] = {"size_mm": MARKER_MM}
MARKERS: dict[str, tuple[str | None, dict[str, Any]]] = {
    "marker": ("marker", _MARKER),
    "marker, tilt 20 to 25": ("marker", {**_MARKER, "tilt_deg": (20.0, 25.0)}),
    "marker, 50 px": ("marker", {**_MARKER, "long_px": 50}),
    "marker, q60, blur 1": ("marker", {**_MARKER, "jpeg_quality": 60, "blur_px": 1.0}),
}
ALIKE: dict[str, tuple[str | None, dict[str, Any]]] = {
    "playing card 88 x 63": (None, {"size_mm": (88.0, 63.0)}),
    "same, not tilted": (None, {"size_mm": (88.0, 63.0), "tilt_deg": (0.0, 5.0)}),
    "business card 85 x 55": (None, {"size_mm": (85.0, 55.0), "corner_mm": 0.0}),
    "same, round corners": (None, {"size_mm": (85.0, 55.0)}),
    "business card 89 x 51": (None, {"size_mm": (88.9, 50.8), "corner_mm": 0.0}),
    "ID-1, sharp corners": (None, {"corner_mm": 0.0}),
    "phone 140 x 70": ("pictured", {"size_mm": (140.0, 70.0), "corner_mm": 8.0}),
    "paper 105 x 74": ("identity", {"size_mm": (105.0, 74.0), "corner_mm": 0.0}),
}
INVENTED_FACES = 10
MILLISECONDS = 1000


@dataclass(slots=True)
class Tally:
    tried: int = 0
    no_face: int = 0
    why: dict[str, int] = field(default_factory=dict)
    errors: list[float] = field(default_factory=list)
    sigmas: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def row(self, name: str) -> str:
        missed = ", ".join(f"{count} {why}" for why, count in sorted(self.why.items()) if why != "found")
        missed += f", {self.no_face} without a face" if self.no_face else ""
        cpu = f"{MILLISECONDS * np.mean(self.seconds):5.0f} {MILLISECONDS * max(self.seconds):5.0f}"
        if not self.errors:
            return f"{name:26} {0:3d}/{self.tried:<3d} {'':39} {cpu}  {missed}"
        error = 100 * np.array(self.errors)
        one, two = (100 * np.mean(np.abs(self.sigmas) <= k) for k in (1, 2))
        figures = f"{error.mean():+6.2f} {error.std():6.2f} {np.abs(error).max():6.2f} {one:8.0f} {two:6.0f}"
        return f"{name:26} {len(error):3d}/{self.tried:<3d} {figures}   {cpu}  {missed}"


def camera_of(scene: Held, focal_known: bool) -> Camera:
    height, width = scene.pixels.shape[:2]
    focal_px = ASSUMED_FOCAL * max(height, width)
    sd = EXIF_SD_FRACTION if focal_known else ASSUMED_SD_FRACTION
    return Camera(focal_px, sd * focal_px, ((width - 1) / 2, (height - 1) / 2), "exif" if focal_known else "assumed")


def look(tally: Tally, mesh: FaceMesh, scene: Held, reference: ReferenceObject, camera: Camera) -> None:
    tally.tried += 1
    faces = mesh.detect(scene.pixels)
    if not faces:
        tally.no_face += 1
        return
    began = time.process_time()
    search = find_reference(scene.pixels, reference, faces[0].landmarks, camera)
    tally.seconds.append(time.process_time() - began)
    tally.why[search.why] = tally.why.get(search.why, 0) + 1
    if search.reading:
        off = search.reading.mm_per_px - scene.view.mm_per_px
        tally.errors.append(off / scene.view.mm_per_px)
        tally.sigmas.append(off / search.reading.sd)


def painted(mesh: FaceMesh, photos: dict[str, NDArray[np.uint8]], samples: int) -> None:
    landmarks = {name: mesh.detect(pixels)[0].landmarks for name, pixels in photos.items()}
    names = sorted(photos)
    head = f"{'':26} {'found':>7} {'mean %':>6} {'SD':>6} {'max':>6} {'in 1 SD':>8} {'in 2':>6}   {'ms':>5} {'max':>5}"
    for title, conditions, reference in (("cards", CARDS, CARD), ("markers", MARKERS, MARKER), ("alike", ALIKE, CARD)):
        print(f"\n{title}\n{head}")
        for condition, (kind, options) in conditions.items():
            tally = Tally()
            for seed in range(samples):
                name = names[seed % len(names)]
                how = Scene(kind=kind or KINDS[seed % len(KINDS)], **options)
                scene = held(photos[name], landmarks[name], how, seed)
                look(tally, mesh, scene, reference, camera_of(scene, "focal" in options))
            print(tally.row(condition), flush=True)


def false_finds(mesh: FaceMesh, faces: dict[str, NDArray[np.uint8]], scenes: dict[str, NDArray[np.uint8]]) -> int:
    """Count what is found where nothing is: in the photos as they are, and around faces invented in the scenes."""
    rng = np.random.default_rng(0)
    meshes = {name: mesh.detect(pixels)[0].landmarks for name, pixels in faces.items()}
    looked = [(pixels, meshes[name]) for name, pixels in faces.items()]
    anybody = next(iter(meshes.values()))
    centred = anybody - np.append(anybody[:, :2].mean(axis=0), 0)
    for pixels in scenes.values():
        height, width = pixels.shape[:2]
        for _ in range(INVENTED_FACES):
            size = rng.uniform(0.15, 0.6) * width / np.ptp(centred[:, 0])
            looked.append((pixels, centred * size + (*(rng.uniform(0.25, 0.75, 2) * (width, height)), 0)))
    references = [CARD, *(parse_reference_object(f"aruco:{name}:40") for name in ARUCO_DICTIONARIES)]
    found = 0
    for pixels, landmarks in looked:
        camera = camera_of_photo(pixels.shape[1], pixels.shape[0], None)
        found += sum(find_reference(pixels, each, landmarks, camera).reading is not None for each in references)
    markers = len(looked) * len(ARUCO_DICTIONARIES)
    print(f"\nfalse finds: {found} in {len(looked)} searches for a card and {markers} for markers")
    return found


def person(name: str) -> str:
    return Path(name).stem.split("_")[0]


def main(folder: Path, half: str, samples: int) -> int:
    faces: dict[str, NDArray[np.uint8]] = {}
    scenes: dict[str, NDArray[np.uint8]] = {}
    with FaceMesh() as mesh:
        for path in sorted([*folder.rglob("*.jpg"), *folder.rglob("*.png")]):
            pixels = decode_photo(path.read_bytes(), LIMITS).pixels
            (faces if mesh.detect(pixels) else scenes)[str(path.relative_to(folder))] = pixels
        if not faces:
            print(f"no face in any photo below {folder}", file=sys.stderr)
            return 1
        people = sorted({person(name) for name in faces})
        chosen = {"fit": people[::2], "held-out": people[1::2], "all": people}[half]
        shown = {name: pixels for name, pixels in faces.items() if person(name) in chosen}
        print(
            f"{len(shown)} photos of {len(chosen)} people, {half}; focal length believed to {ASSUMED_SD_FRACTION:.0%}"
        )
        painted(mesh, shown, samples)
        return min(false_finds(mesh, faces, scenes), 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of photos")
    parser.add_argument(
        "--half", choices=("fit", "held-out", "all"), default="held-out", help="whose photos are painted on"
    )
    parser.add_argument("--samples", type=int, default=30, help="pictures for each condition")
    arguments = parser.parse_args()
    sys.exit(main(arguments.data, arguments.half, arguments.samples))
