"""What the containers may do, see and reach, tried from inside: a part of `make docker-test`."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Final

import httpx
import pytest

from tests.docker.compose import BUILT, PROXIED_HOST, STATES, Compose, run

pytestmark = pytest.mark.timeout(1800)

S3_PORT: Final = 8333
S3_GRPC_PORT: Final = 18333
STORE_PORTS: Final = (9333, 19333, 8080, 18080, 8888, 18888)
"""Master, volume and filer, and their gRPC twins."""

SCAN: Final = """
import socket
open_ports = []
for port in range(1, 65536):
    with socket.socket() as probe:
        probe.settimeout(5)
        if probe.connect_ex((ADDRESS, port)) == 0:
            open_ports.append(port)
print(open_ports)
"""

UNSIGNED_CALL: Final = """
import socket, struct
def frame(kind, flags, stream, body):
    return struct.pack(">I", len(body))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + body
def text(value):
    return bytes([len(value)]) + value.encode()
def field(name, value):
    return b"\\0" + text(name) + text(value)
headers = field(":method", "POST") + field(":scheme", "http") + field(":authority", "store") + field(":path", PATH)
headers += field("content-type", "application/grpc") + field("te", "trailers")
with socket.create_connection((ADDRESS, 18333), timeout=5) as connection:
    connection.sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + frame(4, 0, 0, b"") + frame(1, 4, 1, headers))
    connection.sendall(frame(0, 1, 1, b"\\0\\0\\0\\0\\0"))
    answer = connection.makefile("rb")
    while True:
        head = answer.read(9)
        body = answer.read(int.from_bytes(head[:3], "big"))
        if head[3] == 1 and head[4] & 1:
            # The status is the last one or two digits sent as they are, its length before it.
            print([code for code in range(17) if text(str(code)) in body])
            break
"""
"""A gRPC call without a token, by hand: neither image has a gRPC client."""

UNAUTHENTICATED: Final = 16
UNIMPLEMENTED: Final = 12


@pytest.mark.parametrize("service", STATES)
def test_a_container_is_well_and_was_never_started_again(compose: Compose, service: str) -> None:
    assert compose.state(service) == STATES[service]
    assert compose.inspect(service)["RestartCount"] == 0


@pytest.mark.parametrize("service", STATES)
def test_a_container_may_do_little(compose: Compose, service: str) -> None:
    processes = run("docker", "top", compose.container(service), "-eo", "uid,pid,args").stdout.splitlines()[1:]
    assert processes
    assert {line.split()[0] for line in processes} <= {"10001", "999"}

    host = compose.inspect(service)["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert "no-new-privileges:true" in host["SecurityOpt"]


@pytest.mark.parametrize("service", STATES)
def test_a_container_has_limits(compose: Compose, service: str) -> None:
    host = compose.inspect(service)["HostConfig"]
    assert 0 < host["Memory"] == host["MemorySwap"]
    assert 0 < host["NanoCpus"] <= 2e9
    assert 0 < host["PidsLimit"] <= 512
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "5", "max-size": "10m"}}
    assert run("docker", "exec", compose.container(service), "sh", "-c", "ulimit -c").stdout.strip() == "0"


@pytest.mark.parametrize("service", STATES)
def test_nothing_can_be_written_to_the_root(compose: Compose, service: str) -> None:
    for place in ("/tried", "/usr/bin/tried", "/run/secrets/tried"):
        tried = run("docker", "exec", compose.container(service), "sh", "-c", f"echo x > {place}", check=False)
        assert tried.returncode != 0
        assert "Read-only file system" in tried.stderr or "Permission denied" in tried.stderr


@pytest.mark.parametrize("service", STATES)
def test_a_container_gives_no_secret_away(compose: Compose, service: str) -> None:
    secrets = compose.secret_values()
    assert len(secrets) == 7
    container = compose.container(service)
    of_processes = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null; echo read"
    seen = {
        "docker inspect": run("docker", "inspect", container).stdout,
        "the image": run("docker", "history", "--no-trunc", compose.inspect(service)["Image"]).stdout,
        "ps": run("docker", "top", container, "-eo", "pid,args").stdout,
        "environments": run("docker", "exec", container, "sh", "-c", of_processes).stdout,
        "logs": run("docker", "logs", container).stderr,
    }
    assert "PATH=" in seen["environments"]
    assert seen["environments"].endswith("read\n")
    assert [(where, value) for where, text in seen.items() for value in secrets if value in text] == []


def test_only_the_api_is_published_and_only_on_loopback(compose: Compose) -> None:
    published = {
        (service, binding["HostIp"], binding["HostPort"])
        for service in STATES
        for bindings in compose.inspect(service)["NetworkSettings"]["Ports"].values()
        for binding in bindings or ()
    }
    assert published == {("api", "127.0.0.1", str(compose.port))}


@pytest.mark.parametrize(("host", "status"), [(PROXIED_HOST, 200), ("elsewhere.example.com", 400)])
def test_a_setting_that_is_only_passed_on_arrives(compose: Compose, host: str, status: int) -> None:
    assert httpx.get(f"{compose.url}/healthz", headers={"Host": host}, trust_env=False).status_code == status


def test_no_port_of_the_store_but_s3_is_reached_from_the_api(compose: Compose) -> None:
    found = json.loads(compose.python("api", f"ADDRESS = {compose.address_for('store', 'api')!r}{SCAN}"))
    assert found == [S3_PORT, S3_GRPC_PORT]
    # They are there, for the store itself: the scan would have found them.
    table = run("docker", "exec", compose.container("store"), "cat", "/proc/net/tcp").stdout
    assert all(f"0100007F:{port:04X} 00000000:0000 0A" in table for port in STORE_PORTS)


def test_the_s3_door_wants_signatures(compose: Compose) -> None:
    connect = "import http.client as h; c = h.HTTPConnection('store', 8333); "
    for path in ("/", "/facefit?list-type=2"):
        assert compose.python("api", f"{connect}c.request('GET', {path!r}); print(c.getresponse().status)") == "403"


def test_the_grpc_twin_of_the_s3_door_wants_a_token(compose: Compose) -> None:
    def status_of(method: str) -> list[int]:
        path = f"/messaging_pb.SeaweedS3IamCache/{method}"
        code = f"ADDRESS, PATH = {compose.address_for('store', 'api')!r}, {path!r}{UNSIGNED_CALL}"
        found: list[int] = json.loads(compose.python("api", code))
        return found

    assert status_of("PutIdentity") == [UNAUTHENTICATED]
    assert status_of("NoSuchMethod") == [UNIMPLEMENTED]


GREETING: Final = b"this machine"
PROBE: Final = """
import socket
def answer(name, host, port):
    try:
        with socket.create_connection((host, port), timeout=2) as opened:
            opened.sendall(ASK[name])
            return opened.recv(4096)
    except OSError:
        return b""
