"""`make secrets`: what the containers must not be told in their environment, as files of random values.

Needs nothing but Python, so that a machine with Docker and this folder can run it. What is there is kept; `--rotate`
makes one kind anew, and the containers that read it must be started again (SECURITY.md says which).

Each file can be read by everybody, in a folder that nobody but its owner can enter: compose hands a container the file
itself, with the owner it has here, and the container's user has another number.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from stack.redis_users import PRODUCT, users_file

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o444
RANDOM_BYTES: Final = 32
REDIS_ADDRESS: Final = "redis:6379/0"
FOLDER_SETTING: Final = "FACEFIT_SECRETS_FOLDER"
ROOT: Final = Path(__file__).resolve().parents[1]


def _redis() -> dict[str, str]:
    password = secrets.token_hex(RANDOM_BYTES)
    return {
        "facefit_redis_url": f"redis://{PRODUCT}:{password}@{REDIS_ADDRESS}\n",
        "redis_users.acl": users_file(password),
    }


def _s3() -> dict[str, str]:
    key_id, key = f"facefit-{secrets.token_hex(4)}", secrets.token_hex(RANDOM_BYTES)
    # Its own bucket and no other; the bucket itself it may make.
    actions = [f"{what}:facefit" for what in ("Admin", "Read", "Write", "List")]
    identity = {"name": "facefit", "credentials": [{"accessKey": key_id, "secretKey": key}], "actions": actions}
    return {
        "facefit_s3_access_key_id": key_id + "\n",
        "facefit_s3_secret_access_key": key + "\n",
        "store_identities.json": json.dumps({"identities": [identity]}, indent=1) + "\n",
    }


def _store() -> dict[str, str]:
    # Without these, the volume and filer ports serve every file to anybody who reaches them.
    tables = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
    return {
        "store_security.toml": "\n".join(f'[{table}]\nkey = "{secrets.token_hex(RANDOM_BYTES)}"\n' for table in tables)
    }


KINDS: Final[Mapping[str, Callable[[], dict[str, str]]]] = {"redis": _redis, "s3": _s3, "store": _store}
"""What is made together, because it must agree."""


class IncompleteSecrets(Exception):
    """Raised when a file is missing beside one that it must agree with."""


def make_secrets(folder: Path, *, rotate: str | None = None) -> list[str]:
    """Make what is missing and what is to be made anew; return the names of the files written.

    Raises
    ------
    IncompleteSecrets
        If a part of a kind is there and another is not, and it is not to be made anew.
    """
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    folder.chmod(FOLDER_MODE)
    written: list[str] = []
    for kind, make in KINDS.items():
        files = make()
        there = [name for name in files if (folder / name).is_file()]
        if kind != rotate and len(there) == len(files):
            continue
        if kind != rotate and there:
            missing = ", ".join(sorted(set(files) - set(there)))
            raise IncompleteSecrets(f"{missing} is missing beside {', '.join(there)}: make both anew, ROTATE={kind}")
        for name, text in files.items():
            _replace(folder / name, text)
        written += files
    return written


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=FILE_MODE)
    draft.chmod(FILE_MODE | 0o200)
    draft.write_text(text)
    draft.chmod(FILE_MODE)
    draft.replace(path)


def name_in_env_file(env_file: Path, example: Path, folder: Path) -> bool:
    """Name the folder in compose's file of settings, made from the example when there is none; tell if it changed."""
    text = env_file.read_text() if env_file.is_file() else example.read_text()
    if re.search(rf"^{FOLDER_SETTING}=.+$", text, re.MULTILINE):
        return False
    line = f"{FOLDER_SETTING}={folder.absolute()}"
    text, replaced = re.subn(rf"^{FOLDER_SETTING}=$", lambda _: line, text, flags=re.MULTILINE)
    env_file.write_text(text if replaced else f"{text.rstrip()}\n\n{line}\n")
    return True


def main(arguments: list[str] | None = None) -> int:
    """Make the files and say which."""
    parser = argparse.ArgumentParser(prog="make secrets", description="Make the secrets that docker-compose.yml reads.")
    parser.add_argument("--folder", type=Path, default=ROOT / "secrets")
    parser.add_argument("--rotate", choices=sorted(KINDS), help="make this kind anew")
    options = parser.parse_args(arguments)
    try:
        written = make_secrets(options.folder, rotate=options.rotate)
    except IncompleteSecrets as error:
        print(f"facefit: {error}", file=sys.stderr)
        return 1
    for name in written:
        print(f"made {options.folder / name}")
    if not written:
        print(f"all of it is there, in {options.folder}")
    if name_in_env_file(ROOT / ".env", ROOT / ".env.example", options.folder):
        print(f".env names the folder as {FOLDER_SETTING}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
