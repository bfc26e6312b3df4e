"""What a receiver takes for facefit's and what it does not, by the signatures that the service itself makes."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

import pytest

from facefit import ConfigurationError, InvalidWebhook, Webhook
from shared.signing import new_secret, sign

NOW_S = 1_790_000_000
BODY = json.dumps(
    {
        "type": "job.succeeded",
        "timestamp": "2026-11-28T00:00:00Z",
        "data": {"object": "job", "id": "job_1", "status": "succeeded", "created_at": "2026-11-28T00:00:00Z"},
    }
).encode()
SECRET = new_secret()


def signed(*secrets: str, body: bytes = BODY, sent_s: int = NOW_S) -> dict[str, str]:
    return sign(body, webhook_id="msg_1", sent_ms=sent_s * 1000, secrets=secrets or (SECRET,))


def verifier(*secrets: str) -> Webhook:
    return Webhook(secrets or SECRET, clock=lambda: NOW_S)


def test_what_the_service_signs_is_taken() -> None:
    event = verifier().verify(BODY, signed())
    assert (event.webhook_id, event.type) == ("msg_1", "job.succeeded")
    assert event.job is not None
    assert event.job.id == "job_1"
    assert event.batch is None


def test_names_of_headers_have_no_case() -> None:
    assert verifier().verify(BODY.decode(), {name.title(): value for name, value in signed().items()}).type


@pytest.mark.parametrize("known", [0, 1])
def test_either_secret_will_do_while_it_is_changed(known: int) -> None:
    secrets = [new_secret(), new_secret()]
    assert verifier(secrets[known]).verify(BODY, signed(*secrets)).type == "job.succeeded"
    assert verifier(*secrets).verify(BODY, signed(secrets[known])).type == "job.succeeded"


def tampered() -> Mapping[str, tuple[bytes, dict[str, str]]]:
    good = signed()
    signature = good["webhook-signature"]
    flipped = base64.b64encode(bytes([base64.b64decode(signature[3:])[0] ^ 1]) + base64.b64decode(signature[3:])[1:])
    return {
        "another body": (BODY.replace(b"job_1", b"job_2"), good),
        "a byte more": (BODY + b" ", good),
        "another id": (BODY, {**good, "webhook-id": "msg_2"}),
        "another time": (BODY, {**good, "webhook-timestamp": str(NOW_S + 1)}),
        "another secret": (BODY, signed(new_secret())),
        "a bit of the signature": (BODY, {**good, "webhook-signature": f"v1,{flipped.decode()}"}),
        "half the signature": (BODY, {**good, "webhook-signature": signature[:20]}),
        "another version": (BODY, {**good, "webhook-signature": signature.replace("v1,", "v2,")}),
        "no version": (BODY, {**good, "webhook-signature": signature[3:]}),
        "no signature": (BODY, {**good, "webhook-signature": ""}),
        "an empty one": (BODY, {**good, "webhook-signature": "v1,"}),
        "letters that are no ASCII": (BODY, {**good, "webhook-signature": "v1,é"}),
        "no id": (BODY, {name: value for name, value in good.items() if name != "webhook-id"}),
        "no time": (BODY, {name: value for name, value in good.items() if name != "webhook-timestamp"}),
        "a time in words": (BODY, {**good, "webhook-timestamp": "now"}),
        "a time in other digits": (BODY, {**good, "webhook-timestamp": "١٧٩٠٠٠٠٠٠٠"}),
        "too old": (BODY, signed(sent_s=NOW_S - 301)),
        "too new": (BODY, signed(sent_s=NOW_S + 301)),
        "no JSON": (b"{", signed(body=b"{")),
        "no object": (b"[]", signed(body=b"[]")),
    }


@pytest.mark.parametrize("what", sorted(tampered()))
def test_what_was_tampered_with_is_refused(what: str) -> None:
    body, headers = tampered()[what]
    with pytest.raises(InvalidWebhook):
        verifier().verify(body, headers)


@pytest.mark.parametrize("age_s", [-300, 0, 300])
def test_clocks_may_differ_by_five_minutes(age_s: int) -> None:
    assert verifier().verify(BODY, signed(sent_s=NOW_S - age_s)).webhook_id == "msg_1"


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_AAAA", "whsec_!" * 9, SECRET.removeprefix("whsec_")],
    ids=["nothing", "a prefix", "too short", "other characters", "no prefix"],  # the same in every process
)
def test_what_is_no_secret_is_said_and_not_repeated(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="24 to 64 bytes") as raised:
        Webhook(secret)
    assert len(secret) < len("whsec_A") or secret not in str(raised.value)


def test_without_secrets_nothing_is_verified() -> None:
    with pytest.raises(ConfigurationError):
        Webhook([])
