"""Where the service may send requests: what the text of a URL may say, and which addresses may be connected to.

Nothing here touches the network. `check_target` judges a URL by its text, at submission and again at each attempt;
`forbidden_rule` judges an address that a name resolved to. A host that a setting names is spared the rules on addresses
and local names, and no others.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

import idna

from shared.errors import FacefitError

ALLOWED_HOSTS_SETTING: Final = "FACEFIT_OUTBOUND_ALLOWED_HOSTS"
ALLOW_HTTP_SETTING: Final = "FACEFIT_OUTBOUND_ALLOW_HTTP"
PORTS_SETTING: Final = "FACEFIT_OUTBOUND_PORTS"

MAX_URL_LENGTH: Final = 2048
MAX_NAME_LENGTH: Final = 253
"""RFC 1035, section 2.3.4, without the root's dot."""
DEFAULT_PORTS: Final = {"https": 443, "http": 80}

Address = IPv4Address | IPv6Address

_UNSAFE_IN_URL: Final = re.compile(r"[\x00-\x20\x7f\\]")
"""What parsers of URLs disagree on: some drop it, some take a backslash for a slash."""
_NETLOC: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL: Final = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_NUMBER: Final = re.compile(r"(?:.*\.)?(?:0x[0-9a-f]*|[0-9]+)")
"""A last label that is a number makes the host an IPv4 address to every parser: WHATWG URL, section 3.5."""
_LOCAL_NAME: Final = re.compile(r"(?:.*\.)?(?:localhost|localdomain|local|internal|home\.arpa)|[^.]+")
"""RFC 6761, 6762 and 8375, ICANN's `.internal`, and names of one label, which only a local network answers for."""
_SAFE_IN_PATH: Final = "/%:@!$&'()*+,;=~-._?"


class Rule(StrEnum):
    """Why a target is refused."""

    URL = "url"
    SCHEME = "scheme"
    USERINFO = "userinfo"
    HOST = "host"
    PORT = "port"
    LOCAL_NAME = "local_name"
    UNSPECIFIED = "unspecified"
    LOOPBACK = "loopback"
    PRIVATE = "private"
    LINK_LOCAL = "link_local"
    CGNAT = "cgnat"
    MULTICAST = "multicast"
    METADATA = "metadata"
    EMBEDDED_IPV4 = "embedded_ipv4"
    RESERVED = "reserved"


# IANA's registries of special-purpose addresses for IPv4 and IPv6, and the metadata services of cloud providers
# (Amazon, Google and others, Alibaba, Azure). The standard library's `is_global` changed between patch releases of
# Python 3.11; this table does not. The first match counts.
_FORBIDDEN: Final = tuple(
    (rule, ip_network(network))
    for rule, networks in (
        (Rule.METADATA, "169.254.169.254 100.100.100.200 168.63.129.16 fd00:ec2::254"),
        (Rule.UNSPECIFIED, "0.0.0.0 ::"),
        (Rule.LOOPBACK, "127.0.0.0/8 ::1"),
        (Rule.PRIVATE, "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 fec0::/10"),
        (Rule.LINK_LOCAL, "169.254.0.0/16 fe80::/10"),
        (Rule.CGNAT, "100.64.0.0/10"),
        (Rule.MULTICAST, "224.0.0.0/4 ff00::/8"),
        # Mapped, compatible and translated addresses, NAT64 (also its local prefix), Teredo, 6to4. A public IPv4
        # address inside makes no difference: nobody is known by such an address.
        (Rule.EMBEDDED_IPV4, "::ffff:0:0/96 ::/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 2001::/32 2002::/16"),
        (Rule.RESERVED, "0.0.0.0/8 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.18.0.0/15 198.51.100.0/24"),
        (Rule.RESERVED, "203.0.113.0/24 240.0.0.0/4 2001::/23 2001:db8::/32 3fff::/20"),
    )
    for network in networks.split()
)
_GLOBAL_UNICAST: Final = ip_network("2000::/3")
"""All that IPv6 has given out: RFC 4291, section 2.4."""

