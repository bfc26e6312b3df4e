"""The invariant: what was promised against what came of it, after the dust has settled."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from shared.names import LOCAL_TENANT
from shared.storage import layout
from tests.faults.broken_stack import BrokenStack
from tests.faults.plan import Entry, Plan
from tests.faults.row import Row

SETTLES_S: Final = 40.0
"""How long uploads may lie, and webhooks may be on their way, after the last photo has ended, with none less: debts are
paid when a lease and a photo's time are over, and a delivery that failed is tried again after five seconds."""
_PAGE: Final = 100
_SUCCESS: Final = range(200, 300)
_SHOWN: Final = 5


@dataclass
class Story:
    """What the client wrote down."""

    accepted: dict[str, str] = field(default_factory=dict)
    """Reference by job id."""
    batches: dict[str, list[str]] = field(default_factory=dict)
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)
    put_off: Counter[str] = field(default_factory=Counter)
    """How often it was not told what became of a photo, or was refused, by reference."""
    problems: list[str] = field(default_factory=list)
    n_refused: int = 0
    slowest_refusal_s: float = 0.0

    @classmethod
    def read(cls, path: Path) -> Story:
        story = cls()
        for line in path.read_text().splitlines():
            story._take(json.loads(line))
        return story

    def _take(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "accepted":
            self.accepted[event["id"]] = event["reference"]
        elif kind == "accepted_batch":
            self.batches[event["id"]] = event["references"]
        elif kind == "named":
            self.accepted.update({job_id: reference for reference, job_id in event["ids"].items()})
        elif kind == "ended":
            self.ended[event["id"]] = event
            if not event["right_photo"]:
                self.problems.append(f"{event['reference']} has the result of another photo")
        elif kind == "put_off":
            self.put_off[event["reference"]] += 1
            self.n_refused += event["status"] is not None
            self.slowest_refusal_s = max(self.slowest_refusal_s, event["took_s"])
        elif kind not in {"all_sent", "all_ended", "done"}:
            self.problems.append(json.dumps(event)[:300])


def account(broken: BrokenStack, plan: Plan, story: Story, row: Row) -> None:
    """Fill in a row; whatever is not as it must be is among its problems."""
    named = sum(len(references) for references in story.batches.values())
    singles = len(set(story.accepted.values()) - {r for rs in story.batches.values() for r in rs})
    row.accepted = singles + named
    row.terminal = len(story.ended)
    row.lost = row.accepted - row.terminal
    row.refused = story.n_refused
    row.put_off = sum(story.put_off.values())
    row.problems += story.problems
    _judge_ends(plan, story, row)
    _judge_sent(plan, row)
    _judge_outcomes(broken, story, row)
    _judge_list(broken, plan, story, row)
    _judge_uploads(broken, story, row)
    _judge_webhooks(broken, plan, story, row)


def _judge_ends(plan: Plan, story: Story, row: Row) -> None:
    entries = {entry.reference: entry for entry in plan.entries}
    row.ends = dict(sorted(Counter(event["status"] for event in story.ended.values()).items()))
    for job_id, event in story.ended.items():
        entry = entries[story.accepted[job_id]]
        if (event["status"], event["code"]) == (entry.status, entry.code):
            continue
        if row.good_may_fail and event["status"] == "failed":
            row.used_up += 1
            continue
        row.problems.append(f"{entry.kind} {entry.reference} ended {event['status']} {event['code']}")


def _judge_sent(plan: Plan, row: Row) -> None:
    if row.accepted != len(plan.entries):
        row.problems.append(f"{len(plan.entries) - row.accepted} photos were never accepted")


def _judge_outcomes(broken: BrokenStack, story: Story, row: Row) -> None:
    """Each job has one outcome object: one run, since nobody asked for another."""
    found: Counter[str] = Counter()
    for item in broken.objects().list(f"{layout.OUTCOMES}{LOCAL_TENANT}/"):
        owner = layout.owner_of(item.key)
        if owner is not None and owner[1] in story.accepted:
            found[owner[1]] += 1
    row.results = sum(story.ended[job_id]["status"] == "succeeded" for job_id in found if job_id in story.ended)
    double = [job_id for job_id, count in found.items() if count > 1]
    row.duplicated += len(double)
    _name(row, "has more than one outcome", double)
    _name(row, "has no outcome", [job_id for job_id in story.ended if not found[job_id]])


def _judge_list(broken: BrokenStack, plan: Plan, story: Story, row: Row) -> None:
    """No job is there that nobody asked for, and none twice, where the client had a key to say that it is the same."""
    by_reference = defaultdict(list)
    prefix = plan.entries[0].reference.rsplit("-", 1)[0] + "-"
    for job in _listed(broken):
        if (job["reference"] or "").startswith(prefix):
            by_reference[job["reference"]].append(job)
    for entry in plan.entries:
        extra = len(by_reference[entry.reference]) - 1
        if extra < 0:
            row.problems.append(f"{entry.reference} is not listed")
        elif extra and entry.keyed:
            row.duplicated += extra
            row.problems.append(f"{entry.reference} was accepted {extra + 1} times under one key")
        elif extra > story.put_off[entry.reference]:
            row.duplicated += extra
            row.problems.append(f"{entry.reference} was accepted {extra + 1} times")
        row.unasked += max(0, extra)


def _listed(broken: BrokenStack) -> Iterable[dict[str, Any]]:
    query: dict[str, Any] = {"limit": _PAGE}
    until = time.monotonic() + SETTLES_S
    with broken.http() as http:
        while True:
            answer = http.get("/v1/jobs", params=query)
            if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and time.monotonic() < until:
                time.sleep(1.0)
                continue
            page = answer.raise_for_status().json()
            yield from page["data"]
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]


