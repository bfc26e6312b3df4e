"""The door to what SeaweedFS has beside S3: its master, which has volumes written anew without what was deleted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import orjson
import urllib3
from urllib3.exceptions import HTTPError

from shared.errors import StorageUnavailable

if TYPE_CHECKING:
    from shared.config import Settings

_THRESHOLD: Final = "1e-12"
"""The share of a volume that must be garbage for it to be vacuumed: a single byte of any. 0.0001 leaves a small object
in a large volume where it is (tried with 4.48)."""
_PAUSES_S: Final = (0.0, 1.0, 2.0)
"""Before each try: another vacuum, which keeps ours from being done, ends in the meantime."""
_VACUUM_LIMIT_S: Final = 600.0
"""How long a vacuum may take; 800 MB of live objects take 11 s under load (4.48, two cores)."""


@dataclass(frozen=True, slots=True)
class _Volume:
    """How much was deleted from a volume and is still in its files, and how often it was vacuumed."""

    garbage_bytes: int
    revision: int


def _is_rid(before: _Volume, now: _Volume) -> bool:
    """Tell whether a volume has nothing any more that was deleted before.

    One vacuum since is not enough where garbage is left: it may have begun before, for another, with what was alive
    then. Of two the second began after the first had ended.
    """
    return now.revision > before.revision and (not now.garbage_bytes or now.revision > before.revision + 1)


class Volumes:
    """The volumes of the SeaweedFS whose master is at `FACEFIT_STORE_MASTER_URL`."""

    def __init__(self, settings: Settings) -> None:
        self._master_url = settings.store_master_url.rstrip("/")
        self._http = urllib3.PoolManager(retries=False)
        self._timeout = urllib3.Timeout(connect=settings.storage_connect_timeout_s, read=_VACUUM_LIMIT_S)

    def garbage_bytes(self) -> int:
        """Return how many bytes were deleted and are still in the files; raises as `vacuum` does."""
        return sum(volume.garbage_bytes for volume in self._look().values())

    def vacuum(self) -> None:
        """Have every volume with garbage written anew; returns when all that was deleted before is gone.

        Raises
        ------
        StorageUnavailable
            If it is not: SeaweedFS answers 200 as well when a vacuum is under way already and it does nothing, and
            passes over volumes that are read-only.
        """
        left = {name: volume for name, volume in self._look().items() if volume.garbage_bytes}
        for pause_s in _PAUSES_S if left else ():
            time.sleep(pause_s)
            self._get(f"{self._master_url}/vol/vacuum?garbageThreshold={_THRESHOLD}")
            now = self._look()
            left = {name: before for name, before in left.items() if name in now and not _is_rid(before, now[name])}
            if not left:
                return
        if left:
            raise StorageUnavailable(f"{len(left)} volumes of the store were not vacuumed: {', '.join(left)}")

    def _look(self) -> dict[str, _Volume]:
        """Return all volumes, from the servers that have them: what the master knows is seconds old."""
        found: dict[str, _Volume] = {}
        for server in self._servers():
            for volume in self._get(f"http://{server}/status")["Volumes"] or ():
                found[f"{server}/{volume['Id']}"] = _Volume(volume["DeletedByteCount"], volume["CompactRevision"])
        return found

    def _servers(self) -> list[str]:
        centres = self._get(f"{self._master_url}/dir/status")["Topology"]["DataCenters"] or ()
        return [node["Url"] for centre in centres for rack in centre["Racks"] or () for node in rack["DataNodes"] or ()]

    def _get(self, url: str) -> Any:
        try:
            answer = self._http.request("GET", url, timeout=self._timeout)
            if answer.status != HTTPStatus.OK:
                raise StorageUnavailable(f"the store's master or a volume server answered {answer.status}")
            return orjson.loads(answer.data)
        except (HTTPError, ValueError) as error:
            raise StorageUnavailable(f"the store's master did not answer: {type(error).__name__}") from error
