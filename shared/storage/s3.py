"""The only door to S3: boto3, its exceptions translated."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.parsers import ResponseParserError

from shared.errors import ConfigurationError, ObjectMissing, StorageUnavailable
from shared.storage.base import ObjectInfo
from shared.storage.post_policy import Signer, UploadForm, UploadPermit

if TYPE_CHECKING:
    from shared.config import Settings

_MISSING: Final = frozenset({"NoSuchKey"})
_MISSING_BY_HEAD: Final = frozenset({"NoSuchKey", "404", "NotFound"})
"""HEAD has no body to say what is missing."""
_BUCKET_MISSING: Final = frozenset({"NoSuchBucket", "404", "NotFound"})
_BUCKET_THERE: Final = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})
_REFUSED: Final = frozenset({"PreconditionFailed", "412"})
_FORBIDDEN: Final = frozenset({"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch"})
_RANGE_OF_NOTHING: Final = frozenset({"InvalidRange", "416"})
_MAX_CONNECTIONS: Final = 32
_CHUNK_BYTES: Final = 65_536


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, HTTPClientError, ResponseParserError, OSError) as error:
        raise StorageUnavailable(f"the object store did not answer: {type(error).__name__}") from error
    except ClientError as error:
        raise StorageUnavailable(f"the object store refused: {_code(error)}") from error


def _content_md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


class S3ObjectStore:
    """Objects in a bucket of an S3-compatible store.

    Safe to share between threads; build one in each process, after any fork.
    """

    def __init__(self, settings: Settings) -> None:
        self._bucket = settings.s3_bucket
        self._region = settings.s3_region
        self._public_url = settings.s3_public_url
        self._session: Any = boto3.session.Session(
            region_name=settings.s3_region,
            aws_access_key_id=settings.s3_access_key_id.get_secret_value() or None,
            aws_secret_access_key=settings.s3_secret_access_key.get_secret_value() or None,
        )
        self._client: Any = self._session.client(
            "s3",
            endpoint_url=settings.s3_endpoint_url or None,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path" if settings.s3_endpoint_url else "auto"},
                # Since 1.36 boto3 adds checksums that other stores do not all understand.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                connect_timeout=settings.storage_connect_timeout_s,
                read_timeout=settings.storage_read_timeout_s,
                retries={"total_max_attempts": 2, "mode": "standard"},
                max_pool_connections=_MAX_CONNECTIONS,
            ),
        )

    def put(self, key: str, body: bytes | BinaryIO, *, content_type: str = "application/octet-stream") -> None:
        """Write an object, over any that was there."""
        with _translated():
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type)

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write an object unless the key exists; tell whether it was written."""
        with _translated():
            try:
                # With its digest, or SeaweedFS keeps an empty object of a writer that is killed between head and body.
                self._client.put_object(
                    Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*", ContentMD5=_content_md5(body)
                )
            except ClientError as error:
                if _code(error) in _REFUSED:
                    return False
                raise
        return True

    def get(self, key: str, *, first_bytes: int | None = None) -> bytes:
        """Return an object or its first bytes; raise `ObjectMissing` if there is none."""
        return self._read(key, {} if first_bytes is None else {"Range": f"bytes=0-{first_bytes - 1}"})

    def get_part(self, key: str, start: int, n_bytes: int) -> bytes:
        """Return a part of an object; raise `ObjectMissing` if there is none."""
        return self._read(key, {"Range": f"bytes={start}-{start + n_bytes - 1}"})

    def _read(self, key: str, wanted: dict[str, str]) -> bytes:
        with _translated():
            try:
                with self._client.get_object(Bucket=self._bucket, Key=key, **wanted)["Body"] as body:
                    data: bytes = body.read()
            except ClientError as error:
                if _code(error) in _MISSING:
                    raise ObjectMissing(key) from error
                if _code(error) in _RANGE_OF_NOTHING:  # it ends before; an empty object has no first byte
                    return b""
                raise
        return data

    def chunks(self, key: str) -> Iterator[bytes]:
        """Yield an object in pieces of bounded size; raise `ObjectMissing` at the first if there is none."""
        with _translated():
            try:
                body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
            except ClientError as error:
                if _code(error) in _MISSING:
                    raise ObjectMissing(key) from error
                raise
        with body:
            while chunk := self._next_chunk(body):
                yield chunk

    def _next_chunk(self, body: Any) -> bytes:
        # Translated around the read alone: what whoever asks for the pieces raises meanwhile is theirs.
        with _translated():
            chunk: bytes = body.read(_CHUNK_BYTES)
        return chunk

    def exists(self, key: str) -> bool:
        """Tell whether there is such a key."""
        with _translated():
            try:
                self._client.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if _code(error) in _MISSING_BY_HEAD:
                    return False
                raise
        return True

    def delete(self, key: str) -> None:
        """Delete an object, if it is there."""
        with _translated():
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose key starts with `prefix`, in order of the keys."""
        with _translated():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield ObjectInfo(entry["Key"], entry["Size"])

    def upload_form(self, permit: UploadPermit) -> UploadForm:
        """Return a form by which this one object may be written, posted to the store's public address."""
        with _translated():
            # Asked for each time: what the environment gives may be valid for a while only.
            keys = self._session.get_credentials().get_frozen_credentials()
        signer = Signer(self._form_url, self._bucket, self._region, keys.access_key, keys.secret_key, keys.token)
        return signer.form(permit)

    @cached_property
    def _form_url(self) -> str:
        if self._public_url:
            return f"{self._public_url.rstrip('/')}/{self._bucket}"
        with _translated():
            url: str = self._client.generate_presigned_post(self._bucket, "any")["url"]
        return url

    def check(self) -> None:
        """Return if the bucket answers."""
        with _translated():
            self._client.head_bucket(Bucket=self._bucket)

    def prepare(self, *, create_bucket: bool) -> None:
        """See at start that the bucket is there and can be written to.

        Raises
        ------
        ConfigurationError
            If the store answers that the bucket, or the key to it, is not what the settings say.
        """
        with _translated():
            try:
                self._client.head_bucket(Bucket=self._bucket)
            except ClientError as error:
                if _code(error) in _FORBIDDEN:
                    raise ConfigurationError(f"the object store refuses the configured key: {_code(error)}") from error
                if _code(error) not in _BUCKET_MISSING:
                    raise
                if not create_bucket:
                    raise ConfigurationError(f"there is no bucket named {self._bucket}") from error
                self._create_bucket()
        self.put("health/writable", b"")

    def _create_bucket(self) -> None:
        try:
            self._client.create_bucket(Bucket=self._bucket)
        except ClientError as error:
            if _code(error) not in _BUCKET_THERE:  # several processes start at once
                raise
