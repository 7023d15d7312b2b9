"""Letting an edition go: approve and seal it, send, freeze its audience; pull it back, pause, and go on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from newsletter.delivery import audience, checking, correcting, ledger, shards, welcoming
from newsletter.delivery.models import Delivery
from newsletter.delivery.watching import SILENT
from newsletter.editions import rendering, sittings, withdrawing
from newsletter.editions.adding import OWN_LIFE
from newsletter.editions.illustrating import illustrate
from newsletter.editions.models import (
    OUT,
    Edition,
    EditionKind,
    EditionState,
    Form,
    RenderedPart,
    Revision,
    edition,
    edition_to_decide,
    editions_to_release,
)
from newsletter.editions.publishing import let_go, put_on_hold
from newsletter.foundation import alerts, audit, safety
from newsletter.foundation.audit import SYSTEM, Actor
from newsletter.foundation.database import db, look_at, one_at_a_time, transaction
from newsletter.foundation.errors import NewsletterError, Refused
from newsletter.foundation.languages import spoken
from newsletter.newsletters.calendar import FINISH_WITHIN, START_WITHIN
from newsletter.newsletters.models import Approval, Newsletter
from newsletter.stories import marking
from newsletter.stories.fetching import the_fetcher
from newsletter.stories.models import same_page
from newsletter.stories.pictures import the_pictures
from newsletter.subscribers.models import languages_read

log = logging.getLogger(__name__)


class LateNeedsDate(Refused):
    """The edition of {local_date} should have begun by {start_by:%H:%M} UTC. To send it late all the same, type its
    date, {local_date}."""


class NotAsSeen(Refused):
    """{who} changed this edition after your page was shown, so nothing was approved. Look at it once more."""


def approve(
    edition_id: int, now: datetime, by: Actor, *, typed_audience: str | None = None, seen: int | None = None
) -> Edition:
    """Seal the last revision: its parts are rendered and stored, and never change again. Again is no error.

    `typed_audience` is the number of readers, typed by a person where preflight asks for it; `seen` the number of the
    revision that they looked at. Raises EditionUnknown, NotAsSeen, NotReady, Refused, TemplateBroken.
    """
    with transaction():
        found = edition_to_decide(edition_id)
        if found.state is EditionState.DRAFTED:
            _must_be_seen(found, seen)
            checking.must_be_ready(found, now, typed_audience)
            sittings.settle(found)
            revision = _seal(found, now)
            found.state, found.approved_at, found.approved_by = EditionState.APPROVED, now, by.name
            audit.record(by, "edition.approve", f"edition:{edition_id}", now, revision=revision.number)
        elif found.state is not EditionState.APPROVED:
            raise Refused(why=f"the edition is {found.state}.")
    return found


def _must_be_seen(found: Edition, seen: int | None) -> None:
    revision = found.revision
    if seen is not None and revision is not None and revision.number != seen:
        raise NotAsSeen(who=revision.created_by)


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
        changed = [_without(gone, edition_to_decide(id), now, by) for id in withdrawing.unsent_with(gone)]
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


def _without(gone: set[int], found: Edition, now: datetime, by: Actor) -> Edition:
    return _take_out(found, lambda: withdrawing.save_without(found, gone, now, by), now)


def pull_story(edition_id: int, story_id: int, now: datetime, by: Actor) -> Edition:
    """Take a story, with all who tell the same, out of one edition that is not sent: what has not gone out goes out
    without it. In other editions it stays.

    An edition that has nothing left is held, or ended. Raises EditionUnknown, Refused, TemplateBroken.
    """
    with transaction():
        found = edition_to_decide(edition_id)
        if found.state not in withdrawing.UNSENT or found.revision is None:
            raise Refused(why=f"the edition is {found.state}. What readers have can only be corrected.")
        item = next((one for one in found.revision.items if one.story_id == story_id), None)
        if item is None:
            raise Refused(why="the edition does not have that story any more.")
        return _take_out(found, lambda: withdrawing.pull(found, item, now, by), now)


def _take_out(found: Edition, save: Callable[[], Revision], now: datetime) -> Edition:
    sealed = found.revision is not None and found.revision.sealed_at is not None
    left = save()
    if left.items and sealed:
        _seal(found, now)
    elif not left.items and found.state is EditionState.SENDING:
        ledger.end(found, "all of its stories were taken out", now)
    elif not left.items:
        found.state = EditionState.DRAFTED
        put_on_hold(found, "all of its stories were taken out", now)
    return found


def send(
    edition_id: int,
    now: datetime,
    by: Actor,
    typed_date: str | None = None,
    *,
    typed_audience: str | None = None,
    seen: int | None = None,
    at_once: bool = False,
) -> Edition:
    """Send an edition: approve it if need be, and let it start when its cooling-off is over. Until then it can be
    pulled back; without one, or `at_once`, its audience is frozen now and the workers begin.

    A person may send early at any time, and late after typing the date (rule 3). A second call answers the same.
    `seen` is as for `approve`. Raises EditionUnknown, LateNeedsDate, NotAsSeen, Refused, Halted.
    """
    with transaction():
        found = edition_to_decide(edition_id)
        pressed = found.send_at is not None
        if found.state in OUT or (pressed and not at_once):
            return found
        safety.ensure_running()
        late = not pressed and now >= found.start_by
        if late and (typed_date or "").strip() != found.local_date.isoformat():
            raise LateNeedsDate(local_date=found.local_date, start_by=found.start_by)
        approve(edition_id, now, by, typed_audience=typed_audience, seen=seen)
        correcting.must_be_over(found)
        if found.held_at is not None:
            let_go(found, now)
        wait = timedelta() if at_once else timedelta(minutes=found.newsletter.cooling_minutes)
        found.finish_by = _ends(found, now + wait, late)
        if wait:
            found.send_at = now + wait
            said: dict[str, object] = {"goes_at": found.send_at.isoformat()}
        else:
            freeze(found, now)
            said = {"audience": found.audience}
        audit.record(by, "edition.send", f"edition:{edition_id}", now, **said, late=late)
    return found


def _ends(found: Edition, start: datetime, late: bool) -> datetime:
    if found.kind is not EditionKind.DAILY:
        return start + OWN_LIFE
    return start + FINISH_WITHIN if late else found.finish_by


def pull_back(edition_id: int, now: datetime, by: Actor) -> Edition:
    """Take a Send back while nothing has gone out. The edition is held, since who pulls it back does not want it to go
    at its slot either. Raises EditionUnknown, Refused."""
    with transaction():
        found = edition_to_decide(edition_id)
        if found.state is EditionState.SENDING:
            raise Refused(why="it is going out already. Pause it, or cancel the rest.")
        if found.send_at is None or found.state is not EditionState.APPROVED:
            raise Refused(why="nobody has sent the edition.")
        put_on_hold(found, f"pulled back by {by.name}", now)
        audit.record(by, "edition.pull-back", f"edition:{edition_id}", now)
    return found


def pause(edition_id: int, now: datetime, by: Actor) -> Edition:
    """Let nothing more of an edition begin; what is on its way at the moment still arrives. Its `finish_by` stays, and
    staff are told. Again is no error. Raises EditionUnknown, Refused."""
    with transaction():
        found = _going_out(edition_id)
        if found.paused_at is None:
            found.paused_at = now
            name, until = found.newsletter.name, f"{found.finish_by:%Y-%m-%d %H:%M} UTC"
            alerts.raise_(
                _paused(found),
                f"{name} of {found.local_date} is paused.",
                f"Open the edition, and go on or cancel the rest. What has not gone out by {until} expires.",
                now,
            )
            audit.record(by, "edition.pause", f"edition:{edition_id}", now)
    return found


def unpause(edition_id: int, now: datetime, by: Actor) -> Edition:
    """Go on after a pause. Again is no error. Raises EditionUnknown, Refused."""
    with transaction():
        found = _going_out(edition_id)
        if found.paused_at is not None:
            found.paused_at = None
            alerts.resolve(_paused(found), now)
            audit.record(by, "edition.unpause", f"edition:{edition_id}", now)
    return found


def asleep_since(now: datetime) -> datetime | None:
    """The scheduler's last sign of life when it is so old that nothing starts by itself; None when all is well, or when
    none was ever seen."""
    last = safety.heartbeat()
    return last if last is not None and now - last > SILENT else None


def _going_out(edition_id: int) -> Edition:
    found = edition_to_decide(edition_id)
    if found.state is not EditionState.SENDING:
        raise Refused(why=f"the edition is {found.state}; only what is going out can be paused.")
    return found


def _paused(found: Edition) -> str:
    return f"edition-paused:{found.id}"


def release_due(now: datetime) -> int:
    """What the clock decides about editions: approve at the slot where the newsletter says so, send what is approved,
    hold what is too late. Says how many editions it touched. While everything is halted it is none."""
    if safety.halted() is not None:
        return 0
    return sum(_release_or_hold(edition_id, now) for edition_id in [one.id for one in editions_to_release(now)])


def _release_or_hold(edition_id: int, now: datetime) -> bool:
    """One edition that cannot be released is held, and does not stop the others."""
    try:
        return _release(edition_id, now)
    except safety.Halted:
        return False  # just now, and it is not the edition's fault
    except NewsletterError as error:
        reason = str(error).rstrip(".")
    except Exception:  # a fault of ours; the log has its cause, and staff decide
        log.exception("Edition %d could not be released.", edition_id)
        reason = "our program failed on it, and its log says how"
    with transaction():
        put_on_hold(edition(edition_id), reason, now)
    return True


def _release(edition_id: int, now: datetime) -> bool:
    with transaction():
        found = edition_to_decide(edition_id)
        open_still = found.held_at is None and found.state in (EditionState.DRAFTED, EditionState.APPROVED)
        if not open_still or found.goes_at is None or now < found.goes_at:
            return False  # somebody was quicker
        begin_by = _must_begin_by(found)
        if now >= begin_by:
            put_on_hold(found, f"it had not begun by {begin_by:%H:%M} UTC", now)
            return True
        if found.state is EditionState.DRAFTED:
            if found.newsletter.approval is Approval.MANUAL:
                return False
            approve(edition_id, now, SYSTEM)
        action = "edition.start" if found.send_at else "edition.send"
        freeze(found, now)
        audit.record(SYSTEM, action, f"edition:{edition_id}", now, audience=found.audience)
        return True


def _must_begin_by(found: Edition) -> datetime:
    """A Send by hand counts from when it was to take effect: whether that was late was asked when it was pressed."""
    return max(found.start_by, found.send_at + START_WITHIN) if found.send_at else found.start_by


def freeze(found: Edition, now: datetime) -> None:
    """Fix the audience: a ledger row for each reader whom it is for, in one statement, in the caller's transaction. The
    slot is locked, so nobody who confirmed before is missed (rule 8). Raises Refused, Halted."""
    revision = found.revision
    if revision is None or revision.sealed_at is None:
        raise Refused(why="the edition is not approved.")
    correcting.must_be_over(found)
    db.session.flush()
    one_at_a_time("freezes")  # who gets it goes by what other editions of the day have
    written = db.session.execute(audience.frozen(found, revision, now), execution_options={"preserve_rowcount": True})
    found.audience = int(written.rowcount)  # type: ignore[attr-defined]
    shards.open_for(found.id, now)
    look_at(Delivery)
    found.state, found.frozen_at = EditionState.SENDING, now
    correcting.stop_wrong_copies(found, now)
    safety.froze(now)
