"""What a photo may be, as the settings have it."""

from __future__ import annotations

from shared.config import Settings
from worker.vision.decode import DecodeLimits


def limits_of(settings: Settings) -> DecodeLimits:
    """Return the limits that photos are held to."""
    return DecodeLimits(
        max_bytes=settings.max_upload_bytes,
        max_pixels=settings.max_image_pixels,
        min_side_px=settings.min_image_side_px,
    )
