"""What a list in JSON says of each item of a batch, judged one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field, StrictInt, StrictStr, TypeAdapter, ValidationError

from api.batch_options import BatchOptions
from api.problems import field_errors
from api.rejections import rejection
from shared.config import MEGABYTE, Settings
from shared.errors import FacefitError, FetchForbidden, ImageTooLarge, UnsupportedFormat
from shared.image_formats import ImageFormat
from shared.jobs.batch_record import BatchSource
from shared.references import reference_fault
from shared.schema_base import Schema
from shared.schemas import FieldError, JobError, JobOptions
from shared.targets import TargetForbidden, check_target

CONTENT_TYPES: Final = tuple(f"image/{image_format}" for image_format in ImageFormat)


class UploadedItem(Schema):
    """A photo that comes by an upload form."""

    size: Annotated[StrictInt, Field(gt=0)]
    """Bytes, exactly; over the limit of a photo, the item is rejected with `image_too_large`."""
    content_type: StrictStr
    """As the form will say it; of no accepted format, the item is rejected with `unsupported_format`."""


class FetchedItem(Schema):
    """A photo that is fetched from a URL."""

    image_url: StrictStr
    """Where it may not be fetched from, the item is rejected with `fetch_forbidden`."""


_OBJECT: Final[TypeAdapter[dict[str, Any]]] = TypeAdapter(dict[str, Any])


class ItemInvalid(FacefitError):
    """Raised when an item is not what the API takes: a fault of the client's program, not of one photo.

    Attributes
    ----------
    errors : list of FieldError
        What is wrong, by the names of the item's own fields.
    """

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__()
        self.errors = errors


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """An item as it will be noted.

    Attributes
    ----------
    error : JobError or None
        Why it is rejected at once, if it is.
    """

    source: BatchSource
    options: JobOptions
    size_bytes: int | None = None
    content_type: str | None = None
    url: str | None = None
    error: JobError | None = None


def plan_item(item: object, batch: BatchOptions, settings: Settings) -> PlannedItem:
    """Judge an item by what its list says of it.

    Raises
    ------
    ItemInvalid
        If it is not what the API takes.
    """
    try:
        own = _OBJECT.validate_python(item, strict=True)
    except ValidationError as error:
        raise ItemInvalid([FieldError(field="", message="must be an object")]) from error
    about_upload = {name: own.pop(name) for name in UploadedItem.model_fields if name in own}
    about_fetch = {name: own.pop(name) for name in FetchedItem.model_fields if name in own}
    if bool(about_upload) == bool(about_fetch):
        message = "needs size and content_type, for a photo that you upload, or image_url, for one that is fetched"
        raise ItemInvalid([FieldError(field="", message=message)])
    options = _options(own, batch)
    try:
        if about_upload:
            return _uploaded(UploadedItem.model_validate(about_upload), options, settings)
        return _fetched(FetchedItem.model_validate(about_fetch), options, settings)
    except ValidationError as error:
        raise ItemInvalid(field_errors(error)) from error


def _options(own: Mapping[str, Any], batch: BatchOptions) -> JobOptions:
    try:
        options = batch.for_item(own)
    except ValidationError as error:
        raise ItemInvalid(field_errors(error)) from error
    except TargetForbidden as error:
        raise ItemInvalid([FieldError(field="webhook_url", message=str(error))]) from error
    if options.reference is not None and (fault := reference_fault(options.reference)):
        raise ItemInvalid([FieldError(field="reference", message=fault)])
    return options


def _uploaded(told: UploadedItem, options: JobOptions, settings: Settings) -> PlannedItem:
    error = None
    if told.content_type not in CONTENT_TYPES:
        message = f"content_type must be one of {', '.join(CONTENT_TYPES)}"
        error = rejection(UnsupportedFormat.code, message)
    elif told.size > settings.max_upload_bytes:
        message = f"a photo may have {settings.max_upload_bytes / MEGABYTE:g} MB"
        error = rejection(ImageTooLarge.code, message)
    return PlannedItem(
        BatchSource.PRESIGNED, options, size_bytes=told.size, content_type=told.content_type, error=error
    )


def _fetched(told: FetchedItem, options: JobOptions, settings: Settings) -> PlannedItem:
    error = None
    try:
        check_target(told.image_url, settings.outbound_policy(settings.fetch_timeout_s))
    except TargetForbidden as forbidden:
        error = rejection(FetchForbidden.code, str(forbidden))
    return PlannedItem(BatchSource.URL, options, url=told.image_url, error=error)