def _judge_uploads(broken: BrokenStack, story: Story, row: Row) -> None:
    """A photo is gone once it is measured; one that failed is kept for a retry."""
    kept = {job_id for job_id, event in story.ended.items() if event["status"] == "failed"}
    objects = broken.objects()

    def remaining() -> list[str]:
        owners = (layout.owner_of(item.key) for item in objects.list(layout.UPLOADS))
        return sorted({owner[1] for owner in owners if owner} & story.accepted.keys() - kept)

    left = _once_settled(remaining)
    row.uploads_left = len(left)
    _name(row, "still has its upload", left)


def _judge_webhooks(broken: BrokenStack, plan: Plan, story: Story, row: Row) -> None:
    called: dict[str, Entry] = {entry.reference: entry for entry in plan.entries if entry.webhook}
    owed = {
        job_id: f"job.{event['status']}"
        for job_id, event in story.ended.items()
        if called.get(event["reference"]) and "/rebound" not in called[event["reference"]].webhook
    }
    owed |= dict.fromkeys(story.batches, "batch.completed")

    def heard() -> list[dict[str, Any]]:
        return [json.loads(line) for line in broken.heard.read_text().splitlines()]

    def untold() -> list[str]:
        taken = {(event.get("object"), event.get("type")) for event in heard() if event["answer"] in _SUCCESS}
        return [job_id for job_id, kind in owed.items() if (job_id, kind) not in taken]

    missing = _once_settled(untold)
    row.webhooks_owed = len(owed)
    row.webhooks_missing = len(missing)
    _name(row, "was not told to its receiver", missing)
    _judge_events([event for event in heard() if event.get("object") in owed or not event["verified"]], owed, row)


def _once_settled(remaining: Callable[[], list[str]]) -> list[str]:
    """Return what remains when nothing does, or when it has not become less for a while."""
    left, until = remaining(), time.monotonic() + SETTLES_S
    while left and time.monotonic() < until:
        time.sleep(1.0)
        now = remaining()
        if len(now) < len(left):
            until = time.monotonic() + SETTLES_S
        left = now
    return left


def _judge_events(heard: list[dict[str, Any]], owed: dict[str, str], row: Row) -> None:
    ids: defaultdict[str, set[str]] = defaultdict(set)
    times: Counter[str] = Counter()
    for event in heard:
        if not event["verified"]:
            row.problems.append("a webhook came with a signature that is not right")
            continue
        if event["type"] != owed[event["object"]]:
            row.problems.append(f"{event['object']} was told as {event['type']}, and is {owed[event['object']]}")
        ids[event["object"]].add(event["id"])
        times[event["id"]] += event["answer"] in _SUCCESS
    row.webhooks_repeated = sum(count - 1 for count in times.values() if count > 1)
    _name(row, "was told under more than one webhook-id", [found for found, names in ids.items() if len(names) > 1])


def _name(row: Row, what: str, ids: list[str]) -> None:
    row.problems += [f"{job_id} {what}" for job_id in ids[:_SHOWN]]
    if len(ids) > _SHOWN:
        row.problems.append(f"{len(ids) - _SHOWN} more: {what}")
