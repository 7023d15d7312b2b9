"""What the scheduler last saw of the senders' DNS records, kept as alerts: one for each record that is missing.

It looks every few hours (newsletters/senders.py), so that whoever asks here waits for no name server.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from newsletter.foundation import alerts
from newsletter.foundation.alerts import Alert
from newsletter.foundation.config import the_config
from newsletter.foundation.database import db
from newsletter.mail import sender_dns
from newsletter.mail.answers import domain_of
from newsletter.mail.sender_dns import DKIM, DMARC, SPF, Look, SenderRecords

KEY = "sender-dns"
LONGEST_KEY = 120
REMEDY = (
    "Run newsletter doctor: it prints the record that whoever keeps the domain has to add. Sending goes on meanwhile."
)


def records_of(address: str) -> SenderRecords | None:
    """What is missing for a sender's address, as the scheduler last saw it; None when it knows of nothing."""
    domain, envelope = domain_of(address), sender_dns.envelope_domain(the_config().mail.bounce_address, address)
    wanted = {SPF: _key(SPF, envelope), DKIM: _key(DKIM, domain), DMARC: _key(DMARC, domain)}
    open_keys = sa.select(Alert.key).where(Alert.key.in_(wanted.values()), Alert.resolved_at.is_(None))
    missing = set(db.session.scalars(open_keys))
    if not missing:
        return None
    there = {record: key not in missing for record, key in wanted.items()}
    return SenderRecords(domain, there[SPF], there[DKIM], there[DMARC], spf_at=envelope)


def note(looks: Sequence[Look], now: datetime) -> None:
    """Raise an alert for what is missing and end those of what is there, in the caller's transaction. Of what nobody
    can tell, what was known before stands. Alerts about domains that nobody sends from any more end too."""
    for look in looks:
        if look.there is False:
            alerts.raise_(_key(look.record, look.domain), look.message, REMEDY, now)
    still = {_key(look.record, look.domain) for look in looks if look.there is not True}
    for alert in alerts.open_alerts():
        if alert.key.startswith(f"{KEY}:") and alert.key not in still:
            alerts.resolve(alert.key, now)


def _key(record: str, domain: str) -> str:
    return f"{KEY}:{record}:{domain}"[:LONGEST_KEY]
