"""The fetcher of photos at URLs: each comes through the guarded client, is looked at, and goes to the desk."""

from __future__ import annotations

import logging
import tempfile
import threading
from http import HTTPStatus
from typing import IO, BinaryIO, Final, cast

from shared.config import MEGABYTE
from shared.deliveries.schedule import retry_after_s
from shared.errors import (
    FetchFailed,
    FetchForbidden,
    ImageTooLarge,
    Rejected,
    Transient,
    UnreadableObject,
    UnsupportedFormat,
)
from shared.fetches.desk import FetchDesk
from shared.fetches.store import FetchClaim
from shared.fetches.tickets import PhotoUrl
from shared.image_formats import SNIFF_BYTES, sniff_image_format
from shared.jobs.lifecycle import Upload
from shared.metrics import FETCHES
from shared.observability import about
from shared.outbound import AnswerTooLarge, OutboundAnswer, OutboundClient
from shared.targets import TargetForbidden
from shared.telemetry.meter import Meter
from shared.wire import TargetUnreachable, Trouble
from worker.hands import Hands

logger = logging.getLogger(__name__)

_IN_MEMORY_BYTES: Final = MEGABYTE
"""How much of a photo is held in memory; the rest of it waits in a temporary file."""
_REDIRECTS: Final = range(300, 400)
_MAY_PASS: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS, *range(500, 600)}
)
"""Answers that another attempt may not get; any other one is final."""
_SAID_OF: Final = {
    Trouble.LOOK_UP: "the name of the server could not be looked up",
    Trouble.CONNECT: "the server could not be connected to",
    Trouble.TLS: "no secure connection to the server came about",
    Trouble.TIMEOUT: "the server took too long",
    Trouble.BROKEN: "the connection to the server broke off",
}


class MayPass(FetchFailed):
    """Raised when an attempt failed and another one may not.

    Attributes
    ----------
    retry_after : str or None
        The server's `Retry-After`, as it came.
    """

    def __init__(self, message: str, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Fetcher:
    """Makes the fetches that are due.

    Parameters
    ----------
    desk : FetchDesk
        Who gives out what is due.
    client : OutboundClient
        The one door to the outside.
    meter : Meter or None
        Where attempts are counted.
    """

    def __init__(self, desk: FetchDesk, client: OutboundClient, meter: Meter | None = None) -> None:
        self._desk = desk
        self._client = client
        self._meter = meter or Meter()

    def run(self, stop: threading.Event) -> None:
        """Fetch what is due, several at once, until `stop` is set; then finish what was begun."""
        settings = self._desk.settings
        hands = Hands("fetch", settings.fetch_threads, settings.delivery_poll_s)
        hands.keep_busy(self._desk.claim, self.fetch, stop)

    def fetch(self, claim: FetchClaim) -> None:
        """Make one attempt. What goes wrong on our side is not held against the photo."""
        record = claim.record
        with about(**record.log_context):
            self._fetch_and_say(claim)

    def _fetch_and_say(self, claim: FetchClaim) -> None:
        try:
            outcome, became = self._fetch(claim)
        except (Transient, OSError) as error:  # of the network's all have a name; this is a temporary file without room
            outcome, became = "put_off", f"put off, {error}"
            if isinstance(error, Transient):
                self._meter.trouble(error)
            self._give_back(claim)
        self._meter.count(FETCHES, outcome)
        logger.info("photo of %s from %s: %s", claim.record.id, _receiver(claim), became)

    def _fetch(self, claim: FetchClaim) -> tuple[str, str]:
        """Make one attempt; return in one word, and in a few, what became of it."""
        try:
            photo = self._desk.photo_of(claim)
            if photo is None:
                return "unwanted", "not needed"
            with cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)) as body:
                upload = self._got(photo, body)
                if self._desk.stored(claim, upload):
                    return "fetched", "fetched"
                return "unwanted", "not wanted any more"
        except MayPass as failure:
            asked_s = retry_after_s(failure.retry_after, now_ms=self._desk.clock())
            again = self._desk.put_off(claim, failure, retry_after_s=asked_s)
            return ("again", f"{failure.message} It is tried again.") if again else ("failed", failure.message)
        except UnreadableObject:
            logger.exception("what names the URL of %s cannot be read", claim.record.id)
            self._desk.put_off(claim, FetchFailed("The service lost the URL of this photo."))
            return "unreadable", "unreadable"
        except Rejected as rejection:
            self._desk.reject(claim, rejection)
            return rejection.code, rejection.message

    def _got(self, photo: PhotoUrl, body: IO[bytes]) -> Upload:
        """Get a photo into a file; raise `Rejected` for what is none, `MayPass` for what may be one another time."""
        limit_bytes = self._desk.settings.max_upload_bytes
        try:
            answer = self._client.fetch(photo.url, limit_bytes, cast("BinaryIO", body))
        except TargetForbidden as forbidden:
            raise FetchForbidden(f"The photo may not be fetched from there: {forbidden}.") from None
        except TargetUnreachable as unreachable:
            raise MayPass(f"The photo could not be fetched: {_SAID_OF[unreachable.trouble]}.") from None
        except AnswerTooLarge:
            raise ImageTooLarge(f"The photo has more than {limit_bytes / MEGABYTE:g} MB.") from None
        if answer.status != HTTPStatus.OK:
            raise _failure(answer)
        return _checked(body)

    def _give_back(self, claim: FetchClaim) -> None:
        try:
            self._desk.give_back(claim)
        except Transient as error:
            logger.warning("the photo of %s waits for the end of its lease: %s", claim.record.id, error)


def _failure(answer: OutboundAnswer) -> FetchFailed:
    what = ", a redirect, which is not followed" if answer.status in _REDIRECTS else ""
    message = f"The photo could not be fetched: the server answered {answer.status}{what}."
    if answer.status in _MAY_PASS:
        return MayPass(message, answer.headers.get("retry-after"))
    return FetchFailed(message)


def _checked(body: IO[bytes]) -> Upload:
    if body.tell() == 0:
        raise FetchFailed("The photo could not be fetched: the server answered with nothing.")
    body.seek(0)
    image_format = sniff_image_format(body.read(SNIFF_BYTES))
    body.seek(0)
    if image_format is None:
        message = "By its first bytes, what the server answered with is none of JPEG, PNG, WebP, HEIC or AVIF."
        raise UnsupportedFormat(message)
    return Upload(cast("BinaryIO", body), f"image/{image_format}")


def _receiver(claim: FetchClaim) -> str:
    return claim.record.fetch.receiver if claim.record.fetch else "nowhere"
