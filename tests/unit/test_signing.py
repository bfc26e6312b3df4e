"""Signatures, against a vector that all libraries share, the library's verifier, and a computation by hand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from shared.signing import check_secret, new_secret, sign, webhook_id

# The vector in the test suites of the reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - a published example
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SENT_MS = 1_614_265_330_999
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

TEXTS = st.text(st.characters(codec="utf-8"), max_size=50).map(str.encode)


def by_hand(secret: str, message_id: str, sent_s: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = message_id.encode() + b"." + str(sent_s).encode() + b"." + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def test_the_published_vector() -> None:
    assert sign(BODY, webhook_id=ID, sent_ms=SENT_MS, secrets=[SECRET]) == {
        "webhook-id": ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
def test_the_zone_of_the_machine_makes_no_difference(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert sign(BODY, webhook_id=ID, sent_ms=SENT_MS, secrets=[SECRET])["webhook-signature"] == SIGNATURE
    finally:
        monkeypatch.undo()
        time.tzset()


@given(body=TEXTS, sent_ms=st.integers(0, 4_000_000_000_000), size=st.integers(24, 64), data=st.data())
def test_every_signature_is_what_hmac_says_by_hand(body: bytes, sent_ms: int, size: int, data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.binary(min_size=size, max_size=size), min_size=1, max_size=2))
    secrets = ["whsec_" + base64.b64encode(key).decode() for key in keys]
    headers = sign(body, webhook_id=ID, sent_ms=sent_ms, secrets=secrets)
    assert headers["webhook-signature"].split(" ") == [by_hand(key, ID, sent_ms // 1000, body) for key in secrets]
    assert headers["webhook-timestamp"] == str(sent_ms // 1000)


def test_while_secrets_are_changed_receivers_with_either_are_content() -> None:
    new, old = new_secret(), new_secret()
    headers = sign(BODY, webhook_id=ID, sent_ms=time.time_ns() // 1_000_000, secrets=[new, old])
    for secret in (new, old):
        assert Webhook(secret).verify(BODY, headers) == {"test": 2432232314}
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, headers)


@pytest.mark.parametrize("changed", ["body", "webhook-id", "webhook-timestamp"])
def test_what_is_changed_on_the_way_is_noticed(changed: str) -> None:
    now_ms = time.time_ns() // 1_000_000
    headers = sign(BODY, webhook_id=ID, sent_ms=now_ms, secrets=[SECRET])
    Webhook(SECRET).verify(BODY, headers)
    body = BODY + b" " if changed == "body" else BODY
    other = {"webhook-id": ID + "x", "webhook-timestamp": str(now_ms // 1000 - 1)}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, {name: other[name] if name == changed else headers[name] for name in headers})


def test_new_secrets_are_of_the_form_and_differ() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    for secret in secrets:
        check_secret(secret)
        assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        SECRET.removeprefix("whsec_"),
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        SECRET[:-1],
        SECRET + "\n",
        SECRET[:-2] + "!!",
        SECRET[:-1] + "\u00e9",
    ],
)
def test_a_secret_of_another_form_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="24 to 64 bytes") as caught:
        sign(BODY, webhook_id=ID, sent_ms=SENT_MS, secrets=[SECRET, secret])
    assert "MfKQ" not in str(caught.value)


@pytest.mark.parametrize(("size", "letters"), [(24, 32), (64, 88)])
def test_the_shortest_and_the_longest_secret_will_do(size: int, letters: int) -> None:
    secret = "whsec_" + base64.b64encode(bytes(size)).decode()
    assert len(secret) == len("whsec_") + letters
    check_secret(secret)


@pytest.mark.parametrize("message_id", ["", "msg_1.2", "msg_1\n", "msg 1", "msg_\u00e9"])
def test_an_id_that_could_be_taken_for_more_than_an_id_is_refused(message_id: str) -> None:
    with pytest.raises(ValueError, match="not a webhook id"):
        sign(BODY, webhook_id=message_id, sent_ms=SENT_MS, secrets=[SECRET])


def test_without_a_secret_nothing_is_signed() -> None:
    with pytest.raises(ValueError, match="at least one secret"):
        sign(BODY, webhook_id=ID, sent_ms=SENT_MS, secrets=[])


def test_the_id_of_an_event_is_the_same_each_time_and_on_every_machine() -> None:
    assert webhook_id("job_01j", "job.succeeded", 1) == "msg_fbbd91143adce7fc9cd1d423859b48be"
    sign(BODY, webhook_id=webhook_id("job_01j", "job.succeeded", 1), sent_ms=SENT_MS, secrets=[SECRET])


@given(st.tuples(st.sampled_from("ab"), st.sampled_from("ab"), st.integers(0, 20)), st.data())
def test_different_events_have_different_ids(event: tuple[str, str, int], data: st.DataObject) -> None:
    other = data.draw(st.tuples(st.sampled_from("ab"), st.sampled_from("ab"), st.integers(0, 20)))
    assert (webhook_id(*event) == webhook_id(*other)) == (event == other)
