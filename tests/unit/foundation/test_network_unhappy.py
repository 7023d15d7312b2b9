"""Addresses that are let through and should not be."""

from __future__ import annotations

import ipaddress

import pytest

from newsletter.foundation.network import is_public


@pytest.mark.parametrize(
    "address",
    [
        "fec0::1",  # site-local: deprecated, and still somebody's inside (RFC 3879)
        "::127.0.0.1",  # IPv4-compatible (RFC 4291 §2.5.5.1)
        "::10.0.0.1",
        "64:ff9b:1::808:808",  # local NAT64 is nobody's public address (RFC 8215 §3)
        "64:ff9b:1:7f00:0:100::",  # 127.0.0.1 in a /48 prefix (RFC 6052 §2.2)
        "3fff::1",  # documentation (RFC 9637)
        "5f00::1",  # segment routing (RFC 9602)
        "2001:db8::1%eth0".partition("%")[0],
    ],
)
def test_an_address_that_is_not_the_open_internet_s_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
