"""What docs/adr/0006 rests on, measured again: `python -m bench.geometry --data DIR [--people N] [--rebuild]`.

DIR holds `faces/london` and `faces/zoom`. People are sorted by their number: those at even places are the fit half, on
which constants were chosen, the others the held-out half, which the tables are about.

1. The mean face, as the fit half gives it, against `worker/measure/mean_face.csv` (`--rebuild` writes it).
2. The four photos of the zoom series, in millimetres by the iris, with and without the perspective step.
3. Renders of N held-out people at 30 to 100 cm with known poses, detected anew: error of the pose by three methods;
   widths by the true scale against the straight view; and what the iris makes of the scale.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.renders import Head, Render, lift, render
from bench.reprojection import by_reprojection
from shared.measurement_definition import Kind
from shared.measurements import DEFINITIONS
from shared.mesh_depth import LEFT_IRIS, RIGHT_IRIS
from worker.measure.camera import Camera, camera_of_photo
from worker.measure.depth import to_millimetres
from worker.measure.geometry import distance_px
from worker.measure.landmarks import CANONICAL_POINTS, MESH_POINTS
from worker.measure.mean_face import MEAN_FACE_FILE, mean_face, mirror_points
from worker.measure.pose import estimate_pose, pose_of, turn_onto
from worker.vision.face_mesh import FaceMesh

Points = NDArray[np.float64]

MESH_IRIS_MM = 12.2
"""Horizontal diameter of the iris as the mesh draws it."""
DISTANCES_MM = (300.0, 450.0, 600.0, 1000.0)
POSES_DEG = (
    *((float(yaw), 0.0, 0.0) for yaw in (-40, -30, -20, 20, 30, 40)),
    *((0.0, float(pitch), 0.0) for pitch in (-20, -10, 10, 20)),
    *((20.0, 12.0, 0.0), (-25.0, -12.0, 0.0), (10.0, 5.0, 25.0)),
)
STRAIGHT = (0.0, 0.0, 0.0)
LIFTS: tuple[tuple[Literal["own", "mean"], float], ...] = (("own", 1.0), ("mean", 1.1))
"""The depth of the rendered heads: on either side of the gain in use, and by two shapes."""
WIDTHS = {definition.key: definition.landmarks for definition in DEFINITIONS if definition.kind is Kind.WIDTH}
REFERENCE_DEPTH_MM = {(234, 454): 63.0, (172, 397): 45.0, (54, 284): 24.0, (64, 294): -16.0, (152,): -4.0}
"""How far behind the eyes Google's reference face has these points."""
ALLOWED_PERCENT = 3.0
MILD_YAW_DEG = 25.0
INFINITELY_FAR_PX = 1e9
"""A lens so long that no perspective is left."""
ALIGNMENT_ROUNDS = 8


class Angles(NamedTuple):
    """Yaw, pitch and roll [degrees]."""

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One render and what was found in it."""

    person: str
    lifted: str
    distance_mm: float
    angles: Angles
    found: Points
    truth: Render


def read(path: Path) -> NDArray[np.uint8]:
    return np.array(Image.open(path).convert("RGB"))


def mesh_of(mesh: FaceMesh, path: Path) -> Points:
    return mesh.detect(read(path))[0].landmarks


def iris_mm_per_px(landmarks: Points) -> float:
    return 2 * MESH_IRIS_MM / (distance_px(landmarks, 469, 471) + distance_px(landmarks, 474, 476))


# The mean face


def averaged_face(meshes: list[Points]) -> Points:
    """Average meshes and their mirror images after turning them onto each other; pitch 0 is their mean."""
    upright = [(m - (m[RIGHT_IRIS] + m[LEFT_IRIS]) / 2) * iris_mm_per_px(m) for m in meshes]
    both = upright + [m[mirror_points()] * (-1, 1, 1) for m in upright]
    as_photographed = mean = np.mean(both, axis=0)
    for _ in range(ALIGNMENT_ROUNDS):
        turned = [m @ turn_onto(m[:CANONICAL_POINTS], mean[:CANONICAL_POINTS])[0].T for m in both]
        mean = np.mean([m - (m[RIGHT_IRIS] + m[LEFT_IRIS]) / 2 for m in turned], axis=0)
    mean = mean @ turn_onto(mean[:CANONICAL_POINTS], as_photographed[:CANONICAL_POINTS])[0].T
    mean -= (mean[RIGHT_IRIS] + mean[LEFT_IRIS]) / 2
    symmetric = np.round((mean + mean[mirror_points()] * (-1, 1, 1)) / 2, 2)
    left = mirror_points() > np.arange(MESH_POINTS)
    symmetric[mirror_points()[left]] = symmetric[left] * (-1, 1, 1)
    return np.asarray(symmetric + 0.0)  # no negative zeros


def write_mean_face(face: Points) -> None:
    header = (
        " x,y,z in mm of points 0 to 477; see mean_face.py. Derived from the Face Research Lab London Set, CC BY 4.0."
    )
    np.savetxt(MEAN_FACE_FILE, face, fmt="%.2f", delimiter=",", header=header)


def compare_with_reference(face: Points) -> None:
    """Fit gain and pitch so that the mean face has the depths of Google's reference face."""
    behind = np.array([face[points, :].mean(axis=0) for points in REFERENCE_DEPTH_MM])
    (along, tilt), *_ = np.linalg.lstsq(behind[:, [2, 1]], np.array([*REFERENCE_DEPTH_MM.values()]), rcond=None)
    gain, pitch = np.hypot(along, tilt), -np.degrees(np.arctan2(tilt, along))
    print(f"  the reference face is ours with its depth times {gain:.3f}, at a pitch of {pitch:+.1f}°")


