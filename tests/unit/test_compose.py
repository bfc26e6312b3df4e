"""What docker-compose.yml promises: walls, limits, secrets as files, and time enough to stop."""

from __future__ import annotations

import re
from itertools import permutations
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from api import gunicorn_conf
from shared.config import Settings
from shared.names import QueueName
from stack.secret_files import FOLDER_SETTING, KINDS
from stack.services import HOLDS_ON_TO_MEMORY, services

ROOT: Final = Path(__file__).parents[2]
TEXT: Final = (ROOT / "docker-compose.yml").read_text()
EXAMPLE: Final = (ROOT / ".env.example").read_text()
COMPOSE: Final[dict[str, Any]] = yaml.safe_load(TEXT)
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
NAMES: Final = sorted(SERVICES)
WORKERS: Final = sorted(f"worker-{queue}" for queue in QueueName)
STORES: Final = ["redis", "store"]

NO_HEALTHCHECK: Final = {
    "delivery": "listens nowhere and measures nothing; started again when it ends",
    "upkeep": "listens nowhere and measures nothing; started again when it ends",
    "store-init": "runs once and ends",
}
ASKED_IN_THE_IMAGE: Final = {"api": "Dockerfile.api", **dict.fromkeys(WORKERS, "Dockerfile.worker")}
"""These say in their Dockerfile how they are asked."""

TO_CLOSE_S: Final = 5
"""What is left of a grace period when the longest thing in hand has ended."""


def example() -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", EXAMPLE, flags=re.MULTILINE))


def filled(value: object) -> str:
    """Put in what the example says, or the default, as compose does."""
    values = example()
    return re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda name: values.get(name[1]) or name[2] or "", str(value))


def networks(service: str) -> set[str]:
    """Return what a service is on; one that is told so is nowhere."""
    return set() if SERVICES[service].get("network_mode") == "none" else set(SERVICES[service]["networks"])


def seconds(service: str) -> float:
    number = re.fullmatch(r"(\d+)s", SERVICES[service]["stop_grace_period"])
    assert number
    return float(number[1])


def megabytes(size: str) -> float:
    number = re.fullmatch(r"(\d+)(m|g)", filled(size))
    assert number, size
    return int(number[1]) * {"m": 1, "g": 1024}[number[2]]


# --- What each may do


@pytest.mark.parametrize("service", NAMES)
def test_every_service_is_confined(service: str) -> None:
    told = SERVICES[service]
    assert told["read_only"] is True
    assert told["init"] is True
    assert told["cap_drop"] == ["ALL"]
    assert told["security_opt"] == ["no-new-privileges:true"]
    assert told["ulimits"] == {"core": 0}
    assert "privileged" not in told
    assert "devices" not in told
    assert not {"host"} & {told.get("network_mode"), told.get("pid"), told.get("ipc"), told.get("userns_mode")}


def test_only_what_gives_a_new_volume_away_has_capabilities() -> None:
    assert {name: told["cap_add"] for name, told in SERVICES.items() if "cap_add" in told} == {
        "store-init": ["CHOWN", "DAC_READ_SEARCH"]
    }


@pytest.mark.parametrize("service", NAMES)
def test_nobody_is_root_but_what_runs_once_without_a_network(service: str) -> None:
    told = SERVICES[service]
    if "build" in told:
        assert re.findall(r"^USER (.*)$", (ROOT / told["build"]["dockerfile"]).read_text(), re.MULTILINE) == [
            "10001:10001"
        ]
    elif told["user"].startswith("0"):
        assert service == "store-init"
        assert networks(service) == set()


@pytest.mark.parametrize("service", NAMES)
def test_every_service_has_limits(service: str) -> None:
    told = SERVICES[service]
    assert 0 < megabytes(told["mem_limit"]) <= 2048
    # No face is swapped out to a disk.
    assert told["memswap_limit"] == told["mem_limit"]
    assert 0 < float(filled(told["cpus"])) <= 2
    assert 0 < told["pids_limit"] <= 512


