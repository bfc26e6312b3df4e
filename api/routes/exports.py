"""What a measured job can be had as: a drawing, and the mesh for tools that work in three dimensions."""

from __future__ import annotations

from typing import Any, Final

import orjson
from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field

from api import problems
from api.context import services, tenant
from api.meshes import OBJ_TYPE, PLY_TYPE, FaceMesh, as_obj, as_ply, mesh_of_face
from api.overlay import CONTENT_SECURITY_POLICY, SVG_TYPE, draw_overlay
from api.problems import ProblemError, Responses, problem_responses
from api.reading_places import reading_place
from api.routes.jobs import JobPath
from shared.errors import JobNotFound, LandmarksNotKept, NotFinished, ObjectMissing
from shared.jobs.record import JobRecord
from shared.schema_base import Schema
from shared.schemas import MAX_FACES, JobStatus
from shared.storage import layout

UNITS_HEADER: Final = "X-Mesh-Units"

bp = APIBlueprint(
    "exports", __name__, url_prefix="/v1", abp_tags=[Tag(name="exports", description="Drawings and meshes of a job.")]
)


class OverlayQuery(Schema):
    """What is drawn."""

    legend: bool = True
    """Whether a panel with names, values and close-ups stands to the right of the photo; without it the drawing has
    exactly the size of the photo."""


class FaceQuery(Schema):
    """Which face."""

    face: int = Field(0, ge=0, lt=MAX_FACES)
    """Its place in the result, the largest being 0."""


def _responses(content_type: str, description: str, headers: dict[str, Any] | None = None) -> Responses:
    content = {content_type: {"schema": {"type": "string"}}}
    return {
        "200": {"description": description, "content": content, **({"headers": headers} if headers else {})},
        **problem_responses(
            problems.NOT_FOUND, problems.NOT_FINISHED, problems.LANDMARKS_NOT_KEPT, problems.UNAVAILABLE
        ),
    }


_UNITS_DESCRIBED: Final = {
    UNITS_HEADER: {
        "description": "`mm` where the face has a scale, else `px`; the file's comments say it too.",
        "schema": {"type": "string", "enum": ["mm", "px"]},
    }
}


@bp.get(
    "/jobs/<job_id>/overlay.svg",
    summary="Draw the mesh and the measurements",
    responses=_responses(SVG_TYPE, "The overlay"),
)
def overlay(path: JobPath, query: OverlayQuery) -> Response:
    """Answer with an SVG in pixels of the photo; on the photo itself if the job was made with `keep_image=true`."""
    record, result = _measured(path.job_id)
    svg = draw_overlay(result, _preview(record), legend=query.legend)
    return Response(svg, content_type=SVG_TYPE, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})


@bp.get(
    "/jobs/<job_id>/mesh.obj",
    summary="The mesh of a face as Wavefront OBJ",
    responses=_responses(OBJ_TYPE, "478 vertices, 852 triangles", _UNITS_DESCRIBED),
)
def mesh_obj(path: JobPath, query: FaceQuery) -> Response:
    """Answer with the mesh of one face, in millimetres where it has a scale: x right, y up, z towards the camera."""
    mesh = _mesh(path.job_id, query.face)
    return _mesh_file(as_obj(mesh), mesh, OBJ_TYPE, f"{path.job_id}-face-{query.face}.obj")


@bp.get(
    "/jobs/<job_id>/mesh.ply",
    summary="The mesh of a face as PLY",
    responses=_responses(PLY_TYPE, "478 vertices, 852 triangles, in text form", _UNITS_DESCRIBED),
)
def mesh_ply(path: JobPath, query: FaceQuery) -> Response:
    """Answer with the mesh of one face, in millimetres where it has a scale: x right, y up, z towards the camera."""
    mesh = _mesh(path.job_id, query.face)
    return _mesh_file(as_ply(mesh), mesh, PLY_TYPE, f"{path.job_id}-face-{query.face}.ply")


def _measured(job_id: str) -> tuple[JobRecord, dict[str, Any]]:
    """Find a job that has landmarks, and its result."""
    jobs = services().jobs
    record = jobs.find(tenant(), job_id)
    if not record.status.is_terminal:
        raise NotFinished(record.id)
    if record.status is not JobStatus.SUCCEEDED:
        raise ProblemError(problems.NOT_FOUND, f"The job was {record.status}; there is no face to show.")
    if not record.options.landmarks:
        raise LandmarksNotKept(record.id)
    with reading_place():
        result: dict[str, Any] = orjson.loads(jobs.result_json(record))
    if "camera" not in result:
        detail = "This result is of an earlier version, without what is drawn now. Submit the photo again."
        raise ProblemError(problems.NOT_FOUND, detail)
    return record, result


def _mesh(job_id: str, number: int) -> FaceMesh:
    _, result = _measured(job_id)
    count = len(result["faces"])
    if number >= count:
        detail = f"The result has no face {number}; it has {count}, numbered from 0, the largest first."
        raise ProblemError(problems.NOT_FOUND, detail)
    return mesh_of_face(result, number)


def _mesh_file(text: str, mesh: FaceMesh, content_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', UNITS_HEADER: mesh.units}
    return Response(text, content_type=content_type, headers=headers)


def _preview(record: JobRecord) -> bytes | None:
    if not record.options.keep_image:
        return None
    try:
        with reading_place():
            return services().jobs.objects.get(layout.preview_key(record.tenant, record.id))
    except ObjectMissing as error:
        raise JobNotFound(record.id) from error
