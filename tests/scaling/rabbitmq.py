"""RabbitMQ nodes on loopback, with their own folders, ports and Erlang name server; needs `rabbitmq-server`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from stack.data_folder import LOOPBACK, free_ports
from tests.scaling.processes import Server, listens, wait_until

_HOW_TO_GET_IT: Final = (
    "this trial needs rabbitmq-server (3.10 or later), which the project does not install:"
    " Debian, Ubuntu: apt-get install rabbitmq-server; macOS: brew install rabbitmq"
)
_USER: Final = "facefit"
_PASSWORD: Final = "a trial's own"  # noqa: S105  reaches loopback alone
_QUOTED: Final = "a%20trial%27s%20own"


def find(command: str) -> str:
    """Return one of RabbitMQ's commands itself, past the wrapper of a distribution that becomes another user."""
    for folder in sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"), reverse=True):
        if (folder / command).is_file():
            return str(folder / command)
    found = shutil.which(command)
    assert found, _HOW_TO_GET_IT
    return found


@dataclass
class Node:
    name: str
    port: int
    env: dict[str, str]
    server: Server

    def ctl(self, *arguments: str) -> str:
        return subprocess.run(
            [find("rabbitmqctl"), "--quiet", "-n", self.name, *arguments],
            env=self.env,
            check=True,
            capture_output=True,
            text=True,
            timeout=600,
        ).stdout

    def start(self) -> None:
        self.server.start()
        wait_until(f"{self.name} listens", lambda: listens(self.port))
        wait_until(f"{self.name} has started", self._has_started)

    def _has_started(self) -> bool:
        with suppress(subprocess.CalledProcessError):  # it listens before it can be asked
            self.ctl("await_startup")
            return True
        return False


@dataclass
class Cluster:
    nodes: list[Node] = field(default_factory=list)

    @property
    def url(self) -> str:
        return ";".join(f"amqp://{_USER}:{_QUOTED}@{LOOPBACK}:{node.port}//" for node in self.nodes)

    def queues(self) -> dict[str, str]:
        """Return the type of each queue."""
        listed = self.nodes[-1].ctl("list_queues", "name", "type", "--no-table-headers")
        return dict(line.split() for line in listed.splitlines())


@contextmanager
def rabbitmq(folder: Path, count: int) -> Iterator[Cluster]:
    """Run a cluster of `count` nodes."""
    find("rabbitmq-server")
    (names_port,) = free_ports(1)
    epmd = shutil.which("epmd")
    assert epmd, _HOW_TO_GET_IT
    names = Server("epmd", (epmd, "-port", str(names_port), "-address", LOOPBACK), folder / "epmd.log")
    cluster = Cluster()
    try:
        names.start()
        wait_until("the Erlang name server listens", lambda: listens(names_port))
        for number in range(count):
            node = _node(folder, number, names_port)
            cluster.nodes.append(node)
            node.start()
            if number:
                node.ctl("stop_app")
                node.ctl("join_cluster", cluster.nodes[0].name)
                node.ctl("start_app")
        first = cluster.nodes[0]
        first.ctl("add_user", _USER, _PASSWORD)
        first.ctl("set_permissions", "-p", "/", _USER, ".*", ".*", ".*")
        yield cluster
    finally:
        for node in cluster.nodes:
            node.server.kill()
        names.kill()


def _node(folder: Path, number: int, names_port: int) -> Node:
    port, between = free_ports(2)
    home = folder / f"rabbit{number}"
    home.mkdir(parents=True)
    (home / "plugins").write_text("[].\n")
    cookie = folder / "home" / ".erlang.cookie"
    if not cookie.exists():
        cookie.parent.mkdir(exist_ok=True)
        cookie.write_text("ATRIALSOWN")
        cookie.chmod(0o400)
    name = f"rabbit{number}@localhost"
    env = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(cookie.parent),
        "LANG": "C.UTF-8",
        "ERL_EPMD_PORT": str(names_port),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "RABBITMQ_NODENAME": name,
        "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(between),
        "RABBITMQ_MNESIA_BASE": str(home / "data"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_PID_FILE": str(home / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        "RABBITMQ_CONF_ENV_FILE": str(home / "none"),
        "RABBITMQ_CONFIG_FILE": str(home / "none"),
        # No thread for each core of a large machine, and none that spins.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
    }
    return Node(name, port, env, Server(name, (find("rabbitmq-server"),), home / "out.log", env))
