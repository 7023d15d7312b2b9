"""An edition until it is approved: planned, drafted, held."""

from __future__ import annotations

import logging
from datetime import date, datetime

from sqlalchemy.exc import IntegrityError

from newsletter.editions import composing
from newsletter.editions.composing import Choice, Draft
from newsletter.editions.illustrating import illustrate
from newsletter.editions.keeping import ORDER, by_hand, copied, fields_by_hand, following, keep, left_out, wishes_of
from newsletter.editions.models import (
    Edition,
    EditionKind,
    EditionState,
    EditionUnknown,
    Item,
    Revision,
    edition,
    edition_of,
    edition_to_decide,
    editions_in,
    subject_before,
)
from newsletter.editions.wording import AT_MOST as WORDS_AT_MOST
from newsletter.editions.wording import is_same, wording_of
from newsletter.foundation import alerts, audit
from newsletter.foundation.audit import SYSTEM, Actor
from newsletter.foundation.database import db, transaction, violated
from newsletter.foundation.errors import Refused
from newsletter.newsletters import calendar
from newsletter.newsletters.calendar import Schedule
from newsletter.newsletters.models import Newsletter, Slot, ThinDay, lock_slot, newsletters
from newsletter.stories.fetching import the_fetcher
from newsletter.stories.models import newest_story_id
from newsletter.stories.pictures import the_pictures
from newsletter.stories.ranking import PassedOver

log = logging.getLogger(__name__)

TOO_FEW = "too few stories:"
DRAFT_REMEDY = "Compose it by hand on the page of editions; the log says what failed."

OPEN = (EditionState.PLANNED, EditionState.DRAFTED, EditionState.APPROVED)
"""An edition in one of these can still be held; nothing of it has gone out."""


def schedule_of(slot: Slot, local_date: date) -> Schedule:
    """The moments of the slot's edition of a date. Raises Refused when the zone skipped the date."""
    found = calendar.schedule(local_date, slot.local_time, slot.zone, slot.newsletter.cutoff_minutes)
    if found is None:
        raise Refused(why=f"there was no {local_date} in {slot.zone}.")
    return found


def today(slot: Slot, now: datetime) -> date:
    """The date of the slot's next or present edition."""
    return calendar.local_date_at(now, slot.zone)


def draft_due(now: datetime) -> int:
    """Draft every edition whose cut-off has passed and that does not exist yet, and say how many.

    One that is held for having too few stories is drafted anew as more come in, so that a slow morning mends itself.
    One that should have begun while the service was away is drafted and held: it never goes out late by itself. One
    whose subject another edition has had since gets another.
    """
    wanted = missing(now)
    for slot_id, due in wanted:
        _draft(slot_id, due, now)
    filled = sum(_fill(held, now) for held in editions_in(EditionState.DRAFTED))
    return len(wanted) + filled + sum(_reword(drafted, now) for drafted in editions_in(EditionState.DRAFTED))


def _draft(slot_id: int, due: Schedule, now: datetime) -> None:
    """One edition that cannot be drafted is told to staff, and does not stop the others."""
    key = f"draft-failed:{slot_id}:{due.local_date}"
    try:
        drafted = compose(db.session.get_one(Slot, slot_id), due.local_date, now, SYSTEM)
    except Refused:
        return  # another process has drafted it meanwhile, and decided about it
    except Exception as error:
        log.exception("The edition of %s for slot %d could not be drafted.", due.local_date, slot_id)
        db.session.rollback()
        with transaction():
            alerts.raise_(key, f"The edition of {due.local_date} could not be drafted: {error}", DRAFT_REMEDY, now)
        return
    with transaction():
        alerts.resolve(key, now)
        if now >= due.start_by and drafted.held_at is None and drafted.state is EditionState.DRAFTED:
            put_on_hold(drafted, f"the service was away when it should have begun, by {due.start_by:%H:%M} UTC", now)


