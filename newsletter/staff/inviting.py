"""Asking somebody to join, by a mail whose link works once and for a week."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, locked, one_at_a_time, transaction
from newsletter.foundation.errors import NewsletterError, NotFound
from newsletter.foundation.links import LinkExpired, LinkInvalid, Links
from newsletter.mail import addresses
from newsletter.mail.message import Sender
from newsletter.staff import notes, sessions, signing_in
from newsletter.staff.models import Invitation, Means, Role, Staff
from newsletter.staff.rights import Grant, whole
from newsletter.staff.sessions import Visit
from newsletter.staff.signing_in import LinkUsed, StaffExists

LIFE = timedelta(days=7)


class InvitationUnknown(NotFound):
    """There is no such invitation any more."""


class AlreadyInvited(NewsletterError):
    """{address} is invited already. Send that invitation again, or take it back first."""


def invite(address_text: str, grant: Grant, now: datetime, by: Actor, links: Links, sender: Sender) -> Invitation:
    """Raises AddressInvalid, StaffExists, AlreadyInvited."""
    address, given = addresses.normalise(addresses.parse(address_text)), whole(grant)
    with transaction() as session:
        one_at_a_time("invitations")
        if session.scalar(sa.select(Staff.id).where(Staff.address == address)):
            raise StaffExists(address=address)
        if any(one.address == address and now < one.expires_at for one in waiting()):
            raise AlreadyInvited(address=address)
        asked = Invitation(
            address=address,
            role=given.role,
            may_send=given.may_send,
            newsletter_ids=sorted(given.newsletter_ids) if given.newsletter_ids is not None else None,
            token_hash="",
            invited_by=by.name,
            created_at=now,
            sent_at=now,
            expires_at=now,
        )
        _send(asked, now, links, sender)
        session.add(asked)
        session.flush()
        audit.record(by, "staff.invite", f"invitation:{asked.id}", now, address=address, **_said(asked))
    return asked


def _said(asked: Invitation) -> dict[str, object]:
    only = asked.newsletter_ids if asked.newsletter_ids is not None else "all"
    return {"role": asked.role.value, "may_send": asked.may_send or asked.role is Role.OWNER, "newsletters": only}


def _send(asked: Invitation, now: datetime, links: Links, sender: Sender) -> None:
    """With a new token, so that what was mailed before opens nothing."""
    token = secrets.token_urlsafe(32)
    asked.token_hash, asked.sent_at, asked.expires_at = sessions.digest(token), now, now + LIFE
    notes.put_invitation(asked, links.to(f"/admin/invitation/{token}"), sender, now)


def waiting() -> Sequence[Invitation]:
    """Those that nobody has answered or taken back, also when their week is over; the latest first."""
    unanswered = Invitation.accepted_at.is_(None), Invitation.revoked_at.is_(None)
    return db.session.scalars(sa.select(Invitation).where(*unanswered).order_by(Invitation.id.desc())).all()


def send_again(invitation_id: int, now: datetime, by: Actor, links: Links, sender: Sender) -> Invitation:
    """Raises InvitationUnknown."""
    with transaction():
        asked = _waiting(invitation_id)
        _send(asked, now, links, sender)
        audit.record(by, "staff.invite-again", f"invitation:{asked.id}", now, address=asked.address)
    return asked


def take_back(invitation_id: int, now: datetime, by: Actor) -> Invitation:
    """Raises InvitationUnknown."""
    with transaction():
        asked = _waiting(invitation_id)
        asked.revoked_at = now
        audit.record(by, "staff.invite-back", f"invitation:{asked.id}", now, address=asked.address)
    return asked


def _waiting(invitation_id: int) -> Invitation:
    asked = locked(Invitation, invitation_id)
    if asked is None or asked.accepted_at or asked.revoked_at:
        raise InvitationUnknown
    return asked


def read(token: str, now: datetime) -> Invitation:
    """The invitation behind a token; looking does not use it up. Raises LinkInvalid, LinkUsed, LinkExpired."""
    found = db.session.scalar(sa.select(Invitation).where(Invitation.token_hash == sessions.digest(token)))
    if found is None or found.revoked_at is not None:
        raise LinkInvalid
    if found.accepted_at is not None:
        raise LinkUsed
    if now >= found.expires_at:
        raise LinkExpired(until=found.expires_at)
    return found


def accept(token: str, visit: Visit) -> str:
    """Join, and be signed in; gives the session's token. Raises what `read` raises, and StaffExists."""
    with transaction():
        asked = locked(Invitation, read(token, visit.now).id)
        if asked is None or asked.accepted_at is not None:
            raise LinkUsed
        asked.accepted_at = visit.now
        ids = frozenset(asked.newsletter_ids) if asked.newsletter_ids is not None else None
        person = signing_in.added(asked.address, Grant(asked.role, asked.may_send, ids), visit.now, None)
        return sessions.open_session(person, visit, Means.INVITATION)