print([name for name, host, port in TARGETS if EXPECTED[name] in answer(name, host, port)])
"""
"""Who answers, not only whether somebody does: some networks answer in the name of everybody."""
HEALTH: Final = b"GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"
ASK: Final = {"redis": b"PING\r\n", "store": HEALTH, "api": HEALTH, "published": HEALTH, "machine": b"?"}
EXPECTED: Final = {
    "redis": b"NOAUTH",
    "store": b"200 OK",
    "api": b"X-Request-Id",
    "published": b"X-Request-Id",
    "machine": GREETING,
}


@pytest.fixture(scope="module")
def machine() -> Iterator[int]:
    """Something that listens on every address of this machine; yields its port."""
    with socket.create_server(("0.0.0.0", 0)) as listener:
        listener.settimeout(0.2)
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                try:
                    with listener.accept()[0] as caller:
                        caller.sendall(GREETING)
                        caller.shutdown(socket.SHUT_WR)
                        caller.settimeout(1)
                        caller.recv(1)
                except OSError:
                    continue

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            stop.set()
            thread.join()


def own_address() -> str:
    """Return the address of this machine that others know it by."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent
        return str(probe.getsockname()[0])


def gateways(compose: Compose, service: str) -> list[str]:
    """Return the addresses that this machine has, or would have, in a service's networks."""
    found = []
    for network in compose.inspect(service)["NetworkSettings"]["Networks"]:
        told = json.loads(run("docker", "network", "inspect", network).stdout)[0]
        found += [config["Gateway"] for config in told["IPAM"]["Config"] if config.get("Gateway")]
    return found


