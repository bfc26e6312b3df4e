"""What must agree across files: queues, codes, settings, walls between vendors."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from api.gunicorn_conf import refuse_open_door
from api.problems import KINDS
from docs import configuration
from shared.config import Settings
from shared.errors import PROCESSING_FAILED, REJECTIONS, ConfigurationError
from shared.names import QueueName, TaskName
from shared.queue import make_celery
from stack.services import WORKERS

ROOT = Path(__file__).parents[2]
DECLARED = sorted(QueueName)


def test_every_declared_queue_is_watched_by_the_stack_and_no_other() -> None:
    assert sorted(queue for worker in WORKERS for queue in worker.queues) == DECLARED


def test_celery_knows_the_declared_queues_and_makes_no_others() -> None:
    app = make_celery(Settings())
    assert sorted(app.amqp.queues) == DECLARED
    assert app.conf.task_create_missing_queues is False


def test_celery_rests_nothing_on_the_broker() -> None:
    conf = make_celery(Settings()).conf
    assert conf.result_backend is None
    assert conf.task_ignore_result
    assert not conf.task_acks_late
    assert not conf.task_always_eager
    assert conf.broker_transport_options["socket_timeout"] > 0
    assert conf.broker_transport_options["socket_connect_timeout"] > 0
    # Else a worker with a connection that is half open is deaf for most of a minute.
    assert 0 < conf.broker_transport_options["health_check_interval"] <= 10


def test_the_worker_has_every_declared_task() -> None:
    source = (ROOT / "worker" / "celery_app.py").read_text()
    assert [task for task in TaskName if f"name=TaskName.{task.name}" not in source] == []


def codes_in_errors_page() -> set[str]:
    return set(re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE))


def test_every_error_code_is_documented_and_no_other() -> None:
    codes = {kind.code for kind in KINDS} | {rejection.code for rejection in REJECTIONS} | {PROCESSING_FAILED}
    assert codes_in_errors_page() == codes


def test_every_setting_is_documented() -> None:
    assert configuration.PAGE.read_text() == configuration.page()
    assert all(field.description for field in Settings.model_fields.values())


@cache
def modules(*folders: str) -> list[tuple[str, ast.Module]]:
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [(path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())) for path in paths]


def importers_of(vendor: str) -> set[str]:
    found = set()
    for name, tree in modules("api", "worker", "shared"):
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(imported.split(".")[0] == vendor for imported in names):
                found.add(name)
    return found


@pytest.mark.parametrize(
    ("vendor", "doors"),
    [
        ("redis", {"shared/redis_client.py", "shared/jobs/redis_link.py", "shared/deliveries/redis_store.py"}),
        ("obstore", {"shared/storage/s3.py"}),
        ("boto3", {"shared/storage/s3_client.py"}),
        ("botocore", {"shared/storage/s3_client.py"}),
        ("celery", {"shared/queue.py", "shared/consumer.py", "worker/celery_app.py"}),
        ("kombu", {"shared/queue.py", "shared/lost_acknowledgements.py"}),
        ("urllib3", {"shared/outbound.py", "shared/wire.py", "shared/storage/seaweedfs.py"}),
        ("idna", {"shared/targets.py"}),
        ("standardwebhooks", {"shared/signing.py"}),
        ("cv2", {"worker/vision/reference_object.py"}),
    ],
)
def test_each_vendor_has_one_door(vendor: str, doors: set[str]) -> None:
    assert importers_of(vendor) == doors


def test_pillow_stays_where_untrusted_bytes_are_decoded() -> None:
    assert {path.rsplit("/", 1)[0] for path in importers_of("PIL") | importers_of("pillow_heif")} == {"worker/vision"}


def test_mediapipe_is_named_behind_its_door_alone() -> None:
    users = {
        name
        for name, tree in modules("api", "worker", "shared")
        if '"mediapipe"' in ast.unparse(tree).replace("'", '"')
    }
    assert users | importers_of("mediapipe") == {"worker/vision/face_mesh.py"}


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        name
        for name, tree in modules("api", "worker", "shared")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in {"environ", "getenv"}
        and ast.unparse(node).startswith("os.")
    }
    assert readers == set()


def test_images_get_what_they_need_and_nothing_of_the_other_side() -> None:
    def packages(group: str) -> set[str]:
        text = (ROOT / "requirements" / f"{group}.txt").read_text()
        return {line.split("==")[0] for line in text.splitlines() if "==" in line and not line.startswith(" ")}

    assert packages("api").isdisjoint({"mediapipe", "numpy", "opencv-python-headless", "pillow", "pillow-heif"})
    assert packages("worker").isdisjoint({"flask", "flask-openapi3", "gunicorn", "werkzeug"})
    assert packages("worker").isdisjoint({"jax", "jaxlib", "opencv-contrib-python", "sounddevice", "sentencepiece"})
    assert {"mediapipe", "numpy", "opencv-python-headless"} <= packages("worker")


def test_requirements_carry_hashes_and_no_addresses() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        assert "://" not in text
        assert "--index" not in text
        pins = [line for line in text.splitlines() if "==" in line and not line.startswith((" ", "#"))]
        assert pins
        assert all(line.endswith("\\") for line in pins), path.name


def test_the_version_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f'VERSION: Final = "{project["version"]}"' in (ROOT / "api" / "app.py").read_text()
    assert f"## [{project['version']}]" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("address", [("0.0.0.0", 80), ("192.0.2.7", 80), ("::", 80), ("example.org", 80), 3])
def test_the_api_refuses_an_open_door_without_keys(address: tuple[str, int] | int) -> None:
    with pytest.raises(ConfigurationError, match=r"python -m api\.keys create .* FACEFIT_UNSAFE_NO_KEYS"):
        refuse_open_door([address], Settings(), lambda: False)
    refuse_open_door([address], Settings(), lambda: True)
    refuse_open_door([address], Settings(unsafe_no_keys=True), lambda: False)


@pytest.mark.parametrize(
    "address", [("127.0.0.1", 80), ("localhost", 80), ("::1", 80), ("127.8.9.1", 80), "/run/x.sock"]
)
def test_this_machine_alone_is_no_open_door(address: tuple[str, int] | str) -> None:
    refuse_open_door([address], Settings(), lambda: False)


def test_a_lease_must_outlast_a_photo() -> None:
    with pytest.raises(ValueError, match="FACEFIT_LEASE_S must be longer"):
        Settings(lease_s=10, photo_time_limit_s=10)
