"""Who is believed about a visitor's address, and about HTTPS."""

from __future__ import annotations

from typing import Any

import pytest

from newsletter.web.security import TrustedProxies
from tests.conftest import BuildHouse
from tests.integration.web import in_production
from tests.support import newsroom


@pytest.mark.parametrize(
    ("remote", "claimed", "believed"),
    [
        ("198.51.100.9", "203.0.113.5", "198.51.100.9"),
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", " 203.0.113.5 ", "203.0.113.5"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "1.1.1.1,203.0.113.5,10.9.9.9", "203.0.113.5"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", ",,,", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5, unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5'; DROP TABLE subscribers", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5, 10.0.0.2, \x00", "10.0.0.1"),
        ("10.0.0.1", "0x7f000001", "10.0.0.1"),
        ("10.0.0.1", "2130706433", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5/32", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1, " * 5000 + "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "2001:db8:bbbb::5", "2001:db8:bbbb::5"),
        ("2001:db8:aaaa::1", "2001:db8:bbbb::5", "2001:db8:bbbb::5"),
        ("2001:db8:aaaa::1", "1.1.1.1, 2001:db8:bbbb::5, 10.0.0.1", "2001:db8:bbbb::5"),
        ("2001:db8:bbbb::1", "203.0.113.5", "2001:db8:bbbb::1"),
        ("", "203.0.113.5", ""),
        ("unix:", "203.0.113.5", "unix:"),
    ],
)
def test_only_trusted_proxies_are_believed_about_a_visitors_address(
    remote: str, claimed: str | None, believed: str
) -> None:
    environ: dict[str, Any] = {"REMOTE_ADDR": remote, "wsgi.url_scheme": "http"}
    environ |= {"HTTP_X_REAL_IP": "1.2.3.4", "HTTP_FORWARDED": "for=1.2.3.4", "HTTP_CLIENT_IP": "1.2.3.4"}
    if claimed is not None:
        environ["HTTP_X_FORWARDED_FOR"] = claimed
    guarded = TrustedProxies(lambda env, _: [str(env["REMOTE_ADDR"]).encode()], ("10.0.0.0/8", "2001:db8:aaaa::/48"))
    assert b"".join(guarded(environ, lambda *_: lambda _: None)).decode() == believed


@pytest.mark.parametrize(
    ("remote", "claimed", "scheme"),
    [
        ("10.0.0.1", "https", "https"),
        ("10.0.0.1", "javascript", "http"),
        ("10.0.0.1", "https, http", "http"),
        ("198.51.100.9", "https", "http"),
    ],
)
def test_only_trusted_proxies_are_believed_about_https(remote: str, claimed: str, scheme: str) -> None:
    environ: dict[str, Any] = {
        "REMOTE_ADDR": remote,
        "wsgi.url_scheme": "http",
        "HTTP_X_FORWARDED_PROTO": claimed,
    }
    guarded = TrustedProxies(lambda env, _: [env["wsgi.url_scheme"].encode()], ("10.0.0.0/8",))
    assert b"".join(guarded(environ, lambda *_: lambda _: None)).decode() == scheme


@pytest.mark.parametrize(
    ("remote", "claimed", "believed"),
    [
        ("::ffff:10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "203.0.113.5, ::ffff:10.0.0.2", "203.0.113.5"),
        ("10.0.0.1", "203.0.113.5:41234", "203.0.113.5"),
        ("10.0.0.1", "[2001:db8:bbbb::5]:41234", "2001:db8:bbbb::5"),
    ],
)
def test_a_proxy_is_recognised_however_its_address_is_written(remote: str, claimed: str, believed: str) -> None:
    """Else, behind a server on "::", all readers together would get 20 sign-ups an hour."""
    environ: dict[str, Any] = {"REMOTE_ADDR": remote, "HTTP_X_FORWARDED_FOR": claimed}
    guarded = TrustedProxies(lambda env, _: [str(env["REMOTE_ADDR"]).encode()], ("10.0.0.0/8",))
    assert b"".join(guarded(environ, lambda *_: lambda _: None)).decode() == believed


def test_no_visitor_is_counted_as_nobody(build_house: BuildHouse, sqlite_url: str) -> None:
    """A trusted proxy whose header says nothing usable is an answer, not a fault."""
    house = build_house(sqlite_url)
    newsroom.found(house)
    in_production(house)
    answer = house.browser.post(
        "/subscribe", data={"email": "ann@example.org"}, environ_overrides={"REMOTE_ADDR": "unix:"}
    )
    assert answer.status_code == 200