@pytest.mark.parametrize("service", NAMES)
def test_what_lies_in_memory_leaves_room_for_the_process(service: str) -> None:
    in_memory = [re.search(r":size=(\d+)m$", place) for place in SERVICES[service].get("tmpfs", ())]
    assert all(in_memory)
    assert sum(int(place[1]) for place in in_memory if place) <= megabytes(SERVICES[service]["mem_limit"]) / 2


def test_redis_is_full_before_its_container_is() -> None:
    full = re.search(r"--maxmemory (\d+)mb", SERVICES["redis"]["command"])
    assert full
    assert 2 * int(full[1]) <= megabytes(SERVICES["redis"]["mem_limit"])


@pytest.mark.parametrize("service", NAMES)
def test_logs_take_a_bounded_part_of_the_disk(service: str) -> None:
    assert SERVICES[service]["logging"] == {
        "driver": "json-file",
        "options": {"max-size": "10m", "max-file": "5"},
    }


@pytest.mark.parametrize("service", NAMES)
def test_every_service_is_asked_how_it_is_or_there_is_a_reason(service: str) -> None:
    told = SERVICES[service].get("healthcheck", {})
    if service in NO_HEALTHCHECK:
        assert told == {"disable": True}
    elif service in ASKED_IN_THE_IMAGE:
        assert told == {}
        assert "HEALTHCHECK" in (ROOT / ASKED_IN_THE_IMAGE[service]).read_text()
    else:
        assert told["test"]


@pytest.mark.parametrize("service", sorted(set(NAMES) - {"store-init"}))
def test_what_dies_is_started_again(service: str) -> None:
    assert SERVICES[service]["restart"] == "unless-stopped"


# --- Who reaches whom


def reached() -> set[tuple[str, str]]:
    """Return who shares a network with whom."""
    return {(one, other) for one, other in permutations(NAMES, 2) if networks(one) & networks(other)}


def test_workers_reach_the_stores_and_nothing_else_that_listens() -> None:
    listening = {"api", *STORES}
    for worker in (*WORKERS, "upkeep", "delivery"):
        assert {other for one, other in reached() if one == worker} & listening == set(STORES)


def test_the_api_reaches_the_stores_alone() -> None:
    assert {other for one, other in reached() if one == "api"} <= set(STORES)


def test_the_stores_do_not_reach_each_other() -> None:
    assert ("redis", "store") not in reached()


def test_only_the_sender_has_a_way_out() -> None:
    inner = {name for name, told in COMPOSE["networks"].items() if told and told.get("internal")}
    assert {name: networks(name) - inner for name in NAMES if networks(name) - inner} == {
        "api": {"door"},
        "delivery": {"outside"},
    }
    assert [name for name in NAMES if "outside" in networks(name)] == ["delivery"]


def test_no_inner_network_leads_to_the_machine_itself() -> None:
    for name, told in COMPOSE["networks"].items():
        if name == "door":
            assert told["driver_opts"] == {"com.docker.network.bridge.enable_ip_masquerade": "false"}
        elif name != "outside":
            assert told["driver_opts"] == {"com.docker.network.bridge.inhibit_ipv4": "true"}


def test_only_the_sender_looks_up_names_of_the_outside() -> None:
    assert {name for name in NAMES if SERVICES[name]["dns"] != ["127.0.0.1"]} == {"delivery", "store-init"}
    assert networks("store-init") == set()


def test_one_port_is_published_and_only_on_loopback() -> None:
    published = {name: told["ports"] for name, told in SERVICES.items() if "ports" in told}
    assert published == {"api": ["127.0.0.1:${FACEFIT_PORT:-8000}:8000"]}


# --- Secrets

SECRET_WORDS: Final = re.compile(r"PASSWORD|SECRET|_KEY(?!S\b)|TOKEN|AUTH|CREDENTIAL", re.IGNORECASE)


@pytest.mark.parametrize("service", NAMES)
def test_no_secret_is_in_an_environment_or_a_command(service: str) -> None:
    told = SERVICES[service]
    environment = told.get("environment") or {}
    assert [name for name in environment if SECRET_WORDS.search(name)] == []
    said = " ".join(str(told.get(part, "")) for part in ("command", "entrypoint", "healthcheck", "environment"))
    assert FOLDER_SETTING not in said
    assert re.search(r"requirepass|redis://|--pass (?!none )", said) is None


