"""The clock, by which everything is sent: whether somebody sets it, and how it compares with others.

Our own web server's and the relay's dates say little: the one has the same clock, and nobody vouches for the other. So
this asks the machine's kernel, which knows whether a time service steers it; a database server that is another machine;
and the source that the operator names under [doctor].
"""

from __future__ import annotations

import ipaddress
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx2
import sqlalchemy as sa

from newsletter.foundation.clock import Clock, is_steered
from newsletter.foundation.database import db
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.network import ask_udp
from newsletter.operations.doctor.findings import Finding, Found
from newsletter.operations.doctor.patient import Patient

OFF = timedelta(seconds=60)
"""Beyond that leases are in doubt (foundation/leases.py), and signed mails look as if they came from the future."""

A_LITTLE_OFF = timedelta(seconds=5)
NTP_EPOCH = 2_208_988_800
SECONDS = 4
REMEDY = "Let a time service set this machine's clock (systemd-timesyncd, chrony), and see that it runs."


@dataclass(frozen=True)
class Difference:
    """How far another clock is ahead of ours, give or take."""

    ahead: timedelta
    give_or_take: timedelta


def look(patient: Patient, found: Found) -> Iterator[Finding]:
    findings = [*_database(patient, found), *_source(patient, found)]
    yield from _kernel(found, bool(findings))
    yield from findings


def _kernel(found: Found, compared: bool) -> Iterator[Finding]:
    steered = is_steered()
    if steered:
        yield found.ok("A time service steers this machine's clock.")
    elif steered is False:
        words = "The kernel says that no time service steers this machine's clock."
        yield found.warning(words, REMEDY)
    elif not compared:
        yield found.unknown(
            "Nothing here can tell whether the clock is right.",
            'Name a time source under [doctor], such as time_source = "ntp://time.example.org".',
        )


def _database(patient: Patient, found: Found) -> Iterator[Finding]:
    try:
        with patient.database():
            difference = _database_difference(patient.machine)
    except NewsletterError:
        return
    if difference is not None:
        yield judged(difference, "the database server's", found)


def _database_difference(machine: Clock) -> Difference | None:
    """None where the database has the same clock as we."""
    if db.engine.dialect.name != "postgresql":
        return None
    db.session.scalar(sa.text("SELECT 1"))
    before = machine.now()
    there, address = db.session.execute(sa.text("SELECT clock_timestamp(), host(inet_server_addr())")).one()
    after = machine.now()
    if address is None or ipaddress.ip_address(address).is_loopback:
        return None
    return between(before, after, there)


def _source(patient: Patient, found: Found) -> Iterator[Finding]:
    source = patient.config.doctor.time_source
    if source is None:
        return
    host = urlsplit(source).hostname
    try:
        asked = _ntp if source.startswith("ntp:") else _http
        difference = asked(source, patient.machine)
    except (OSError, ValueError, NewsletterError, httpx2.HTTPError, struct.error) as error:
        yield found.unknown(
            f"{host} did not tell the time ({type(error).__name__}).", "See whether time_source is right."
        )
        return
    yield judged(difference, f"that of {host}", found)


def between(before: datetime, after: datetime, there: datetime, coarse: timedelta = timedelta()) -> Difference:
    half = (after - before) / 2
    return Difference(there - (before + half), half + coarse)


def judged(difference: Difference, whose: str, found: Found) -> Finding:
    off = max(abs(difference.ahead) - difference.give_or_take, timedelta())
    seconds = abs(difference.ahead).total_seconds()
    way = "behind" if difference.ahead > timedelta() else "ahead of"
    words = f"This machine's clock is {seconds:,.0f} seconds {way} {whose}."
    if off > OFF:
        return found.error(words, REMEDY)
    if off > A_LITTLE_OFF:
        return found.warning(words, REMEDY)
    return found.ok(f"This machine's clock agrees with {whose}.")


def _ntp(source: str, machine: Clock) -> Difference:
    """SNTP (RFC 4330): our question, and the moment at which it was answered. Raises ValueError, OSError."""
    parts = urlsplit(source)
    question = bytes([0x23]) + bytes(39) + struct.pack(">Q", time.monotonic_ns() & (2**64 - 1))
    before = machine.now()
    answer = ask_udp(parts.hostname or "", parts.port or 123, question, SECONDS)
    after = machine.now()
    if len(answer) < 48 or answer[24:32] != question[40:48] or answer[0] & 7 != 4 or not 0 < answer[1] < 16:
        raise ValueError("no answer of a time server that knows the time")
    whole, part = struct.unpack(">II", answer[40:48])
    seconds = whole - NTP_EPOCH + (2**32 if whole < 2**31 else 0) + part / 2**32  # RFC 4330 §3: after 2036
    return between(before, after, datetime.fromtimestamp(seconds, tz=before.tzinfo))


def _http(source: str, machine: Clock) -> Difference:
    with httpx2.Client(timeout=SECONDS, trust_env=False) as client:
        before = machine.now()
        with client.stream("GET", source) as answer:
            after = machine.now()
    there = parsedate_to_datetime(answer.headers["date"]) if "date" in answer.headers else None
    if there is None or there.tzinfo is None:
        raise ValueError("no Date in its answer")
    return between(before, after, there + timedelta(seconds=0.5), timedelta(seconds=0.5))
