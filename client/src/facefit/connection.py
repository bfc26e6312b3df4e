"""Where the service is and how it is spoken to: what both clients make their connections of."""

from __future__ import annotations

import functools
import platform
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from facefit.calls import Call
from facefit.errors import ConfigurationError
from facefit.retries import RetryPolicy
from facefit.version import VERSION

DEFAULT_URL: Final = "http://127.0.0.1:8000"
DEFAULT_TIMEOUT_S: Final = 60.0
_CONNECT_TIMEOUT_S: Final = 10.0
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Connection:
    """A service, the key for it, and how patiently it is asked.

    Attributes
    ----------
    url : str
        Where the service is.
    key : str or None
        The API key; sent to that address and nowhere else, and never shown.
    timeout_s : float
        How long nothing may come before an attempt is given up; waiting that was asked for comes on top.
    retries : RetryPolicy
        How long to go on asking.
    """

    url: str = DEFAULT_URL
    key: str | None = field(default=None, repr=False)
    timeout_s: float = DEFAULT_TIMEOUT_S
    retries: RetryPolicy = field(default_factory=RetryPolicy)

    def __post_init__(self) -> None:
        _check_url(self.url)
        if self.key is not None and not (
            self.key.isascii() and self.key.isprintable() and self.key.strip() == self.key
        ):
            raise ConfigurationError("the API key has characters that no key has (a line end, a space?); copy it again")

    @property
    def shows_key_on_the_way(self) -> bool:
        """Whether the key would travel over a network unencrypted."""
        url = httpx.URL(self.url)
        return self.key is not None and url.scheme == "http" and url.host not in _LOOPBACK

    def service_arguments(self) -> dict[str, Any]:
        """Return what an httpx client for the service is made with."""
        headers = {"User-Agent": _USER_AGENT, "Accept": "application/json, application/problem+json, */*;q=0.5"}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        return {"base_url": self.url.rstrip("/"), "headers": headers, **self._limits()}

    def storage_arguments(self) -> dict[str, Any]:
        """Return what an httpx client for storage is made with: it gets no key."""
        return {"headers": {"User-Agent": _USER_AGENT}, **self._limits()}

    def _limits(self) -> dict[str, Any]:
        # Redirects are not followed: a key goes to one address.
        timeout = httpx.Timeout(self.timeout_s, connect=_CONNECT_TIMEOUT_S, pool=None)
        return {"timeout": timeout, "verify": _certificates()}

    def request_arguments(self, call: Call[Any]) -> dict[str, Any]:
        """Return the arguments of one request, but for its body."""
        timeout = httpx.Timeout(
            self.timeout_s, connect=_CONNECT_TIMEOUT_S, read=self.timeout_s + call.wait_s, pool=None
        )
        headers: Mapping[str, str] = call.headers
        return {
            "method": call.method,
            "url": call.path,
            "params": call.parameters() or None,
            "headers": headers,
            "timeout": timeout,
        }


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Return whom to trust; reading it takes longer than most requests, so it is read once."""
    return httpx.create_ssl_context()


_USER_AGENT: Final = f"facefit-python/{VERSION} python/{platform.python_version()}"


def _check_url(text: str) -> None:
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, TypeError, ValueError):
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError(f"{text!r} is no address of a service; one is like {DEFAULT_URL}")
    if url.userinfo or url.query or url.fragment:
        raise ConfigurationError(
            "the address of the service has no user, password, query or fragment; the key is given apart"
        )
