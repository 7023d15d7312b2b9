"""The fetcher's sockets go to public addresses only, however an address is written and wherever a server points."""

from __future__ import annotations

import ipaddress
import socket  # noqa: TID251 - the resolver is replaced by one that lies
from collections.abc import Iterator
from typing import Any

import httpcore2
import pytest

from newsletter.foundation.config import FetchingConfig
from newsletter.foundation.network import (
    AddressForbidden,
    GuardedBackend,
    PortForbidden,
    Unreachable,
    is_public,
    network_of,
    port_is_free,
)
from newsletter.stories.fetching import Broken, HttpFetcher
from tests.support.ports import free_port
from tests.support.raw_outlet import RawOutlet, answer, running_outlet

INSIDE = [
    # IPv4 (RFC 6890 and those after it)
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    # IPv6
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "100::1",
    "fec0::1",  # site-local: deprecated, and still somebody's inside (RFC 3879)
    "3fff::1",  # documentation (RFC 9637)
    "5f00::1",  # segment routing (RFC 9602)
    # IPv4 inside IPv6
    "::127.0.0.1",  # IPv4-compatible (RFC 4291 §2.5.5.1)
    "::10.0.0.1",
    "64:ff9b:1::808:808",  # local NAT64 is nobody's public address (RFC 8215 §3)
    "64:ff9b:1:7f00:0:100::",  # 127.0.0.1 in a /48 prefix (RFC 6052 §2.2)
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::1",
    "2002:c0a8:101::",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "2001:0:4136:e378:8000:63bf:5601:5601",
]

OUTSIDE = ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_that_is_not_the_open_internet_s_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_of_the_open_internet_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


SPELLINGS = [
    "127.0.0.1",
    "127.1",
    "0",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "127.000.000.001",
    "::1",
    "0:0:0:0:0:0:0:1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "2852039166",  # 169.254.169.254
    "0xa9fea9fe",
]


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_an_inner_address_is_connected_to(host: str) -> None:
    with pytest.raises((AddressForbidden, Unreachable)):
        GuardedBackend().connect_tcp(host, 80, timeout=1)


@pytest.mark.parametrize("host", ["", " ", "a..b", "x" * 70 + ".example", "xn--\udcff", "\x00", "256.256.256.256"])
def test_a_host_that_is_none_is_unreachable_and_no_crash(host: str) -> None:
    with pytest.raises((Unreachable, AddressForbidden)):
        GuardedBackend().connect_tcp(host, 80, timeout=1)


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let names resolve to these addresses, one answer after the other; the names that were asked for."""
    asked: list[str] = []
    left = list(answers)
    getaddrinfo = socket.getaddrinfo

    def resolve(host: Any, port: Any, *more: Any, **options: Any) -> Any:
        if not str(host).endswith(".example"):
            return getaddrinfo(host, port, *more, **options)
        asked.append(str(host))
        answer = left.pop(0) if len(left) > 1 else left[0]
        return [entry for address in answer for entry in getaddrinfo(address, port, *more, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


def test_a_name_with_one_inner_address_among_public_ones_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(AddressForbidden):
        GuardedBackend().connect_tcp("two.example", 80, timeout=1)


def test_only_allowed_ports_of_public_addresses_are_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ["8.8.8.8"])
    for port in (22, 25, 6379, 8080):
        with pytest.raises(PortForbidden):
            GuardedBackend().connect_tcp("public.example", port, timeout=1)


# For real, against servers of our own

THE_ONE, THE_OTHER = "127.0.0.1", "127.0.0.2"


@pytest.fixture
def outlet() -> Iterator[RawOutlet]:
    """A server whose network is allowed: 127.0.0.2."""
    with running_outlet(THE_OTHER) as outlet:
        outlet.pages["/feed"] = answer(b"news")
        yield outlet


@pytest.fixture
def inner() -> Iterator[RawOutlet]:
    """A server that nobody may reach: 127.0.0.1. It remembers who came."""
    with running_outlet(THE_ONE) as inner:
        inner.pages["/secret"] = answer(b"the crown jewels")
        yield inner


@pytest.fixture
def fetcher() -> HttpFetcher:
    return HttpFetcher(FetchingConfig(allow_networks=(f"{THE_OTHER}/32",), timeout_seconds=5))


def test_an_allowed_network_is_fetched_on_any_port(outlet: RawOutlet, fetcher: HttpFetcher) -> None:
    assert fetcher.fetch(outlet.url("/feed")).body == b"news"


def test_a_server_of_our_own_is_not_fetched(inner: RawOutlet, fetcher: HttpFetcher) -> None:
    for url in (inner.url("/secret"), f"http://localhost:{inner.port}/secret", f"http://2130706433:{inner.port}/"):
        with pytest.raises(AddressForbidden):
            fetcher.fetch(url)
    assert inner.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_allowed_server_cannot_point_to_one_of_our_own(
    outlet: RawOutlet, inner: RawOutlet, fetcher: HttpFetcher, status: int
) -> None:
    outlet.pages["/feed"] = answer(status=f"{status} Elsewhere", location=inner.url("/secret"))

    with pytest.raises(AddressForbidden, match=r"127\.0\.0\.1"):
        fetcher.fetch(outlet.url("/feed"))
    assert len(outlet.requests) == 1
    assert inner.requests == []


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "ftp://127.0.0.1/",
        "http://[::1",
        "//",
        "http://a..b/",
        "http://:80",
    ],
)
def test_a_redirect_to_no_web_address_is_a_fault_of_the_server(
    outlet: RawOutlet, fetcher: HttpFetcher, location: str
) -> None:
    outlet.pages["/feed"] = answer(status="302 Found", location=location)

    with pytest.raises(Broken):
        fetcher.fetch(outlet.url("/feed"))


def test_a_name_server_that_changes_its_mind_changes_nothing(
    outlet: RawOutlet, inner: RawOutlet, fetcher: HttpFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rebinding: the first answer is looked at and connected to, and no second one is asked for."""
    asked = resolving(monkeypatch, [THE_OTHER], [THE_ONE])
    assert fetcher.fetch(f"http://rebinding.example:{outlet.port}/feed").body == b"news"
    assert asked == ["rebinding.example"]


