"""`render.yaml` is in the form that Render documents for blueprints, and runs what compose runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.config import Settings
from shared.names import QueueName
from stack.services import ROOT

BLUEPRINT: dict[str, Any] = yaml.safe_load((ROOT / "render.yaml").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())

# As https://render.com/docs/blueprint-spec has them; of those, what is used here.
ROOT_FIELDS = {"services", "databases", "envVarGroups", "projects", "ungrouped", "previews"}
BUILT = {"type", "name", "runtime", "plan", "region", "branch", "repo", "rootDir", "dockerfilePath",
         "dockerContext", "dockerCommand", "numInstances", "envVars", "maxShutdownDelaySeconds", "disk",
         "autoDeployTrigger"}  # fmt: skip
FIELDS = {
    "web": BUILT | {"healthCheckPath", "domains", "scaling"},
    "worker": BUILT | {"scaling"},
    "keyvalue": {"type", "name", "plan", "region", "ipAllowList", "maxmemoryPolicy"},
}
PLANS = {"free", "starter", "standard", "pro", "pro plus", "pro max", "pro ultra"}
POLICIES = {"noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu",
            "volatile-random", "volatile-ttl"}  # fmt: skip
PROPERTIES = {"host", "port", "hostport", "connectionString"}
SOURCES = ({"key", "value"}, {"key", "sync"}, {"key", "generateValue"}, {"key", "fromService"}, {"fromGroup"})
MAX_SHUTDOWN_S = 300
SERVICES = {service["name"]: service for service in BLUEPRINT["services"]}
BUILT_SERVICES = [service for service in SERVICES.values() if service["type"] != "keyvalue"]


def variables(entries: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what is set, by name, groups looked into."""
    groups = {group["name"]: group["envVars"] for group in BLUEPRINT["envVarGroups"]}
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        found |= variables(groups[entry["fromGroup"]]) if "fromGroup" in entry else {entry["key"]: entry}
    return found


def test_only_documented_fields_and_values() -> None:
    assert set(BLUEPRINT) <= ROOT_FIELDS
    for service in SERVICES.values():
        assert set(service) <= FIELDS[service["type"]], service["name"]
        assert service["plan"] in PLANS
        assert 0 < service.get("maxShutdownDelaySeconds", 30) <= MAX_SHUTDOWN_S
    store = SERVICES["facefit-records"]
    assert store["maxmemoryPolicy"] in POLICIES
    assert store["ipAllowList"] == []


@pytest.mark.parametrize("service", BUILT_SERVICES, ids=lambda service: service["name"])
def test_variables_are_settings_from_sources_that_exist(service: dict[str, Any]) -> None:
    for entry in [*service["envVars"], *BLUEPRINT["envVarGroups"][0]["envVars"]]:
        assert set(entry) in SOURCES, entry
    for name, entry in variables(service["envVars"]).items():
        assert name == "PORT" or name.removeprefix("FACEFIT_").lower() in Settings.model_fields, name
        if reference := entry.get("fromService"):
            assert SERVICES[reference["name"]]["type"] == reference["type"]
            assert reference["property"] in PROPERTIES
        assert isinstance(entry.get("value", ""), str), f"{name}: Render wants text"


def test_secrets_are_asked_for_and_not_in_the_file() -> None:
    settings = variables(BUILT_SERVICES[0]["envVars"])
    for name in ("FACEFIT_S3_ACCESS_KEY_ID", "FACEFIT_S3_SECRET_ACCESS_KEY"):
        assert settings[name] == {"key": name, "sync": False}


def test_values_are_taken_by_the_settings() -> None:
    given = {
        name: entry["value"]
        for name, entry in variables(SERVICES["facefit-api"]["envVars"]).items()
        if "value" in entry
    }
    own = {name.removeprefix("FACEFIT_").lower(): value for name, value in given.items() if name != "PORT"}
    settings = Settings(**own)
    assert not settings.unsafe_no_keys
    assert str(settings.listen_port) == given["PORT"]


def test_it_runs_what_compose_runs() -> None:
    def commands(services: list[dict[str, Any]], name: str) -> set[str]:
        told = [" ".join(service[name].split()) for service in services if name in service]
        return {command.partition(" --concurrency")[0] for command in told}

    ours = [service for name, service in COMPOSE["services"].items() if "build" in service and name != "store"]
    assert commands(BUILT_SERVICES, "dockerCommand") == commands(ours, "command")
    watched = " ".join(commands(BUILT_SERVICES, "dockerCommand"))
    assert all(f"--queues {queue.value}" in watched for queue in QueueName)
    for service in BUILT_SERVICES:
        assert Path(ROOT, service["dockerfilePath"]).is_file()