@pytest.mark.parametrize("name", sorted(COMPOSE["x-settings"]))
def test_a_setting_that_is_passed_on_is_one(name: str) -> None:
    assert name.removeprefix("FACEFIT_").lower() in Settings.model_fields


def test_the_files_that_compose_wants_are_those_that_are_made() -> None:
    wanted = {told["file"].rsplit("}/", 1)[1] for told in COMPOSE["secrets"].values()}
    assert wanted == {name for make in KINDS.values() for name in make()}


def test_a_container_gets_the_secrets_that_it_reads_and_no_others() -> None:
    def given(service: str) -> set[str]:
        return {told if isinstance(told, str) else told["source"] for told in SERVICES[service].get("secrets", ())}

    product = {name for name in COMPOSE["secrets"] if name.startswith("facefit_")}
    for service in NAMES:
        if "build" in SERVICES[service] and service != "store":
            assert given(service) == product
    assert product == {f"facefit_{name}" for name in Settings.model_fields} & set(COMPOSE["secrets"])
    assert given("redis") == {"redis_users"}
    # What erases stands beside it, and signs its requests like everybody; it has nothing to say to Redis.
    of_s3 = {name for name in product if "_s3_" in name}
    assert given("store") == {"store_identities", "store_security"} | of_s3
    assert given("store-init") == set()


def test_neither_git_nor_a_build_takes_the_secrets() -> None:
    assert {"secrets/", ".env"} <= set((ROOT / ".gitignore").read_text().splitlines())
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in kept
    assert {line for line in kept if line.startswith("!")} == {"!api", "!shared", "!worker", "!requirements"}


# --- Stopping


def test_a_worker_may_finish_what_it_has_in_hand() -> None:
    settings = Settings()
    longest_s = settings.doorbell_grace_s + settings.lease_s
    assert all(seconds(worker) >= longest_s + TO_CLOSE_S for worker in WORKERS)


def test_the_sender_may_finish_and_note_what_it_has_in_hand() -> None:
    settings = Settings()
    noting_s = 2 * (settings.storage_connect_timeout_s + settings.storage_read_timeout_s)
    longest_s = max(settings.webhook_timeout_s, settings.fetch_timeout_s)
    assert seconds("delivery") >= longest_s + noting_s + TO_CLOSE_S


def test_the_api_may_finish_what_gunicorn_lets_it() -> None:
    assert seconds("api") >= gunicorn_conf.graceful_timeout + TO_CLOSE_S


# --- What it is told


def test_every_declared_queue_is_watched_and_no_other() -> None:
    watched = {
        name: re.findall(r"--queues ([a-z,]+)", str(told.get("command", "")))
        for name, told in SERVICES.items()
        if "--queues" in str(told.get("command", ""))
    }
    assert watched == {f"worker-{queue}": [queue.value] for queue in QueueName}


def test_a_worker_in_a_container_holds_on_to_memory_as_one_outside_does() -> None:
    variables = dict(re.findall(r"^\s+(MALLOC_\w+)=(\S+)", (ROOT / "Dockerfile.worker").read_text(), re.MULTILINE))
    assert variables == HOLDS_ON_TO_MEMORY
    given = {
        child.name: HOLDS_ON_TO_MEMORY.items() <= child.env.items()
        for child in services({"FACEFIT_REDIS_URL": "redis://127.0.0.1:1/0"})
    }
    assert {name for name, holds in given.items() if holds} == set(WORKERS)


def test_every_setting_that_a_service_is_given_exists() -> None:
    known = {f"FACEFIT_{name.upper()}" for name in Settings.model_fields}
    given = {name for told in SERVICES.values() for name in told.get("environment") or {}}
    assert {name for name in given if name.startswith("FACEFIT_")} <= known


def test_the_example_offers_what_compose_reads_and_nothing_else() -> None:
    assert set(example()) == set(re.findall(r"\$\{(\w+):", TEXT.split("\n", 3)[3]))


def test_the_defaults_are_those_of_the_example() -> None:
    for name, default in re.findall(r"\$\{(\w+):-([^}]*)\}", TEXT):
        assert example()[name] == default
