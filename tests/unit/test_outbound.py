"""Which URLs and addresses are refused, and by which rule. Nothing is connected to here."""

from __future__ import annotations

import ipaddress
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.targets import OutboundPolicy, Rule, TargetForbidden, allowed_addresses, check_target, forbidden_rule

POLICY = OutboundPolicy()
HTTP = OutboundPolicy(allow_http=True)
OUT_IN_THE_WORLD = (
    "8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 172.15.255.255 172.32.0.0 126.255.255.255"
    " 128.0.0.0 169.253.255.255 192.167.255.255 192.169.0.0 223.255.255.255 2606:4700::1111 2a00:1450::1"
)
SPELLINGS_OF_LOOPBACK = (
    "127.0.0.1 127.1 127.0.1 2130706433 0x7f000001 0x7f.1 0X7F.0.0.1 017700000001 0177.0.0.1 127.0.0.1. [::1]"
    " [0:0:0:0:0:0:0:1] \uff11\uff12\uff17.0.0.1 127\u30020\u30020\u30021"
)


def refused_by(url: str, policy: OutboundPolicy = POLICY) -> Rule:
    with pytest.raises(TargetForbidden) as caught:
        check_target(url, policy)
    return caught.value.rule


@pytest.mark.parametrize(
    ("address", "rule"),
    [
        ("169.254.169.254", Rule.METADATA),
        ("fd00:ec2::254", Rule.METADATA),
        ("100.100.100.200", Rule.METADATA),
        ("168.63.129.16", Rule.METADATA),
        ("0.0.0.0", Rule.UNSPECIFIED),
        ("::", Rule.UNSPECIFIED),
        ("127.0.0.1", Rule.LOOPBACK),
        ("127.255.255.254", Rule.LOOPBACK),
        ("::1", Rule.LOOPBACK),
        ("10.0.0.1", Rule.PRIVATE),
        ("172.16.0.1", Rule.PRIVATE),
        ("172.31.255.255", Rule.PRIVATE),
        ("192.168.1.1", Rule.PRIVATE),
        ("fc00::1", Rule.PRIVATE),
        ("fdff::1", Rule.PRIVATE),
        ("fec0::1", Rule.PRIVATE),
        ("169.254.1.1", Rule.LINK_LOCAL),
        ("fe80::1", Rule.LINK_LOCAL),
        ("fe80::1%eth0", Rule.LINK_LOCAL),
        ("100.64.0.1", Rule.CGNAT),
        ("100.127.255.255", Rule.CGNAT),
        ("224.0.0.1", Rule.MULTICAST),
        ("239.255.255.255", Rule.MULTICAST),
        ("ff02::1", Rule.MULTICAST),
        ("::ffff:127.0.0.1", Rule.EMBEDDED_IPV4),
        ("::ffff:8.8.8.8", Rule.EMBEDDED_IPV4),
        ("::127.0.0.1", Rule.EMBEDDED_IPV4),
        ("64:ff9b::7f00:1", Rule.EMBEDDED_IPV4),
        ("64:ff9b:1::a00:1", Rule.EMBEDDED_IPV4),
        ("2001:0:7f00:1::1", Rule.EMBEDDED_IPV4),
        ("2002:7f00:1::1", Rule.EMBEDDED_IPV4),
        ("0.1.2.3", Rule.RESERVED),
        ("192.0.0.8", Rule.RESERVED),
        ("192.0.2.1", Rule.RESERVED),
        ("198.18.0.1", Rule.RESERVED),
        ("198.51.100.1", Rule.RESERVED),
        ("203.0.113.1", Rule.RESERVED),
        ("240.0.0.1", Rule.RESERVED),
        ("255.255.255.255", Rule.RESERVED),
        ("2001:db8::1", Rule.RESERVED),
        ("2001:20::1", Rule.RESERVED),
        ("3fff::1", Rule.RESERVED),
        ("5f00::1", Rule.RESERVED),
        ("4000::1", Rule.RESERVED),
    ],
)
def test_an_address_that_is_not_out_in_the_world_is_forbidden(address: str, rule: Rule) -> None:
    assert forbidden_rule(ip_address(address)) == rule


@pytest.mark.parametrize("address", OUT_IN_THE_WORLD.split())
def test_an_address_out_in_the_world_is_not(address: str) -> None:
    assert forbidden_rule(ip_address(address)) is None


