"""What readers change by a link from a mail, without a password."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from newsletter.foundation.database import db, locked, transaction
from newsletter.foundation.errors import ReaderError
from newsletter.foundation.languages import LANGUAGES, Words
from newsletter.foundation.links import Links, Purpose
from newsletter.foundation.secrets import Keys
from newsletter.foundation.text import one_line
from newsletter.newsletters import calendar
from newsletter.newsletters.models import Newsletter, newsletters, open_slot
from newsletter.subscribers import proving
from newsletter.subscribers.consent import READER, Origin, remember
from newsletter.subscribers.models import (
    ConsentKind,
    LeavingReason,
    Subscriber,
    Subscription,
    SubscriptionOrigin,
    SubscriptionState,
)
from newsletter.subscribers.signing_up import begin, lift

PAUSE_AT_MOST = timedelta(days=366)
RETURN_WITHIN = timedelta(days=30)


class PauseInvalid(ReaderError):
    """The pause cannot end then: {problem}"""


class Reason(StrEnum):
    """Why somebody left, if they care to say."""

    TOO_MANY = "too-many"
    NOT_FOR_ME = "not-for-me"
    NO_TIME = "no-time"
    NEVER_ASKED = "never-asked"
    OTHER = "other"


@dataclass(frozen=True)
class Choices:
    """What a reader wants from now on: newsletters by id, each with its slot's id.

    `shown` are those that were ticked when they looked. Only what they changed is changed, so that a page that was open
    for long brings nobody back, and a newsletter that was begun meanwhile is not left.
    """

    newsletters: Mapping[int, int]
    shown: Collection[int] = ()
    text_only: bool = False
    language: str = ""


def reader_of(token: str, links: Links) -> Subscriber | None:
    """The person behind a preferences link; None when they have been erased. Raises LinkInvalid."""
    return db.session.get(Subscriber, links.read(Purpose.PREFERENCES, token))


def save(token: str, choices: Choices, origin: Origin, now: datetime, keys: Keys, links: Links) -> Subscriber | None:
    """Keep what the person chose. None when they have been erased. Raises LinkInvalid, NotWelcome."""
    with transaction():
        reader = _locked(token, links)
        if reader is None:
            return None
        reader.text_only = choices.text_only
        reader.language = choices.language if choices.language in LANGUAGES else ""
        for publication in newsletters():
            _choose(reader, publication, choices, origin, now, keys)
    return reader


def _choose(
    reader: Subscriber, publication: Newsletter, choices: Choices, origin: Origin, now: datetime, keys: Keys
) -> None:
    known = next((one for one in reader.subscriptions if one.newsletter_id == publication.id), None)
    reads = known is not None and known.state is SubscriptionState.ACTIVE
    ticked, was_ticked = publication.id in choices.newsletters, publication.id in choices.shown
    slot_id = _slot_of(publication, choices)
    if known and reads and was_ticked and not ticked:
        leave(known, origin, now, keys)
    elif ticked and not was_ticked and not reads:
        _join(reader, publication, slot_id or publication.default_slot.id, origin, now, keys)
    elif known and reads and slot_id and known.slot_id != slot_id:
        known.slot_id = open_slot(slot_id)
        _note(known, "another slot", origin, now, keys)


def _slot_of(publication: Newsletter, choices: Choices) -> int | None:
    wanted = choices.newsletters.get(publication.id)
    return wanted if wanted in {slot.id for slot in publication.slots} else None


def _join(reader: Subscriber, publication: Newsletter, slot_id: int, origin: Origin, now: datetime, keys: Keys) -> None:
    """The page shows the words that this agrees to, and its link came by mail, so nothing more need be confirmed."""
    lift(reader.address, publication, keys)
    begin(reader, publication.id, slot_id, now, SubscriptionOrigin.PREFERENCES)
    remember(
        ConsentKind.CONFIRMED,
        reader.address,
        publication.id,
        origin,
        now,
        keys,
        sign_up_text_id=publication.sign_up_text.id,
        note="by their preferences",
    )


def _locked(token: str, links: Links) -> Subscriber | None:
    return locked(Subscriber, links.read(Purpose.PREFERENCES, token))


def _note(changed: Subscription, what: str, origin: Origin, now: datetime, keys: Keys) -> None:
    address = changed.subscriber.address
    remember(ConsentKind.CHANGED, address, changed.newsletter_id, origin, now, keys, note=what)


def pause(token: str, until: date, origin: Origin, now: datetime, keys: Keys, links: Links) -> Subscriber | None:
    """Send nothing before a date, in each newsletter's own time zone. Raises LinkInvalid, PauseInvalid."""
    with transaction():
        reader = _locked(token, links)
        for one in _active(reader):
            today = calendar.local_date_at(now, one.slot.zone)
            if until <= today:
                raise PauseInvalid(problem=Words("choose a day after today."))
            if until > today + PAUSE_AT_MOST:
                raise PauseInvalid(problem=Words("a pause lasts a year at most."))
            if one.paused_until != until:
                one.paused_until = until
                _note(one, f"paused until {until}", origin, now, keys)
    return reader


