"""A stack to break: its services with marked points, someone who starts again what dies, and a receiver of webhooks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

import httpx
import redis

from shared.config import Settings
from shared.storage.s3 import S3ObjectStore
from stack.child import ChildSpec
from stack.data_folder import LOOPBACK, free_ports
from stack.services import API, DELIVERY, UPKEEP, WORKERS, settings_of
from stack.stack import Stack
from stack.supervisor import Supervisor
from tests.faults import receiver
from tests.faults.photos import PORTRAITS
from tests.faults.points import FOLDER, Points
from tests.faults.proxy import Proxy
from tests.faults.waiting import wait_until

SHORT: Final = {
    "FACEFIT_LEASE_S": "6",
    "FACEFIT_PHOTO_TIME_LIMIT_S": "3",
    "FACEFIT_DOORBELL_GRACE_S": "2",
    "FACEFIT_RECONCILE_INTERVAL_S": "0.5",
    "FACEFIT_SWEEP_INTERVAL_S": "2",
}
"""Settings with which what is lost comes back in seconds."""
SHORTER: Final = {
    "FACEFIT_STORAGE_READ_TIMEOUT_S": "4",
    "FACEFIT_WEBHOOK_TIMEOUT_S": "3",
    "FACEFIT_DELIVERY_LEASE_S": "5",
    "FACEFIT_UPLOAD_DEADLINE_S": "20",
}

INTERACTIVE: Final = WORKERS[0].name
BULK: Final = WORKERS[1].name
STORE: Final = "store"
REDIS: Final = "redis"
PRODUCT: Final = (API, INTERACTIVE, BULK, DELIVERY, UPKEEP)
ALL: Final = (*PRODUCT, REDIS, STORE)

_INSTEAD: Final = {
    "worker.celery_app": "tests.faults.failing_worker",
    "api.wsgi:app": "tests.faults.failing_api:app",
    "worker.delivery": "tests.faults.failing_delivery",
}
_KEEP_EVERY_S: Final = 0.2
_PROBE_S: Final = 20.0


class BrokenStack:
    """The whole service, and what a fault needs to break it.

    Parameters
    ----------
    folder : Path
        Where everything is kept.
    settings : mapping
        Settings beside `SHORT` and `SHORTER`.

    Attributes
    ----------
    through : dict of str to str
        Settings that the product's processes get instead of the stack's own; to be filled before the start.
    proxies : tuple of Proxy
        What these lead through.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.points = Points(folder / "points")
        self.receiver_port = free_ports(1)[0]
        self.heard = folder / "heard.ndjson"
        overrides = {
            **SHORT,
            **SHORTER,
            "FACEFIT_OUTBOUND_ALLOW_HTTP": "1",
            "FACEFIT_OUTBOUND_ALLOWED_HOSTS": f"{LOOPBACK}:{self.receiver_port}",
            "FACEFIT_OUTBOUND_PORTS": f"443,{self.receiver_port}",
            **(settings or {}),
        }
        self.through: dict[str, str] = {}
        self.proxies: tuple[Proxy, ...] = ()
        self.said: list[str] = []
        self.stack = Stack(folder / "data", overrides=overrides, echo=self.said.append, alter=self._altered)
        self._closing = threading.Event()
        self._open = ExitStack()

    def _altered(self, spec: ChildSpec) -> ChildSpec:
        if spec.name not in PRODUCT:
            return spec
        command = tuple(_INSTEAD.get(part, part) for part in spec.command)
        return replace(spec, command=command, env={**spec.env, FOLDER: str(self.points.folder), **self.through})

    def __enter__(self) -> Self:
        try:
            self._open.enter_context(self.stack)
            for name in ALL:
                self.supervisor.restart(name, automatically=False)
            self._open.enter_context(self._kept())
            self._open.enter_context(self._receiving())
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @contextmanager
    def _kept(self) -> Iterator[None]:
        keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            self._closing.set()
            keeper.join()

    def _keep(self) -> None:
        """Start again what died, at once: the supervisor of the stack gives up on what is killed thirty times."""
        while not self._closing.wait(_KEEP_EVERY_S):
            for name in ALL:
                self.supervisor.revive(name)

    @contextmanager
    def _receiving(self) -> Iterator[None]:
        answer = httpx.post(f"{self.stack.url}/v1/webhooks/secret", trust_env=False, timeout=_PROBE_S)
        secret = answer.raise_for_status().json()["secret"]
        self.heard.touch()
        command = [sys.executable, "-m", receiver.__name__, str(self.receiver_port), secret]
        process = subprocess.Popen([*command, str(self.heard), str(self.points.folder)])
        try:
            yield
        finally:
            process.kill()
            process.wait()

    # What faults reach for

    @property
    def supervisor(self) -> Supervisor:
        return self.stack.supervisor

    @property
    def receiver_url(self) -> str:
        return f"http://{LOOPBACK}:{self.receiver_port}"

    def settings(self) -> Settings:
        return settings_of(self.stack.settings_env)

    def objects(self) -> S3ObjectStore:
        return S3ObjectStore(self.settings())

    @contextmanager
    def redis(self) -> Iterator[redis.Redis]:
        with redis.Redis.from_url(self.stack.settings_env["FACEFIT_REDIS_URL"], socket_timeout=10) as client:
            yield client

    def http(self, timeout_s: float = _PROBE_S) -> httpx.Client:
        return httpx.Client(base_url=self.stack.url, timeout=timeout_s, trust_env=False)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        with suppress(ProcessLookupError):
            self.supervisor.kill(name, number)

    def stop(self, name: str) -> None:
        self.supervisor.stop(name)

    def start(self, name: str) -> None:
        self.supervisor.start(name)

    def ready_children(self) -> int:
        """Return how many processes that measure have become ready since the start."""
        return self.points.noted("ready")

    def heal(self) -> None:
        """Undo whatever a fault has left behind."""
        self.points.disarm()
        self.points.forget("waits")
        for name in ALL:
            self.start(name)
            self.kill(name, signal.SIGCONT)

    def write_sender_pid(self) -> None:
        pid = self.supervisor.pid(DELIVERY)
        if pid is not None:
            draft = self.points.folder / f"{receiver.SENDER_PID}.new"
            draft.write_text(str(pid))
            draft.replace(self.points.folder / receiver.SENDER_PID)

    def send_one(self) -> None:
        """Send a photo beside the load, whatever becomes of it."""
        photo = (PORTRAITS / "grace_hopper.jpg").read_bytes()
        query = {"landmarks": "false", "webhook_url": self.receiver_url + receiver.TAKES}
        with suppress(httpx.TransportError), self.http() as http:
            http.post("/v1/jobs", params=query, content=photo, headers={"Content-Type": "image/jpeg"})

    def seconds_until_measured(self, photo: bytes, patience_s: float) -> float | None:
        """Return how long it takes from now until a photo that is sent has been measured; None if it does not."""
        began_s = time.monotonic()
        while time.monotonic() - began_s < patience_s:
            with suppress(httpx.TransportError), self.http(timeout_s=40) as http:
                query = {"landmarks": "false", "reference": f"probe-{os.urandom(6).hex()}"}
                headers = {"Content-Type": "image/jpeg", "Prefer": "wait=30"}
                answer = http.post("/v1/jobs", params=query, content=photo, headers=headers)
                while answer.status_code in {200, 202} and time.monotonic() - began_s < patience_s:
                    if answer.json()["status"] == "succeeded":
                        return round(time.monotonic() - began_s, 1)
                    answer = http.get(f"/v1/jobs/{answer.json()['id']}", params={"wait": 10})
            time.sleep(0.2)
        return None

    def wait_for_ready(self, before: int, patience_s: float = 60.0) -> None:
        wait_until(lambda: self.ready_children() > before, "no worker process became ready", patience_s)
