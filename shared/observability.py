"""How processes log."""

from __future__ import annotations

import logging

from shared.config import Settings

_FORMAT = "%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"


def configure_logging(settings: Settings) -> None:
    """Send log lines to standard error; third parties only when they warn."""
    logging.basicConfig(level=logging.WARNING, format=_FORMAT, force=True)
    for name in ("api", "worker", "shared", "gunicorn"):
        logging.getLogger(name).setLevel(settings.log_level)
