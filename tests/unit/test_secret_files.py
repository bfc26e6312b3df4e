"""`make secrets`, and how the product reads what it made."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from shared.config import Settings
from stack.redis_users import users_file
from stack.secret_files import KINDS, ROOT, IncompleteSecrets, make_secrets, name_in_env_file


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_folder_is_the_wall_and_the_files_can_be_read_by_a_containers_user(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    made = make_secrets(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == dict.fromkeys(made, 0o444)


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    before = texts(tmp_path)
    assert make_secrets(tmp_path) == []
    assert texts(tmp_path) == before


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_one_kind_is_made_anew_and_the_others_kept(tmp_path: Path, kind: str) -> None:
    make_secrets(tmp_path)
    before = texts(tmp_path)
    made = make_secrets(tmp_path, rotate=kind)
    after = texts(tmp_path)
    assert {name for name in after if after[name] != before[name]} == set(made) == set(KINDS[kind]())


def test_two_folders_share_nothing(tmp_path: Path) -> None:
    make_secrets(tmp_path / "one")
    make_secrets(tmp_path / "other")
    one, other = texts(tmp_path / "one"), texts(tmp_path / "other")
    assert [name for name in one if one[name] == other[name]] == []


def test_half_of_a_kind_is_not_filled_up(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    (tmp_path / "redis_users.acl").unlink()
    with pytest.raises(IncompleteSecrets, match=r"redis_users\.acl is missing .*ROTATE=redis"):
        make_secrets(tmp_path)
    make_secrets(tmp_path, rotate="redis")
    assert make_secrets(tmp_path) == []


def test_the_parts_of_a_kind_agree(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    made = texts(tmp_path)
    password = made["facefit_redis_url"].split(":")[2].split("@")[0]
    assert made["redis_users.acl"] == users_file(password)
    assert password not in made["redis_users.acl"]
    (identity,) = json.loads(made["store_identities.json"])["identities"]
    assert identity["credentials"] == [
        {
            "accessKey": made["facefit_s3_access_key_id"].strip(),
            "secretKey": made["facefit_s3_secret_access_key"].strip(),
        }
    ]
    assert {action.split(":")[1] for action in identity["actions"]} == {Settings().s3_bucket}


def test_the_file_of_settings_is_made_once_and_names_the_folder(tmp_path: Path) -> None:
    env_file, example = tmp_path / ".env", ROOT / ".env.example"
    assert name_in_env_file(env_file, example, tmp_path / "secrets")
    line = f"FACEFIT_SECRETS_FOLDER={tmp_path}/secrets\n"
    assert env_file.read_text() == example.read_text().replace("FACEFIT_SECRETS_FOLDER=\n", line)
    assert not name_in_env_file(env_file, example, tmp_path / "elsewhere")
    env_file.write_text("FACEFIT_PORT=9000")
    assert name_in_env_file(env_file, example, tmp_path / "secrets")
    assert env_file.read_text() == f"FACEFIT_PORT=9000\n\n{line}"


def test_nothing_but_python_is_needed() -> None:
    code = (
        "import sys; before = set(sys.modules); import stack.secret_files;"
        "new = {name.split('.')[0] for name in set(sys.modules) - before};"
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    ran = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "['stack']"


def test_the_product_reads_secrets_from_files(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    settings = Settings(_secrets_dir=tmp_path)
    made = texts(tmp_path)
    assert settings.redis_url.get_secret_value() == made["facefit_redis_url"].strip()
    assert settings.s3_access_key_id.get_secret_value() == made["facefit_s3_access_key_id"].strip()
    assert settings.s3_secret_access_key.get_secret_value() == made["facefit_s3_secret_access_key"].strip()


def test_the_environment_wins_over_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "facefit_s3_bucket").write_text("from-the-file\n")
    assert Settings(_secrets_dir=tmp_path).s3_bucket == "from-the-file"
    monkeypatch.setenv("FACEFIT_S3_BUCKET", "from-the-environment")
    assert Settings(_secrets_dir=tmp_path).s3_bucket == "from-the-environment"


def test_no_folder_of_secrets_is_no_trouble(tmp_path: Path) -> None:
    assert Settings(_secrets_dir=tmp_path / "nowhere") == Settings()
