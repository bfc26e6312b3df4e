"""The guarded client against servers that misbehave: real sockets, on loopback alone."""

from __future__ import annotations

import gzip
import io
import logging
import socket
import threading
from typing import Any

import pytest

from shared.outbound import AnswerTooLarge, OutboundAnswer, OutboundClient
from shared.targets import OutboundPolicy, Rule, TargetForbidden
from shared.wire import TargetUnreachable, Trouble
from tests import receiver as server
from tests.receiver import (
    HERE,
    NAME,
    OK,
    Receiver,
    client_of,
    drips,
    floods,
    hangs,
    receiving,
    says,
    sips,
    then,
    url_of,
)

pytestmark = pytest.mark.enable_socket

SHORT_S = 0.5
HEADS = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


def post(found: Receiver, **options: object) -> OutboundAnswer:
    return client_of(found, **options).post(url_of(found), b"{}", {"webhook-id": "msg_1"})  # type: ignore[arg-type]


def trouble_of(found: Receiver, **options: object) -> Trouble:
    with pytest.raises(TargetUnreachable) as caught:
        post(found, **options)
    assert "secret" not in str(caught.value)
    return caught.value.trouble


# What is sent, and where to


def test_a_request_says_what_it_must_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:1")
    with receiving(says(OK)) as found:
        answer = post(found)
    head, _, body = found.requests[0].partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")
    assert line == b"POST /hook?token=secret HTTP/1.1"
    assert sorted(headers) == [
        b"Accept-Encoding: identity",
        b"Connection: close",
        b"Content-Length: 2",
        f"Host: {NAME}:{found.port}".encode(),
        b"User-Agent: facefit",
        b"webhook-id: msg_1",
    ]
    assert body == b"{}"
    assert (answer.status, answer.body, answer.is_whole, answer.is_success) == (200, b"ok", True, True)
    assert answer.duration_s > 0


def test_a_name_that_changes_its_address_is_looked_up_once_and_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([[HERE], ["127.0.0.2"], ["127.0.0.3"]])
    looked_up: list[str] = []
    real = socket.getaddrinfo

    def noting(host: str, *arguments: Any) -> Any:
        looked_up.append(host)
        return real(host, *arguments)

    monkeypatch.setattr(socket, "getaddrinfo", noting)
    with receiving(says(OK)) as found, receiving(says(OK), address=("127.0.0.2", found.port)) as elsewhere:
        client = client_of(found, resolve=lambda *_: next(answers))
        assert client.post(url_of(found), b"", {}).is_success
        assert (len(found.requests), len(elsewhere.requests)) == (1, 0)
        assert client.post(url_of(found), b"", {}).is_success
        assert (len(found.requests), len(elsewhere.requests)) == (1, 1)
    assert looked_up == [HERE, "127.0.0.2"], "the system is never asked for the name"
    assert next(answers) == ["127.0.0.3"]


def test_nothing_is_sent_to_an_address_that_the_name_must_not_have() -> None:
    with receiving(says(OK)) as found:
        policy = OutboundPolicy(allow_http=True, ports=frozenset({found.port}))
        for addresses in ([HERE], ["8.8.8.8", HERE], [HERE, "8.8.8.8"], ["::1"], ["169.254.169.254"]):
            with pytest.raises(TargetForbidden):
                OutboundClient(policy, resolve=lambda *_, found=addresses: found).post(url_of(found), b"", {})
    assert found.requests == []


def test_a_forbidden_address_in_the_url_is_refused_at_the_attempt_too() -> None:
    with pytest.raises(TargetForbidden) as caught:
        OutboundClient(OutboundPolicy()).post("https://169.254.169.254/latest", b"", {})
    assert caught.value.rule == Rule.METADATA


