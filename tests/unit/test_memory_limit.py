"""A photo that takes too much memory costs itself an attempt and its process its life, and nobody else anything.

In processes of their own: what a limit does to a process cannot be undone in it.
"""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from shared.clock import system_clock
from shared.jobs.batch_record import BatchSource
from shared.jobs.lifecycle import Upload
from shared.names import LOCAL_TENANT, QueueName
from shared.schemas import JobOptions, JobStatus
from tests import files
from tests.core import Core
from worker.memory_limit import IS_SUPPORTED, MemoryLimit
from worker.processing import PhotoProcessor
from worker.vision.faces import MeshFace

PROJECT = Path(__file__).parents[2]
START = """
import threading
from worker.memory_limit import MemoryLimit
MB = 1_000_000
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", START + script]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)


def test_without_a_limit_there_is_always_room_until_memory_runs_out() -> None:
    limit = MemoryLimit(0)
    assert limit.has_room()
    limit.note_shortage()
    assert not limit.has_room()


LINUX = pytest.mark.skipif(not IS_SUPPORTED, reason="only Linux keeps a limit on address space")


@LINUX
def test_beyond_the_limit_python_gets_a_memory_error_and_goes_on() -> None:
    done = run("""
MemoryLimit(200 * MB)
try:
    bytearray(300 * MB)
except MemoryError:
    print("refused", len(bytearray(50 * MB)) // MB)
""")
    assert done.stdout == "refused 50\n"


@LINUX
def test_the_limit_holds_for_native_code_and_counts_from_what_the_process_has() -> None:
    done = run("""
import ctypes
before = bytearray(300 * MB)
MemoryLimit(200 * MB)
malloc = ctypes.CDLL(None).malloc
malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
print(malloc(100 * MB) is not None, malloc(300 * MB) is None)
""")
    assert done.stdout == "True True\n"


@LINUX
def test_there_is_no_room_when_half_is_taken() -> None:
    done = run("""
limit = MemoryLimit(200 * MB)
kept = [bytearray(80 * MB)]
print(limit.has_room())
kept.append(bytearray(40 * MB))
print(limit.has_room())
kept.clear()
print(limit.has_room())
""")
    assert done.stdout.split() == ["True", "False", "True"]


@LINUX
def test_what_a_decoder_lacks_memory_for_never_passes_as_a_picture() -> None:
    done = run("""
from PIL import Image
from tests import files
from worker.vision.decode import DecodeLimits, decode_photo
from shared.errors import CorruptImage
photos = [files.encoded(Image.new("RGB", (3000, 3000)), *how) for how in (("PNG",), ("WEBP",))]
MemoryLimit(15 * MB)
for data in photos:
    try:
        decode_photo(data, DecodeLimits(20 * MB, 50 * MB, 64))
        print("decoded")
    except (MemoryError, CorruptImage) as error:
        print(type(error).__name__)
""")
    assert set(done.stdout.split()) <= {"MemoryError", "CorruptImage"}, done.stdout
    assert len(done.stdout.split()) == 2, done.stderr


class Greedy:
    """A finder that never gets the memory it asks for."""

    def detect(self, *_: object, **__: object) -> list[MeshFace]:
        raise MemoryError

    def refine(self, *_: object, **__: object) -> list[MeshFace]:
        raise AssertionError


def test_a_photo_that_runs_out_of_memory_is_charged_and_ends_what_its_process_does() -> None:
    core = Core()
    core.clock.now_ms = system_clock()
    core.reconciler.round()
    data = files.encoded(files.quadrants(96, 80), "PNG")
    with core.batches.begin(LOCAL_TENANT, BatchSource.UPLOAD, JobOptions()) as writer:
        for reference in ("greedy", "neighbour"):
            writer.add_upload(Upload(io.BytesIO(data), "image/png"), JobOptions(reference=reference))
        batch = writer.commit()
    memory = MemoryLimit(0)
    core.doorbell.take(QueueName.BULK)
    PhotoProcessor(core.jobs, Greedy(), core.settings, core.clock, memory).process_next(QueueName.BULK)
    assert not memory.has_room()
    items = {item.options.reference: item for item in core.items(batch.id)}
    assert (items["greedy"].status, items["greedy"].attempts) == (JobStatus.QUEUED, 1)
    assert (items["neighbour"].status, items["neighbour"].attempts) == (JobStatus.QUEUED, 0)


def test_a_photo_that_runs_out_of_memory_every_time_has_failed() -> None:
    core = Core()
    data = files.encoded(files.quadrants(96, 80), "PNG")
    upload = Upload(io.BytesIO(data), "image/png")
    job = core.jobs.accept(LOCAL_TENANT, upload, JobOptions(), QueueName.INTERACTIVE)
    for _ in range(core.settings.max_attempts):
        PhotoProcessor(core.jobs, Greedy(), core.settings, core.clock).process(job.id)
        core.clock.advance(core.settings.lease_s)
        core.reconciler.round()
    assert core.find(job.id).status is JobStatus.FAILED