_SETTING: Final = {Rule.SCHEME: ALLOW_HTTP_SETTING, Rule.PORT: PORTS_SETTING} | dict.fromkeys(
    set(Rule) - {Rule.URL, Rule.SCHEME, Rule.USERINFO, Rule.HOST, Rule.PORT}, ALLOWED_HOSTS_SETTING
)


class TargetForbidden(FacefitError):
    """Raised when a URL may not be asked for.

    Attributes
    ----------
    rule : Rule
        The rule that it breaks.
    setting : str or None
        The setting that would allow it; None where nothing does.
    """

    def __init__(self, message: str, rule: Rule) -> None:
        self.rule = rule
        self.setting = _SETTING.get(rule)
        super().__init__(f"{message}; {self.setting} could allow it" if self.setting else message)


@dataclass(frozen=True, slots=True)
class OutboundPolicy:
    """What one use of the outside world may do.

    Attributes
    ----------
    total_s : float
        The longest an attempt may take, from the look-up of the name to the last byte of the answer.
    max_answer_bytes : int
        How much of an answer's body is kept, where the body is not what was asked for.
    ports : frozenset of int
        The ports that may be connected to.
    allow_http : bool
        Whether `http` may be asked for beside `https`.
    allowed_hosts : frozenset of str
        Names or addresses, in lower case, IPv6 in brackets, that may resolve to any address; as `host:port` also at a
        port that is not among `ports`.
    """

    total_s: float = 15.0
    max_answer_bytes: int = 4096
    ports: frozenset[int] = frozenset(DEFAULT_PORTS.values())
    allow_http: bool = False
    allowed_hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be asked for, in the one form that everything after the check uses.

    Attributes
    ----------
    scheme : str
        `https` or `http`.
    host : str
        The name in ASCII and lower case without a dot at its end, or the address; IPv6 without brackets.
    port : int
        Always given.
    path : str
        Path and query as they are sent.
    address : IPv4Address or IPv6Address or None
        The host where it is an address and no name.
    is_named : bool
        Whether a setting names the host, so that the rules on addresses do not hold for it.
    """

    scheme: str
    host: str
    port: int
    path: str
    address: Address | None
    is_named: bool

    @property
    def authority(self) -> str:
        """The host as the `Host` header has it, with the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def check_target(url: str, policy: OutboundPolicy) -> Target:
    """Judge a URL by its text, without looking up its name.

    Raises
    ------
    TargetForbidden
        If the text shows that it may not be asked for.
    """
    parts = _split(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and policy.allow_http):
        _refuse(parts.scheme not in DEFAULT_PORTS, "it must begin with https://", Rule.URL)
        raise TargetForbidden("http is not allowed; use https", Rule.SCHEME)
    _refuse("@" in parts.netloc, "a user or password does not belong in the URL", Rule.USERINFO)
    found = _NETLOC.fullmatch(parts.netloc)
    if found is None:
        raise TargetForbidden("it has no host and port that can be read", Rule.HOST)
    host, address = _canonical_host(found["host"])
    port = int(found["port"] or DEFAULT_PORTS[parts.scheme])

    shown = f"[{host}]" if ":" in host else host
    named_with_port = f"{shown}:{port}" in policy.allowed_hosts
    is_named = named_with_port or shown in policy.allowed_hosts
    _refuse(not named_with_port and port not in policy.ports, f"port {port} is not allowed", Rule.PORT)
    if not is_named:
        _check_unnamed(shown, address)
    query = f"?{parts.query}" if parts.query else ""
    return Target(parts.scheme, host, port, quote((parts.path or "/") + query, safe=_SAFE_IN_PATH), address, is_named)


