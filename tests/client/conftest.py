from __future__ import annotations

import pytest

from tests.client.clients import Use, use_async, use_blocking


@pytest.fixture(params=[use_blocking, use_async], ids=["sync", "async"])
def use(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Use:
    """A way to call either client, apart from whatever the environment says."""
    for name in ("FACEFIT_URL", "FACEFIT_API_KEY", "FACEFIT_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    found: Use = request.param
    return found
