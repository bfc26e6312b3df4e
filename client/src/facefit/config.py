"""Where the address and the key come from: what is given, the environment, a file.

The file is TOML, `~/.config/facefit/config.toml` (or under `XDG_CONFIG_HOME`, or where `FACEFIT_CONFIG` says):

    url = "https://faces.example"
    key = "ffk_…"

A file with a key must be readable by its owner alone. Its key is for its `url`: another address does not get it.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from facefit.connection import DEFAULT_TIMEOUT_S, DEFAULT_URL, Connection
from facefit.errors import ConfigurationError
from facefit.retries import RetryPolicy

URL_VARIABLE: Final = "FACEFIT_URL"
KEY_VARIABLE: Final = "FACEFIT_API_KEY"
FILE_VARIABLE: Final = "FACEFIT_CONFIG"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What the configuration file says."""

    url: str | None = None
    key: str | None = field(default=None, repr=False)


def connect_to(
    url: str | None = None,
    key: str | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    timeout_s: float | None = None,
    retries: RetryPolicy | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Connection:
    """Return the connection that is asked for: what is given, else the environment, else the file.

    Raises
    ------
    ConfigurationError
        If the address, the key or the file cannot be used.
    """
    url = url or environment.get(URL_VARIABLE) or None
    key = key or environment.get(KEY_VARIABLE) or None
    if url is None or key is None:
        found = _read_file(config, environment)
        is_its_address = url is None or found.url is None or url.rstrip("/") == found.url.rstrip("/")
        url = url or found.url or DEFAULT_URL
        key = key or (found.key if is_its_address else None)
    return Connection(
        url,
        key.strip() if key else None,
        DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s,
        retries or RetryPolicy(),
    )


def config_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the file is looked for, unless another is named."""
    base = environment.get("XDG_CONFIG_HOME") or str(Path(environment.get("HOME") or Path.home()) / ".config")
    return Path(base) / "facefit" / "config.toml"


def _read_file(named: str | os.PathLike[str] | None, environment: Mapping[str, str]) -> ConfigFile:
    named = named or environment.get(FILE_VARIABLE) or None
    path = Path(named) if named else config_path(environment)
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
            mode = os.fstat(file.fileno()).st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        if named:
            raise ConfigurationError(f"the configuration file {path} is not there") from error
        return ConfigFile()
    except OSError as error:
        raise ConfigurationError(f"the configuration file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f'{path} is not TOML; it has lines like url = "https://…" and key = "ffk_…"'
        ) from error
    found = ConfigFile(_text(content, "url", path), _text(content, "key", path))
    if unknown := sorted(content.keys() - {"url", "key"}):
        raise ConfigurationError(f"{path} has {', '.join(unknown)}; there are url and key")
    if found.key is not None and os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(f"{path} holds a key and others can read it; run: chmod 600 {path}")
    return found


def _text(content: dict[str, Any], name: str, path: Path) -> str | None:
    value = content.get(name)
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"{name} in {path} is no text in quotation marks")
    return value or None
