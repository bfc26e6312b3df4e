"""A measured photo for people: the ruler, the quality, and millimetres with what they are worth."""

from __future__ import annotations

from rich.table import Table

from facefit.cli.service import Service, shown
from facefit.models.jobs import Face, Job, MeasurementValue, Scale


def print_job(service: Service, job: Job, name: str | None = None) -> None:
    """Print a job: what was measured, or why nothing was."""
    out = service.out
    out.print(f"{shown(name or job.reference or job.id)}: {job.status}  ({job.id})", style="bold")
    if job.error is not None:
        out.print(f"  {job.error.code}: {shown(job.error.message)}")
        for hint in job.error.retake:
            out.print(f"  next time: {shown(hint.message)}")
    for number, face in enumerate(job.faces):
        if len(job.faces) > 1:
            out.print(f"face {number}", style="bold")
        _print_face(service, face)


def _print_face(service: Service, face: Face) -> None:
    out = service.out
    out.print(f"  scale    {_scale(face.scale)}")
    pose = face.pose
    out.print(f"  head     yaw {pose.yaw_deg:+.0f}°, pitch {pose.pitch_deg:+.0f}°, roll {pose.roll_deg:+.0f}°")
    out.print(f"  quality  {face.quality.score} of 100")
    for hint in face.quality.retake:
        out.print(f"  retake   {shown(hint.message)}  [{hint.code}]")
    table = Table("measurement", box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("mm", justify="right")
    table.add_column("± SD", justify="right")
    table.add_column("status")
    table.add_column("reasons")
    for key, value in face.measurements.items():
        style = None if value.is_ok else "yellow" if value.status == "unreliable" else "dim"
        table.add_row(key, _number(value.mm), _sd(value), value.status, ", ".join(value.reasons), style=style)
    out.print(table)


def _scale(scale: Scale | None) -> str:
    if scale is None:
        return "none: there is no ruler in the photo, so no millimetres"
    text = f"{scale.mm_per_px:.4f} ± {scale.sd:.4f} mm per pixel, from {scale.source}: {scale.status}"
    text += f" ({', '.join(scale.reasons)})" if scale.reasons else ""
    if scale.agreement is not None and not scale.agreement.agrees:
        text += f"; {scale.agreement.source} says otherwise ({scale.agreement.mm_per_px:.4f})"
    return text


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _sd(value: MeasurementValue) -> str:
    return "" if value.mm_sd is None else f"± {value.mm_sd:.1f}"
