"""A folder of photos, measured by the whole pipeline once each, with what is known about the people beside it."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.evaluate.schemes import Scheme, scheme_of
from bench.ground_truth import READERS, BadPoints, read_points
from shared.errors import Rejected
from shared.schemas import JobOptions
from worker.pipeline import measure_photo
from worker.vision.decode import DecodeLimits
from worker.vision.find_faces import FaceFinder

LIMITS: Final = DecodeLimits(max_bytes=20_000_000, max_pixels=50_000_000, min_side_px=64)
PHOTO_ENDINGS: Final = frozenset((".jpg", ".jpeg", ".png", ".webp", ".heic", ".avif"))
INFO: Final = "info.csv"
_DISTANCE_NAME: Final = re.compile(r"(\d+(?:\.\d+)?)cm")


@dataclass(frozen=True, slots=True, eq=False)
class HandPlaced:
    """Points that a person placed on a photo.

    Attributes
    ----------
    points : ndarray of float64, shape (n, 2)
        x and y [px].
    scheme : Scheme
        Which is which.
    """

    points: NDArray[np.float64]
    scheme: Scheme


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredPhoto:
    """One photo with its result and its hand-placed points.

    Attributes
    ----------
    path : Path
        The photo.
    person : str
        Whose face it is, by info.csv; the name of the file without one.
    groups : dict
        Column of info.csv to this person's value.
    hand : HandPlaced, optional
        None where no file of points of a known scheme lies beside it.
    result : dict, optional
        `shared.results.JobResult`; None when the photo was refused.
    refused : str, optional
        The code of the refusal.
    """

    path: Path
    person: str
    groups: dict[str, str]
    hand: HandPlaced | None
    result: dict[str, Any] | None
    refused: str | None

    @property
    def face(self) -> dict[str, Any] | None:
        """The largest face of the result."""
        return self.result["faces"][0] if self.result else None

    @property
    def landmarks(self) -> NDArray[np.float64] | None:
        """The mesh of that face, (478, 3) [px of the full photo]."""
        if self.face is None:
            return None
        return np.array([(point["x"], point["y"], point["z"]) for point in self.face["landmarks"]])


Measure = Callable[[bytes], "dict[str, Any] | str"]
"""From a file to its result, or to the code of its refusal."""


@dataclass(frozen=True, slots=True)
class Folders:
    """The photos below a folder, sorted by what they can show.

    Attributes
    ----------
    annotated : dict
        Folder's name to its photos that have points of a known scheme.
    series : dict
        Folder's name to its photos named for a distance (`45cm.jpg`), with that distance [cm], nearest first.
    photos : list of Path
        All of them.
    unread : list of str
        Why points beside a photo were not used.
    """

    annotated: dict[str, list[MeasuredPhoto]] = field(default_factory=dict)
    series: dict[str, list[tuple[float, MeasuredPhoto]]] = field(default_factory=dict)
    photos: list[Path] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def pipeline_of(finder: FaceFinder) -> Measure:
    """Measure as a worker does, one face and default options."""

    def measure(data: bytes) -> dict[str, Any] | str:
        try:
            return measure_photo(data, JobOptions(), finder, LIMITS).result
        except Rejected as refusal:
            return refusal.code

    return measure


def measure_folders(data: Path, measure: Measure) -> Folders:
    """Measure every photo below a folder that has hand-placed points or a distance in its name."""
    found = Folders()
    by_folder: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in sorted(data.rglob("*")):
        if path.suffix.lower() in PHOTO_ENDINGS and path.is_file():
            found.photos.append(path)
            by_folder[path.parent].append(path)
    for folder, paths in by_folder.items():
        name = folder.relative_to(data).as_posix()
        distances = {path: float(named[1]) for path in paths if (named := _DISTANCE_NAME.fullmatch(path.stem))}
        people = read_info(folder / INFO)
        if len(distances) > 1:
            nearest_first = sorted(distances, key=lambda path: distances[path])
            found.series[name] = [(distances[path], _measured(path, people, measure, found)) for path in nearest_first]
            continue
        measured = [_measured(path, people, measure, found) for path in paths if _points_path(path)]
        if usable := [photo for photo in measured if photo.hand]:
            found.annotated[name] = usable
    return found


def read_info(path: Path) -> dict[str, dict[str, str]]:
    """Read who is who: the first column is the person's id, the others are groups; empty without such a file."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    return {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows if row and len(row) == len(header)}


def person_of(stem: str, people: Iterable[str]) -> str:
    """Find whose photo a file's name tells: the longest id that it is or begins with (`002` for `002_03`)."""
    fitting = [person for person in people if re.match(rf"{re.escape(person)}(?![0-9A-Za-z])", stem)]
    return max(fitting, key=len, default=stem)


def _points_path(photo: Path) -> Path | None:
    beside = (photo.with_suffix(ending) for ending in READERS)
    return next((path for path in beside if path.is_file()), None)


def _measured(path: Path, people: dict[str, dict[str, str]], measure: Measure, found: Folders) -> MeasuredPhoto:
    person = person_of(path.stem, people)
    answer = measure(path.read_bytes())
    result, refused = (None, answer) if isinstance(answer, str) else (answer, None)
    return MeasuredPhoto(path, person, people.get(person, {}), _hand_placed(path, found), result, refused)


def _hand_placed(photo: Path, found: Folders) -> HandPlaced | None:
    beside = _points_path(photo)
    if beside is None:
        return None
    try:
        points = read_points(beside)
    except BadPoints as exc:
        found.unread.append(f"{beside.name}: {exc}")
        return None
    scheme = scheme_of(points)
    if scheme is None:
        found.unread.append(f"{beside.name}: no known scheme has {len(points)} points")
        return None
    return HandPlaced(points, scheme)
