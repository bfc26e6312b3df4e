"""Faces where there are none: scenes and animals below `no_face`, and generated textures."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image

from bench.evaluate.report import Section, Table, percent
from bench.evaluate.runs import Measure
from bench.statistics import Share, share_of
from tests.textures import textures

FOLDER: Final = "no_face"
TEXTURES: Final = 200
SEED: Final = 5
TOO_SMALL: Final = "face_too_small"
"""Also counts as a face that was seen."""


def evaluate_false_faces(photos: list[Path], measure: Measure) -> Section:
    """Count the pictures in which a face was seen."""
    scenes = [path for path in photos if FOLDER in path.parent.parts]
    found: dict[str, list[str]] = {"photos below `no_face`": [], "generated textures": []}
    for path in scenes:
        if _sees(measure, path.read_bytes()):
            found["photos below `no_face`"].append(path.name)
    for name, pixels in textures(TEXTURES, SEED):
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
        if _sees(measure, buffer.getvalue()):
            found["generated textures"].append(name)
    totals = dict(zip(found, (len(scenes), TEXTURES), strict=True))
    shares: dict[str, Share] = {
        name: share_of([True] * len(names) + [False] * (totals[name] - len(names))) for name, names in found.items()
    }
    rows = [[name, str(share.n), str(share.within), percent(share)] for name, share in shares.items()]
    table = Table("Pictures without a face in which one was found", ["pictures", "n", "found", "%"], rows)
    problems = [f"a face in {', '.join(names)}" for names in found.values() if names]
    figures = {name: {"n": share.n, "found": found[name]} for name, share in shares.items()}
    return Section("false-faces", "False faces", [table], figures, problems)


def _sees(measure: Measure, data: bytes) -> bool:
    answer = measure(data)
    return not isinstance(answer, str) or answer == TOO_SMALL