def _fill(held: Edition, now: datetime) -> bool:
    """Draft a thin edition anew if more stories can be had by now."""
    if not (_is_thin(held) and held.revision and now < held.start_by):
        return False
    if newest_story_id(held.newsletter_id) <= held.revision.newest_story_id:
        return False
    draft = composing.compose(held.newsletter, held.slot, now, wishes_of(held))
    if len(draft.choices) <= len(held.revision.items):
        return False
    with transaction():
        found = edition_to_decide(held.id)
        if found.state is not EditionState.DRAFTED or not _is_thin(found):
            return False  # somebody was quicker
        revision_id = store(found, draft, now, SYSTEM)
    illustrate(revision_id, now, the_fetcher(), the_pictures())
    return True


def _reword(drafted: Edition, now: datetime) -> bool:
    """Never the same subject twice in a row, also where the other one went out after this was drafted. A hand's words
    stay; preflight speaks of them."""
    if not _repeats(drafted):
        return False
    with transaction():
        found = edition_to_decide(drafted.id)
        if found.state is not EditionState.DRAFTED or found.revision is None or not _repeats(found):
            return False  # somebody was quicker
        before = found.revision
        words = wording_of(found, [item.headline for item in before.items])
        kept = fields_by_hand(before)
        preheader = before.preheader if "preheader" in kept else words.preheader
        items = [copied(item) for item in before.items]
        following(before, items, now, SYSTEM, subject=words.subject, preheader=preheader)
        audit.record(SYSTEM, "edition.reword", f"edition:{found.id}", now, said=words.subject)
    return True


def _repeats(drafted: Edition) -> bool:
    revision = drafted.revision
    if revision is None or drafted.corrects_id is not None or "subject" in fields_by_hand(revision):
        return False
    return bool(revision.subject) and is_same(revision.subject, subject_before(drafted))


def missing(now: datetime) -> list[tuple[int, Schedule]]:
    """Slots and dates that have no edition and should. What was over before the slot was made is not missed."""
    return [
        (slot.id, due)
        for publication in newsletters()
        for slot in publication.slots
        for due in calendar.open_schedules(
            now, slot.local_time, slot.zone, publication.cutoff_minutes, publication.days, publication.skip_dates
        )
        if (now < due.start_by or slot.created_at < due.slot_at) and edition_of(slot.id, due.local_date) is None
    ]


def _is_thin(held: Edition) -> bool:
    return bool(held.held_reason and held.held_reason.startswith(TOO_FEW))


def compose(slot: Slot, local_date: date, now: datetime, by: Actor) -> Edition:
    """Draft the slot's edition of a date, or draft it anew while it is not approved. What hands changed in it stays.

    A person may draft one that was skipped, too. Raises Refused when it is approved or further already.
    """
    moments = schedule_of(slot, local_date)
    found = edition_of(slot.id, local_date)
    if found is not None:
        _may_be_drafted(found, by)
    newsletter_id, slot_id = slot.newsletter_id, slot.id
    draft = composing.compose(slot.newsletter, slot, now, wishes_of(found))
    try:
        with transaction():
            lock_slot(slot_id)
            drafted = edition_of(slot_id, local_date) or plan(newsletter_id, slot_id, moments, now)
            revision_id = store(drafted, draft, now, by)
    except IntegrityError as error:
        if violated(error, "uq_editions_newsletter_id_slot_id_local_date_number", "editions.local_date"):
            db.session.rollback()
            return edition_of(slot_id, local_date) or _raise(error)  # another process drafted it just now
        raise
    illustrate(revision_id, now, the_fetcher(), the_pictures())
    return drafted


def _raise(error: Exception) -> Edition:
    raise error


def _may_be_drafted(found: Edition, by: Actor) -> None:
    again = found.state is EditionState.SKIPPED and by != SYSTEM and found.frozen_at is None
    if found.state is EditionState.APPROVED:
        raise Refused(why=f"the edition of {found.local_date} is approved. Open it again for changes first.")
    if found.state not in (EditionState.PLANNED, EditionState.DRAFTED) and not again:
        raise Refused(why=f"the edition of {found.local_date} is {found.state}.")


def plan(newsletter_id: int, slot_id: int, moments: Schedule, now: datetime, **columns: object) -> Edition:
    """An edition without a draft, in the caller's transaction: the daily one, unless `columns` say otherwise."""
    values = {
        "number": 0,
        "state": EditionState.PLANNED,
        "slot_at": moments.slot_at,
        "cutoff_at": moments.cutoff_at,
        "start_by": moments.start_by,
        "finish_by": moments.finish_by,
    }
    planned = Edition(
        newsletter_id=newsletter_id,
        slot_id=slot_id,
        local_date=moments.local_date,
        created_at=now,
        **values | columns,
    )
    db.session.add(planned)
    db.session.flush()
    return planned


