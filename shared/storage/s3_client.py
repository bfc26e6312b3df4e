"""boto3's client for what is rare or large: listings, parts of objects, long files, and the bucket itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
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
_BUCKET_MISSING: Final = frozenset({"NoSuchBucket", "404", "NotFound"})
_BUCKET_THERE: Final = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})
_FORBIDDEN: Final = frozenset({"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch"})
_RANGE_OF_NOTHING: Final = frozenset({"InvalidRange", "416"})
_MAX_CONNECTIONS: Final = 32
_REGION_WITHOUT_NAME: Final = "us-east-1"
"""The one region that Amazon refuses as the place of a new bucket: it is where a bucket goes that names none."""


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


class BotoClient:
    """The verbs of `S3ObjectStore` that boto3 does. Safe to share between threads, and made when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._bucket = settings.s3_bucket
        self._public_url = settings.s3_public_url
        self._session: Any = boto3.session.Session(
            region_name=settings.s3_region,
            aws_access_key_id=settings.s3_access_key_id.get_secret_value() or None,
            aws_secret_access_key=settings.s3_secret_access_key.get_secret_value() or None,
        )
        self._made: Any = None
        self._lock = threading.Lock()
        """A session, other than a client, is for one thread at a time."""

    @property
    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def _make(self) -> Any:
        settings = self._settings
        return self._session.client(
            "s3",
            endpoint_url=settings.s3_endpoint_url or None,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path" if settings.s3_endpoint_url else "virtual"},
                # Since 1.36 boto3 adds checksums that other stores do not all understand.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                connect_timeout=settings.storage_connect_timeout_s,
                read_timeout=settings.storage_read_timeout_s,
                retries={"total_max_attempts": 2, "mode": "standard"},
                max_pool_connections=_MAX_CONNECTIONS,
            ),
        )

    def put(self, key: str, body: bytes | BinaryIO, *, content_type: str) -> None:
        """Write an object from where its file stands, without holding it whole."""
        with _translated():
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type)

    def get_range(self, key: str, wanted: str) -> bytes:
        """Return a part of an object, by the `Range` of HTTP; raise `ObjectMissing` if there is none."""
        with _translated():
            try:
                # Closed by hand: entered as a context it reads past boto's own naming of what goes wrong.
                with closing(self._client.get_object(Bucket=self._bucket, Key=key, Range=wanted)["Body"]) as body:
                    data: bytes = body.read()
            except ClientError as error:
                if _code(error) in _MISSING:
                    raise ObjectMissing(key) from error
                if _code(error) in _RANGE_OF_NOTHING:  # it ends before; an empty object has no first byte
                    return b""
                raise
        return data

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose key starts with `prefix`; see `ObjectStore.list` for the order."""
        for page in self._pages(Prefix=prefix):
            for entry in page.get("Contents", ()):
                yield ObjectInfo(entry["Key"], entry["Size"])

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the names of the folders right below `prefix`."""
        for page in self._pages(Prefix=prefix, Delimiter="/"):
            for entry in page.get("CommonPrefixes", ()):
                yield entry["Prefix"].removeprefix(prefix).removesuffix("/")

    def _pages(self, **asked: str) -> Iterator[dict[str, Any]]:
        pages = None
        while True:
            # Translated around the read alone: what whoever asks for the pages raises meanwhile is theirs.
            with _translated():
                if pages is None:
                    paginator = self._client.get_paginator("list_objects_v2")
                    pages = iter(paginator.paginate(Bucket=self._bucket, **asked))
                page = next(pages, None)
            if page is None:
                return
            yield page

    def upload_form(self, permit: UploadPermit) -> UploadForm:
        """Return a form by which this one object may be written, posted to the store's public address."""
        keys = self.credentials()
        region = self._settings.s3_region
        signer = Signer(self._form_url, self._bucket, region, keys.access_key, keys.secret_key, keys.token)
        return signer.form(permit)

    def credentials(self) -> Any:
        """Return the keys as they are now: what the environment gives may be valid for a while only."""
        with _translated(), self._lock:
            keys = self._session.get_credentials()
        if keys is None:
            raise StorageUnavailable("neither the settings nor the environment has a key for the object store")
        with _translated():
            return keys.get_frozen_credentials()

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
        """See at start that the bucket is there and can be written to; raises as `S3ObjectStore.prepare` does."""
        with _translated():
            try:
                self._check_region(self._client.head_bucket(Bucket=self._bucket))
            except ClientError as error:
                if _code(error) in _FORBIDDEN:
                    raise ConfigurationError(f"the object store refuses the configured key: {_code(error)}") from error
                if _code(error) not in _BUCKET_MISSING:
                    raise
                if not create_bucket:
                    raise ConfigurationError(f"there is no bucket named {self._bucket}") from error
                self._create_bucket()
        self.put("health/writable", b"", content_type="application/octet-stream")

    def _check_region(self, answer: dict[str, Any]) -> None:
        """Amazon leads boto3 on to the region of the bucket, and refuses whoever is not led, such as obstore."""
        region, there = self._settings.s3_region, answer.get("BucketRegion")
        if there and not self._settings.s3_endpoint_url and there != region:
            raise ConfigurationError(f"the bucket {self._bucket} is in {there}; FACEFIT_S3_REGION says {region}")

    def _create_bucket(self) -> None:
        region, place = self._settings.s3_region, {}
        if not self._settings.s3_endpoint_url and region != _REGION_WITHOUT_NAME:
            place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        try:
            self._client.create_bucket(Bucket=self._bucket, **place)
        except ClientError as error:
            if _code(error) not in _BUCKET_THERE:  # several processes start at once
                raise
