"""How accurate the service is, on a folder of photos: `make evaluate PHOTOS=DIR`.

The whole pipeline runs over every photo that has points placed by hand beside it (`face.tem` or `face.pts` beside
`face.jpg`), and over series of one face named for their distance (`30cm.jpg`, `60cm.jpg`). What else is looked for:

- `info.csv` in the same folder: the first column is the person's id, with which names of photos begin; other columns
  are groups;
- `no_face/`: pictures in which no face may be found;
- `ansur2/head.csv`: widths by sex to stand beside.

Ends with 1 where something is worse than docs/accuracy.md states, and names it.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench.evaluate.agreement import evaluate_agreement
from bench.evaluate.distance_series import evaluate_series
from bench.evaluate.drawings import draw_agreement, draw_series
from bench.evaluate.false_faces import evaluate_false_faces
from bench.evaluate.iris_ruler import evaluate_iris
from bench.evaluate.known_groups import evaluate_known_groups
from bench.evaluate.reduced_decode import evaluate_reduced_decode
from bench.evaluate.report import Section, markdown_section, save, updated_page
from bench.evaluate.runs import Folders, measure_folders, pipeline_of
from bench.evaluate.turned_heads import evaluate_turned_heads
from bench.statistics import halves
from worker.vision.face_mesh import FaceMesh
from worker.vision.find_faces import FaceFinder

OUT = Path("evaluate-output")
PAGE = Path("docs/accuracy.md")
IMAGES = Path("docs/images/accuracy")


def evaluate(data: Path, plots: Path, renders: int, finder: FaceFinder) -> tuple[list[Section], Folders]:
    """Run every part that the folder has something for; draw the plots into a folder."""
    measure = pipeline_of(finder)
    folders = measure_folders(data, measure)
    sections: list[Section | None] = []
    if folders.annotated:
        # The largest set of photos with the same kind of points: pooling schemes would mix what they mean.
        photos = max(folders.annotated.values(), key=len)
        agreement, samples = evaluate_agreement(photos)
        draw_agreement(plots, samples)
        sections += [agreement, evaluate_iris(photos), evaluate_known_groups(data, photos)]
        if renders:
            _, held_out = halves(photo.person for photo in photos)
            heads = [photo for photo in photos if photo.person in held_out[:: max(1, len(held_out) // renders)]]
            sections.append(evaluate_turned_heads(heads[:renders], finder))
    if folders.series:
        name, series = next(iter(folders.series.items()))
        draw_series(plots, series)
        sections.append(evaluate_series(name, series))
    sections.append(evaluate_false_faces(folders.photos, measure))
    jpegs = [path for path in folders.photos if path.suffix.lower() in {".jpg", ".jpeg"}]
    with FaceMesh() as mesh:
        sections.append(evaluate_reduced_decode(jpegs, mesh))
    return [section for section in sections if section], folders


def main(arguments: argparse.Namespace) -> int:
    """Evaluate, print, save; return the exit code."""
    if not arguments.data.is_dir():
        print(f"no folder {arguments.data}", file=sys.stderr)
        return 2
    with FaceFinder() as finder:
        plots = IMAGES if arguments.update_docs else arguments.out
        sections, folders = evaluate(arguments.data, plots, arguments.renders, finder)
    save(arguments.out, sections, arguments.date)
    for section in sections:
        print(f"\n## {section.title}\n\n{markdown_section(section)}")
    if arguments.update_docs:
        PAGE.write_text(updated_page(PAGE.read_text(encoding="utf-8"), sections), encoding="utf-8")
    for line in folders.unread:
        print(f"not used: {line}", file=sys.stderr)
    problems = [problem for section in sections for problem in section.problems]
    for problem in problems:
        print(f"worse than stated: {problem}", file=sys.stderr)
    print(f"\nsaved in {arguments.out}: accuracy.json, accuracy.md, plots")
    return 1 if problems or not folders.photos else 0


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="a folder of photos")
    parser.add_argument("--out", type=Path, default=OUT, help=f"where the figures go (default {OUT})")
    today = datetime.now(UTC).date().isoformat()
    parser.add_argument("--date", default=today, help="the date to write down (default: today, UTC)")
    parser.add_argument("--renders", type=int, default=0, metavar="N", help="turn the heads of N people (15 s each)")
    parser.add_argument("--update-docs", action="store_true", help=f"write the tables into {PAGE}, plots beside it")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(parsed()))
