"""Undoing and mending: pull back, pause, pull a story, cancel, leave a day out; a correction, and a special edition."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.delivery import correcting, ending, releasing
from newsletter.editions import adding, publishing
from newsletter.editions.models import Edition
from newsletter.foundation.clock import the_clock
from newsletter.foundation.errors import NewsletterError, NotFound, Refused
from newsletter.newsletters.models import NoNewsletter, Slot
from newsletter.staff.rights import Right
from newsletter.stories.models import Story, stories_between
from newsletter.web.admin.access import attempt, me, must_see, my_newsletters, needs, pages
from newsletter.web.admin.editions import ONE, slots
from newsletter.web.admin.places import of_story

OFFERED = 60
"""So many of the newsletter's stories can be ticked for a special edition, the newest first."""


@pages.post(f"{ONE}/pull-back")
@needs(Right.EDIT)
def pull_back(id: int) -> ResponseReturnValue:
    by = me().actor
    return attempt(
        lambda: releasing.pull_back(id, the_clock().now(), by),
        "Pulled back. Nobody got it, and it goes nowhere until somebody sends or resumes it.",
        url_for("admin.edition", id=id),
    )


@pages.post(f"{ONE}/pause")
@needs(Right.EDIT)
def pause(id: int) -> ResponseReturnValue:
    by = me().actor
    return attempt(
        lambda: releasing.pause(id, the_clock().now(), by),
        "Paused. What was on its way at this moment still arrives, and nothing else goes out.",
        url_for("admin.edition", id=id),
    )


@pages.post(f"{ONE}/unpause")
@needs(Right.SEND)
def unpause(id: int) -> ResponseReturnValue:
    by = me().actor
    return attempt(lambda: releasing.unpause(id, the_clock().now(), by), "It goes on.", url_for("admin.edition", id=id))


@pages.post(f"{ONE}/cancel")
@needs(Right.EDIT)
def cancel(id: int) -> ResponseReturnValue:
    by, reason = me().actor, request.form.get("reason", "")
    return attempt(
        lambda: ending.cancel(id, reason, the_clock().now(), by),
        "Cancelled. Nothing more of it goes out.",
        url_for("admin.edition", id=id),
    )


@pages.post(f"{ONE}/pull-story")
@needs(Right.EDIT)
def pull_story(id: int) -> ResponseReturnValue:
    by, story_id = me().actor, _number(request.form.get("story", ""))
    return attempt(
        lambda: releasing.pull_story(id, story_id, the_clock().now(), by),
        "Pulled. Whatever has not gone out goes out without it.",
        url_for("admin.edition", id=id),
    )


@pages.post(f"{ONE}/correct")
@needs(Right.EDIT)
def correct(id: int) -> ResponseReturnValue:
    typed, by = request.form.get("revision", ""), me().actor
    revision_id = _number(typed) if typed else None
    return _made(
        lambda: correcting.prepare(id, revision_id, the_clock().now(), by),
        "This is the correction’s draft. Put right what was wrong, say so in the subject, and send it.",
        url_for("admin.edition", id=id),
    )


def _made(make: Callable[[], Edition], done: str, back: str) -> ResponseReturnValue:
    """To the edition that was made, or back with the reason why not."""
    try:
        made = make().id
    except NewsletterError as error:
        flash(str(error), "problem")
        return redirect(back, 303)
    flash(done, "done")
    return redirect(url_for("admin.edition", id=made), 303)


@pages.post("/editions/skip", endpoint="skip_day")
@needs(Right.EDIT)
def skip() -> ResponseReturnValue:
    slot, typed, reason, by = _slot(), request.form.get("day", ""), request.form.get("reason", ""), me().actor
    return attempt(
        lambda: ending.skip(slot, _day(typed), reason, the_clock().now(), by),
        "That day is left out. A person may still compose it.",
        url_for("admin.editions"),
    )


@pages.route("/editions/special", endpoint="special", methods=["GET", "POST"])
@needs(Right.EDIT)
def special() -> ResponseReturnValue:
    slot, now, by = _slot(), the_clock().now(), me().actor
    if request.method != "POST":
        return render_template("admin/special.html", slot=slot, slots=slots(), stories=_offered(slot))
    subject, chosen = request.form.get("subject", ""), [_number(one) for one in request.form.getlist("story")]
    for story_id in chosen:
        must_see(of_story, id=story_id)
    return _made(
        lambda: adding.special(slot, publishing.today(slot, now), now, by, subject, chosen),
        "This is its draft. It goes out when somebody sends it.",
        url_for("admin.special", slot=slot.id),
    )


def _offered(slot: Slot) -> list[Story]:
    now = the_clock().now()
    since = now - timedelta(hours=slot.newsletter.window_hours)
    return list(stories_between(slot.newsletter_id, since, now))[:OFFERED]


def _slot() -> Slot:
    """The one that is named, else the first newsletter's default. Raises NoNewsletter, NotFound."""
    every = my_newsletters()
    if not every:
        raise NoNewsletter
    typed = request.values.get("slot", "")
    known = {str(slot.id): slot for one in every for slot in one.slots}
    if typed and typed not in known:
        raise NotFound(what="such slot")
    return known[typed] if typed else every[0].default_slot


def _day(typed: str) -> date:
    try:
        return date.fromisoformat(typed.strip())
    except ValueError as error:
        raise Refused(why="write the date like 2026-03-31.") from error


def _number(typed: str) -> int:
    """A story's or a revision's number from the form. Raises NotFound."""
    if not typed.isascii() or not typed.isdecimal() or len(typed) > 9:
        raise NotFound(what="such story or revision")
    return int(typed)
