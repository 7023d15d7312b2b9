"""Letting an edition go: approve and seal it, freeze its audience, send."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from newsletter.delivery import ledger, welcoming
from newsletter.delivery.models import Delivery, DeliveryKind, DeliveryState, SkipReason
from newsletter.editions import rendering, withdrawing
from newsletter.editions.illustrating import illustrate
from newsletter.editions.models import (
    Edition,
    EditionState,
    Form,
    RenderedPart,
    Revision,
    edition,
    editions_to_release,
)
from newsletter.editions.publishing import let_go, put_on_hold
from newsletter.foundation import audit
from newsletter.foundation.audit import SYSTEM, Actor
from newsletter.foundation.database import db, one_at_a_time, transaction
from newsletter.foundation.errors import NewsletterError, Refused
from newsletter.foundation.languages import spoken
from newsletter.mail.suppression import Suppression
from newsletter.newsletters.calendar import FINISH_WITHIN
from newsletter.newsletters.models import Approval, Newsletter, lock_slot
from newsletter.stories import marking
from newsletter.stories.fetching import the_fetcher
from newsletter.stories.models import same_page
from newsletter.stories.pictures import the_pictures
from newsletter.subscribers.models import Subscriber, Subscription, SubscriptionState, languages_read

log = logging.getLogger(__name__)


class LateNeedsDate(Refused):
    """The edition of {local_date} should have begun by {start_by:%H:%M} UTC. To send it late all the same, type its
    date, {local_date}."""


def approve(edition_id: int, now: datetime, by: Actor) -> Edition:
    """Seal the last revision: its parts are rendered and stored, and never change again. Again is no error.

    Raises EditionUnknown, Refused, TemplateBroken.
    """
    with transaction():
        found = _locked(edition_id)
        if found.state is EditionState.DRAFTED:
            _seal(found, now)
            found.state, found.approved_at, found.approved_by = EditionState.APPROVED, now, by.name
            audit.record(by, "edition.approve", f"edition:{edition_id}", now, revision=len(found.revisions))
        elif found.state is not EditionState.APPROVED:
            raise Refused(why=f"the edition is {found.state}.")
    return found


def _locked(edition_id: int) -> Edition:
    """The edition, with its slot locked: one decision about it at a time, on any machine."""
    lock_slot(edition(edition_id).slot_id)
    found = edition(edition_id)
    db.session.refresh(found)
    return found


def _seal(found: Edition, now: datetime) -> Revision:
    revision = found.revision
    if revision is None or not revision.items:
        raise Refused(why="the edition has no stories; compose it first.")
    if revision.sealed_at is None:
        revision.parts += [_part(revision, language) for language in _languages(found.newsletter)]
        revision.sealed_at = now
    return revision


def _languages(publication: Newsletter) -> list[str]:
    """The newsletter's own first, for every reader without another one."""
    own = publication.language
    return [own, *sorted(languages_read(publication.id) - {own, spoken(own)})]


def _part(revision: Revision, language: str) -> RenderedPart:
    parts = rendering.render(revision, language)
    return RenderedPart(form=Form.FULL, language=language, html=parts.html, text=parts.text, marker=parts.marker)


def withdraw(story_id: int, reason: str, now: datetime, by: Actor) -> list[Edition]:
    """Take a story down everywhere, and say which editions that are not sent were changed.

    A draft loses it. An edition that was approved stays approved without it, and of one that is going out the copies
    that remain are without it; one that has nothing left is held, or stopped. Who confirms gets no sent edition that
    has it. Raises StoryUnknown, TemplateBroken.
    """
    with transaction():
        one_at_a_time("withdrawals")
        gone = same_page(marking.withdraw(story_id, reason, now, by))
        changed = [_take_out(edition_id, gone, now, by) for edition_id in withdrawing.unsent_with(gone)]
        welcoming.stop_copies_with(gone, now)
    for one in changed:
        if one.revision and one.revision.sealed_at is None:
            illustrate(one.revision.id, now, the_fetcher(), the_pictures())
    return changed


def said_of(changed: Sequence[Edition]) -> str:
    """Which editions a withdrawal changed, in a sentence."""
    if not changed:
        return "No edition that is not sent yet had it."
    return "It was taken out of " + ", ".join(f"{one.newsletter.name} of {one.local_date}" for one in changed) + "."


def _take_out(edition_id: int, gone: set[int], now: datetime, by: Actor) -> Edition:
    found = _locked(edition_id)
    sealed = found.revision is not None and found.revision.sealed_at is not None
    left = withdrawing.save_without(found, gone, now, by)
    if left.items and sealed:
        _seal(found, now)
    elif not left.items and found.state is EditionState.SENDING:
        ledger.cancel(edition_id, now)
    elif not left.items:
        found.state = EditionState.DRAFTED
        put_on_hold(found, "all of its stories were withdrawn", now)
    return found


