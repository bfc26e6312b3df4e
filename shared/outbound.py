"""The one door to the outside world: webhooks are sent, and photos at URLs are fetched, through this client alone.

An attempt is one connection to one address. The name is looked up once, every address it has must be allowed
(`shared/targets.py`), and the connection goes to one of those very addresses, while `Host`, SNI and the name in the
certificate stay the URL's. One deadline covers look-up, connection, handshake, request and answer, so that what comes
in drips ends with it. No redirects, proxies, cookies, decompression or kept connections. Certificates are always
verified, against the system's store, or the one that OpenSSL's `SSL_CERT_FILE` names.

Built on urllib3's connection: it is kept (2.8.0), and both images have it already for the object store. Weighed and
left: requests-hardened 1.3 (looks at the first address only, no rule for ports, time-outs for each read only); httpx
0.28 (no release since December 2024, no total time-out: encode/httpx#1450); httpcore2 2.16 (fits, but new to both).
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import BinaryIO, Final, cast

from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection

from shared.errors import FacefitError
from shared.targets import Address, OutboundPolicy, Target, allowed_addresses, check_target
from shared.wire import Deadline, TargetUnreachable, Trouble, Wire, connected, in_time, troubles_named

USER_AGENT: Final = "facefit"
KEPT_HEADERS: Final = ("content-type", "retry-after")
MAX_HEADER_LENGTH: Final = 256
MAX_ADDRESSES: Final = 4
"""How many addresses of a name are tried, the best first."""
_CHUNK_BYTES: Final = 64 * 1024

Resolver = Callable[[str, int], list[str]]

# It warns of headers that it cannot parse with the whole URL beside them; a URL's query is for no log.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


class AnswerTooLarge(FacefitError):
    """Raised when a target sends more bytes than may be fetched from it."""


@dataclass(frozen=True, slots=True)
class OutboundAnswer:
    """What a target answered. The status stands once the headers are here, whatever becomes of the body.

    Attributes
    ----------
    status : int
        The HTTP status; those from 300 to 399 are no success: redirects are not followed.
    headers : mapping of str to str
        Those of `KEPT_HEADERS` that came, in lower case, each cut to `MAX_HEADER_LENGTH`.
    body : bytes
        The first bytes of the body, up to the policy's cap; empty where they went into a sink.
    is_whole : bool
        Whether the body ended, with nothing left out.
    duration_s : float
        From the look-up of the name to here.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool
    duration_s: float

    @property
    def is_success(self) -> bool:
        """Whether the status says that the request was taken."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


def look_up(name: str, port: int) -> list[str]:
    """Return a name's addresses, in the order in which the system would try them."""
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class OutboundClient:
    """Sends requests to where a policy lets them go; safe to share between threads.

    Parameters
    ----------
    policy : OutboundPolicy
        Where they may go, and how long they may take.
    resolve : callable
        From a name and a port to addresses, as `look_up`, or raising `OSError`.
    tls : SSLContext or None
        What verifies certificates; by default the system's store.
    """

    def __init__(
        self, policy: OutboundPolicy, *, resolve: Resolver = look_up, tls: ssl.SSLContext | None = None
    ) -> None:
        self.policy = policy
        self._resolve = resolve
        self._tls = ssl.create_default_context() if tls is None else tls

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> OutboundAnswer:
        """Send a body; return what is answered, a failure too.

        Raises
        ------
        TargetForbidden
            If the URL, or an address of its host, is forbidden.
        TargetUnreachable
            If there is no answer.
        """
        with self._exchange("POST", url, body, headers) as (response, deadline):
            return self._answer(response, deadline)

    def fetch(self, url: str, max_bytes: int, sink: BinaryIO) -> OutboundAnswer:
        """Get what is at a URL into a sink, if the status is 200; nothing is written otherwise.

        Raises
        ------
        TargetForbidden
            If the URL, or an address of its host, is forbidden.
        TargetUnreachable
            If there is no answer, or not all of it; the sink may have a part.
        AnswerTooLarge
            If there are more than `max_bytes`; the sink may have a part.
        """
        with self._exchange("GET", url, None, {}) as (response, deadline):
            if response.status != HTTPStatus.OK:
                return self._answer(response, deadline)
            if (response.length_remaining or 0) > max_bytes:
                raise AnswerTooLarge(f"{response.length_remaining} bytes, of which {max_bytes} are allowed")
            n_bytes = 0
            while chunk := _read(response, _CHUNK_BYTES):
                n_bytes += len(chunk)
                if n_bytes > max_bytes:
                    raise AnswerTooLarge(f"more than {max_bytes} bytes")
                sink.write(chunk)
            return OutboundAnswer(response.status, _kept(response), b"", is_whole=True, duration_s=deadline.spent_s())

    @contextmanager
    def _exchange(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Iterator[tuple[HTTPResponse, Deadline]]:
        target = check_target(url, self.policy)
        deadline = Deadline(self.policy.total_s)
        addresses = self._addresses(target, deadline)
        with closing(connected(target, addresses, deadline, self._tls)) as sock:
            connection = HTTPConnection(target.host, target.port)
            # A connection that has its socket opens no other; everything the library does with it goes by the deadline.
            wire = Wire(sock, deadline)
            connection.sock = cast("socket.socket", wire)
            with troubles_named():
                connection.request(
                    method,
                    target.path,
                    body=body,
                    headers={
                        "User-Agent": USER_AGENT,
                        **headers,
                        "Host": target.authority,
                        "Accept-Encoding": "identity",
                        "Connection": "close",
                    },
                    preload_content=False,
                    decode_content=False,
                )
                response = connection.getresponse()
            if wire.has_ended:  # the library takes an end within the headers for the end of the headers
                raise TargetUnreachable("the answer ended within its headers", Trouble.BROKEN)
            yield response, deadline

    def _addresses(self, target: Target, deadline: Deadline) -> list[Address]:
        with troubles_named(Trouble.LOOK_UP):
            addresses = in_time(lambda: allowed_addresses(target, self._resolve), deadline)
        if not addresses:
            raise TargetUnreachable("the name has no address", Trouble.LOOK_UP)
        return addresses[:MAX_ADDRESSES]

    def _answer(self, response: HTTPResponse, deadline: Deadline) -> OutboundAnswer:
        """Read as much of the body as is kept; what comes in the way now does not undo the answer."""
        body = b""
        is_whole = False
        try:
            while not is_whole and (room := self.policy.max_answer_bytes + 1 - len(body)) > 0:
                chunk = _read(response, room)
                body += chunk
                is_whole = not chunk
        except TargetUnreachable:
            pass
        kept = body[: self.policy.max_answer_bytes]
        return OutboundAnswer(response.status, _kept(response), kept, is_whole, deadline.spent_s())


def _read(response: HTTPResponse, n_bytes: int) -> bytes:
    with troubles_named():
        return response.read1(n_bytes)


def _kept(response: HTTPResponse) -> dict[str, str]:
    found = {name: response.headers.get(name) for name in KEPT_HEADERS}
    return {name: value[:MAX_HEADER_LENGTH] for name, value in found.items() if value is not None}