def receiver_of(url: str) -> str:
    """Return `host:port` of a URL, in one spelling; whether it may be asked is judged elsewhere."""
    try:
        parts = urlsplit(url)
        found = _NETLOC.fullmatch(parts.netloc)
        host = _canonical_host(found["host"])[0] if found else ""
        return f"{host}:{parts.port or DEFAULT_PORTS.get(parts.scheme, 0)}"
    except (ValueError, TargetForbidden):
        return ":0"


def forbidden_rule(address: Address) -> Rule | None:
    """Tell the rule that forbids connecting to an address; None if none does."""
    for rule, network in _FORBIDDEN:
        if address in network:
            return rule
    return Rule.RESERVED if address.version == _GLOBAL_UNICAST.version and address not in _GLOBAL_UNICAST else None


def allowed_addresses(target: Target, resolve: Callable[[str, int], list[str]]) -> list[Address]:
    """Look the target's name up, once, and return its addresses: all of them may be connected to.

    Parameters
    ----------
    target : Target
        As `check_target` returns it.
    resolve : callable
        From a name and a port to addresses, the best first. Not called for a host that is an address.

    Raises
    ------
    TargetForbidden
        If one of the addresses is forbidden. The message does not say which: names of the inside are not looked up
        for people outside.
    """
    if target.address is not None:
        return [target.address]
    addresses = [ip_address(text) for text in resolve(target.host, target.port)]
    for address in addresses:
        rule = None if target.is_named else forbidden_rule(address)
        if rule is not None:
            raise TargetForbidden(f"{target.host} has an address that is forbidden ({rule})", rule)
    return addresses


def _split(url: str) -> SplitResult:
    _refuse(len(url) > MAX_URL_LENGTH, f"a URL has at most {MAX_URL_LENGTH} characters", Rule.URL)
    _refuse(_UNSAFE_IN_URL.search(url) is not None, "a space, control character or backslash must be escaped", Rule.URL)
    try:
        return urlsplit(url)
    except ValueError as error:
        raise TargetForbidden("it is not a URL", Rule.URL) from error


def _canonical_host(text: str) -> tuple[str, Address | None]:
    """Bring a host into one spelling; raise `TargetForbidden` where it has none."""
    if text.startswith("["):
        try:
            address = IPv6Address(text[1:-1])
        except ValueError as error:
            raise TargetForbidden(f"{text} is not an IPv6 address", Rule.HOST) from error
        return str(address), address
    name = _ascii(text).lower().removesuffix(".")
    if _NUMBER.fullmatch(name):
        return _canonical_ipv4(name)
    fits = len(name) <= MAX_NAME_LENGTH and _NAME.fullmatch(name) is not None
    _refuse(not fits, "its host is not a name that can be looked up", Rule.HOST)
    return name, None


def _ascii(text: str) -> str:
    if text.isascii():
        return text
    try:
        return idna.encode(text[: MAX_NAME_LENGTH + 1], uts46=True, std3_rules=True).decode()
    except idna.IDNAError as error:
        raise TargetForbidden("its host is not a name that can be looked up", Rule.HOST) from error


def _canonical_ipv4(name: str) -> tuple[str, Address]:
    """Read an IPv4 address in any spelling that a resolver takes: 127.1, 0x7f000001, 017700000001, 2130706433."""
    try:
        address = IPv4Address(socket.inet_aton(name))
    except OSError as error:
        raise TargetForbidden(f"{name} is not an IPv4 address", Rule.HOST) from error
    if str(address) != name and forbidden_rule(address) is None:
        raise TargetForbidden(f"write the address as {address}", Rule.HOST)
    return str(address), address


def _check_unnamed(shown: str, address: Address | None) -> None:
    if address is None:
        _refuse(_LOCAL_NAME.fullmatch(shown) is not None, f"{shown} is a name of a local network", Rule.LOCAL_NAME)
    elif (rule := forbidden_rule(address)) is not None:
        raise TargetForbidden(f"{shown} is forbidden ({rule})", rule)


def _refuse(condition: bool, message: str, rule: Rule) -> None:
    if condition:
        raise TargetForbidden(message, rule)