def send(edition_id: int, now: datetime, by: Actor, typed_date: str | None = None) -> Edition:
    """Send an edition now: approve it if need be, freeze its audience, and let the workers begin.

    A person may send early at any time, and late after typing the date (rule 3). A second call answers the same.
    Raises EditionUnknown, LateNeedsDate, Refused.
    """
    with transaction():
        found = _locked(edition_id)
        if found.state in (EditionState.SENDING, EditionState.SENT):
            return found
        late = now >= found.start_by
        if late and (typed_date or "").strip() != found.local_date.isoformat():
            raise LateNeedsDate(local_date=found.local_date, start_by=found.start_by)
        approve(edition_id, now, by)
        if found.held_at is not None:
            let_go(found, now)
        if late:
            found.finish_by = now + FINISH_WITHIN
        freeze(found, now)
        audit.record(by, "edition.send", f"edition:{edition_id}", now, audience=found.audience, late=late)
    return found


def release_due(now: datetime) -> int:
    """What the clock decides about editions: approve at the slot where the newsletter says so, send what is approved,
    hold what is too late. Says how many editions it touched."""
    return sum(_release_or_hold(edition_id, now) for edition_id in [one.id for one in editions_to_release(now)])


def _release_or_hold(edition_id: int, now: datetime) -> bool:
    """One edition that cannot be released is held, and does not stop the others."""
    try:
        return _release(edition_id, now)
    except NewsletterError as error:
        reason = str(error)
    except Exception:  # a fault of ours; the log has its cause, and staff decide
        log.exception("Edition %d could not be released.", edition_id)
        reason = "our program failed on it, and its log says how"
    with transaction():
        put_on_hold(edition(edition_id), reason, now)
    return True


def _release(edition_id: int, now: datetime) -> bool:
    with transaction():
        found = _locked(edition_id)
        if found.held_at is not None or found.state not in (EditionState.DRAFTED, EditionState.APPROVED):
            return False  # somebody was quicker
        if now >= found.start_by:
            put_on_hold(found, f"it had not begun by {found.start_by:%H:%M} UTC", now)
            return True
        if found.state is EditionState.DRAFTED:
            if found.newsletter.approval is Approval.MANUAL:
                return False
            approve(edition_id, now, SYSTEM)
        freeze(found, now)
        audit.record(SYSTEM, "edition.send", f"edition:{edition_id}", now, audience=found.audience)
        return True


def freeze(found: Edition, now: datetime) -> None:
    """Fix the audience: a ledger row for each active reader of the slot, in one statement, in the caller's
    transaction. The slot is locked, so nobody who confirmed before is missed (rule 8)."""
    revision = found.revision
    if revision is None or revision.sealed_at is None:
        raise Refused(why="the edition is not approved.")
    db.session.flush()
    db.session.execute(_audience(found, revision, now))
    count = sa.select(sa.func.count()).select_from(Delivery).where(Delivery.edition_id == found.id)
    found.audience = db.session.scalar(count) or 0
    found.state, found.frozen_at = EditionState.SENDING, now


def audience_now(slot_id: int, local_date: date) -> int:
    """How many readers would get an edition of the slot if it were sent now."""
    query = (
        sa.select(sa.func.count())
        .select_from(Subscription)
        .join(Subscriber)
        .where(*_in_slot(slot_id), ~_suppressed(), ~_paused(local_date))
    )
    return db.session.scalar(query) or 0


def _in_slot(slot_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    return Subscription.slot_id == slot_id, Subscription.state == SubscriptionState.ACTIVE


def _suppressed() -> sa.ColumnElement[bool]:
    return sa.exists().where(Suppression.address_hash == Subscriber.address_hash)


def _paused(local_date: date) -> sa.ColumnElement[bool]:
    return sa.and_(Subscription.paused_until.is_not(None), Subscription.paused_until > local_date)


def _audience(found: Edition, revision: Revision, now: datetime) -> sa.Insert:
    skipped = sa.case(
        (_suppressed(), sa.literal(SkipReason.SUPPRESSED.value)),
        (_paused(found.local_date), sa.literal(SkipReason.PAUSED.value)),
    )
    state = sa.case(
        (sa.or_(_suppressed(), _paused(found.local_date)), sa.literal(DeliveryState.SKIPPED.value)),
        else_=sa.literal(DeliveryState.PENDING.value),
    )
    columns: dict[str, sa.ColumnElement[object]] = {
        "edition_id": sa.literal(found.id),
        "subscriber_id": Subscription.subscriber_id,  # type: ignore[dict-item]
        "subscription_id": Subscription.id,  # type: ignore[dict-item]
        "newsletter_id": sa.literal(found.newsletter_id),
        "local_date": sa.literal(found.local_date, sa.Date),
        "kind": sa.literal(DeliveryKind.DAILY.value),
        "state": state,
        "skip_reason": skipped,
        "revision_id": sa.literal(revision.id),
        "attempts": sa.literal(0),
        "next_attempt_at": sa.literal(now, Delivery.next_attempt_at.type),
        "updated_at": sa.literal(now, Delivery.updated_at.type),
    }
    readers = sa.select(*columns.values()).join_from(Subscription, Subscriber).where(*_in_slot(found.slot_id))
    insert = sqlite.insert if db.engine.dialect.name == "sqlite" else postgresql.insert
    # A reader who moved slots today has had today's edition already: one daily edition a date (rule 5).
    return insert(Delivery).from_select(list(columns), readers, include_defaults=False).on_conflict_do_nothing()