def test_a_name_that_was_bound_anew_is_looked_at_anew(
    outlet: RawOutlet, inner: RawOutlet, fetcher: HttpFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolving(monkeypatch, [THE_OTHER], [THE_ONE])
    fetcher.fetch(f"http://rebinding.example:{outlet.port}/feed")

    with pytest.raises(AddressForbidden):
        fetcher.fetch(f"http://rebinding.example:{outlet.port}/feed")
    assert asked == ["rebinding.example"] * 2


def test_no_proxy_of_the_environment_is_used(
    outlet: RawOutlet, inner: RawOutlet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would resolve names itself."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, inner.url("/"))
    fetcher = HttpFetcher(FetchingConfig(allow_networks=(f"{THE_OTHER}/32",), timeout_seconds=5))

    assert fetcher.fetch(outlet.url("/feed")).body == b"news"
    assert inner.requests == []


def test_the_next_address_of_a_name_is_tried_when_the_first_is_dead(
    outlet: RawOutlet, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ["127.0.0.3", THE_OTHER])
    backend = GuardedBackend(allow=("127.0.0.2/32", "127.0.0.3/32"))

    stream = backend.connect_tcp("two.example", outlet.port, timeout=5)
    assert stream.get_extra_info("server_addr") == (THE_OTHER, outlet.port)
    stream.close()


def test_a_dead_server_is_a_plain_connection_error(fetcher: HttpFetcher) -> None:
    port = free_port()
    with pytest.raises(httpcore2.ConnectError):
        GuardedBackend(allow=(f"{THE_OTHER}/32",)).connect_tcp(THE_OTHER, port, timeout=5)
    with pytest.raises(Broken):
        fetcher.fetch(f"http://{THE_OTHER}:{port}/")


# What else stands there


def test_a_port_is_free_unless_somebody_listens(outlet: RawOutlet) -> None:
    assert not port_is_free(THE_OTHER, outlet.port)
    assert port_is_free(THE_ONE, free_port())


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
        ("2001:db8:1:3::", "2001:db8:1:3::"),
    ],
)
def test_sign_ups_are_counted_by_address_or_by_the_64_it_is_in(ip: str, network: str) -> None:
    assert network_of(ip) == network
