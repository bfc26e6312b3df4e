"""Every setting, described; the only place that reads the environment."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, NonNegativeInt, SecretStr, model_validator
from pydantic.functional_validators import AfterValidator, BeforeValidator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from shared.targets import DEFAULT_PORTS, OutboundPolicy

MEGABYTE = 1_000_000
DAY_S = 86_400.0
FREE_THREADS = 4
"""Of an API process, which no slow client may keep: for polls, cancels and health checks."""

SECRETS_FOLDER: Final = Path("/run/secrets")
"""Where container engines put secrets: a file `facefit_<name>` each, which nothing that lists environments shows."""


def _split_on_commas(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _ports(value: object) -> object:
    return tuple(int(part) for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _hosts_and_ports(value: object) -> object:
    if not isinstance(value, str):
        return value
    parts = [part.strip().rpartition(":") for part in value.split(",") if part.strip()]
    return tuple((host.strip("[]"), port) for host, _, port in parts)


OptionalText = Annotated[str | None, BeforeValidator(lambda value: value or None)]
"""None where it is empty: an environment variable cannot be anything less."""


def _check_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        if _ORIGIN.fullmatch(origin) is None:
            message = f"{origin!r} is no origin; give scheme and host such as https://portal.example, one by one"
            raise ValueError(message)
    return origins


_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?", re.IGNORECASE)
CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_on_commas)]
Origins = Annotated[CommaSeparated, AfterValidator(_check_origins)]
HostsAndPorts = Annotated[
    tuple[tuple[Annotated[str, Field(min_length=1)], Annotated[int, Field(ge=1, le=65_535)]], ...],
    NoDecode,
    BeforeValidator(_hosts_and_ports),
]
Ports = Annotated[tuple[NonNegativeInt, ...], NoDecode, BeforeValidator(_ports)]


class Settings(BaseSettings):
    """What can be set, each as an environment variable `FACEFIT_<NAME>`; see `docs/configuration.md`."""

    model_config = SettingsConfigDict(env_prefix="FACEFIT_", frozen=True, extra="ignore", secrets_dir=SECRETS_FOLDER)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the library calls it by these names
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment first and secrets as files second; a machine without such files is well."""
        folder = file_secret_settings.secrets_dir if isinstance(file_secret_settings, SecretsSettingsSource) else None
        there = isinstance(folder, Path) and folder.is_dir()
        return (init_settings, env_settings, *((file_secret_settings,) if there else ()))

    # Where things are
    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="Redis, for job records; also for the queue's doorbells unless `FACEFIT_BROKER_URL` is set.",
    )
    redis_sentinels: HostsAndPorts = Field(
        (),
        description="Redis Sentinels (comma-separated `host:port`): who the master is, is asked of them. User, password"
        " and database are still those of `FACEFIT_REDIS_URL`, whose host counts no more.",
    )
    redis_sentinel_master: str = Field("facefit", description="The name that the Sentinels know the master by.")
    redis_sentinel_password: SecretStr = Field(SecretStr(""), description="The Sentinels' own password, if any.")
    broker_url: SecretStr = Field(
        SecretStr(""),
        description="RabbitMQ (`amqp://user:password@host:5672/vhost`, `amqps://`), or another Redis, for the queue's"
        " doorbells; empty means the Redis of the records. Nodes of a cluster are separated by `;`.",
    )
    s3_endpoint_url: str | None = Field(
        "http://127.0.0.1:8333", description="The S3-compatible store; empty means Amazon's own."
    )
    s3_public_url: OptionalText = Field(
        None,
        description="Where clients reach the store, for photos that they upload straight to it; empty means"
        " `FACEFIT_S3_ENDPOINT_URL`. The bucket is the first part of the path there.",
    )
    s3_bucket: str = Field("facefit", description="The bucket that holds uploads, results and tombstones.")
    s3_region: str = Field("us-east-1", description="The region named in signatures.")
    s3_access_key_id: SecretStr = Field(SecretStr(""), description="The store's access key id.")
    s3_secret_access_key: SecretStr = Field(SecretStr(""), description="The store's secret access key.")
    s3_create_bucket: bool = Field(True, description="Create the bucket at start when it is not there.")

    # The API's door
    listen_host: str = Field("127.0.0.1", description="The address the API listens on.")
    listen_port: int = Field(8000, ge=0, le=65_535, description="The port the API listens on.")
    unsafe_no_keys: bool = Field(
        False,
        description="Listen, and answer, beyond loopback although there are no API keys. Only behind something that"
        " guards the door, such as a port published on 127.0.0.1 alone.",
    )
    allowed_hosts: CommaSeparated = Field(
        ("127.0.0.1", "localhost", "[::1]"),
        description="Names the API answers to in `Host` (comma-separated, without port). A page may call it under the"
        " name that it was loaded from; for pages of other names see `FACEFIT_CORS_ORIGINS`.",
    )
    cors_origins: Origins = Field(
        (),
        description="Origins of other sites' pages that may call the API (comma-separated, such as"
        " `https://portal.example`); none by default.",
    )
    keys_refresh_s: float = Field(
        5.0,
        gt=0,
        description="How old an API process's knowledge of the keys may be: how soon a revoked one is refused.",
    )
    keys_max_age_s: float = Field(
        60.0,
        gt=0,
        description="How old it may be while storage does not answer; then every request that needs a key hears 503.",
    )
    api_workers: int = Field(2, ge=1, description="API processes.")
    api_threads: int = Field(
        80,
        ge=2,
        description="Requests that one API process serves at once; by the shares that follow, 64 at least.",
    )
    max_connections: int = Field(
        1000,
        ge=10,
        description="Connections that one API process holds; a new one takes the place of the one that has been idle"
        " longest.",
    )
    max_head_s: float = Field(
        10.0, gt=0, description="The longest that the request line and the headers may take to arrive."
    )
    max_waiting_share: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="Share of an API process's threads that may be kept by clients waiting for a result; the next"
        " ones get their answer at once.",
    )
    max_uploading_share: float = Field(
        0.15,
        gt=0,
        lt=1,
        description="Share of an API process's threads that may be kept by bodies that are arriving or being stored,"
        " and half as many again by short ones that come with their heads; the next ones wait for one to end, without a"
        " thread, and then hear 503.",
    )
    max_reading_share: float = Field(
        0.15,
        gt=0,
        lt=1,
        description="Share of an API process's threads that may be kept by requests that read a result from storage;"
        " the next ones wait for a quarter of a second, and then hear 503.",
    )
    max_upload_wait_s: float = Field(
        5.0, gt=0, description="The longest that they wait: longer than a crowd of good ones takes."
    )
    max_upload_s: float = Field(120.0, gt=0, description="The longest that the bytes of a photo may take to arrive.")
    max_upload_pause_s: float = Field(20.0, gt=0, description="The longest pause while they arrive.")
    max_reports: int = Field(
        4,
        ge=1,
        description="Results, errors and summaries of batches that one API process sends at once; the next ones are"
        " asked to come again. Each keeps a thread: keep it well below those.",
    )
    max_download_pause_s: float = Field(
        60.0,
        gt=0,
        description="The longest that a client may take for 64 KiB of such a report, or for any other answer.",
    )
    max_slow_readers: int = Field(
        2,
        ge=1,
        description="Clients of one API process that may take more than a second for an answer that is no report; the"
        " next one's answer is broken off.",
    )
    max_wait_s: float = Field(30.0, gt=0, description="The longest that a client may wait in one request.")

    # What a photo may be
    max_upload_bytes: int = Field(20 * MEGABYTE, gt=0, description="Bytes of a photo, at most.")
    max_image_pixels: int = Field(50 * MEGABYTE, gt=0, description="Pixels of a photo, at most, by its header.")
    min_image_side_px: int = Field(64, gt=0, description="Pixels on the shorter side of a photo, at least.")

    # The life of a job
    retention_s: float = Field(7 * DAY_S, gt=0, description="How long a job and its result are kept.")
    lease_s: float = Field(40.0, gt=0, description="How long a worker may hold a photo before it is given to another.")
    photo_time_limit_s: float = Field(
        20.0, gt=0, description="How long measuring one photo may take before its process is ended."
    )
    photo_memory_bytes: int = Field(
        1_500 * MEGABYTE,
        ge=0,
        description="Address space that measuring one photo may take beyond what its process has when it is ready; 0"
        " for no limit, and without effect but on Linux. The largest photos need up to half of it.",
    )
    max_attempts: int = Field(3, ge=1, description="Attempts at a photo before its job ends as failed.")
    doorbell_grace_s: float = Field(
        10.0, gt=0, description="How long a queued job may go unclaimed before its doorbell is rung again."
    )
    reconcile_interval_s: float = Field(2.0, gt=0, description="Pause between two rounds of the reconciler.")
    sweep_interval_s: float = Field(
        60.0, gt=0, description="Pause between two searches for uploads that have no record."
    )
    audit_interval_s: float = Field(
        DAY_S, gt=0, description="Pause between two full comparisons of the records with storage."
    )

    # Erasing
    measure_and_delete_after_s: float = Field(
        600.0,
        gt=0,
        description="How long after its end a job made with `measure_and_delete=true` is deleted if nobody reads it.",
    )
    purge_interval_s: float = Field(
        300.0,
        gt=0,
        le=600,
        description="Pause between two purges, which make what was deleted leave the files of Redis and of the store."
        " Deletions are promised to be purged within 15 minutes; a purge follows them after 5 at the latest plus this.",
    )
    store_vacuum: Literal["upkeep", "sidecar", "none"] = Field(
        "upkeep",
        description="Who has the volumes of SeaweedFS written anew without what was deleted: the upkeep; a process"
        " `python -m worker.vacuum` beside the store, where the master cannot be reached from elsewhere; or nobody,"
        " for a store that erases by itself, as Amazon's does.",
    )
    store_master_url: str = Field(
        "http://127.0.0.1:9333", description="The master of SeaweedFS, for whoever does that; it must be the only one."
    )
    rebuild_threads: int = Field(
        8,
        ge=1,
        description="Jobs that are compared with storage at once while records are rebuilt after a loss of Redis.",
    )

    # Batches
    max_batch_items: int = Field(10_000, ge=1, description="Photos in a batch, at most.")
    max_batch_upload_bytes: int = Field(
        2_000 * MEGABYTE, gt=0, description="Bytes of all photos, or of the archive, that come in one request, at most."
    )
    max_batch_upload_s: float = Field(3600.0, gt=0, description="The longest that they may take to arrive.")
    max_batch_uploads: int = Field(
        2,
        ge=1,
        description="Requests with photos for a batch that one API process takes in at once; the next hear 503 and when"
        " to come again. Each keeps a thread, and its photos in the spool folder.",
    )
    spool_folder: OptionalText = Field(
        None,
        description="Where the photos of such a request lie until they are stored: room for"
        " `FACEFIT_MAX_BATCH_UPLOAD_BYTES` times `FACEFIT_MAX_BATCH_UPLOADS` times `FACEFIT_API_WORKERS`. Empty means"
        " the system's folder for temporary files.",
    )
    max_manifest_bytes: int = Field(
        50 * MEGABYTE, gt=0, description="Bytes of a list of items in JSON that a batch is made of, at most."
    )
    upload_deadline_s: float = Field(
        DAY_S,
        gt=0,
        description="How long the photos of a batch may take to come by the upload forms it was given, or from URLs.",
    )

    # What a tenant may ask for. A tenant's own limits are set with `python -m api.tenants`
    limit_photos_per_minute: NonNegativeInt = Field(
        600,
        description="Photos of their own that a tenant may send in a minute; those of batches do not count. 0: no"
        " limit. This and the three below hold for the tenants of API keys; without keys, only those that are set.",
    )
    limit_open_jobs: NonNegativeInt = Field(
        25_000, description="Jobs of a tenant that have not ended, those of batches included. 0: no limit."
    )
    limit_bytes_per_day: NonNegativeInt = Field(
        100_000 * MEGABYTE,
        description="Bytes of photos that are accepted of a tenant in 24 hours; photos at URLs do not count. 0: no"
        " limit.",
    )
    limit_open_batches: NonNegativeInt = Field(
        100, description="Batches of a tenant that are not complete. 0: no limit."
    )

    # The way out: webhooks, and photos at URLs
    public_url: str = Field(
        "http://127.0.0.1:8000",
        description="Where clients reach the API; what `result_url` in a webhook begins with.",
    )
    outbound_allowed_hosts: CommaSeparated = Field(
        (),
        description="Names or addresses (`host` or `host:port`, comma-separated) that webhooks and photos at URLs may"
        " go to although they are, or resolve to, addresses of a private network or this machine.",
    )
    outbound_allow_http: bool = Field(False, description="Let webhooks and photos at URLs use `http` beside `https`.")
    outbound_ports: Ports = Field(
        tuple(sorted(DEFAULT_PORTS.values())),
        description="The ports that webhooks and photos at URLs may go to, comma-separated.",
    )
    webhook_timeout_s: float = Field(
        15.0, gt=0, description="The longest that an attempt at a delivery may take, look-up and answer included."
    )
    delivery_lease_s: float = Field(
        60.0, gt=0, description="How long a sender may hold a delivery before it is given to another."
    )
    delivery_threads: int = Field(16, ge=1, description="Attempts at deliveries that one sender process makes at once.")
    delivery_per_receiver: int = Field(
        2, ge=1, description="Attempts of one tenant at once to one `host:port`, over all senders."
    )
    delivery_per_tenant: int = Field(
        8, ge=1, description="Attempts of one tenant at once, over all senders; keep it below their threads together."
    )
    delivery_per_receiver_all: int = Field(
        6,
        ge=1,
        description="Attempts of all tenants at once to one `host:port`, over all senders: one that is dead, or slow,"
        " keeps no more of their threads.",
    )
    delivery_poll_s: float = Field(
        0.25, gt=0, description="Pause of an idle sender before it looks again whether a delivery or a fetch is due."
    )
    fetch_timeout_s: float = Field(
        30.0, gt=0, description="The longest that fetching a photo may take, from the look-up to its last byte."
    )
    fetch_lease_s: float = Field(
        60.0, gt=0, description="How long a sender may hold a photo to be fetched before it is given to another."
    )
    fetch_threads: int = Field(16, ge=1, description="Photos that one sender process fetches at once.")
    fetch_per_receiver: int = Field(
        4, ge=1, description="Photos fetched at once for one tenant from one `host:port`, over all senders."
    )
    fetch_per_tenant: int = Field(
        8, ge=1, description="Photos fetched at once for one tenant, over all senders; keep it below their threads."
    )

    fetch_per_receiver_all: int = Field(
        8, ge=1, description="Photos fetched at once for all tenants from one `host:port`, over all senders."
    )

    # The worker
    worker_beat_s: float = Field(5.0, gt=0, description="How often a worker process says that it lives.")

    # Time-outs of every client
    redis_timeout_s: float = Field(2.0, gt=0, description="The longest wait for an answer of Redis.")
    broker_timeout_s: float = Field(2.0, gt=0, description="The longest wait for an answer of RabbitMQ.")
    storage_connect_timeout_s: float = Field(2.0, gt=0, description="The longest wait for a connection to the store.")
    storage_read_timeout_s: float = Field(10.0, gt=0, description="The longest wait for bytes from the store.")

    # What is seen from outside
    canary_interval_s: float = Field(
        15.0,
        gt=0,
        description="How often a known portrait goes through the workers of each queue. One that was measured as it"
        " should be counts as a sign of life for three times as long.",
    )
    metrics_interval_s: float = Field(
        5.0, gt=0, description="How often a process adds what it has counted to what `/metrics` shows."
    )
    log_format: Literal["json", "text"] = Field(
        "json", description="How lines are logged: for machines, or for a person at a terminal."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="What is logged, and above.")

    @model_validator(mode="after")
    def _keys_outlast_their_refresh(self) -> Self:
        if self.keys_max_age_s <= self.keys_refresh_s:
            message = "FACEFIT_KEYS_MAX_AGE_S must be longer than FACEFIT_KEYS_REFRESH_S"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _leases_outlast_what_they_are_for(self) -> Self:
        if self.lease_s <= self.photo_time_limit_s:
            message = "FACEFIT_LEASE_S must be longer than FACEFIT_PHOTO_TIME_LIMIT_S"
            raise ValueError(message)
        if self.delivery_lease_s <= self.webhook_timeout_s:
            message = "FACEFIT_DELIVERY_LEASE_S must be longer than FACEFIT_WEBHOOK_TIMEOUT_S"
            raise ValueError(message)
        if self.fetch_lease_s <= self.fetch_timeout_s:
            message = "FACEFIT_FETCH_LEASE_S must be longer than FACEFIT_FETCH_TIMEOUT_S"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _threads_are_left_when_all_that_is_slow_has_come(self) -> Self:
        bodies = self.uploading_places + self.short_body_places
        kept = self.waiting_places + bodies + self.reading_places + self.max_reports + self.max_slow_readers
        if kept + FREE_THREADS > self.api_threads:
            message = (
                f"FACEFIT_API_THREADS ({self.api_threads}) must leave {FREE_THREADS} threads free beside"
                f" {self.waiting_places} waiting (FACEFIT_MAX_WAITING_SHARE), {bodies} uploading"
                f" (FACEFIT_MAX_UPLOADING_SHARE), {self.reading_places} reading (FACEFIT_MAX_READING_SHARE),"
                f" {self.max_reports} for FACEFIT_MAX_REPORTS and"
                f" {self.max_slow_readers} for FACEFIT_MAX_SLOW_READERS"
            )
            raise ValueError(message)
        if self.max_batch_uploads >= self.uploading_places:
            message = (
                f"FACEFIT_MAX_BATCH_UPLOADS ({self.max_batch_uploads}) must be less than the"
                f" {self.uploading_places} places of all uploads (FACEFIT_MAX_UPLOADING_SHARE)"
            )
            raise ValueError(message)
        return self

    @property
    def waiting_places(self) -> int:
        """How many clients may wait for a result at once in an API process."""
        return max(1, int(self.api_threads * self.max_waiting_share))

    @property
    def uploading_places(self) -> int:
        """How many bodies may be arriving, or being stored, at once in an API process."""
        return max(1, int(self.api_threads * self.max_uploading_share))

    @property
    def short_body_places(self) -> int:
        """And how many besides that came with their heads: they do not wait behind those that come slowly."""
        return max(1, self.uploading_places // 2)

    @property
    def reading_places(self) -> int:
        """How many requests may be reading a result from storage at once in an API process."""
        return max(1, int(self.api_threads * self.max_reading_share))

    def outbound_policy(self, total_s: float) -> OutboundPolicy:
        """Return where this service may reach out to, in attempts of `total_s` at most."""
        return OutboundPolicy(
            total_s=total_s,
            ports=frozenset(self.outbound_ports),
            allow_http=self.outbound_allow_http,
            allowed_hosts=frozenset(host.lower() for host in self.outbound_allowed_hosts),
        )


def is_loopback(host: str) -> bool:
    """Tell whether `host`, a name or an address, is this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
