"""What a load is to send: made by the runner from a seed, read by the client, which knows nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tests.faults.photos import ENDS, Kind, kinds, make_photos

BATCH_SHARE: Final = 0.2
"""Of the photos, so many come as a batch."""
WEBHOOK_SHARE: Final = 0.3
"""Of the single photos, so many name a receiver."""
KEYLESS_SHARE: Final = 0.15
"""Of the single photos, so many are sent without an idempotency key."""
RECEIVER_PATH: Final = "/takes"


@dataclass(frozen=True, slots=True)
class Entry:
    """One photo to be sent.

    Attributes
    ----------
    status, code : str
        How it must end.
    at_s : float
        When it is sent, from the start of the load.
    batch : int or None
        The batch it comes in.
    webhook : str
        The address that is to hear how it ends, or nothing.
    """

    reference: str
    file: str
    kind: str
    status: str
    code: str | None
    at_s: float
    batch: int | None = None
    webhook: str = ""
    keyed: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole load.

    Attributes
    ----------
    folder : str
        Where the photos are.
    batch_webhook : str
        The address that is to hear of the end of batches.
    patience_s : float
        How long after the last photo was sent, or the last one ended, the client waits for the next.
    """

    url: str
    folder: str
    batch_webhook: str
    patience_s: float
    entries: list[Entry] = field(default_factory=list)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Plan:
        values: dict[str, Any] = json.loads(path.read_text())
        return cls(**{**values, "entries": [Entry(**entry) for entry in values["entries"]]})


@dataclass(frozen=True, slots=True)
class Mixture:
    """What a load is made of.

    Attributes
    ----------
    photos : int
        How many there are.
    lasts_s : float
        Over how long they are sent.
    special : Kind
        The photos that end a process, and the share of them.
    paths : tuple of str
        Paths of the receiver that those who are called back name in turn.
    pool : int
        How many different photos there are; the load repeats them.
    """

    photos: int
    lasts_s: float
    special: Kind = Kind.POISON
    special_share: float = 0.01
    batches: int = 1
    webhook_share: float = WEBHOOK_SHARE
    paths: tuple[str, ...] = (RECEIVER_PATH,)
    pool: int = 600


def make_entries(mixture: Mixture, chance: random.Random, folder: Path, name: str, receiver: str) -> list[Entry]:
    """Write the photos into a folder and return what is to be sent, the same for the same seed."""
    pool = kinds(min(mixture.photos, mixture.pool), chance, mixture.special, mixture.special_share)
    folder.mkdir(parents=True, exist_ok=True)
    for number, photo in enumerate(make_photos(pool, chance)):
        (folder / f"{number}.jpg").write_bytes(photo.data)
    times = sorted(chance.uniform(0, mixture.lasts_s) for _ in range(mixture.photos))
    entries = []
    for number, at_s in enumerate(times):
        entry = _entry(mixture, chance, number, pool)
        webhook = receiver + entry.webhook if entry.webhook else ""
        entries.append(replace(entry, reference=f"{name}-{number:06}", at_s=round(at_s, 3), webhook=webhook))
    return _with_batches(entries, mixture, chance)


def _entry(mixture: Mixture, chance: random.Random, number: int, pool: Sequence[Kind]) -> Entry:
    kind = pool[number % len(pool)]
    status, code = ENDS[kind]
    path = mixture.paths[number % len(mixture.paths)]
    return Entry(
        "",
        f"{number % len(pool)}.jpg",
        kind,
        status,
        code,
        0.0,
        webhook=path if chance.random() < mixture.webhook_share else "",
        keyed=chance.random() >= KEYLESS_SHARE,
    )


def _with_batches(entries: list[Entry], mixture: Mixture, chance: random.Random) -> list[Entry]:
    """Gather some into batches, each sent when the first of them would have been."""
    if not mixture.batches:
        return entries
    chosen = sorted(chance.sample(range(len(entries)), int(len(entries) * BATCH_SHARE)))
    size = -(-len(chosen) // mixture.batches)
    made = list(entries)
    for batch in range(mixture.batches):
        members = chosen[batch * size : (batch + 1) * size]
        for index in members:
            made[index] = replace(entries[index], batch=batch, at_s=entries[members[0]].at_s, webhook="")
    return made
