"""The API over memory, for a real server: one batch can be read, one breaks off in the middle, one is long, one hangs.

Served by `gunicorn tests.breaking_api:app`; `GET /batches` names them, and as `hanging job` the job of the last.
"""

from __future__ import annotations

import time
from typing import BinaryIO, Final

from flask import Response, jsonify

from api.app import create_app
from api.context import Services
from api.waiting import Waiters
from shared.clock import system_clock
from shared.config import Settings
from shared.errors import StorageUnavailable
from shared.storage import layout
from shared.storage.memory import MemoryObjectStore
from tests.core import Core
from tests.results import a_result, as_written
from tests.unit.batch_making import make_batch

ITEMS: Final = 40
BREAKS_AT: Final = 30
LONG_ITEMS: Final = 600
"""With all points 13 MB: more than sockets hold."""
HANGS: Final = b" hangs "
HANGS_FOR_S: Final = 60
"""A photo with these bytes takes so long to store, and so does all that is read or written of the hanging job."""
RESULT: Final = as_written(a_result())


class _Breaking(MemoryObjectStore):
    """Does not answer when certain results are read, and is slow to take certain photos; keeps one result for all."""

    def __init__(self) -> None:
        super().__init__()
        self.breaks_at: set[str] = set()
        self.hanging_job: str | None = None

    def put(self, key: str, body: bytes | BinaryIO, *, content_type: str = "application/octet-stream") -> None:
        if not isinstance(body, bytes):
            body = body.read()
        if HANGS in body:
            time.sleep(HANGS_FOR_S)
        self._hang_for_its_job(key)
        super().put(key, body, content_type=content_type)

    def put_if_absent(self, key: str, body: bytes) -> bool:
        self._hang_for_its_job(key)
        return super().put_if_absent(key, body.removesuffix(RESULT))

    def get(self, key: str, *, first_bytes: int | None = None) -> bytes:
        self._hang_for_its_job(key)
        if key in self.breaks_at:
            raise StorageUnavailable(key)
        body = super().get(key, first_bytes=first_bytes)
        return body + RESULT if key.startswith(layout.OUTCOMES) else body

    def _hang_for_its_job(self, key: str) -> None:
        if self.hanging_job and self.hanging_job in key:
            time.sleep(HANGS_FOR_S)


_objects = _Breaking()
_core = Core(clock=system_clock, objects=_objects, settings=Settings(max_reports=2, max_download_pause_s=1))
_core.reconciler.round()
_batches = {
    name: make_batch(_core, [RESULT] * size)
    for name, size in (("whole", ITEMS), ("breaks", ITEMS), ("long", LONG_ITEMS), ("hangs", 1))
}
_breaking = _core.items(_batches["breaks"])[BREAKS_AT]
_objects.hanging_job = _core.items(_batches["hangs"])[0].id
_objects.breaks_at.add(layout.outcome_key(_breaking.tenant, _breaking.id, 1))

_waiters = Waiters(_core.store, places=_core.settings.waiting_places)
app = create_app(Services(_core.jobs, _core.desk, _waiters, _core.settings))


@app.route("/batches")
def batches() -> Response:
    """Name the batches."""
    return jsonify(_batches | {"hanging job": _objects.hanging_job})
