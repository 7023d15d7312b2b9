"""The mails in which staff get a link of their own.

It stands sealed in the outbox, so that a copy of the database signs nobody in.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from newsletter.foundation import writing
from newsletter.foundation.links import the_links
from newsletter.mail import outbox
from newsletter.mail.message import Sender
from newsletter.staff.models import Invitation, Role, Staff

SERVICE = "Daily Headlines"

WHAT_THEY_DO = {
    Role.OWNER: "As an owner you may do everything.",
    Role.EDITOR: "As an editor you make the editions, and help readers.",
    Role.SUPPORT: "You look after readers.",
}


def nobodys_sender() -> Sender:
    """Whom mails come from while there is no newsletter."""
    return Sender(SERVICE, f"newsroom@{urlsplit(the_links().site_url).hostname}")


def put_link(person: Staff, link: str, until: datetime, sender: Sender, now: datetime) -> None:
    _put("staff_link", person.address, link, until, sender, now)


def put_invitation(asked: Invitation, link: str, sender: Sender, now: datetime) -> None:
    _put(
        "staff_invitation",
        asked.address,
        link,
        asked.expires_at,
        sender,
        now,
        invited_by=asked.invited_by,
        role=WHAT_THEY_DO[asked.role],
    )


def _put(name: str, to: str, link: str, until: datetime, sender: Sender, now: datetime, **said: str) -> None:
    outbox.put(
        name,
        to=to,
        sender=sender,
        now=now,
        service_name=SERVICE,
        site=urlsplit(the_links().site_url).hostname,
        address=to,
        link=the_links().seal(link),
        until=writing.moment(until),
        **said,  # type: ignore[arg-type]
    )
