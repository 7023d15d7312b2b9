"""Looks from time to time whether the DNS still vouches for the newsletters' senders."""

from __future__ import annotations

from datetime import datetime

from newsletter.foundation.config import Config, DkimConfig, MailTransport, the_config
from newsletter.foundation.database import db, transaction
from newsletter.mail import sender_dns, sender_notes, signing
from newsletter.mail.answers import ascii_name, domain_of
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


def keys_of(config: Config) -> list[Key]:
    """The configured keys as the DNS should know them. Raises DkimKeyUnusable."""
    return [key_of(config, one) for one in config.mail.dkim]


def key_of(config: Config, one: DkimConfig) -> Key:
    """Raises DkimKeyUnusable."""
    domain = ascii_name(one.domain) or one.domain.lower()
    record = signing.record(signing.read(config.path(one.key_file)))
    return Key(domain, f"{one.selector}._domainkey.{domain}".lower(), record)
