"""Asking the DNS, through the machine's own name servers or those that the operator names."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
from dns.rdata import Rdata

from newsletter.foundation.config import name_server
from newsletter.mail.answers import NO_NAME, NONE, Answer, Heard, ascii_name, failed

MOST_RECORDS = 200
LONGEST_TEXT = 20_000
"""A record longer than these is nobody's who means well; what is beyond them is not looked at."""


class Resolver:
    """Asks each question once and remembers the answer, so that many checks may share it. It is safe between threads.

    `servers` are addresses as the config writes them; none stands for the machine's own.
    """

    def __init__(self, servers: Sequence[str] = (), seconds: float = 5) -> None:
        self._servers = tuple(servers)
        self._seconds = seconds
        self._known: dict[tuple[str, str], Answer] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str, kind: str) -> Answer:
        wire = ascii_name(name)
        if wire is None:
            return NO_NAME
        with self._lock:
            known = self._known.get((wire, kind))
        answer = known or self._ask(wire, kind)
        with self._lock:
            return self._known.setdefault((wire, kind), answer)

    def _ask(self, name: str, kind: str) -> Answer:
        try:
            asked = dns.name.from_text(name)
            found = self._resolver().resolve(asked, kind, search=False, lifetime=self._seconds)
        except dns.resolver.NXDOMAIN:
            return NO_NAME
        except dns.resolver.NoAnswer:
            return NONE
        except dns.resolver.NoNameservers as error:
            return failed(_refusal(error))
        except (dns.resolver.NoResolverConfiguration, OSError):
            return failed("cannot be reached")
        except dns.exception.Timeout:
            return failed("did not answer in time")
        except (dns.exception.DNSException, ValueError, UnicodeError):
            return failed("gave an answer that cannot be read")
        return Answer(Heard.FOUND, tuple(_plain(list(found.rrset or ()), kind)))

    def _resolver(self) -> dns.resolver.Resolver:
        resolver = dns.resolver.Resolver(configure=not self._servers)
        if self._servers:
            resolver.nameservers = [dns.nameserver.Do53Nameserver(*name_server(one)) for one in self._servers]
        resolver.timeout = max(self._seconds / 2, 0.1)
        return resolver


def _refusal(error: dns.resolver.NoNameservers) -> str:
    """SERVFAIL, REFUSED and the like: it was there, and did not want or could not."""
    words = str(error)
    for code, meaning in (
        ("SERVFAIL", "says that it cannot tell (SERVFAIL)"),
        ("REFUSED", "refuses to tell (REFUSED)"),
    ):
        if code in words:
            return meaning
    return "gave no answer that could be used"


def _plain(records: Sequence[Rdata], kind: str) -> list[str]:
    several = list(records[:MOST_RECORDS])
    if kind == "MX":
        several.sort(key=lambda record: int(getattr(record, "preference", 0)))
    return [_text(record, kind) for record in several]


def _text(record: Rdata, kind: str) -> str:
    if kind == "TXT":  # its strings are put together without anything between (RFC 7208 §3.3)
        return b"".join(getattr(record, "strings", ()))[:LONGEST_TEXT].decode("utf-8", "replace")
    if kind == "MX":
        return str(getattr(record, "exchange", "")).rstrip(".").lower()
    return str(record).rstrip(".").lower()
