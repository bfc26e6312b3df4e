"""The door to S3: obstore for what every photo costs, boto3 for the rest, the exceptions of both translated.

A call of obstore costs an eighth of boto3's CPU (docs/performance-profiles.md). It lists by whole folders only, and
tells a range beyond the end from an outage by its text alone, so boto3 lists and reads parts. It is imported when that
is first asked for: a fifth of what a worker would import, and most workers never list.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from shared.errors import ObjectMissing, StorageUnavailable
from shared.storage.base import HELD_WHOLE_BYTES, ObjectInfo
from shared.storage.post_policy import UploadForm, UploadPermit

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config, S3Credential

    from shared.config import Settings
    from shared.storage.s3_client import BotoClient

_CHUNK_BYTES: Final = 65_536
_TRIES_AGAIN: Final = 1
_LONGEST: Final = timedelta(days=1)
"""For a whole answer, since whoever reads it may be slow; silence within it is bounded by the settings."""
_ASKED_AGAIN_AFTER: Final = timedelta(minutes=5)
"""For the keys: those that the environment gives may be valid for a while only."""
_NO_BUCKET: Final = "<Code>NoSuchBucket</Code>"
_NO_KEY: Final = "<Code>NoSuchKey</Code>"


@contextmanager
def _translated_but_for_404() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        raise StorageUnavailable(f"the object store did not do it: {type(error).__name__}") from error


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        with _translated_but_for_404():
            yield
    except FileNotFoundError as error:
        if _NO_BUCKET in str(error):  # all is gone, or none of it is where it is looked for
            raise StorageUnavailable("the object store has no such bucket") from error
        if _NO_KEY not in str(error):  # a proxy in front has its own way of saying that the store is away
            raise StorageUnavailable("the object store answers 404, and not that the key is missing") from error
        raise ObjectMissing(key) from error


class S3ObjectStore:
    """Objects in a bucket of an S3-compatible store.

    Safe to share between threads. Build one in each process: obstore's own threads do not survive a fork, and a process
    that has read or written by it must not fork others that do. `prepare`, `list` and `folders` leave no such thread.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process_id = os.getpid()

    @cached_property
    def _rare(self) -> BotoClient:
        from shared.storage.s3_client import BotoClient  # noqa: PLC0415  not before it is needed

        return BotoClient(self._settings)

    @cached_property
    def _made(self) -> S3Store:
        settings = self._settings
        # The digest of what is written goes with it, or SeaweedFS keeps an empty object of a writer that is killed
        # between the head and the body of its request.
        config: S3Config = {"region": settings.s3_region, "checksum_algorithm": "SHA256"}
        config["virtual_hosted_style_request"] = not settings.s3_endpoint_url
        if settings.s3_endpoint_url:
            config["endpoint"] = settings.s3_endpoint_url
        client: ClientConfig = {
            "allow_http": True,
            "connect_timeout": timedelta(seconds=settings.storage_connect_timeout_s),
            "read_timeout": timedelta(seconds=settings.storage_read_timeout_s),
            "timeout": _LONGEST,
        }
        return S3Store(
            settings.s3_bucket,
            config=config,
            client_options=client,
            retry_config={"max_retries": _TRIES_AGAIN},
            credential_provider=self._credential,
        )

    def _credential(self) -> S3Credential:
        """Return the keys that the settings give, or those of the environment, by whichever of its ways boto3 finds.

        Asked for in any case: a key in the settings must not be sent with a token from the environment.
        """
        settings, expires_at = self._settings, datetime.now(UTC) + _ASKED_AGAIN_AFTER
        key_id, secret = settings.s3_access_key_id.get_secret_value(), settings.s3_secret_access_key.get_secret_value()
        token = None
        if not (key_id and secret):
            keys = self._rare.credentials()
            key_id, secret, token = keys.access_key, keys.secret_key, keys.token
        return {"access_key_id": key_id, "secret_access_key": secret, "token": token, "expires_at": expires_at}

    @property
    def _store(self) -> S3Store:
        if self._process_id != os.getpid():
            raise RuntimeError("this object store was built before the fork; build one in each process")
        return self._made

    def put(self, key: str, body: bytes | BinaryIO, *, content_type: str = "application/octet-stream") -> None:
        """Write an object, over any that was there."""
        if not isinstance(body, bytes):
            start = body.tell()
            length = body.seek(0, os.SEEK_END) - start
            body.seek(start)
            if length > HELD_WHOLE_BYTES:
                return self._rare.put(key, body, content_type=content_type)
            body = body.read(length)  # without a number, a file reads 8 kB at a time
        with _translated(key):
            obstore.put(self._store, key, body, attributes={"Content-Type": content_type}, use_multipart=False)
        return None

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write an object unless the key exists; tell whether it was written."""
        with _translated(key):
            try:
                obstore.put(self._store, key, body, mode="create")
            except (AlreadyExistsError, PreconditionError):
                return False
        return True

    def get(self, key: str, *, first_bytes: int | None = None) -> bytes:
        """Return an object or its first bytes; raise `ObjectMissing` if there is none."""
        if first_bytes is not None:
            return self._rare.get_range(key, f"bytes=0-{first_bytes - 1}")
        with _translated(key):
            return obstore.get(self._store, key).bytes().to_bytes()

    def get_part(self, key: str, start: int, n_bytes: int) -> bytes:
        """Return a part of an object; raise `ObjectMissing` if there is none."""
        return self._rare.get_range(key, f"bytes={start}-{start + n_bytes - 1}")

    def chunks(self, key: str) -> Iterator[bytes]:
        """Yield an object in pieces of bounded size; raise `ObjectMissing` at the first if there is none."""
        with _translated(key):
            pieces = obstore.get(self._store, key).stream(min_chunk_size=_CHUNK_BYTES)
        while True:
            # Translated around the read alone: what whoever asks for the pieces raises meanwhile is theirs.
            with _translated(key):
                piece = next(pieces, None)
            if piece is None:
                return
            yield bytes(piece)

    def exists(self, key: str) -> bool:
        """Tell whether there is such a key."""
        with suppress(FileNotFoundError), _translated_but_for_404():
            obstore.head(self._store, key)
            return True
        try:
            with _translated(key):  # once more, since an answer to HEAD does not say who gives it
                obstore.get(self._store, key)
        except ObjectMissing:
            return False
        return True

    def delete(self, *keys: str) -> None:
        """Delete objects, those that are there."""
        with _translated(", ".join(keys)):
            obstore.delete(self._store, keys)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose key starts with `prefix`; see `ObjectStore.list` for the order."""
        return self._rare.list(prefix)

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the names of the folders right below `prefix`."""
        return self._rare.folders(prefix)

    def upload_form(self, permit: UploadPermit) -> UploadForm:
        """Return a form by which this one object may be written, posted to the store's public address."""
        return self._rare.upload_form(permit)

    def check(self) -> None:
        """Return if the bucket answers."""
        self._rare.check()

    def prepare(self, *, create_bucket: bool) -> None:
        """See at start that the bucket is there and can be written to.

        Raises
        ------
        ConfigurationError
            If the store answers that the bucket, or the key to it, is not what the settings say.
        """
        self._rare.prepare(create_bucket=create_bucket)
