"""The faults, by number."""

from __future__ import annotations

from typing import Final

from tests.faults import api_faults, redis_faults, storage_faults, webhook_faults, worker_faults
from tests.faults.fault import Fault

_MODULES: Final = (worker_faults, redis_faults, storage_faults, api_faults, webhook_faults)

CATALOGUE: Final[dict[int, Fault]] = {
    fault.number: fault
    for fault in sorted((fault for module in _MODULES for fault in module.FAULTS), key=lambda fault: fault.number)
}
