"""A compose project of its own: images built from this tree, secrets of its own, a free port, gone afterwards."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from stack.secret_files import FOLDER_SETTING, make_secrets

ROOT: Final = Path(__file__).parents[2]
BUILT: Final = ("api", "worker-interactive", "worker-bulk", "delivery", "upkeep")
STATES: Final = {
    "redis": "healthy",
    "store": "healthy",
    "api": "healthy",
    "worker-interactive": "healthy",
    "worker-bulk": "healthy",
    "delivery": "running",
    "upkeep": "running",
}
"""Every service that stays, and how it is when it is well."""
PROXIED_HOST: Final = "faces.example.com"
"""A name that the file of settings adds to those the API answers to, as for a proxy before it."""
COMMAND_LIMIT_S: Final = 1800
HEALTHY_LIMIT_S: Final = 300


def run(*command: str, env: dict[str, str] | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command at the root of the project; what it said is part of the error when it fails."""
    done = subprocess.run(
        command, cwd=ROOT, env=env, check=False, text=True, capture_output=True, timeout=COMMAND_LIMIT_S
    )
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def why_docker_cannot_be_used() -> str | None:
    """Return what is missing, or None."""
    if not shutil.which("docker"):
        return "there is no `docker` on the PATH"
    asked = run("docker", "version", "--format", "{{.Server.Version}}", check=False)
    if asked.returncode:
        return f"`docker version` reaches no engine: {asked.stderr.strip()}"
    return None if _compose_command() else "there is neither `docker compose` nor `docker-compose`"


def say(line: str) -> None:
    """Tell the person who watches."""
    sys.stdout.write(f"\n{line}")
    sys.stdout.flush()


def _compose_command() -> tuple[str, ...] | None:
    if not run("docker", "compose", "version", check=False).returncode:
        return ("docker", "compose")
    return ("docker-compose",) if shutil.which("docker-compose") else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _own_env() -> dict[str, str]:
    """Leave out what would win over the file of settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("FACEFIT_", "COMPOSE_FILE"))}


class Compose:
    """One project; `folder` takes its secrets and its file of settings, which is `.env.example` with them named.

    What `otherwise` says in compose's own language holds instead of what the project's file says.
    """

    def __init__(self, folder: Path, otherwise: str = "") -> None:
        self.project = f"facefit-test-{secrets.token_hex(4)}"
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.secrets = folder / "secrets"
        make_secrets(self.secrets)
        self._command = _compose_command() or ()
        self._files: tuple[str, ...] = ("--file", str(ROOT / "docker-compose.yml"))
        if otherwise:
            beside = folder / "otherwise.yml"
            beside.write_text(otherwise)
            self._files += ("--file", str(beside))
        self._env_file = folder / "env"
        text = (ROOT / ".env.example").read_text()
        for name, value in ((FOLDER_SETTING, str(self.secrets)), ("FACEFIT_PORT", str(self.port))):
            text = re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
        self._env_file.write_text(f"{text}\nFACEFIT_ALLOWED_HOSTS=127.0.0.1,localhost,{PROXIED_HOST}\n")

    def secret_values(self) -> set[str]:
        """Return every random value that the files of secrets hold."""
        return {
            value
            for path in self.secrets.iterdir()
            for value in re.findall(r"facefit-[0-9a-f]{8}\b|(?<![0-9a-f#])[0-9a-f]{64}\b", path.read_text())
        }

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """Run a compose command on this project and return what it printed."""
        options = (*self._files, "--env-file", str(self._env_file), "--project-name", self.project)
        done = run(*self._command, *options, *arguments, env=_own_env(), check=check)
        return done.stdout + done.stderr

    def complaint_without(self, setting: str) -> str:
        """Return what compose says when a setting is empty; "" if it does not mind."""
        env_file = self._env_file.with_name(f"without-{setting}")
        env_file.write_text(re.sub(rf"^{setting}=.*$", f"{setting}=", self._env_file.read_text(), flags=re.MULTILINE))
        done = run(*self._command, "--env-file", str(env_file), "config", env=_own_env(), check=False)
        return done.stderr if done.returncode else ""

    def container(self, service: str) -> str:
        """Return the id of a service's container, running or not."""
        label = f"label=com.docker.compose.service={service}"
        project = f"label=com.docker.compose.project={self.project}"
        return run("docker", "ps", "--all", "--quiet", "--filter", project, "--filter", label).stdout.strip()

    def inspect(self, service: str) -> dict[str, Any]:
        """Return what the engine knows of a service's container."""
        found: dict[str, Any] = json.loads(run("docker", "inspect", self.container(service)).stdout)[0]
        return found

    def python(self, service: str, code: str) -> str:
        """Run Python in a service's container and return what it printed."""
        return run("docker", "exec", self.container(service), "python", "-c", code).stdout.strip()

    def addresses(self, service: str) -> list[str]:
        """Return the addresses of a service, one in each of its networks."""
        networks: dict[str, dict[str, str]] = self.inspect(service)["NetworkSettings"]["Networks"]
        return [told["IPAddress"] for told in networks.values()]

    def address_for(self, service: str, other: str) -> str:
        """Return the address at which `other` reaches a service."""
        networks: dict[str, dict[str, str]] = self.inspect(service)["NetworkSettings"]["Networks"]
        shared = set(networks) & set(self.inspect(other)["NetworkSettings"]["Networks"])
        return networks[min(shared)]["IPAddress"]

    def kill_main_process(self, service: str) -> None:
        """Kill what the container runs, from inside; the engine is not told, and finds a container that ended."""
        find = 'for s in /proc/[0-9]*/stat; do set -- $(cat $s 2>/dev/null); [ "$4" = 1 ] && kill -9 $1; done'
        run("docker", "exec", self.container(service), "sh", "-c", find, check=False)

    def state(self, service: str) -> str:
        """Return `healthy`, `unhealthy` or `starting`, or, where nothing is asked, whether it runs."""
        state = self.inspect(service)["State"]
        # One that has ended keeps what it was last found to be.
        return str((state.get("Health", state) if state["Running"] else state)["Status"])

    def start(self, services: dict[str, str]) -> None:
        """Start everything and wait until each service is in the state given."""
        self.wait_for(services, said=self("up", "--detach", "--no-build", check=False))

    def wait_for(self, services: dict[str, str], *, said: str = "") -> None:
        """Wait until each service is in the state given."""
        states: dict[str, str] = {}

        def reached() -> bool:
            states.update({service: self.state(service) for service in services if self.container(service)})
            return states == services

        if not within(HEALTHY_LIMIT_S, reached):
            logs = self("logs", "--no-color", "--tail", "60", check=False)
            raise AssertionError(f"after {HEALTHY_LIMIT_S} s: {states}\n{said}\n{logs}")

    def remove(self) -> None:
        """Remove containers, networks, volumes and the images that were built."""
        self("down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "5", check=False)


def within(seconds: float, reached: Callable[[], bool]) -> bool:
    """Tell whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if reached():
            return True
        time.sleep(1)
    return False
