"""DMARC: what a domain wants done with mails that claim to be its own and are not. Pure, but for the way to ask.

The organisational domain is found by asking upwards, as DMARCbis §4.10 does it, and not by a list of public suffixes,
which would have to be renewed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from newsletter.mail.answers import Heard, Lookup
from newsletter.mail.dkim_records import tags_of

MOST_STEPS = 8
"""DMARCbis §4.10: of a longer name, the last seven labels are asked after the whole one."""

RECORD = re.compile(r"v\s*=\s*DMARC1\s*(?:;.*)?", re.DOTALL)
POLICIES = ("none", "quarantine", "reject")


@dataclass(frozen=True)
class Policy:
    """A domain's record, found at `domain`. `asked` is p=, or sp= where the record is that of a domain above.

    `problem` says what is wrong with it, as a clause; mailboxes then act as if there were none."""

    domain: str
    asked: str = "none"
    strict_dkim: bool = False
    strict_spf: bool = False
    reports: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Found:
    """`policy` is None where there is none; `trouble` says why nobody can tell. `organisation` is the domain that
    stands for all below it."""

    policy: Policy | None
    organisation: str
    trouble: str = ""


def look(domain: str, lookup: Lookup) -> Found:
    """The policy for mails from the domain: its own, or that of the organisation above it."""
    records: dict[str, str] = {}
    for name in _upwards(domain):
        answer = lookup(f"_dmarc.{name}", "TXT")
        if answer.failed:
            return Found(None, domain, f"the name server {answer.trouble} when asked for _dmarc.{name}")
        ours = [record for record in answer.records if RECORD.fullmatch(record)]
        if len(ours) > 1 and name == domain:
            problem = f"there are {len(ours)} records at _dmarc.{name}, and then mailboxes heed none"
            return Found(Policy(name, problem=problem), name)
        if answer.heard is Heard.FOUND and len(ours) == 1:
            records[name] = ours[0]
    organisation = _organisation(domain, records)
    at = domain if domain in records else organisation
    return Found(_policy(at, records[at], domain) if at in records else None, organisation)


def aligned(ours: str, other: str, strict: bool, lookup: Lookup) -> bool:
    """Whether two domains are the same, or of the same organisation unless `strict` (RFC 7489 §3.1)."""
    if ours == other or strict:
        return ours == other
    return look(ours, lookup).organisation == look(other, lookup).organisation


def _upwards(domain: str) -> Iterator[str]:
    """The domain and those above it, without the last one, which belongs to a registry."""
    labels = domain.split(".")
    yield domain
    start = max(1, len(labels) - MOST_STEPS + 1)
    for at in range(start, len(labels) - 1):
        yield ".".join(labels[at:])


def _organisation(domain: str, records: dict[str, str]) -> str:
    for name, record in records.items():
        psd = (tags_of(record) or {}).get("psd", "")
        if psd == "n":
            return name
        if psd == "y":
            below = len(name.split(".")) + 1
            return ".".join(domain.split(".")[-below:])
    return min(records, key=lambda name: name.count("."), default=domain)


def _policy(at: str, record: str, domain: str) -> Policy:
    tags = tags_of(record)
    if tags is None:
        return Policy(at, problem="it is no list of tags such as “v=DMARC1; p=none”")
    asked = tags.get("p", "").lower()
    if asked not in POLICIES:
        if not tags.get("rua"):
            return Policy(at, problem="its “p=” is none of none, quarantine and reject")
        asked = "none"  # RFC 7489 §6.6.3
    if at != domain and tags.get("sp", "").lower() in POLICIES:
        asked = tags["sp"].lower()
    return Policy(
        at,
        asked,
        strict_dkim=tags.get("adkim", "r").lower() == "s",
        strict_spf=tags.get("aspf", "r").lower() == "s",
        reports=bool(tags.get("rua")),
    )
