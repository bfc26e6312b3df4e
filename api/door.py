"""Who is let in: the key of a request, and the few endpoints that need none."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, cast

from flask import Flask, Request, current_app

from api.context import Services, header_of
from shared.config import Settings, is_loopback
from shared.errors import KeyRefused
from shared.keys.archive import KeyArchive
from shared.keys.ring import Keyring

PUBLIC_ENDPOINTS: Final = frozenset(
    {
        "pages.page",
        "pages.docs",
        "pages.openapi_document",
        "pages.web_file",
        "pages.swagger_file",
        "service.healthz",
        "service.readyz",
    }
)
"""What is answered without a key: the pages, and whether the service is well. Nothing else, whatever is added."""

KEY_HEADER: Final = "X-API-Key"
_EXTENSION: Final = "facefit_door"
_SCHEME: Final = "bearer "
_ADDRESSES_KEPT: Final = 1024


class Door:
    """Tells whose request it is."""

    def __init__(self, ring: Keyring, settings: Settings) -> None:
        self._ring = ring
        self._answers_anybody = settings.unsafe_no_keys

    @property
    def is_open(self) -> bool:
        """Whether no key is needed, as far as is known now."""
        return self._ring.is_open

    def tenant_of(self, request: Request) -> str:
        """Return whose request it is, by its headers alone.

        Raises
        ------
        KeyRefused, KeysUnavailable
            If it is nobody's, or that cannot be told.
        """
        given = presented_key(request)
        tenant = self._ring.tenant_of(given)
        if given is None and not self._answers_anybody and not _is_from_here(request):
            # Keys were there when this address was opened, or it would not have been; somebody emptied the storage.
            raise KeyRefused
        return tenant


def register_door(app: Flask, services: Services) -> Door:
    """Give an app its door, over the keys in its storage."""
    settings = services.settings
    archive = KeyArchive(services.jobs.objects)
    ring = Keyring(archive, refresh_s=settings.keys_refresh_s, max_age_s=settings.keys_max_age_s)
    app.extensions[_EXTENSION] = Door(ring, settings)
    return door_of(app)


def door_of(app: Flask | None = None) -> Door:
    """Return the door of an app, or of the one that answers this request."""
    return cast("Door", (app or current_app).extensions[_EXTENSION])


def presented_key(request: Request) -> str | None:
    """Return the key that a request brings in its headers; None if it brings none.

    Raises
    ------
    KeyRefused
        If two are given that differ, or another kind of authorization than a key.
    """
    by_header = header_of(request, "X_API_KEY")
    authorization = header_of(request, "AUTHORIZATION")
    if authorization is None:
        return by_header
    if not authorization.lower().startswith(_SCHEME):
        raise KeyRefused
    bearer = authorization[len(_SCHEME) :].strip()
    if by_header is not None and by_header != bearer:
        raise KeyRefused
    return bearer


def _is_from_here(request: Request) -> bool:
    return not request.remote_addr or _is_loopback(request.remote_addr)  # none at a Unix socket


@lru_cache(_ADDRESSES_KEPT)
def _is_loopback(address: str) -> bool:
    return is_loopback(address)
