"""How many random orders of requests, deaths and losses are looked at: few in `make test`, many in `make orders`."""

from __future__ import annotations

import os
from typing import Final

TIMES: Final = int(os.environ.get("FACEFIT_TEST_TIMES", "1"))
"""How many times the usual number."""
