"""When two addresses are the same page: pure."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import SplitResult, urlsplit, urlunsplit

from w3lib.url import canonicalize_url

TRACKERS = re.compile(
    r"(utm_.+|mc_[ce]id|(fb|g|gb|y|ms|ttc|wbra|twc|dc|igsh)(clid|raid|id)?|cmp(id)?|ito|ref(_?src|errer)?|rss"
    r"|at_(medium|campaign)|ns_.+|src|source|xtor|smid|smtyp|partner|ocid|icid|feedname|feedtype|_ga|_gl|s_cid|taid"
    r"|guccounter|guce_.+|__twitter_impression|amp|outputtype|traffic_source|share(d)?|via)",
    re.IGNORECASE,
)
"""Names of query parameters that say where a visitor came from, not which page he wants."""

DEFAULT_PORTS = {"http": 80, "https": 443}


def canonical(url: str) -> str:
    """The address by which a page is recognised: not meant to be followed.

    http and https are one, and so are www. and none; default ports, fragments, trackers, a closing slash and the order
    of the query do not matter. Applying it twice changes nothing. An address that cannot be read stays as it is.
    """
    url = url.strip()
    try:
        parts = urlsplit(canonicalize_url(url))
        host = _host(parts)
    except ValueError:
        return url
    if parts.scheme not in DEFAULT_PORTS or not host:
        return url
    return urlunsplit(("https", host, parts.path.rstrip("/") or "/", _query(parts.query), ""))


def page_of(url: str) -> str:
    """The same as a key of 64 hex digits, by which a story's page is found in the tables."""
    return digest(canonical(url))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").rstrip(".")
    host = re.sub(r"^(www\.)+", "", host)
    if ":" in host:
        host = f"[{host}]"
    port = parts.port
    return host if port in (None, *DEFAULT_PORTS.values()) else f"{host}:{port}"


def _query(query: str) -> str:
    pairs = [pair for pair in query.split("&") if pair]
    return "&".join(pair for pair in pairs if not TRACKERS.fullmatch(pair.partition("=")[0]))