@given(
    st.ip_addresses()
    | st.sampled_from(["192.0.0.0/24", "2001::/23", "100.64.0.0/10"]).flatmap(
        lambda network: st.ip_addresses(network=network)
    )
)
def test_nothing_is_allowed_that_the_standard_library_does_not_call_global(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert forbidden_rule(address) is not None


@pytest.mark.parametrize("host", SPELLINGS_OF_LOOPBACK.split())
def test_loopback_is_seen_in_every_spelling(host: str) -> None:
    assert refused_by(f"https://{host}/hook") == Rule.LOOPBACK


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://receiver.example/", Rule.SCHEME),
        ("ftp://receiver.example/", Rule.URL),
        ("file:///etc/passwd", Rule.URL),
        ("gopher://receiver.example/", Rule.URL),
        ("receiver.example/hook", Rule.URL),
        ("//receiver.example/hook", Rule.URL),
        ("", Rule.URL),
        ("https://receiver.example/a b", Rule.URL),
        ("https://receiver.example/\r\nX: y", Rule.URL),
        ("https://receiver.example\\@evil.example/", Rule.URL),
        ("https://receiver.example/" + "a" * 2048, Rule.URL),
        ("https://[::1/", Rule.URL),
        ("https://user@receiver.example/", Rule.USERINFO),
        ("https://user:secret@receiver.example/", Rule.USERINFO),
        ("https://receiver.example@127.0.0.1/", Rule.USERINFO),
        ("https:///hook", Rule.HOST),
        ("https://:443/hook", Rule.HOST),
        ("https://receiver.example:/", Rule.HOST),
        ("https://receiver.example:https/", Rule.HOST),
        ("https://receiver..example/", Rule.HOST),
        ("https://receiver.example../", Rule.HOST),
        ("https://.example/", Rule.HOST),
        ("https://-receiver.example/", Rule.HOST),
        ("https://%31%32%37.0.0.1/", Rule.HOST),
        ("https://receiver.example%00.evil.example/", Rule.HOST),
        ("https://" + "a" * 64 + ".example/", Rule.HOST),
        ("https://" + "a." * 127 + "example/", Rule.HOST),
        ("https://[fe80::1%25eth0]/", Rule.HOST),
        ("https://1.2.3.4.5/", Rule.HOST),
        ("https://256.1.1.1/", Rule.HOST),
        ("https://receiver.0x/", Rule.HOST),
        ("https://134744072/", Rule.HOST),
        ("https://\u2603\u20e3.example/", Rule.HOST),
        ("https://receiver.example:22/", Rule.PORT),
        ("https://receiver.example:8443/", Rule.PORT),
        ("https://receiver.example:0/", Rule.PORT),
        ("https://receiver.example:65979/", Rule.PORT),
        ("https://localhost/", Rule.LOCAL_NAME),
        ("https://LOCALHOST./", Rule.LOCAL_NAME),
        ("https://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3/", Rule.LOCAL_NAME),
        ("https://api.localhost/", Rule.LOCAL_NAME),
        ("https://printer.local/", Rule.LOCAL_NAME),
        ("https://metadata.google.internal/", Rule.LOCAL_NAME),
        ("https://router.home.arpa/", Rule.LOCAL_NAME),
        ("https://redis/", Rule.LOCAL_NAME),
        ("https://169.254.169.254/latest/meta-data", Rule.METADATA),
        ("https://[::ffff:169.254.169.254]/", Rule.EMBEDDED_IPV4),
        ("https://[64:ff9b::a9fe:a9fe]/", Rule.EMBEDDED_IPV4),
    ],
)
def test_a_url_is_refused_by_its_text(url: str, rule: Rule) -> None:
    assert refused_by(url) == rule


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "authority"),
    [
        ("https://receiver.example", "receiver.example", 443, "/", "receiver.example"),
        (
            "HTTPS://Receiver.Example./Hook?a=1&b=%20#top",
            "receiver.example",
            443,
            "/Hook?a=1&b=%20",
            "receiver.example",
        ),
        ("https://receiver.example:80/", "receiver.example", 80, "/", "receiver.example:80"),
        ("https://localhost.example/", "localhost.example", 443, "/", "localhost.example"),
        ("https://my_hook.example/", "my_hook.example", 443, "/", "my_hook.example"),
        (
            "https://b\u00fccher.example/stra\u00dfe",
            "xn--bcher-kva.example",
            443,
            "/stra%C3%9Fe",
            "xn--bcher-kva.example",
        ),
        ("https://stra\u00dfe.example/", "xn--strae-oqa.example", 443, "/", "xn--strae-oqa.example"),
        ("https://8.8.8.8/", "8.8.8.8", 443, "/", "8.8.8.8"),
        ("https://[2606:4700:0::1111]/", "2606:4700::1111", 443, "/", "[2606:4700::1111]"),
    ],
)
def test_a_url_is_brought_into_one_form(url: str, host: str, port: int, path: str, authority: str) -> None:
    target = check_target(url, POLICY)
    assert (target.host, target.port, target.path, target.authority) == (host, port, path, authority)
    assert not target.is_named


