"""Giving each request the mail it deserves, and no more mails than an address may get (DESIGN.md §5)."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.foundation.database import db, locked, one_at_a_time, transaction
from newsletter.foundation.links import Links
from newsletter.foundation.secrets import Keys
from newsletter.mail import addresses, suppression
from newsletter.subscribers import asking, mails
from newsletter.subscribers.models import RequestAnswer, RequestKind, SignUpRequest, subscriber_at
from newsletter.subscribers.signing_up import reads_all

MAIL_PAUSE = timedelta(minutes=15)
MAILS_A_DAY = 3
REMIND_AFTER = timedelta(hours=24)
MAILED = (RequestAnswer.CONFIRM, RequestAnswer.ALREADY, RequestAnswer.LINK)


def answer_due(now: datetime, keys: Keys, links: Links) -> int:
    """Give every unanswered request the mail it deserves, and say how many there were."""
    query = sa.select(SignUpRequest.id).where(SignUpRequest.answer.is_(None)).order_by(SignUpRequest.id)
    waiting = db.session.scalars(query).all()
    for request_id in waiting:
        _answer(request_id, now, keys, links)
    return len(waiting)


def _answer(request_id: int, now: datetime, keys: Keys, links: Links) -> None:
    with transaction():
        asked = locked(SignUpRequest, request_id)
        if asked is None or asked.answer is not None:
            return
        one_at_a_time(f"mails to {asked.mailbox}")
        asked.answer, asked.answered_at = _decide(asked, now, keys), now
        if asked.answer in MAILED:
            _MAILS[asked.kind, asked.answer](asked, now, links)


_MAILS = {
    (RequestKind.SIGN_UP, RequestAnswer.CONFIRM): mails.put_confirmation,
    (RequestKind.SIGN_UP, RequestAnswer.ALREADY): mails.put_already,
    (RequestKind.LINK, RequestAnswer.LINK): mails.put_preferences_link,
    (RequestKind.CHANGE, RequestAnswer.CONFIRM): mails.put_change,
}


def _decide(asked: SignUpRequest, now: datetime, keys: Keys) -> RequestAnswer:
    if not asking.may_be_mailed(asked.address, keys):
        return RequestAnswer.SUPPRESSED
    if asking.is_blocked(asked.address):
        return RequestAnswer.BLOCKED
    if _capped(asked, now):
        return RequestAnswer.CAPPED
    known = subscriber_at(addresses.normalise(asked.address))
    if asked.kind is RequestKind.LINK:
        return RequestAnswer.LINK if known else RequestAnswer.UNKNOWN
    if asked.kind is RequestKind.CHANGE:
        return RequestAnswer.TAKEN if known else RequestAnswer.CONFIRM
    return RequestAnswer.ALREADY if reads_all(asked) else RequestAnswer.CONFIRM


def _capped(asked: SignUpRequest, now: datetime) -> bool:
    """One mail in 15 minutes, three a day, counted for the mailbox without its +tag; reminders count too. A change of
    address is told to the old one too, so it counts for its person as well."""
    whose = SignUpRequest.mailbox == asked.mailbox
    if asked.subscriber_id is not None:
        whose = sa.or_(whose, SignUpRequest.subscriber_id == asked.subscriber_id)
    query = sa.select(SignUpRequest.answered_at, SignUpRequest.reminded_at).where(
        whose, SignUpRequest.answer.in_(MAILED)
    )
    moments = [moment for row in db.session.execute(query) for moment in row if moment is not None]
    mailed = [moment for moment in moments if moment > now - timedelta(days=1)]
    return len(mailed) >= MAILS_A_DAY or any(moment > now - MAIL_PAUSE for moment in mailed)


def remind_due(now: datetime, keys: Keys, links: Links) -> int:
    """Remind everybody once who asked a day ago and has not pressed the button, and say how many they are."""
    due = db.session.scalars(_unconfirmed(now)).all()
    return sum(_remind(request_id, now, keys, links) for request_id in due)


def _unconfirmed(now: datetime) -> sa.Select[tuple[int]]:
    """The latest request of each mailbox that was answered with a link, so that somebody who asked twice is reminded
    once."""
    later = sa.orm.aliased(SignUpRequest)
    return sa.select(SignUpRequest.id).where(
        SignUpRequest.kind == RequestKind.SIGN_UP,
        SignUpRequest.answer == RequestAnswer.CONFIRM,
        SignUpRequest.confirmed_at.is_(None),
        SignUpRequest.reminded_at.is_(None),
        SignUpRequest.answered_at <= now - REMIND_AFTER,
        SignUpRequest.expires_at > now,
        ~sa.exists().where(
            later.mailbox == SignUpRequest.mailbox,
            later.kind == RequestKind.SIGN_UP,
            later.answer == RequestAnswer.CONFIRM,
            later.id > SignUpRequest.id,
        ),
    )


def _remind(request_id: int, now: datetime, keys: Keys, links: Links) -> bool:
    with transaction():
        asked = locked(SignUpRequest, request_id)
        if asked is None or asked.confirmed_at is not None or asked.reminded_at is not None:
            return False
        one_at_a_time(f"mails to {asked.mailbox}")
        if _capped(asked, now):
            return False  # it comes a little later
        asked.reminded_at = now
        if not _may_be_reminded(asked, keys):
            return False
        mails.put_reminder(asked, now, links)
        return True


def _may_be_reminded(asked: SignUpRequest, keys: Keys) -> bool:
    """One mail may go to somebody who left us for good, for it may be them who ask; a second one may not."""
    listed = suppression.reasons(keys.address_hash(addresses.normalise(asked.address)))
    return not (listed or reads_all(asked) or asking.is_blocked(asked.address))
