"""How the points of the face mesh are joined: MediaPipe's own triangles over the 468 points of the skin.

`face_triangles.txt` holds the 852 triangles behind `FACEMESH_TESSELATION` of
`mediapipe.python.solutions.face_mesh_connections` (mediapipe 0.10.21), one per line. MediaPipe gives 2,556 directed
edges, each in one triangle: only one choice of directed cycles uses every edge once, and that is this file.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final

SKIN_POINTS: Final = 468
"""Points 0 to 467 are joined; the ten of the irises, 468 to 477, are not. The eyes and the mouth are holes."""

MESH_POINTS: Final = 478
"""All of them."""

Triangle = tuple[int, int, int]


def _read_triangles() -> tuple[Triangle, ...]:
    lines = (files("shared") / "face_triangles.txt").read_text("ascii").splitlines()
    return tuple((int(a), int(b), int(c)) for a, b, c in (line.split() for line in lines))


TRIANGLES: Final = _read_triangles()
"""Anticlockwise as a camera in front of the face sees them with y up: their normals point out of the head in any
right-handed frame (x right, y up, z towards the camera; or x right, y down, z away from it)."""

EDGES: Final = tuple(
    sorted({(min(pair), max(pair)) for a, b, c in TRIANGLES for pair in ((a, b), (b, c), (c, a))}),
)
"""Each line of the mesh once, the smaller index first."""