def test_http_has_a_port_of_its_own_and_a_setting() -> None:
    target = check_target("http://receiver.example/", HTTP)
    assert (target.port, target.authority) == (80, "receiver.example")
    with pytest.raises(TargetForbidden, match="FACEFIT_OUTBOUND_ALLOW_HTTP could allow it"):
        check_target("http://receiver.example/", POLICY)


@pytest.mark.parametrize(
    ("named", "url"),
    [
        ("10.1.2.3", "https://10.1.2.3/"),
        ("10.1.2.3", "https://0xa010203/"),
        ("portal", "https://portal/"),
        ("portal:8443", "https://portal:8443/"),
        ("127.0.0.1:9000", "https://127.0.0.1:9000/"),
        ("[::1]:9000", "https://[::1]:9000/"),
        ("erp.internal", "https://ERP.internal./"),
    ],
)
def test_a_setting_names_a_host(named: str, url: str) -> None:
    assert check_target(url, OutboundPolicy(allowed_hosts=frozenset({named}))).is_named


@pytest.mark.parametrize(
    ("named", "url", "rule"),
    [
        ("portal", "https://portal:8443/", Rule.PORT),
        ("portal:8443", "https://portal:8444/", Rule.PORT),
        ("portal:8443", "https://portal/", Rule.LOCAL_NAME),
        ("portal", "https://portal.local/", Rule.LOCAL_NAME),
        ("portal", "https://user@portal/", Rule.USERINFO),
        ("portal", "http://portal/", Rule.SCHEME),
        ("10.1.2.3", "https://10.1.2.4/", Rule.PRIVATE),
        ("receiver.example", "https://127.0.0.1/", Rule.LOOPBACK),
    ],
)
def test_a_named_host_opens_nothing_else(named: str, url: str, rule: Rule) -> None:
    assert refused_by(url, OutboundPolicy(allowed_hosts=frozenset({named}))) == rule


def test_every_address_of_a_name_must_be_allowed() -> None:
    target = check_target("https://receiver.example/", POLICY)
    assert allowed_addresses(target, lambda *_: ["8.8.8.8", "2606:4700::1111"]) == [
        ip_address("8.8.8.8"),
        ip_address("2606:4700::1111"),
    ]
    with pytest.raises(TargetForbidden) as caught:
        allowed_addresses(target, lambda *_: ["8.8.8.8", "10.11.12.13"])
    assert caught.value.rule == Rule.PRIVATE
    assert caught.value.setting == "FACEFIT_OUTBOUND_ALLOWED_HOSTS"
    assert "10.11.12.13" not in str(caught.value)


def test_a_named_host_may_have_any_address() -> None:
    target = check_target("https://portal/", OutboundPolicy(allowed_hosts=frozenset({"portal"})))
    assert allowed_addresses(target, lambda *_: ["10.11.12.13"]) == [ip_address("10.11.12.13")]


def test_an_address_is_not_looked_up() -> None:
    target = check_target("https://8.8.8.8/", POLICY)
    assert allowed_addresses(target, lambda *_: pytest.fail("looked up")) == [ip_address("8.8.8.8")]


@given(st.text(max_size=40).map("https://{}".format) | st.text(max_size=40))
def test_any_text_is_judged(url: str) -> None:
    try:
        target = check_target(url, POLICY)
    except TargetForbidden:
        return
    assert target.host.isascii()
    assert target.path.isascii()
    assert target.path.isprintable()
