"""The whole service on one machine: starts it in order, says what it waits for, and takes it down again."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Final, Self

import httpx

from shared.storage.full_disk import LOOK_EVERY_S, FullDisk
from shared.storage.s3 import S3ObjectStore
from stack.child import ChildSpec
from stack.data_folder import LOOPBACK, DataFolder, free_ports, is_free
from stack.errors import Interrupted, NotReady, PortTaken
from stack.object_store import NAME as STORE
from stack.object_store import StoreProbe, object_store
from stack.redis_server import NAME as REDIS
from stack.redis_server import redis_answers, redis_server
from stack.services import BUCKET, services, settings_env, settings_of
from stack.supervisor import Echo, Supervisor

STORES_PATIENCE_S: Final = 60.0
SERVICES_PATIENCE_S: Final = 120.0
"""How long processes may take to come up: many times what they take on a slow laptop."""

REMINDER_S: Final = 5.0
POLL_S: Final = 0.1
ANSWER_TIMEOUT_S: Final = 2.0

READY_PATHS: Final = ("/readyz", "/v1/jobs")
"""The second is answered once the records are rebuilt; where there are API keys, this has none, and hears so."""


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True)


class Stack:
    """Redis, the object store, the API, the workers, the sender and the upkeep, as one context manager.

    Parameters
    ----------
    data_dir : Path
        Where everything is kept; what is found there is picked up again.
    port : int
        Where the API listens, on loopback; any free port when 0.
    overrides : mapping or None
        Settings (`FACEFIT_…`) to change.
    echo : callable
        Takes each line meant for a person.
    alter : callable
        From how a process is run to how it is run instead; a test's way to put its own in a process's place.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int = 0,
        overrides: Mapping[str, str] | None = None,
        echo: Echo = say,
        alter: Callable[[ChildSpec], ChildSpec] = lambda spec: spec,
    ) -> None:
        self.folder = DataFolder(data_dir)
        self.port = port
        self.settings_env: dict[str, str] = {}
        self._overrides = dict(overrides or {})
        self._echo = echo
        self._alter = alter
        self._interrupted = threading.Event()
        self._supervisor: Supervisor | None = None
        self._open = ExitStack()
        self._closed = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def supervisor(self) -> Supervisor:
        """Who keeps the processes running; there from the start on.

        Raises
        ------
        NotReady
            If the stack was not started.
        """
        if self._supervisor is None:
            raise NotReady("the stack was not started")
        return self._supervisor

    def start(self) -> None:
        """Start everything and return once the service is ready.

        Raises
        ------
        StackError
            If it does not come up; nothing is left running then.
        """
        try:
            self.start_stores()
            self.start_services()
        except BaseException:
            self.close()
            raise

    def start_stores(self) -> None:
        """Take the folder, start Redis and the object store, and wait for both."""
        held = self._open.enter_context(self.folder.locked())
        if self.port and not is_free(self.port):
            message = f"port {self.port} is taken: stop what listens there, or choose another (make up PORT=…)"
            raise PortTaken(message)
        ports, secrets = self.folder.ports(self._open), self.folder.secrets()
        self.port = self.port or free_ports(1, self._open)[0]
        self.settings_env = settings_env(ports, secrets, self.port, self._overrides)
        specs = (redis_server(self.folder, ports, secrets), object_store(self.folder, ports, secrets))
        self._supervisor = self._open.enter_context(Supervisor(self.folder.logs, self._echo, held=(held,)))
        self._run(specs)
        self._wait_for(
            "Redis",
            lambda: None if redis_answers(ports, secrets) else "no answer to PING",
            (REDIS,),
            STORES_PATIENCE_S,
        )
        probe = StoreProbe(ports, secrets, self.settings_env.get("FACEFIT_S3_BUCKET", BUCKET))
        self._wait_for(
            "the object store",
            lambda: None if probe.answers() else "a signed write does not work yet",
            (STORE,),
            STORES_PATIENCE_S,
        )
        stores_end = threading.Event()
        self._open.callback(stores_end.set)
        threading.Thread(target=self._watch_disk, args=(stores_end,), name="disk", daemon=True).start()

    def _watch_disk(self, stores_end: threading.Event) -> None:
        """Have the store started again when it stays shut although its disk has room again."""
        settings = settings_of(self.settings_env)
        disk = FullDisk(self.folder.store, settings.s3_bucket, partial(S3ObjectStore, settings))
        while not stores_end.wait(LOOK_EVERY_S):
            if disk.store_is_shut():
                self._echo("the store takes no writes although its disk has room again; it is started again")
                with suppress(ProcessLookupError):
                    self.supervisor.kill(STORE, signal.SIGKILL)

    def start_services(self) -> None:
        """Start the API, the workers, the sender and the upkeep, and wait until a job could be done."""
        specs = services(self.settings_env)
        self._run(specs)
        with httpx.Client(base_url=self.url, trust_env=False, timeout=ANSWER_TIMEOUT_S) as client:
            self._wait_for(
                "the API and its workers",
                lambda: _unready(client),
                tuple(spec.name for spec in specs),
                SERVICES_PATIENCE_S,
            )

    def close(self) -> None:
        """Stop everything; safe to call again."""
        if self._supervisor is not None and not self._closed:
            self._echo("stopping")
        self._closed = True
        self._open.close()

    # What a person, or a signal, may do meanwhile

    def interrupt(self) -> None:
        """Ask for the end; asked a second time, nothing gets time to end by itself."""
        if self._interrupted.is_set() and self._supervisor is not None:
            self._supervisor.hurry()
        self._interrupted.set()

    def check(self) -> None:
        """Raise if there is no use in going on.

        Raises
        ------
        Interrupted
            If somebody asked for the end.
        NotReady
            If a process died too often.
        """
        if self._interrupted.is_set():
            raise Interrupted("interrupted")
        if self._supervisor is not None and self._supervisor.gave_up is not None:
            raise NotReady(self._supervisor.gave_up)

    def pause(self, seconds: float) -> None:
        """Let time pass, unless the end is asked for.

        Raises
        ------
        StackError
            As `check` does.
        """
        self._interrupted.wait(seconds)
        self.check()

    def _run(self, specs: tuple[ChildSpec, ...]) -> None:
        for spec in specs:
            self._echo(f"starting {spec.name}")
            self.supervisor.run(self._alter(spec))

    def _wait_for(
        self, what: str, unready: Callable[[], str | None], names: tuple[str, ...], patience_s: float
    ) -> None:
        self._echo(f"waiting for {what}")
        began_at = time.monotonic()
        reminded_at = began_at
        while (reason := unready()) is not None:
            self.pause(POLL_S)
            now = time.monotonic()
            if now - began_at > patience_s:
                tails = "\n".join(f"  {name}:\n{self.supervisor.log_tail(name)}" for name in names)
                message = f"{what} did not come up within {patience_s:.0f} s: {reason}\n{tails}"
                raise NotReady(message)
            if now - reminded_at > REMINDER_S:
                self._echo(f"  still waiting for {what} ({now - began_at:.0f} s): {reason}")
                reminded_at = now
        self._echo(f"{what}: ready after {time.monotonic() - began_at:.1f} s")


def _unready(client: httpx.Client) -> str | None:
    for path in READY_PATHS:
        try:
            response = client.get(path)
        except httpx.HTTPError as exc:
            return f"GET {path}: {exc}"
        if response.status_code not in {httpx.codes.OK, httpx.codes.UNAUTHORIZED}:
            return f"GET {path} answers {response.status_code}: {response.text[:300]}"
    return None
