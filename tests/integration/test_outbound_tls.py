"""The guarded client and certificates: a real authority and real handshakes, on loopback alone."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

import pytest
import trustme

from shared.outbound import OutboundClient
from shared.targets import OutboundPolicy
from shared.wire import TargetUnreachable, Trouble
from tests.receiver import HERE, NAME, OK, Receiver, client_of, hangs, receiving, says, url_of

TlsTrouble = Callable[[Receiver], TargetUnreachable]
SHORT_S = 0.5

pytestmark = pytest.mark.enable_socket


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def certified(authority: trustme.CA) -> Callable[[str], ssl.SSLContext]:
    def for_name(name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context

    return for_name


@pytest.fixture
def tls_trouble(trusting: ssl.SSLContext) -> TlsTrouble:
    def of(found: Receiver) -> TargetUnreachable:
        with pytest.raises(TargetUnreachable) as caught:
            client_of(found, tls=trusting).post(url_of(found, scheme="https"), b"", {})
        return caught.value

    return of


def test_the_certificate_and_sni_are_of_the_name_and_not_of_the_address(
    certified: Callable[[str], ssl.SSLContext], trusting: ssl.SSLContext
) -> None:
    indicated = []
    context = certified(NAME)
    context.sni_callback = lambda _socket, name, _context: indicated.append(name)
    with receiving(says(OK), tls=context) as found:
        assert client_of(found, tls=trusting).post(url_of(found, scheme="https"), b"", {}).is_success
    assert indicated == [NAME]


def test_the_host_has_no_port_where_it_is_the_schemes_own(
    certified: Callable[[str], ssl.SSLContext], trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for = []
    connect = socket.create_connection

    def divert(address: tuple[str, int], timeout: float) -> socket.socket:
        asked_for.append(address)
        return connect((HERE, found.port), timeout)

    with receiving(says(OK), tls=certified(NAME)) as found:
        monkeypatch.setattr(socket, "create_connection", divert)
        client = OutboundClient(OutboundPolicy(), resolve=lambda *_: ["8.8.8.8"], tls=trusting)
        assert client.post("https://Receiver.Example.:443/", b"", {}).is_success
    assert asked_for == [("8.8.8.8", 443)]
    assert f"\r\nHost: {NAME}\r\n".encode() in found.requests[0]


def test_a_certificate_of_the_address_or_another_name_is_not_enough(
    certified: Callable[[str], ssl.SSLContext], tls_trouble: TlsTrouble
) -> None:
    for name in (HERE, "other.example"):
        with receiving(says(OK), tls=certified(name)) as found:
            trouble = tls_trouble(found)
        assert trouble.trouble == Trouble.TLS
        assert "certificate is not valid for 'receiver.example'" in str(trouble)
        assert found.requests == []


def test_a_certificate_of_an_unknown_authority_is_refused(tls_trouble: TlsTrouble) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(NAME).configure_cert(context)
    with receiving(says(OK), tls=context) as found:
        assert tls_trouble(found).trouble == Trouble.TLS


def test_what_speaks_no_tls_is_refused(tls_trouble: TlsTrouble) -> None:
    with receiving(says(OK), reads=False) as found:
        assert tls_trouble(found).trouble == Trouble.TLS


def test_a_handshake_that_hangs_ends_with_the_deadline(trusting: ssl.SSLContext) -> None:
    with receiving(hangs) as found:
        client = client_of(found, tls=trusting, total_s=SHORT_S)
        with pytest.raises(TargetUnreachable) as caught:
            client.post(url_of(found, scheme="https"), b"", {})
    assert caught.value.trouble == Trouble.TIMEOUT
