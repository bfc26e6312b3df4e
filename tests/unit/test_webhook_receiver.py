"""The receiver of the examples, when what it does with an event goes wrong."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from shared.clock import system_clock
from shared.signing import new_secret, sign
from stack.services import ROOT

BODY = b'{"type":"job.succeeded","timestamp":"2026-11-18T12:26:40Z","data":{"id":"job_1"}}'


def test_an_event_that_could_not_be_acted_on_is_acted_on_when_it_comes_again(tmp_path: Path) -> None:
    example = runpy.run_path(str(ROOT / "examples" / "webhook_receiver.py"))
    secret = new_secret()
    acted_on: list[str] = []

    def act_on(event: dict[str, Any]) -> None:
        acted_on.append(event["data"]["id"])
        if len(acted_on) == 1:
            raise ConnectionError

    receiver = example["make_receiver"](secret, str(tmp_path / "seen.sqlite"), act_on)
    headers = sign(BODY, webhook_id="msg_1", sent_ms=system_clock(), secrets=[secret])
    statuses = [
        receiver.test_client().post("/hook", content_type="application/json", data=BODY, headers=headers).status_code
        for _ in range(3)
    ]
    assert (statuses, acted_on) == ([500, 204, 204], ["job_1", "job_1"])