def resume(token: str, origin: Origin, now: datetime, keys: Keys, links: Links) -> Subscriber | None:
    """End the pause now. Raises LinkInvalid."""
    with transaction():
        reader = _locked(token, links)
        for one in _active(reader):
            if one.paused_until is not None:
                one.paused_until = None
                _note(one, "pause ended", origin, now, keys)
    return reader


def _active(reader: Subscriber | None) -> list[Subscription]:
    every = reader.subscriptions if reader else []
    return [one for one in every if one.state is SubscriptionState.ACTIVE]


def leave_all(token: str, origin: Origin, now: datetime, keys: Keys, links: Links) -> Subscriber | None:
    """Leave every newsletter. Raises LinkInvalid."""
    with transaction():
        reader = _locked(token, links)
        for one in _active(reader):
            leave(one, origin, now, keys)
    return reader


def subscription_of(token: str, links: Links) -> Subscription | None:
    """The subscription behind an unsubscribe link; None when the person has been erased. Raises LinkInvalid."""
    return db.session.get(Subscription, links.read(Purpose.UNSUBSCRIBE, token))


def unsubscribe(token: str, origin: Origin, now: datetime, keys: Keys, links: Links) -> Subscription | None:
    """Leave the newsletter. A second call, or one for somebody who was erased, is no error. Raises LinkInvalid."""
    with transaction():
        leaving = locked(Subscription, links.read(Purpose.UNSUBSCRIBE, token))
        if leaving is not None:
            leave(leaving, origin, now, keys)
    return leaving


def leave(leaving: Subscription, origin: Origin, now: datetime, keys: Keys, by: str = READER) -> None:
    """Leave the newsletter, in the caller's transaction."""
    if leaving.state is SubscriptionState.ACTIVE:
        leaving.state, leaving.unsubscribed_at = SubscriptionState.UNSUBSCRIBED, now
        address = leaving.subscriber.address
        remember(ConsentKind.UNSUBSCRIBED, address, leaving.newsletter_id, origin, now, keys, by=by)


def may_return(left: Subscription, now: datetime) -> bool:
    """Whether leaving can still be taken back with one button."""
    gone = left.state is SubscriptionState.UNSUBSCRIBED and left.unsubscribed_at is not None
    return gone and now - (left.unsubscribed_at or now) < RETURN_WITHIN


def undo_leaving(token: str, origin: Origin, now: datetime, keys: Keys, links: Links) -> Subscription | None:
    """Take a leaving back, as if it had not been. Again is no error. Later than RETURN_WITHIN it does nothing.

    Raises LinkInvalid, NotWelcome.
    """
    with transaction():
        left = locked(Subscription, links.read(Purpose.UNSUBSCRIBE, token))
        if left is not None and may_return(left, now):
            lift(left.subscriber.address, left.newsletter, keys)
            left.state, left.unsubscribed_at = SubscriptionState.ACTIVE, None
            remember(ConsentKind.RETURNED, left.subscriber.address, left.newsletter_id, origin, now, keys)
    return left


def say_why(token: str, reason: str, remark: str, now: datetime, keys: Keys, links: Links) -> None:
    """Keep why somebody left, without who, once for each leaving. Raises LinkInvalid.

    Of somebody who did not leave, or long ago, nothing is kept.
    """
    with transaction() as session:
        left = subscription_of(token, links)
        if left is None or left.unsubscribed_at is None or not may_return(left, now) or reason not in set(Reason):
            return
        question = f"reason:{left.id}:{left.unsubscribed_at.isoformat()}"  # tells nobody who gave which answer
        signature = hmac.new(keys.secret.encode(), question.encode(), hashlib.sha256).hexdigest()
        if proving.use_up(signature, left.unsubscribed_at + RETURN_WITHIN, now):
            remark = one_line(remark)[:500]
            session.add(LeavingReason(newsletter_id=left.newsletter_id, reason=reason, remark=remark, at=now))
