"""The sender, in a world where a name changes: `python -m tests.faults.failing_delivery`."""

from __future__ import annotations

import os
from typing import Final

from tests.faults.failing import ChangingNames
from tests.faults.points import Points
from worker.delivery import main

CHANGING: Final = "rebound.example"
SINK: Final = "192.52.193.1"
"""Of the prefix of AMT relays (RFC 7450), which the registry calls reachable; nobody listens for TCP there."""

if __name__ == "__main__":
    main(ChangingNames(CHANGING, (SINK, "127.0.0.1"), Points.of_environment(os.environ)))
