"""The one tree of errors: what is the photo's or the request's fault, what a dependency's, and what each is called.

`Rejected` is final: sending the same again cannot help. `Transient` is a dependency's fault and is retried.
Anything that is neither is a bug: the client sees `internal_error` and a request id, the log the traceback.
"""

from __future__ import annotations

from typing import ClassVar


class FacefitError(Exception):
    """Base of every error that this service raises on purpose."""


class Rejected(FacefitError):
    """Raised when the photo itself is at fault; the job ends `rejected` with this code.

    Attributes
    ----------
    code : str
        The stable public name, as listed in `docs/errors.md`.
    retake : str
        What a person can do about it, in one sentence.
    """

    code: ClassVar[str]
    retake: ClassVar[str]

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UnsupportedFormat(Rejected):
    """Raised when the bytes are none of the allowed image formats, whatever the name says."""

    code = "unsupported_format"
    retake = "Send the photo as JPEG, PNG, WebP, HEIC or AVIF."


class CorruptImage(Rejected):
    """Raised when an allowed format is truncated or cannot be decoded."""

    code = "corrupt_image"
    retake = "Send the original file again; this one is damaged or was cut short on its way."


class ImageTooLarge(Rejected):
    """Raised when the header promises more pixels, or the file has more bytes, than the limits allow."""

    code = "image_too_large"
    retake = "Send a smaller version of the photo; 12 megapixels are plenty."


class ImageTooSmall(Rejected):
    """Raised when a side has fewer pixels than a face could be measured on."""

    code = "image_too_small"
    retake = "Send the photo in its original size, not a thumbnail."


class NoFace(Rejected):
    """Raised when no face is found."""

    code = "no_face"
    retake = "Face the camera in even light, head and shoulders filling most of the picture."


class FaceTooSmall(Rejected):
    """Raised when the largest face has fewer pixels than measurements hold at."""

    code = "face_too_small"
    retake = "Come closer, or send the photo in its original size, so that the face fills more of it."


class UploadMissing(Rejected):
    """Raised when the photo of a batch's item did not come by the time it was promised for."""

    code = "upload_missing"
    retake = "Send the photo again, before the time that its upload form names."


class ReferenceNotFound(Rejected):
    """Raised when the card or marker that was asked for is not found in the photo."""

    code = "reference_not_found"
    retake = "Hold the card or marker flat on the forehead or the upper lip, all its edges in view, in even light."


class RequirementNotMet(Rejected):
    """Raised when a measurement that was required does not come out well enough.

    Attributes
    ----------
    hints : tuple of (str, str)
        Code and sentence of each hint that the photo itself gives, the most important first.
    """

    code = "requirement_not_met"
    retake = "Take another photo with the whole face in view and unobstructed, straight to the camera, in even light."

    def __init__(self, message: str, hints: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.hints = hints


class ArchiveEntryRefused(Rejected):
    """Raised when a file in an archive is not taken for a photo, whatever its bytes are."""

    code = "archive_entry_refused"
    retake = "Pack the photo as a plain file under a path of its own, without encryption, links or archives within."


class FetchFailed(Rejected):
    """Raised when a photo could not be fetched from the URL that was given for it."""

    code = "fetch_failed"
    retake = "See that the URL answers with the photo itself, to anyone and without a redirect; or upload the photo."


class FetchForbidden(Rejected):
    """Raised when a photo may not be fetched from the URL that was given for it."""

    code = "fetch_forbidden"
    retake = "Give a public https URL, or upload the photo."


REJECTIONS: tuple[type[Rejected], ...] = (
    UnsupportedFormat,
    CorruptImage,
    ImageTooLarge,
    ImageTooSmall,
    NoFace,
    FaceTooSmall,
    ReferenceNotFound,
    RequirementNotMet,
    UploadMissing,
    ArchiveEntryRefused,
    FetchFailed,
    FetchForbidden,
)
"""Every reason a photo can be rejected for, for documents and tests."""

PROCESSING_FAILED = "processing_failed"
"""The code of a job that the service could not finish in its attempts."""


class Transient(FacefitError):
    """Raised when a dependency is away or too slow; worth trying again."""


class StorageUnavailable(Transient):
    """Raised when the object store does not answer, or answers that it cannot serve."""


class RecordsUnavailable(Transient):
    """Raised when the store of job records does not answer."""


class RecordsSilent(RecordsUnavailable):
    """Raised when the store of job records has not answered in time, which has been waited for."""


class RecordsRebuilding(RecordsUnavailable):
    """Raised when records were lost and are being rebuilt, so that a list would be incomplete."""


class NotTakenBack(StorageUnavailable):
    """Raised when nothing was accepted, and what was stored of it may still be there."""


class KeysUnavailable(Transient):
    """Raised when it is not known, or not known lately, which API keys there are."""


class QueueUnavailable(Transient):
    """Raised when the broker takes no message."""


class ObjectMissing(FacefitError):
    """Raised when a key is read that the object store does not have."""


class UnreadableObject(FacefitError):
    """Raised when an object or a record is not what this service writes: damaged, or of a later version."""


class UndeclaredQueue(FacefitError):
    """Raised when a doorbell is rung on a queue that nobody declared."""


class KeyRefused(FacefitError):
    """Raised when a request comes without an API key, or with one that does not open the door (any more)."""


class UndeclaredMetric(FacefitError):
    """Raised when something is counted that `shared/metrics.py` does not list, or under other labels."""


class ConfigurationError(FacefitError):
    """Raised when the settings ask for something the service refuses to do; it does not start."""


class JobNotFound(FacefitError):
    """Raised when there is no such job, it has been deleted, or it is another tenant's."""


class BatchNotFound(FacefitError):
    """Raised when there is no such batch, it has been deleted, or it is another tenant's."""


class DeliveryNotFound(FacefitError):
    """Raised when there is no such delivery, its job was deleted, or it is another tenant's."""


class DeletionNotFound(FacefitError):
    """Raised when nothing of that id was deleted, or it was another tenant's, or too long ago."""


class BatchTooLarge(FacefitError):
    """Raised when a batch is given more items than it may have."""


class ArchiveInvalid(FacefitError):
    """Raised when an archive is refused whole, before anything of it is handed out.

    Attributes
    ----------
    entry : str or None
        The entry that is at fault, where one is, as it can be shown.
    """

    def __init__(self, message: str, entry: str | None = None) -> None:
        super().__init__(f"{entry}: {message}" if entry else message)
        self.entry = entry


class DuplicateReference(FacefitError):
    """Raised when two items of a batch, or two files in an archive's manifest, have the same reference."""


class KeyTaken(FacefitError):
    """Raised when a request lost its idempotency key to another one before it was accepted."""


class AlreadyFinished(FacefitError):
    """Raised when a job that has ended is asked to end otherwise."""


class NotFinished(FacefitError):
    """Raised when something is asked of a job that only a finished one has."""


class UploadGone(FacefitError):
    """Raised when a job cannot be run again because its photo is no longer there."""


class LandmarksNotKept(FacefitError):
    """Raised when a picture of the mesh is asked for and the job left the landmarks out."""
