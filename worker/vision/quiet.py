"""Standard error kept quiet while a vendor's native code greets."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send what native code writes to standard error nowhere, for a moment.

    TFLite and absl greet on standard error before absl is initialised, which no variable prevents (GLOG_minloglevel and
    TF_CPP_MIN_LOG_LEVEL were tried) and mediapipe offers no call for. What goes wrong meanwhile is raised.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