def check_mean_face(meshes: list[Points], rebuild: bool) -> None:
    half = meshes[::2]
    face = averaged_face(half)
    if rebuild:
        write_mean_face(face)
    print(f"mean face of {len(half)} people; against the file: {np.abs(face - mean_face()).max():.2f} mm at most")
    compare_with_reference(face)
    rotations = [turn_onto(mean_face()[:CANONICAL_POINTS], m[:CANONICAL_POINTS])[0] for m in meshes]
    pitches = np.array([pose_of(rotation).pitch_deg for rotation in rotations])
    print(f"  pitch of all {len(meshes)} people: {pitches.mean():+.1f} ± {pitches.std():.1f}° (mean ± SD)\n")


# The zoom series


def check_zoom(mesh: FaceMesh, folder: Path) -> None:
    paths = sorted(folder.glob("*.jpg"))
    rows: dict[str, list[list[float]]] = {"with": [], "without": []}
    for path in paths:
        pixels = read(path)
        landmarks = mesh.detect(pixels)[0].landmarks
        camera, scale = camera_of_photo(pixels.shape[1], pixels.shape[0], None), iris_mm_per_px(landmarks)
        far = Camera(INFINITELY_FAR_PX, 0.0, camera.centre_px, "assumed")
        for name, seen_by in (("with", camera), ("without", far)):
            points = to_millimetres(landmarks * (1, 1, name == "with"), scale, seen_by)
            rows[name].append([float(np.linalg.norm(points[a] - points[b])) for a, b in WIDTHS.values()])
    print(f"zoom series, {', '.join(path.stem for path in paths)}: mm by the iris, and their range in per cent")
    print(f"  {'':>24} {'with the perspective step':>38}   without it")
    for index, key in enumerate(WIDTHS):
        columns = [np.array(rows[name])[:, index] for name in ("with", "without")]
        cells = [f"{np.round(mm, 1)!s:>30} {100 * np.ptp(mm) / mm.mean():5.1f} %" for mm in columns]
        print(f"  {key:>24} {'   '.join(cells)}")
    print()


# Renders


def views(mesh: FaceMesh, people: list[Path]) -> Iterator[View]:
    for path in people:
        photo, landmarks = read(path), mesh_of(mesh, path)
        for depth, gain in LIFTS:
            head = lift(photo, landmarks, iris_mm_per_px(landmarks), depth, gain)
            yield from views_of_head(mesh, path.stem, f"{depth} {gain}", head)


def views_of_head(mesh: FaceMesh, person: str, lifted: str, head: Head) -> Iterator[View]:
    for distance_mm in DISTANCES_MM:
        for angles in (STRAIGHT, *POSES_DEG):
            truth = render(head, distance_mm, angles)
            if faces := mesh.detect(truth.pixels):
                yield View(person, lifted, distance_mm, Angles(*angles), faces[0].landmarks, truth)
            else:
                print(f"  no face found: {person}, {lifted}, {distance_mm:.0f} mm, {angles}")


def by_mesh_depth(landmarks: Points, _: Camera) -> Points:
    """Turn the mean face onto the mesh as it is, perspective left aside."""
    return turn_onto(mean_face()[:CANONICAL_POINTS], landmarks[:CANONICAL_POINTS])[0]