def test_the_next_address_is_tried_where_the_first_does_not_answer() -> None:
    with receiving(says(OK)) as found:
        assert post(found, resolve=lambda *_: ["127.0.0.3", HERE]).is_success


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    redirect = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    with receiving(says(redirect)) as found:
        answer = post(found)
    assert (answer.status, answer.is_success, len(found.requests)) == (302, False, 1)
    assert "location" not in answer.headers


# What does not answer as it should


def test_nobody_there() -> None:
    with receiving(says(OK)) as found:
        pass
    assert trouble_of(found) == Trouble.CONNECT


@pytest.mark.parametrize("addresses", [[], None])
def test_a_name_without_an_address(addresses: list[str] | None) -> None:
    def resolve(*_: object) -> list[str]:
        if addresses is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return addresses

    with receiving(says(OK)) as found:
        assert trouble_of(found, resolve=resolve) == Trouble.LOOK_UP


def test_a_look_up_that_hangs_ends_with_the_deadline() -> None:
    gone = threading.Event()
    with receiving(says(OK)) as found:
        assert (
            trouble_of(found, total_s=0.1, resolve=lambda *_: [HERE] * gone.wait(server.PATIENCE_S)) == Trouble.TIMEOUT
        )
        gone.set()


@pytest.mark.parametrize(
    "behaviour",
    [
        hangs,
        drips(b"HTTP/1.1 100 Continue\r\n\r\n"),
        drips(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000),
        then(says(b"HTTP/1.1 200 OK\r\n"), drips(b"X-Long: " + b"y" * 5000)),
        floods(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    ],
)
def test_headers_that_never_end_end_with_the_deadline(behaviour: server.Behaviour) -> None:
    with receiving(behaviour) as found:
        assert trouble_of(found, total_s=SHORT_S) == Trouble.TIMEOUT
        assert not found.finished.is_set(), "the client did not wait for the server to tire"


def test_a_request_that_is_not_read_ends_with_the_deadline() -> None:
    with receiving(sips, reads=False) as found:
        with pytest.raises(TargetUnreachable) as caught:
            client_of(found, total_s=1.0).post(url_of(found), bytes(30_000_000), {})
        assert caught.value.trouble == Trouble.TIMEOUT


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 " + b"2" * 100_000,
    ],
)
def test_what_is_not_http_or_too_much_of_it_is_no_answer(answer: bytes) -> None:
    with receiving(says(answer)) as found:
        assert trouble_of(found) == Trouble.BROKEN


