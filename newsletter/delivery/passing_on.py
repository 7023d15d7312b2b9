"""Answers by people go on to the newsletter's reply address, as a mail of ours with their words in it.

Nothing is ever answered. Nothing goes on that a robot wrote, that came from ourselves, or that would come back to us,
so no two machines can write to each other through us.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from newsletter.delivery.owning import Owner, is_our_own
from newsletter.foundation.config import Config
from newsletter.foundation.database import db
from newsletter.foundation.links import Links
from newsletter.mail import addresses, outbox
from newsletter.mail.envelopes import is_for_us
from newsletter.mail.message import Sender
from newsletter.mail.outbox import OutboxMail
from newsletter.mail.returned import Returned
from newsletter.newsletters.models import newsletters

LONGEST = 20_000
A_DAY_AT_MOST = 20
"""From one sender; who writes more is seen on the page alone."""


def pass_on(found: Returned, owner: Owner, now: datetime, config: Config, links: Links) -> bool:
    """Put the mail into the outbox, in the caller's transaction. False when it must not go on."""
    target = owner.answers_go_to
    if found.automatic or owner.is_staff or not addresses.is_one(found.sender) or is_our_own(found, links):
        return False
    if is_for_us(config, target) or _is_ours(found.sender, config) or _too_many(found.sender, now):
        return False
    outbox.put(
        "answer",
        to=target,
        sender=Sender(owner.sender.name, owner.sender.address, found.sender),
        now=now,
        newsletter_name=owner.newsletter_name,
        from_address=found.sender,
        subject=found.subject,
        words=found.text[:LONGEST],
        admin_link=links.to("/admin/bounces"),
    )
    return True


def _is_ours(address: str, config: Config) -> bool:
    written = {text for one in newsletters() for text in (one.from_address, one.reply_to) if text}
    return is_for_us(config, address) or addresses.normalise(address) in {addresses.normalise(one) for one in written}


def _too_many(sender: str, now: datetime) -> bool:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    query = sa.select(sa.func.count()).select_from(OutboxMail)
    query = query.where(OutboxMail.name == "answer", OutboxMail.reply_to == sender, OutboxMail.created_at >= today)
    return (db.session.scalar(query) or 0) >= A_DAY_AT_MOST
