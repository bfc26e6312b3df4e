"""The receiver of the examples, when what it does with an event goes wrong."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

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


@pytest.mark.parametrize("signature", ["", "v1", "nonsense", "v1,a", "v1,", "v2,abcd"])
def test_a_signature_that_is_none_is_refused_and_no_fault(tmp_path: Path, signature: str) -> None:
    secret = new_secret()
    receiver = runpy.run_path(str(ROOT / "examples" / "webhook_receiver.py"))["make_receiver"](
        secret, str(tmp_path / "seen.sqlite"), print
    )
    headers = sign(BODY, webhook_id="msg_1", sent_ms=system_clock(), secrets=[secret])
    answer = receiver.test_client().post("/hook", data=BODY, headers={**headers, "webhook-signature": signature})
    assert answer.status_code == 401