METHODS: dict[str, Callable[[Points, Camera], Points]] = {
    "back-projected mesh": lambda landmarks, camera: estimate_pose(landmarks, camera).rotation,
    "reprojection": by_reprojection,
    "mesh as it is": by_mesh_depth,
}


def report_poses(seen: list[View]) -> None:
    print(f"pose, error in degrees: mean of absolute values (SD), yaw / pitch / roll; {len(seen)} renders")
    for name, method in METHODS.items():
        for low, high in ((300.0, 450.0), (600.0, 1000.0)):
            errors = []
            for view in seen:
                if low <= view.distance_mm <= high:
                    pose = pose_of(method(view.found, view.truth.camera))
                    errors.append(np.array((pose.yaw_deg, pose.pitch_deg, pose.roll_deg)) - view.angles)
            table = np.array(errors)
            cells = " / ".join(f"{m:.2f} ({s:.2f})" for m, s in zip(abs(table).mean(0), table.std(0), strict=True))
            print(f"  {name:>20}, {low:.0f} and {high:.0f} mm: {cells}")
    print()


def width_mm(view: View, key: str) -> float:
    points = to_millimetres(view.found, view.truth.mm_per_px, view.truth.camera)
    a, b = WIDTHS[key]
    return float(np.linalg.norm(points[a] - points[b]))


def report_widths(seen: list[View]) -> None:
    """Print each width against the straight view at 60 cm, in true scale; an asterisk where it is off by over 3 %."""
    straight = {(v.person, v.lifted): v for v in seen if v.angles == STRAIGHT and v.distance_mm == 600}
    changes: defaultdict[tuple[Angles, float, str], list[float]] = defaultdict(list)
    iris: defaultdict[tuple[Angles, float], list[float]] = defaultdict(list)
    for view in seen:
        reference = straight[view.person, view.lifted]
        for key in WIDTHS:
            ratio = width_mm(view, key) / width_mm(reference, key)
            changes[view.angles, view.distance_mm, key].append(100 * (ratio - 1))
        ratio = iris_mm_per_px(view.found) / view.truth.mm_per_px * reference.truth.mm_per_px
        iris[view.angles, view.distance_mm].append(100 * (ratio / iris_mm_per_px(reference.found) - 1))
    print("widths by the true scale against the straight view at 60 cm, per cent, mean over people and heads")
    print(f"  {'yaw pitch roll, mm':>22} " + " ".join(f"{key[:9]:>9}" for key in WIDTHS) + "   iris scale, mean ± SD")
    for angles, distance_mm in iris:
        means = [np.mean(changes[angles, distance_mm, key]) for key in WIDTHS]
        cells = " ".join(f"{mean:+8.1f}{'*' if abs(mean) > ALLOWED_PERCENT else ' '}" for mean in means)
        scale = iris[angles, distance_mm]
        name = f"{angles.yaw:+.0f} {angles.pitch:+.0f} {angles.roll:+.0f}, {distance_mm:.0f}"
        print(f"  {name:>22} {cells}   {np.mean(scale):+.1f} ± {np.std(scale):.1f}")
    for key in WIDTHS:
        off = {at[:2]: abs(np.mean(values)) for at, values in changes.items() if at[2] == key}
        within = np.mean([mean <= ALLOWED_PERCENT for mean in off.values()])
        mild = np.mean(
            [mean <= ALLOWED_PERCENT for (angles, _), mean in off.items() if abs(angles.yaw) <= MILD_YAW_DEG]
        )
        print(f"  {key:>24}: within {ALLOWED_PERCENT:.0f} % in {within:4.0%} of all views, to 25° of yaw {mild:4.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder with faces/london and faces/zoom")
    parser.add_argument("--people", type=int, default=4, help="how many of the held-out half to render")
    parser.add_argument("--fit", action="store_true", help="render people of the fit half instead")
    parser.add_argument("--rebuild", action="store_true", help="write the mean face anew")
    arguments = parser.parse_args()
    london = sorted((arguments.data / "faces" / "london").glob("*.jpg"))
    with FaceMesh() as mesh:
        check_mean_face([mesh_of(mesh, path) for path in london], arguments.rebuild)
        check_zoom(mesh, arguments.data / "faces" / "zoom")
        half = london[0 if arguments.fit else 1 :: 2]
        seen = list(views(mesh, half[:: max(1, len(half) // arguments.people)][: arguments.people]))
    report_poses(seen)
    report_widths(seen)


if __name__ == "__main__":
    main()
