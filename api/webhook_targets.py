"""Judges where a client wants to be called back, before anything is stored."""

from __future__ import annotations

from api.context import services
from shared.schemas import JobOptions
from shared.targets import check_target


def check_webhook_target(url: str) -> None:
    """Judge a URL as far as its text tells; each attempt judges it again, and the address its name has then.

    Raises
    ------
    TargetForbidden
        If it may not be called: `400 webhook_target_forbidden`.
    """
    settings = services().settings
    check_target(url, settings.outbound_policy(settings.webhook_timeout_s))


def check_webhook_of(options: JobOptions) -> JobOptions:
    """Return options whose target, if they name one, may be called; raises as `check_webhook_target` does."""
    if options.webhook_url is not None:
        check_webhook_target(options.webhook_url)
    return options
