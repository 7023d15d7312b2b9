"""Looks from time to time whether the DNS still vouches for the newsletters' senders."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from newsletter.foundation.config import Config, DkimConfig, MailTransport, the_config
from newsletter.foundation.database import db, transaction
from newsletter.foundation.parts import Part
from newsletter.mail import sender_dns, sender_notes, signing
from newsletter.mail.answers import Answer, Lookup, ascii_name, domain_of, failed
from newsletter.mail.resolving import Resolver
from newsletter.mail.sender_dns import Key, Look
from newsletter.newsletters.models import newsletters

SECONDS = 3
"""For one question. Nobody waits for the answers, and there are a handful."""


def look_round(now: datetime) -> int:
    """Look at the records of every sender, and say how many are missing. Where mails go to a folder, or the operator
    wants no questions asked, nobody is asked."""
    config = the_config()
    addresses = [one.from_address for one in newsletters()]
    db.session.rollback()  # nothing is held while name servers think
    asks = config.doctor.watch_senders and config.mail.transport is not MailTransport.FOLDER
    looks = _looks(addresses, config) if asks else []
    with transaction():
        sender_notes.note(looks, now)
    return sum(look.there is False for look in looks)


def _looks(addresses: list[str], config: Config) -> list[Look]:
    ask = Resolver(config.doctor.resolvers, SECONDS)
    keys = keys_of(config)
    senders = {(domain_of(one), sender_dns.envelope_domain(config.mail.bounce_address, one)) for one in addresses}
    found = [look for domain, envelope in sorted(senders) for look in sender_dns.look(domain, envelope, keys, ask)]
    return list(dict.fromkeys(found))


ASKED_FOR = timedelta(minutes=10)
"""So long is an answer good enough for who looks at a page."""

PATIENCE = 4.0
"""Seconds after which nothing more is asked for who waits for a page."""


@dataclass(frozen=True)
class Records:
    """What the DNS said of a sender's address, and when; without `looks` nobody was asked, and `why` says why not."""

    looks: tuple[Look, ...]
    at: datetime
    why: str = ""


class Memory:
    """What name servers said to this process lately."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Records] = {}

    def records(self, key: tuple[str, str], now: datetime) -> Records | None:
        known = self._known.get(key)
        return known if known and timedelta() <= now - known.at < ASKED_FOR else None

    def keep(self, key: tuple[str, str], found: Records) -> None:
        """Not what nobody could tell: it is asked again when somebody looks again."""
        if all(look.there is not None or look.record == sender_dns.DKIM for look in found.looks):
            self._known = {**self._known, key: found} if len(self._known) < 100 else {key: found}


the_memory: Part[Memory] = Part("sender records")


def records_of(address: str, now: datetime, *, afresh: bool = False) -> Records:
    """The records of one sender's address, as they are now or were a few minutes ago. What is
    not answered within PATIENCE is not known. Raises DkimKeyUnusable."""
    config = the_config()
    if config.mail.transport is MailTransport.FOLDER:
        return Records((), now, "mails go to a folder here, so nobody is asked")
    if not config.doctor.watch_senders:
        return Records((), now, "this installation is set not to ask name servers (watch_senders in its config)")
    key = domain, envelope = domain_of(address), sender_dns.envelope_domain(config.mail.bounce_address, address)
    known = None if afresh else the_memory().records(key, now)
    if known is not None:
        return known
    db.session.rollback()  # nothing is held while name servers think
    asked = _hurried(Resolver(config.doctor.resolvers, SECONDS), PATIENCE)
    found = Records(tuple(sender_dns.look(domain, envelope, keys_of(config), asked)), now)
    the_memory().keep(key, found)
    return found


def _hurried(ask: Lookup, seconds: float) -> Lookup:
    """The same for who waits: when the time is over, nothing more is asked."""
    until = time.monotonic() + seconds

    def lookup(name: str, kind: str) -> Answer:
        return ask(name, kind) if time.monotonic() < until else failed("did not answer in time")

    return lookup


def keys_of(config: Config) -> list[Key]:
    """The configured keys as the DNS should know them. Raises DkimKeyUnusable."""
    return [key_of(config, one) for one in config.mail.dkim]


def key_of(config: Config, one: DkimConfig) -> Key:
    """Raises DkimKeyUnusable."""
    domain = ascii_name(one.domain) or one.domain.lower()
    record = signing.record(signing.read(config.path(one.key_file)))
    return Key(domain, f"{one.selector}._domainkey.{domain}".lower(), record)