def store(drafted: Edition, draft: Draft, now: datetime, by: Actor) -> int:
    """Save a draft as the edition's next revision, in the caller's transaction; the revision's id.

    What hands changed in the edition before stays as it is; a subject that comes with the draft is a hand's as well.
    """
    _may_be_drafted(drafted, by)
    first = drafted.state is EditionState.PLANNED
    drafted.state, drafted.reason, drafted.note = EditionState.DRAFTED, None, draft.note
    revision = _revision(drafted, draft, now, by)
    drafted.revisions.append(revision)
    db.session.flush()
    noted = {"note": draft.note} if draft.note else {}
    audit.record(by, "edition.compose", f"edition:{drafted.id}", now, items=len(revision.items), **noted)
    _judge(drafted, len(revision.items), now, by if first else None)
    return revision.id


def _revision(drafted: Edition, draft: Draft, now: datetime, by: Actor) -> Revision:
    before = drafted.revision
    items = keep(drafted, [item_of(position, choice) for position, choice in enumerate(draft.choices, 1)])
    own = wording_of(drafted, [item.headline for item in items])
    said = {name: text for name, text in (("subject", draft.subject), ("preheader", draft.preheader)) if text}
    kept = {name: getattr(before, name) for name in (fields_by_hand(before) if before else ()) if name != ORDER}
    words = {"subject": own.subject, "preheader": own.preheader, "intro": before.intro if before else ""} | kept | said
    fields = [*(fields_by_hand(before) if before else ()), *said]
    return Revision(
        number=before.number + 1 if before else 1,
        **{name: text if name == "intro" else text[:WORDS_AT_MOST] for name, text in words.items()},
        created_at=now,
        created_by=by.name,
        items=items,
        newest_story_id=draft.newest_story_id,
        passed_over=[_near_miss(group) for group in draft.passed_over],
        block=block_of(drafted.newsletter),
        by_hand=by_hand(fields, left_out(before) if before else ()),
    )


def block_of(publication: Newsletter) -> dict[str, object]:
    """The newsletter's own word or its sponsor's, as it stands now; empty when there is none."""
    if not publication.block_text:
        return {}
    return {
        "label": publication.block_label,
        "text": publication.block_text,
        "link": publication.block_link if publication.block_url else "",
        "url": publication.block_url if publication.block_link else "",
        "after": publication.block_after,
    }


def _judge(drafted: Edition, stories: int, now: datetime, first_by: Actor | None) -> None:
    """A thin day is skipped or held, as the newsletter says; a fuller draft lets go of it again.

    Only the clock's first draft is skipped: one that a person asks for is held, for that person to look at. What a
    person makes besides the daily edition may be short.
    """
    if drafted.kind is not EditionKind.DAILY:
        return
    if drafted.held_at is not None and not _is_thin(drafted):
        return  # somebody else's hold stands
    few = f"{TOO_FEW} {stories} of at least {composing.least(drafted.newsletter)}"
    if stories >= composing.least(drafted.newsletter):
        if _is_thin(drafted):
            let_go(drafted, now)
    elif drafted.newsletter.thin_day is ThinDay.SKIP and first_by == SYSTEM:
        drafted.state, drafted.reason = EditionState.SKIPPED, few
        audit.record(SYSTEM, "edition.skip", f"edition:{drafted.id}", now, reason=few)
    else:
        if drafted.held_at is None:
            audit.record(SYSTEM, "edition.hold", f"edition:{drafted.id}", now, reason=few)
        put_on_hold(drafted, few, now)


