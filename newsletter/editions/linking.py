"""Whether a reader can follow a link, as far as its spelling tells: pure."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

LONGEST = 2000
INNER_ENDINGS = ("corp", "home", "home.arpa", "internal", "intranet", "lan", "local", "localdomain", "localhost")
"""Names that only a network of one's own knows (RFC 6762, 6761, 8375, and what offices use)."""

UNWRITABLE = re.compile(r"[\s\x00-\x1f\x7f]")
LABEL = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?|_[\w-]{1,62}")
NUMBER = re.compile(r"(?:0x[0-9a-f]+|\d+)(?:\.(?:0x[0-9a-f]+|\d+))*", re.IGNORECASE)
"""Browsers read such a host as an IPv4 address, in whatever form (WHATWG URL, “IPv4 parser”)."""


def fault(url: str, inner: bool = False) -> str | None:
    """Why a reader cannot follow the link, to be said after “The link …”; None when nothing speaks against it.

    `inner` is for readers who are in the same network as the service, as in the demo.
    """
    if not url:
        return "is missing"
    if len(url) > LONGEST:
        return f"is longer than {LONGEST:,} characters"
    if UNWRITABLE.search(url):
        return "has a space in it, or a character that cannot be seen"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "is no web address"
    return _fault_of_parts(parts, inner)


def blocks(url: str, inner: bool = False, lets_in: bool = False) -> str | None:
    """The same where it stops an edition: not where `lets_in` says that links into inner networks may be meant."""
    return None if lets_in and fault(url, inner=True) is None else fault(url, inner)


def _fault_of_parts(parts: SplitResult, inner: bool) -> str | None:
    if not parts.scheme:
        return "is not a whole web address: it must begin with https://"
    if parts.scheme not in ("http", "https"):
        return f"begins with {parts.scheme}:, and only http and https can be followed from a mail"
    host = (parts.hostname or "").removesuffix(".")
    if not host:
        return "names no site"
    if parts.username is not None:
        return "has a user name in it, which mail programs take for a trick"
    if is_inner(host):
        return None if inner else f"leads to {host}, which readers elsewhere cannot reach"
    return None if _is_name(host) else f"leads to “{host}”, which is no name of a site"


def is_inner(host: str) -> bool:
    """Whether only a network of one's own can know the host."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        pass
    if NUMBER.fullmatch(host):
        return True  # an address in disguise; no site that means well is written so
    return "." not in host or host.lower().endswith(tuple(f".{ending}" for ending in INNER_ENDINGS))


def _is_name(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return len(host) <= 253 and all(LABEL.fullmatch(label) for label in host.split("."))
