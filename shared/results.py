"""What was found in a photo, as it travels over HTTP and lies in storage.

Pixels are those of the full upright photo (EXIF orientation applied, and turned back when it was sent as `mirrored`),
x to the right, y down, (0, 0) the centre of the first pixel. Left and right are the subject's.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from shared.schema_base import Schema


class RetakeHint(Schema):
    """What a person can do about a photo that could not be measured."""

    code: str
    message: str


class ImageFacts(Schema):
    """The photo that was measured."""

    width: int
    """Pixels, upright."""
    height: int
    """Pixels, upright."""
    format: str
    """By its bytes: jpeg, png, webp, heic or avif."""
    exif_orientation: int = Field(ge=1, le=8)
    """The orientation tag that was applied; 1 when there was none."""
    mirrored: bool = False
    """Whether it was turned left to right because the job said `mirrored`."""
    sha256: str
    """Of the bytes that were measured, in hexadecimal."""


class ModelFacts(Schema):
    """What measured it."""

    engine: str
    version: str
    definitions: str
    """The version of the measurement definitions, as served at /v1/measurements."""


class BoundingBox(Schema):
    """The smallest upright rectangle around the mesh of a face, in pixels; it may reach beyond the photo."""

    x: float
    y: float
    width: float
    height: float


class MeasurementStatus(StrEnum):
    """Whether a measurement can be built on."""

    OK = "ok"
    UNRELIABLE = "unreliable"
    NOT_MEASURABLE = "not_measurable"


class MeasurementValue(Schema):
    """One named quantity of one face."""

    px: float | None
    """The distance in the upright image plane, in pixels, never corrected; null for quantities that are not one."""
    mm: float | None
    """In millimetres on the face, corrected for perspective, bias and the turn of the head; null without a scale, or
    when not measurable."""
    mm_sd: float | None
    """One standard deviation of `mm`, everything that is known to be uncertain taken together."""
    status: MeasurementStatus
    reasons: list[str]
    """Why it is not `ok`, by the names in docs/measurements.md."""


class Pose(Schema):
    """How the head is turned away from the camera that looks at it; all 0: the face looks into the lens.

    A point of the upright face (x to the subject's left, y down, z backwards into the head) is turned by `rotation`
    into the frame of a camera at the same place with the face on its axis (x to the right, y down, z away from it):
    R = Rz(roll) Ry(-yaw) Rx(-pitch).
    """

    yaw_deg: float
    """Positive: turned towards the subject's left."""
    pitch_deg: float
    """Positive: looking up."""
    roll_deg: float
    """Positive: tilted clockwise in the image."""
    rotation: list[list[float]]


class ScaleAgreement(Schema):
    """What the next best ruler in the same photo says."""

    source: str
    mm_per_px: float
    sd: float
    difference_sd: float
    """How far the two are apart, in standard deviations of their difference; over 2 the rulers disagree."""
    agrees: bool


class Scale(Schema):
    """The ruler: how many millimetres a pixel is, at the plane of the eyes."""

    mm_per_px: float
    sd: float
    """One standard deviation of `mm_per_px`."""
    source: Literal["reference_object", "known_pd", "iris"]
    status: MeasurementStatus
    reasons: list[str]
    distance_mm: float
    """From the camera to the eyes; it follows from the focal length, and is as uncertain as that."""
    distance_sd_mm: float
    agreement: ScaleAgreement | None
    """Null when the photo has one ruler only."""


class Quality(Schema):
    """How well the photo shows this face; 100 is as good as it gets."""

    score: int = Field(ge=0, le=100)
    components: dict[str, int | None]
    """By the names of ISO/IEC 29794-5, 0 to 100 each; null for what could not be assessed."""
    retake: list[RetakeHint]
    """What a person could do better with the next photo; empty when nothing is amiss."""


class CameraFacts(Schema):
    """The lens, as far as the photo tells."""

    focal_px: float
    """In pixels of the full photo."""
    focal_sd_px: float
    source: Literal["exif", "assumed"]


class Landmark(Schema):
    """One point of the mesh, rounded to a hundredth of a pixel."""

    id: int = Field(ge=0, lt=478)
    x: float
    y: float
    z: float
    """Depth relative to the head's centre, in pixels of the same scale as x; smaller is nearer to the camera."""


class Face(Schema):
    """One face."""

    bounding_box: BoundingBox
    confidence: float = Field(ge=0, le=1)
    """The face detector's score."""
    pose: Pose
    scale: Scale | None
    """Null when nothing in the photo gives one; the measurements then have no millimetres."""
    quality: Quality
    measurements: dict[str, MeasurementValue]
    """By the keys of /v1/measurements."""
    landmarks: list[Landmark] | None = None
    """478 points; left out when the job asked for `landmarks=false`."""


class JobResult(Schema):
    """What was found in the photo."""

    image: ImageFacts
    model: ModelFacts
    camera: CameraFacts
    timings_ms: dict[str, float]
    """How long each stage took on the worker, in milliseconds."""
    faces: list[Face]
    """The largest first."""
