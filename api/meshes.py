"""The mesh of a face as files that tools for three dimensions read: Wavefront OBJ and PLY, both as text.

Right-handed axes as such tools expect them: x to the right of the picture, y up, z towards the camera. The origin lies
where the optical axis meets the plane of the eyes, so the camera stands at z = +distance. Vertex i of a PLY and vertex
i + 1 of an OBJ (which counts from 1) are landmark i; the ten points of the irises belong to no triangle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from shared.mesh_depth import mesh_in_millimetres
from shared.tessellation import TRIANGLES

OBJ_TYPE: Final = "model/obj"
"""Registered with IANA."""
PLY_TYPE: Final = "model/ply"
"""In use, though nobody has registered a type for PLY."""

_OBJ_FACES: Final = "".join(f"f {a + 1} {b + 1} {c + 1}\n" for a, b, c in TRIANGLES)
_PLY_FACES: Final = "".join(f"3 {a} {b} {c}\n" for a, b, c in TRIANGLES)

Vertex = tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class FaceMesh:
    """The mesh of one face in space.

    Attributes
    ----------
    vertices : list of (float, float, float)
        One for each landmark, in `units`; axes and origin as this module says.
    units : {"mm", "px"}
        Millimetres where the face has a scale; else pixels of the full photo at the plane of the eyes: the same shape,
        which any ruler for that plane makes metric.
    remarks : list of str
        What a reader of the file should know, a line each.
    """

    vertices: list[Vertex]
    units: Literal["mm", "px"]
    remarks: list[str]


def mesh_of_face(result: dict[str, Any], number: int) -> FaceMesh:
    """Put the mesh of a face into space.

    Parameters
    ----------
    result : dict
        As `shared.results.JobResult`, with landmarks.
    number : int
        Which face, the largest being 0.

    Returns
    -------
    FaceMesh
        Each point back-projected to its own depth, as for the measurements; without their corrections for bias and for
        the turn of the head, which are each width's own.
    """
    face, image = result["faces"][number], result["image"]
    scale = face["scale"]
    # (0, 0) is the centre of the first pixel.
    centre_px = ((image["width"] - 1) / 2, (image["height"] - 1) / 2)
    landmarks = [(point["x"], point["y"], point["z"]) for point in face["landmarks"]]
    mm_per_px = 1.0 if scale is None else scale["mm_per_px"]
    points = mesh_in_millimetres(landmarks, mm_per_px, result["camera"]["focal_px"], centre_px)
    return FaceMesh([(x, -y, -z) for x, y, z in points], "px" if scale is None else "mm", _remarks(result, scale))


def _remarks(result: dict[str, Any], scale: dict[str, Any] | None) -> list[str]:
    model, camera = result["model"], result["camera"]
    remarks = [
        f"facefit: a face in one photo, by {model['engine']} {model['version']}",
        f"units: {'px' if scale is None else 'mm'}",
        "axes: right-handed, x to the right of the picture, y up, z towards the camera",
        "origin: where the optical axis meets the plane of the eyes",
        "vertices: the 478 landmarks in their order; the last ten, of the irises, belong to no triangle",
        f"focal length: {camera['focal_px']:.0f} px ({camera['source']})",
    ]
    if scale is None:
        return [*remarks, "scale: none; a unit is a pixel of the photo at the plane of the eyes"]
    doubt = ", ".join([scale["status"], *scale["reasons"]])
    return [
        *remarks,
        f"scale: {scale['mm_per_px']:.6g} mm/px, one SD {scale['sd']:.3g}, by {scale['source']} ({doubt})",
        f"distance: {scale['distance_mm']:.0f} mm to the eyes",
    ]


def as_obj(mesh: FaceMesh) -> str:
    """Write a mesh as Wavefront OBJ."""
    comments = "".join(f"# {remark}\n" for remark in mesh.remarks)
    return f"{comments}o face\n{_lines(mesh, 'v ')}{_OBJ_FACES}"


def as_ply(mesh: FaceMesh) -> str:
    """Write a mesh as PLY 1.0, in its text form."""
    comments = "".join(f"comment {remark}\n" for remark in mesh.remarks)
    header = (
        f"ply\nformat ascii 1.0\n{comments}element vertex {len(mesh.vertices)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        f"element face {len(TRIANGLES)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    return f"{header}{_lines(mesh, '')}{_PLY_FACES}"


def _lines(mesh: FaceMesh, before: str) -> str:
    return "".join(f"{before}{x:.4f} {y:.4f} {z:.4f}\n" for x, y, z in mesh.vertices)
