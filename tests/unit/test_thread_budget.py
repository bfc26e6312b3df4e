"""Threads are left when everything that may be slow has come; settings that leave none are refused at the start."""

from __future__ import annotations

import pytest

from shared.config import FREE_THREADS, Settings


def test_the_defaults_leave_enough() -> None:
    settings = Settings()
    kept = settings.waiting_places + settings.uploading_places + settings.short_body_places
    kept += settings.reading_places + settings.max_reports + settings.max_slow_readers
    assert settings.api_threads - kept >= FREE_THREADS


@pytest.mark.parametrize(
    "changed",
    [
        {"api_threads": 16},
        {"max_waiting_share": 0.8},
        {"max_uploading_share": 0.4},
        {"max_reading_share": 0.4},
        {"max_reports": 20},
        {"max_slow_readers": 20},
    ],
)
def test_settings_that_leave_too_few(changed: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="FACEFIT_API_THREADS"):
        Settings.model_validate(changed)


def test_batches_leave_places_to_single_photos() -> None:
    with pytest.raises(ValueError, match="FACEFIT_MAX_BATCH_UPLOADS"):
        Settings(max_batch_uploads=12)