@pytest.mark.parametrize(
    ("behaviour", "body"),
    [
        (says(HEADS + b"Content-Length: 9\r\n\r\nhalf"), b"half"),
        (says(HEADS + b"Transfer-Encoding: chunked\r\n\r\n9\r\nhalf"), b"half"),
        (says(HEADS + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n"), b""),
        (then(says(HEADS + b"Content-Length: 9\r\n\r\nhalf"), hangs), b"half"),
        (then(says(HEADS + b"\r\n"), floods(b"x" * 1000)), b"x" * 100),
        (says(HEADS + b"Content-Length: 101\r\n\r\n" + b"x" * 101), b"x" * 100),
    ],
)
def test_an_answer_stands_once_its_headers_are_here(behaviour: server.Behaviour, body: bytes) -> None:
    with receiving(behaviour) as found:
        answer = post(found, total_s=SHORT_S)
    assert (answer.status, answer.is_success, answer.is_whole) == (200, True, False)
    assert answer.body in {body, b""}  # a piece that is cut short may be dropped whole
    assert answer.headers == {"content-type": "text/plain"}


def test_a_body_that_drips_ends_with_the_deadline() -> None:
    with receiving(then(says(HEADS + b"\r\n"), drips(b"."))) as found:
        answer = post(found, total_s=SHORT_S)
        assert not found.finished.is_set()
    assert (answer.status, answer.is_whole) == (200, False)
    assert answer.body.strip(b".") == b""


def test_a_body_of_just_the_cap_is_whole() -> None:
    with receiving(says(HEADS + b"Content-Length: 100\r\n\r\n" + b"x" * 100)) as found:
        answer = post(found)
    assert (len(answer.body), answer.is_whole) == (100, True)


def test_a_refusal_is_an_answer_and_says_when_to_come_back() -> None:
    refusal = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: " + b"7" * 300 + b"\r\nContent-Length: 0\r\n\r\n"
    with receiving(says(refusal)) as found:
        answer = post(found)
    assert (answer.status, answer.is_success) == (429, False)
    assert answer.headers == {"retry-after": "7" * 256}


def test_no_query_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with receiving(says(b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 2\r\n\r\nok")) as found:
        assert post(found).is_success
    assert "secret" not in caplog.text


# Fetching


def fetch(found: Receiver, max_bytes: int, **options: object) -> tuple[OutboundAnswer, bytes]:
    sink = io.BytesIO()
    answer = client_of(found, **options).fetch(url_of(found, "/photo.jpg"), max_bytes, sink)  # type: ignore[arg-type]
    return answer, sink.getvalue()


@pytest.mark.parametrize(
    "answer",
    [
        HEADS + b"Content-Length: 200000\r\n\r\n" + b"x" * 200_000,
        HEADS + b"\r\n" + b"x" * 200_000,
        HEADS
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + b"186a0\r\n"
        + b"x" * 100_000
        + b"\r\n186a0\r\n"
        + b"x" * 100_000
        + b"\r\n0\r\n\r\n",
    ],
)
def test_what_is_fetched_goes_into_the_sink(answer: bytes) -> None:
    with receiving(says(answer)) as found:
        fetched, body = fetch(found, 200_000)
        assert body == b"x" * 200_000
        assert (fetched.status, fetched.body, fetched.is_whole) == (200, b"", True)
        with pytest.raises(AnswerTooLarge):
            fetch(found, 199_999)
    assert found.requests[0].startswith(b"GET /photo.jpg HTTP/1.1\r\n")


def test_too_many_bytes_are_not_waited_for() -> None:
    with receiving(then(says(HEADS + b"Content-Length: 10000\r\n\r\n"), hangs)) as found, pytest.raises(AnswerTooLarge):
        fetch(found, 9999)
    with receiving(then(says(HEADS + b"\r\n"), floods(b"x" * 1000))) as found:
        with pytest.raises(AnswerTooLarge):
            fetch(found, 9999)
        assert not found.finished.is_set()


@pytest.mark.parametrize(
    ("behaviour", "trouble"),
    [
        (says(HEADS + b"Content-Length: 9\r\n\r\nhalf"), Trouble.BROKEN),
        (says(HEADS + b"Transfer-Encoding: chunked\r\n\r\n9\r\nhalf"), Trouble.BROKEN),
        (then(says(HEADS + b"Content-Length: 9999\r\n\r\n"), drips(b".")), Trouble.TIMEOUT),
    ],
)
def test_half_a_photo_is_none(behaviour: server.Behaviour, trouble: Trouble) -> None:
    with receiving(behaviour) as found, pytest.raises(TargetUnreachable) as caught:
        fetch(found, 10_000, total_s=SHORT_S)
    assert caught.value.trouble == trouble


@pytest.mark.parametrize("status", [b"404 Not Found", b"302 Found", b"206 Partial Content", b"500 Oops"])
def test_nothing_is_written_unless_the_status_is_200(status: bytes) -> None:
    with receiving(says(b"HTTP/1.1 " + status + b"\r\nContent-Length: 4\r\n\r\nsome")) as found:
        answer, body = fetch(found, 10_000)
    assert (answer.status, answer.body, body) == (int(status[:3]), b"some", b"")


def test_nothing_is_unpacked() -> None:
    packed = gzip.compress(bytes(1_000_000))
    head = HEADS + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    with receiving(says(head + packed)) as found:
        assert fetch(found, 10_000)[1] == packed
