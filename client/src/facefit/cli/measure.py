"""`facefit measure`: photos now, their numbers at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from facefit.bulk.scan import MAX_REFERENCE
from facefit.cli.exits import Exit
from facefit.cli.options import Given, options_of
from facefit.cli.report import print_job
from facefit.cli.service import Service, shown
from facefit.client import Client
from facefit.errors import ConfigurationError, InvalidRequest, JobEndedWithoutResult, PhotoUnreadable
from facefit.models.jobs import Job
from facefit.photos import photo_source

_BY_THE_PHOTO: Final = frozenset({"unsupported_format", "payload_too_large"})
"""Refusals of one photo, after which the next one is still worth trying."""


def measure(
    service: Service,
    photos: Annotated[list[Path], typer.Argument(help="JPEG, PNG, WebP, HEIC or AVIF.", metavar="PHOTO...")],
    pd: Annotated[
        float | None, typer.Option("--pd", help="The person's pupillary distance in mm: it becomes the scale.")
    ] = None,
    max_faces: Annotated[int | None, typer.Option(help="How many faces, the largest first.", min=1, max=10)] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(
            help="Draw mesh and measurements: an SVG, or for several photos a folder."
            " The service then keeps the photo until the job expires."
        ),
    ] = None,
    landmarks: Annotated[bool, typer.Option("--landmarks", help="With --json: the 478 points too.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Delete each job on the service once it is shown.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for each photo.", min=1)] = 120.0,
    option: Given = [],  # noqa: B006 - typer wants it so, and nobody writes to it
) -> Exit:
    """Measure photos: mm ± SD, what each is worth, the scale, and how to take a better photo."""
    options: dict[str, Any] = {"landmarks": landmarks or overlay is not None, **options_of(option)}
    options |= {"known_pd_mm": pd} if pd is not None else {}
    options |= {"max_faces": max_faces} if max_faces is not None else {}
    options |= {"keep_image": True} if overlay is not None else {}
    drawings = _drawings(overlay, photos)
    all_fine = True
    with service.client() as client:
        for number, photo in enumerate(photos):
            job = _measured(service, client, photo, options, timeout)
            all_fine &= job is not None and job.status == "succeeded"
            if job is None:
                continue
            if job.status == "succeeded" and drawings:
                drawings[number].parent.mkdir(parents=True, exist_ok=True)
                drawings[number].write_text(client.jobs.overlay(job.id), encoding="utf-8")
            _print(service, photo, job, drawings[number] if drawings and job.status == "succeeded" else None)
            if forget and not options.get("measure_and_delete"):
                client.jobs.delete(job.id)
    return Exit.DONE if all_fine else Exit.SOME_NOT_MEASURED


def _measured(service: Service, client: Client, photo: Path, options: dict[str, Any], timeout_s: float) -> Job | None:
    """Return how the job of a photo has ended; None where there is no photo to make one of, and that is said."""
    options = {"reference": shown(photo.name)[-MAX_REFERENCE:], **options}
    try:
        return client.measure(_not_empty(photo), timeout_s=timeout_s, **options)
    except JobEndedWithoutResult as error:
        return error.job
    except PhotoUnreadable as error:
        code, message = "unreadable", str(error)
    except InvalidRequest as error:
        if error.code not in _BY_THE_PHOTO:
            raise
        code, message = error.code, error.detail
    if service.as_json:
        service.say({"photo": shown(photo), "job": None, "error": {"code": code, "message": message}})
    else:
        service.notes.print(f"facefit: {shown(photo)}: {code}: {shown(message)}")
    return None


def _not_empty(photo: Path) -> Path:
    if not photo_source(photo).size:
        raise PhotoUnreadable(f"{photo} is empty")
    return photo


def _drawings(overlay: Path | None, photos: list[Path]) -> list[Path]:
    """Return where the drawing of each photo goes; nothing where none are asked for."""
    if overlay is None:
        return []
    if len(photos) == 1 and not overlay.is_dir():
        return [overlay]
    if overlay.is_file():
        raise ConfigurationError(f"there are several photos; --overlay {overlay} must be a folder")
    found: list[Path] = []
    for photo in photos:
        path, n_same = overlay / f"{photo.stem}.svg", 1
        while path in found:
            n_same += 1
            path = overlay / f"{photo.stem}-{n_same}.svg"
        found.append(path)
    return found


def _print(service: Service, photo: Path, job: Job, drawing: Path | None) -> None:
    if service.as_json:
        shown_job = job.model_dump(mode="json")
        service.say(
            {
                "photo": shown(photo),
                "job": shown_job,
                "overlay": str(drawing) if drawing else None,
                "error": shown_job["error"],
            }
        )
        return
    print_job(service, job, str(photo))
    if drawing is not None:
        service.out.print(f"  overlay  {drawing}")
    service.out.print()
