"""How gunicorn serves the API: bound where the settings say, and nowhere it should not be.

Given to gunicorn as `-c python:api.gunicorn_conf`; every name below that is not private is a gunicorn setting.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from gunicorn.glogging import Logger

from api.context import EXTENSION
from api.request_heads import MAX_REQUEST_LINE_BYTES
from shared.config import Settings, is_loopback
from shared.errors import ConfigurationError, RecordsUnavailable, StorageUnavailable
from shared.keys.archive import KeyArchive
from shared.observability import configure_logging
from shared.storage.s3 import S3ObjectStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_settings = Settings()
_PREPARE_TRIES = 30

_host = f"[{_settings.listen_host}]" if ":" in _settings.listen_host else _settings.listen_host
bind = f"{_host}:{_settings.listen_port}"
workers = _settings.api_workers
threads = _settings.api_threads
worker_class = "api.head_first.HeadFirstWorker"
worker_connections = _settings.max_connections
limit_request_line = MAX_REQUEST_LINE_BYTES
# A waiting client is no dead worker; the server beats on its own, whatever its threads wait for.
timeout = 60
graceful_timeout = 6
keepalive = 15
control_socket_disable = True
loglevel = _settings.log_level.lower()


class OneWayLogger(Logger):  # type: ignore[misc]
    """Has the server's own lines go where all others go, in the same form."""

    def setup(self, cfg: Any) -> None:
        """Take away the server's handlers, and let its lines pass on."""
        super().setup(cfg)
        configure_logging(_settings)
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True


logger_class = OneWayLogger


def refuse_open_door(addresses: Sequence[Any], settings: Settings, are_keys_there: Callable[[], bool]) -> None:
    """Refuse to listen where others can reach, while there are no keys.

    Parameters
    ----------
    are_keys_there : callable
        Asked only where it matters.

    Raises
    ------
    ConfigurationError
        If any address is not this machine alone and `FACEFIT_UNSAFE_NO_KEYS` is not set.
    """
    reachable = [
        address[0] if isinstance(address, tuple) else f"the inherited socket {address}"
        for address in addresses
        if isinstance(address, int) or (isinstance(address, tuple) and not is_loopback(address[0]))
    ]
    if reachable and not settings.unsafe_no_keys and not are_keys_there():
        raise ConfigurationError(
            f"facefit refuses to listen on {reachable[0]}: there are no API keys, so anybody who reaches that"
            " address could read everybody's faces. Make a key first (python -m api.keys create --tenant NAME --name"
            " NAME), or listen on 127.0.0.1, or, behind something that guards the door, set FACEFIT_UNSAFE_NO_KEYS=1."
        )


def on_starting(server: Any) -> None:
    """Before anything is bound: the door and the store must be as the settings say."""
    try:
        objects = S3ObjectStore(_settings)
        _prepare_storage(objects)
        addresses = server.address if isinstance(server.address, list) else [server.address]
        refuse_open_door(addresses, _settings, KeyArchive(objects).any)
    except (ConfigurationError, StorageUnavailable) as error:
        sys.exit(f"facefit does not start: {error}")


def _prepare_storage(objects: S3ObjectStore) -> None:
    for attempts_left in reversed(range(_PREPARE_TRIES)):
        try:
            objects.prepare(create_bucket=_settings.s3_create_bucket)
        except StorageUnavailable:
            if not attempts_left:
                raise
            time.sleep(1)
        else:
            return


def post_worker_init(worker: Any) -> None:
    """When the process is told to stop, clients that wait get their answer instead of a closed connection."""
    waiters = worker.wsgi.extensions[EXTENSION].waiters
    stop = signal.getsignal(signal.SIGTERM)
    told: SimpleQueue[None] = SimpleQueue()

    def release_when_told() -> None:
        told.get()
        waiters.close()

    def release_and_stop(number: int, frame: Any) -> None:
        # A handler must not wait for a lock that the thread it interrupts may hold: this queue takes none, while
        # `close` does, and so does starting a thread.
        told.put(None)
        if callable(stop):
            stop(number, frame)

    threading.Thread(target=release_when_told, daemon=True, name="release").start()
    signal.signal(signal.SIGTERM, release_and_stop)


def worker_exit(_server: Any, worker: Any) -> None:
    """When the process ends, what it has counted is sent."""
    relay = getattr(sys.modules.get("api.wsgi"), "relay", None)
    if relay is not None and worker.pid == os.getpid():
        with suppress(RecordsUnavailable):
            relay.send()
