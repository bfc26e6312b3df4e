"""The door to what SeaweedFS has beside S3: its master, which has volumes written anew without what was deleted."""

from __future__ import annotations

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
_VACUUM_LIMIT_S: Final = 600.0
"""How long a vacuum may take; 800 MB of live objects take 11 s under load (4.48, two cores)."""


@dataclass(frozen=True, slots=True)
class _Volume:
    """How much was deleted from a volume and is still in its files, and how often it was vacuumed."""

    garbage_bytes: int
    revision: int


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
        """Have every volume with garbage written anew; returns when all of them are.

        Raises
        ------
        StorageUnavailable
            If one is not: SeaweedFS answers 200 as well when a vacuum is under way already and it does nothing, and
            passes over volumes that are read-only.
        """
        before = self._look()
        if not any(volume.garbage_bytes for volume in before.values()):
            return
        self._get(f"{self._master_url}/vol/vacuum?garbageThreshold={_THRESHOLD}")
        after = self._look()
        left = [
            name
            for name, volume in before.items()
            if volume.garbage_bytes and name in after and after[name].revision == volume.revision
        ]
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