def reached(compose: Compose, service: str, machine: int) -> set[str]:
    targets = [
        ("redis", "redis", 6379),
        ("store", "store", S3_PORT),
        *(("api", address, 8000) for address in ("api", *compose.addresses("api"))),
        *(("machine", address, machine) for address in (own_address(), *gateways(compose, service))),
        *(("published", address, compose.port) for address in (own_address(), *gateways(compose, service))),
    ]
    given = f"TARGETS, ASK, EXPECTED = {targets}, {ASK}, {EXPECTED}"
    return set(json.loads(compose.python(service, f"{given}{PROBE}").replace("'", '"')))


@pytest.mark.parametrize("service", ["worker-interactive", "worker-bulk", "upkeep"])
def test_a_worker_reaches_redis_and_the_store_alone(compose: Compose, service: str, machine: int) -> None:
    assert reached(compose, service, machine) == {"redis", "store"}


def test_the_sender_reaches_out_and_not_the_api(compose: Compose, machine: int) -> None:
    assert reached(compose, "delivery", machine) == {"redis", "store", "machine"}


def test_the_api_reaches_the_stores_itself_and_no_further_than_this_machine(compose: Compose, machine: int) -> None:
    # What listens on every address of this machine it can reach: docs/operations.md says how to close that too.
    assert reached(compose, "api", machine) - {"machine"} == {"redis", "store", "api"}


def test_the_stores_reach_neither_each_other_nor_out(compose: Compose, machine: int) -> None:
    # Neither has Python, and one has no shell that opens connections: what their networks are is what there is to see.
    networks = {service: set(compose.inspect(service)["NetworkSettings"]["Networks"]) for service in STATES}
    assert not networks["redis"] & networks["store"]
    inner = {name for name in set().union(*networks.values()) if is_internal(name)}
    assert {service for service, joined in networks.items() if joined - inner} == {"api", "delivery"}
    assert not networks["api"] & networks["worker-interactive"]


def is_internal(network: str) -> bool:
    return run("docker", "network", "inspect", "--format", "{{.Internal}}", network).stdout.strip() == "true"


@pytest.mark.parametrize("service", sorted(set(BUILT) - {"delivery"}))
def test_a_name_of_the_outside_is_not_asked_for(compose: Compose, service: str) -> None:
    assert compose.inspect(service)["HostConfig"]["Dns"] == ["127.0.0.1"]
    code = "import socket\ntry: socket.getaddrinfo('example.com', 443); print('found')\nexcept OSError: print('none')"
    assert compose.python(service, code) == "none"


def test_what_redis_keeps(compose: Compose) -> None:
    code = (
        "import json, redis; from shared.config import Settings;"
        "r = redis.Redis.from_url(Settings().redis_url.get_secret_value(), decode_responses=True); told = r.info();"
        "r.hset('facefit:tried', 'long', 'x' * 200);"
        "print(json.dumps([told['aof_enabled'], told['maxmemory'], told['maxmemory_policy'],"
        " r.object('encoding', 'facefit:tried') in ('listpack', 'ziplist')])); r.delete('facefit:tried')"
    )
    assert json.loads(compose.python("upkeep", code)) == [1, 512 * 2**20, "noeviction", True]


def test_redis_lets_nobody_in_without_the_password_and_the_product_not_everywhere(compose: Compose) -> None:
    redis = compose.container("redis")
    bare = run("docker", "exec", redis, "redis-cli", "get", "any", check=False)
    assert "NOAUTH" in bare.stdout + bare.stderr
    probe = run("docker", "exec", redis, "redis-cli", "--user", "probe", "--pass", "none", "get", "any", check=False)
    assert "NOPERM" in probe.stdout + probe.stderr
    code = (
        "import redis; from shared.config import Settings;"
        "r = redis.Redis.from_url(Settings().redis_url.get_secret_value())\n"
        "for command in ('FLUSHALL', 'KEYS *', 'CONFIG GET *', 'SHUTDOWN', 'MONITOR', 'ACL LIST'):\n"
        "    try: r.execute_command(*command.split()); print('done')\n"
        "    except redis.exceptions.NoPermissionError: print('refused')"
    )
    assert compose.python("worker-bulk", code).split() == ["refused"] * 6


def test_the_product_has_one_bucket_and_no_other(compose: Compose) -> None:
    code = (
        "from shared.config import Settings; from shared.storage.s3 import S3ObjectStore;"
        "from botocore.exceptions import ClientError\n"
        "client = S3ObjectStore(Settings())._rare._client\n"
        "try: client.create_bucket(Bucket='another'); print('made')\n"
        "except ClientError as error: print(error.response['Error']['Code'])"
    )
    assert compose.python("api", code) == "AccessDenied"
