"""Options of a batch, and those that an item of it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from api.problems import invalid, invalid_fields
from api.webhook_targets import check_webhook_of
from shared.schemas import JobOptions

ROUTE: Final = "POST /v1/batches"
"""For fingerprints of what makes a batch."""


class BatchOptions:
    """What was given for a whole batch, checked.

    Parameters
    ----------
    given : mapping
        By name, as it was sent.

    Raises
    ------
    ProblemError
        400 naming each option that is wrong.
    TargetForbidden
        If the webhook's target may not be called.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        if "reference" in given:
            raise invalid("reference", "belongs to an item, not to the batch")
        try:
            self.options = check_webhook_of(JobOptions.model_validate(given))
        except ValidationError as error:
            raise invalid_fields(error) from error
        self._given = self.options.model_dump(exclude_unset=True)

    def as_bytes(self) -> bytes:
        """Return what tells them from others: a default counts as not given."""
        return self.options.model_dump_json(exclude_defaults=True).encode()

    def for_item(self, own: Mapping[str, Any]) -> JobOptions:
        """Return the options of an item: the batch's, and over them its own, its reference among them.

        Raises
        ------
        ValidationError
            If they are wrong, or do not go together.
        TargetForbidden
            If its own webhook's target may not be called.
        """
        options = JobOptions.model_validate({**self._given, **own})
        return check_webhook_of(options) if "webhook_url" in own else options