def reopen(edition_id: int, now: datetime, by: Actor) -> Edition:
    """Make an edition that is approved, but not going out, a draft again: its content can be changed, and somebody must
    approve it once more. What was sealed stays as it was, as an earlier revision. Again is no error.

    One whose slot has come is held, since it would go out at once. Raises EditionUnknown, Refused.
    """
    with transaction():
        found = edition_to_decide(edition_id)
        if found.state is EditionState.DRAFTED:
            return found
        if found.state is not EditionState.APPROVED or found.revision is None:
            raise Refused(why=f"the edition is {found.state}; only an approved one can be opened again.")
        following(found.revision, [copied(item) for item in found.revision.items], now, by)
        reopened(found, now, by)
    return found


def reopened(found: Edition, now: datetime, by: Actor) -> None:
    """An approved edition is a draft again, in the caller's transaction, which gives it a revision that is open."""
    found.state, found.approved_at, found.approved_by, found.send_at = EditionState.DRAFTED, None, None, None
    audit.record(by, "edition.reopen", f"edition:{found.id}", now)
    if now >= found.slot_at and found.held_at is None:
        put_on_hold(found, f"opened again for changes by {by.name}", now)


def _near_miss(group: PassedOver) -> dict[str, object]:
    lead = group.lead
    return {
        "story_id": lead.id,
        "headline": lead.title,
        "outlet": lead.outlet,
        "url": lead.url,
        "why": group.score.why,
        "reason": group.reason,
        "others": [other.id for other in group.others[: composing.ALSO_COVERED_AT_MOST]],
    }


def item_of(position: int, choice: Choice) -> Item:
    story = choice.lead
    return Item(
        position=position,
        story_id=story.id,
        headline=story.title,
        summary=story.summary,
        url=story.url,
        outlet=story.outlet,
        section=choice.section,
        image_url=story.image_url,
        image_alt=story.image_alt,
        image_credit=story.image_credit,
        also_covered=[
            {"story_id": other.id, "outlet": other.outlet, "title": other.title, "url": other.url}
            for other in choice.others
        ],
        outlets=choice.outlets,
        is_update=choice.is_update,
        told=choice.told,
        reason=choice.reason,
        by_hand=[],
        published_at=story.published_at,
    )


def hold(edition_id: int, reason: str, now: datetime, by: Actor) -> Edition:
    """Stop an edition from going out until somebody resumes it. Raises EditionUnknown, Refused."""
    with transaction():
        found = edition(edition_id)
        if found.state not in (*OPEN, EditionState.SENDING):
            raise Refused(why=f"the edition is {found.state} already.")
        put_on_hold(found, reason.strip() or f"held by {by.name}", now)
        audit.record(by, "edition.hold", f"edition:{edition_id}", now, reason=found.held_reason)
    return found


def resume(edition_id: int, now: datetime, by: Actor) -> Edition:
    """Take a hold away; the edition goes on where it was. Raises EditionUnknown, Refused."""
    with transaction():
        found = edition(edition_id)
        if found.held_at is None:
            raise Refused(why="the edition is not held.")
        audit.record(by, "edition.resume", f"edition:{edition_id}", now, reason=found.held_reason)
        let_go(found, now)
    return found


def put_on_hold(found: Edition, reason: str, now: datetime) -> None:
    """Hold an edition and tell staff, in the caller's transaction. A Send that has not taken effect is taken back."""
    found.held_at, found.held_reason = now, reason[:300]
    if found.frozen_at is None:
        found.send_at = None
    alerts.raise_(
        f"edition-held:{found.id}",
        f"{found.newsletter.name} of {found.local_date} is held: {reason}.",
        "Open the edition, look at it, and send or resume it.",
        now,
    )


def let_go(found: Edition, now: datetime) -> None:
    """Take a hold away, in the caller's transaction."""
    found.held_at = found.held_reason = None
    alerts.resolve(f"edition-held:{found.id}", now)


def find(publication: Newsletter, local_date: date | None, slot_id: int | None, now: datetime) -> tuple[Slot, date]:
    """The slot and date that an operator means; today in the default slot unless said otherwise.

    Raises EditionUnknown when the newsletter has no such slot.
    """
    slot = next((s for s in publication.slots if s.id == slot_id), None) if slot_id else publication.default_slot
    if slot is None:
        known = ", ".join(f"{s.id} ({s.label})" for s in publication.slots)
        raise EditionUnknown(what=f"slot {slot_id} of {publication.name}; its slots are {known}")
    return slot, local_date or today(slot, now)
