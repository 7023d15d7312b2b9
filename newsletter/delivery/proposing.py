"""The draft as a mail to the staff who want it, with links that approve it or hold it.

A link is signed for what it does, for one revision and for one person. Following it shows a page; what a person may do
is looked at when they press its button. It works as long as the edition has not begun to go out.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.delivery import checking, releasing
from newsletter.editions import publishing
from newsletter.editions.keeping import PROPOSED
from newsletter.editions.models import (
    Edition,
    EditionKind,
    EditionState,
    Item,
    Revision,
    edition,
    edition_to_decide,
    editions_in,
)
from newsletter.editions.preflight import Finding, Kind
from newsletter.foundation import audit, writing
from newsletter.foundation.audit import SYSTEM, AuditRecord
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import Refused
from newsletter.foundation.links import LinkInvalid, Purpose, the_links
from newsletter.mail import outbox
from newsletter.newsletters.models import Approval
from newsletter.staff import rights, sessions
from newsletter.staff.models import Staff, staff_person, who_wants_drafts
from newsletter.staff.rights import Right
from newsletter.subscribers.mails import described, sender_of

SETTLED = timedelta(minutes=5)
"""The first draft is sent at once. A later one waits until nobody has changed it for a while, else who mends ten
headlines sends ten mails to everybody."""

log = logging.getLogger(__name__)

UNFROZEN = (EditionState.DRAFTED, EditionState.APPROVED)


class NotTheLatest(Refused):
    """This is not the latest draft. Somebody changed it after this mail was sent; nothing was done."""


class TooLateToSay(Refused):
    """The edition is {state}, so this link does nothing any more."""


@dataclass(frozen=True)
class Asked:
    """Whom a link asks about what."""

    purpose: Purpose
    revision: Revision
    person: Staff

    @property
    def edition(self) -> Edition:
        return self.revision.edition

    @property
    def is_latest(self) -> bool:
        return self.revision is self.edition.revision

    @property
    def is_open(self) -> bool:
        return self.edition.state in UNFROZEN and self.edition.frozen_at is None

    def latest_link(self) -> str | None:
        """The same of the latest revision."""
        latest = self.edition.revision
        return link_to(self.purpose, latest.id, self.person.id) if latest else None


def propose_due(now: datetime) -> int:
    """Send each new draft of a day to the staff who want it and may approve it, and say how many mails that is.

    What somebody made by hand, a special edition or a correction, has its hand already.
    """
    people = [person for person in who_wants_drafts() if rights.may(person, Right.EDIT)]
    if not people:
        return 0
    return sum(_propose_or_log(one.id, people, now) for one in editions_in(EditionState.DRAFTED) if _is_due(one, now))


def _is_due(found: Edition, now: datetime) -> bool:
    return found.kind is EditionKind.DAILY and found.cutoff_at <= now < found.start_by


def _propose_or_log(edition_id: int, people: Sequence[Staff], now: datetime) -> int:
    """One draft that cannot be sent around does not stop the others."""
    try:
        return _propose(edition(edition_id), people, now)
    except Exception:
        log.exception("The draft of edition %d could not be sent to staff; it is tried again in a moment.", edition_id)
        db.session.rollback()
        return 0


def _propose(found: Edition, people: Sequence[Staff], now: datetime) -> int:
    revision = found.revision
    if revision is None or not revision.items or not _to_ask(found, revision, people, now):
        return 0
    findings, revision_id = checking.findings(found, now), revision.id
    with transaction():
        found = edition_to_decide(found.id)
        if found.state is not EditionState.DRAFTED or found.revision is None or found.revision.id != revision_id:
            return 0  # somebody was quicker; the next tick looks again
        asked = _to_ask(found, found.revision, people, now)
        for person in asked:
            _put(found.revision, person, findings, now)
        if asked:
            ids = [person.id for person in asked]
            audit.record(SYSTEM, PROPOSED, f"edition:{found.id}", now, revision=found.revision.number, staff=ids)
    return len(asked)


def _to_ask(found: Edition, revision: Revision, people: Sequence[Staff], now: datetime) -> list[Staff]:
    """Who has not got this revision yet, and did not make it."""
    before = db.session.scalars(
        sa.select(AuditRecord.details).where(
            AuditRecord.subject == f"edition:{found.id}", AuditRecord.action == PROPOSED
        )
    ).all()
    if before and now - revision.created_at < SETTLED:
        return []
    asked = {id for details in before if details["revision"] == revision.number for id in details["staff"]}
    theirs = [person for person in people if rights.sees(person, found.newsletter_id)]
    return [person for person in theirs if person.id not in asked and person.address != revision.created_by]


def _put(revision: Revision, person: Staff, findings: Sequence[Finding], now: datetime) -> None:
    found, links = revision.edition, the_links()
    outbox.put(
        "draft",
        to=person.address,
        sender=sender_of(found.newsletter),
        now=now,
        newsletter=described(found.newsletter),
        address=person.address,
        subject=revision.subject,
        day_text=writing.day(found.local_date),
        slot=found.slot.label,
        next_step=_next_step(found, findings),
        note=found.note[:1].upper() + found.note[1:] + "." if found.note else "",
        stories=[_told(item) for item in revision.items],
        findings=[_said(finding) for finding in findings],
        blocked=any(finding.blocking and finding.kind is not Kind.AUDIENCE for finding in findings),
        approve_link=link_to(Purpose.APPROVE, revision.id, person.id) if rights.may(person, Right.SEND) else "",
        hold_link=link_to(Purpose.HOLD, revision.id, person.id),
        edit_link=links.to(f"/admin/editions/{found.id}/edit"),
        wishes_link=links.to("/admin/me"),
    )


def link_to(purpose: Purpose, revision_id: int, person_id: int) -> str:
    links = the_links()
    return links.to(f"/admin/inbox/{purpose}/{links.make_for(purpose, revision_id, person_id)}")


def _next_step(found: Edition, findings: Sequence[Finding]) -> str:
    if found.held_at is not None:
        return f"It is held: {found.held_reason}. It goes nowhere until somebody sends or resumes it."
    if found.newsletter.approval is Approval.MANUAL:
        return f"It waits for somebody to approve it, and then goes out at {found.slot.label}."
    if any(finding.blocking for finding in findings):
        return f"As it is, it is held at {found.slot.label}, because of what stands below."
    return f"It goes out by itself at {found.slot.label}, unless somebody holds it."


def _said(finding: Finding) -> dict[str, object]:
    mark = "Must be confirmed." if finding.kind is Kind.AUDIENCE else "Must be mended."
    return {"message": finding.message, "remedy": finding.remedy, "blocking": finding.blocking, "mark": mark}


def _told(item: Item) -> dict[str, object]:
    return {
        "position": item.position,
        "headline": item.headline,
        "url": item.url,
        "outlet": item.outlet,
        "section": item.section,
        "outlets": item.outlets,
        "is_update": item.is_update,
        "why": item.reason,
    }


def read(purpose: Purpose, token: str) -> Asked:
    """Whom a link asks about what. Raises LinkInvalid, also for one whose person may not approve editions any more."""
    revision_id, person_id = the_links().read_for(purpose, token)
    revision, person = db.session.get(Revision, revision_id), staff_person(person_id)
    if revision is None or person is None or not _may(person, purpose, revision.edition):
        raise LinkInvalid
    return Asked(purpose, revision, person)


def _may(person: Staff, purpose: Purpose, found: Edition) -> bool:
    """To approve is to let it go out."""
    right = Right.EDIT if purpose is Purpose.HOLD else Right.SEND
    return rights.may(person, right) and rights.sees(person, found.newsletter_id)


def answer(purpose: Purpose, token: str, now: datetime, ip: str | None, typed_audience: str | None = None) -> Edition:
    """Do what the link is for, in its person's name. Again is no error.

    Raises LinkInvalid, NotTheLatest, TooLateToSay, and what approving and holding raise.
    """
    with transaction():
        asked = read(purpose, token)
        found, by = edition_to_decide(asked.edition.id), sessions.actor(asked.person, ip)
        if not asked.is_open:
            raise TooLateToSay(state=found.state)
        if not asked.is_latest:
            raise NotTheLatest
        if purpose is Purpose.HOLD:
            return found if found.held_at else publishing.hold(found.id, f"held by {by.name}, by mail", now, by)
        return releasing.approve(found.id, now, by, typed_audience=typed_audience)
