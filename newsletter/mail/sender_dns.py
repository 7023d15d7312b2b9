"""What the DNS says of a sender's domain: whether mailboxes can tell its mails from forged ones.

Pure, but for the way to ask that it is given; what was seen last is kept by mail/sender_notes.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from newsletter.mail import dkim_records, dmarc, spf
from newsletter.mail.answers import Heard, Lookup, domain_of
from newsletter.mail.dkim_records import Fit

SPF, DKIM, DMARC = "SPF", "DKIM", "DMARC"


@dataclass(frozen=True)
class SenderRecords:
    """What was found when somebody looked. `spf_at` is where the SPF record must stand, if not at the domain."""

    domain: str
    spf: bool
    dkim: bool
    dmarc: bool
    spf_at: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the records that there are not."""
        spf = f"SPF (at {self.spf_at})" if self.spf_at and self.spf_at != self.domain else SPF
        found = {spf: self.spf, DKIM: self.dkim, DMARC: self.dmarc}
        return tuple(name for name, there in found.items() if not there)


@dataclass(frozen=True)
class Key:
    """A key that signs for a domain: where its record stands, and what it must say."""

    domain: str
    name: str
    record: str


@dataclass(frozen=True)
class Look:
    """One record of one domain. `there` is None when nobody can tell: no answer is not the same as none."""

    record: str
    domain: str
    there: bool | None
    message: str = ""


def envelope_domain(bounce_address: str | None, address: str) -> str:
    """Whose SPF record a mailbox reads: that of the address that bounces go to."""
    return domain_of(bounce_address or address)


def keys_for(domain: str, keys: Sequence[Key]) -> list[Key]:
    """The keys that sign what comes from a domain: its own, or those of the nearest domain above (mail/signing.py)."""
    labels = domain.split(".")
    above = (".".join(labels[at:]) for at in range(len(labels)))
    return next((found for name in above if (found := [key for key in keys if key.domain == name])), [])


def look(domain: str, envelope: str, keys: Sequence[Key], lookup: Lookup) -> list[Look]:
    """Whether the three kinds of records are there. Without a key of ours nobody can tell about DKIM, as the relay may
    sign with one of its own."""
    return [
        _look_spf(envelope, lookup),
        _look_dkim(domain, keys_for(domain, keys), lookup),
        _look_dmarc(domain, lookup),
    ]


def _look_spf(domain: str, lookup: Lookup) -> Look:
    answer = spf.records_at(domain, lookup)
    there = None if answer.failed else answer.heard is Heard.FOUND and len(answer.records) == 1
    return Look(SPF, domain, there, f"{domain} has no SPF record that mailboxes can use; they may take mails for spam.")


def _look_dkim(domain: str, keys: Sequence[Key], lookup: Lookup) -> Look:
    answers = [(key, lookup(key.name, "TXT")) for key in keys]
    fits = [answer.records and dkim_records.judge(answer.records, key.record).fit for key, answer in answers]
    there = True if Fit.FITS in fits else None if not keys or any(a.failed for _, a in answers) else False
    names = ", ".join(key.name for key in keys)
    return Look(DKIM, domain, there, f"Mails of {domain} are signed, but the DNS has no record of the key at {names}.")


def _look_dmarc(domain: str, lookup: Lookup) -> Look:
    found = dmarc.look(domain, lookup)
    there = None if found.trouble else found.policy is not None and not found.policy.problem
    return Look(DMARC, domain, there, f"{domain} has no DMARC record that mailboxes can use; many ask for one.")
