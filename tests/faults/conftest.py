"""A stack of its own, with short leases, to break."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stack.stack import Stack

SHORT = {
    "FACEFIT_LEASE_S": "6",
    "FACEFIT_PHOTO_TIME_LIMIT_S": "3",
    "FACEFIT_DOORBELL_GRACE_S": "2",
    "FACEFIT_RECONCILE_INTERVAL_S": "0.5",
    "FACEFIT_SWEEP_INTERVAL_S": "2",
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("faults"), overrides=SHORT) as stack:
        yield stack
