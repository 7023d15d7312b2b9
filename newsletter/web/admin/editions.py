"""Editions: list, look, approve, send, hold."""

from __future__ import annotations

from datetime import datetime

from flask import Response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.delivery import releasing
from newsletter.delivery.models import skips_of, states_of, states_of_each
from newsletter.editions import publishing, rendering
from newsletter.editions.models import Edition, EditionState, edition, recent_editions
from newsletter.foundation.clock import the_clock
from newsletter.newsletters.models import Approval, newsletter, newsletters
from newsletter.staff.rights import Right
from newsletter.stories.models import Mark, marks_of
from newsletter.web.admin.access import attempt, me, needs, pages, staff_only
from newsletter.web.security import error_page, mail_in_a_frame

OPEN = {EditionState.PLANNED, EditionState.DRAFTED, EditionState.APPROVED}


@pages.get("/editions", endpoint="editions")
@staff_only
def show_all() -> str:
    latest = recent_editions()
    return render_template(
        "admin/editions.html",
        editions=latest,
        counts=states_of_each([one.id for one in latest]),
        newsletters=newsletters(),
        may_edit=me().may(Right.EDIT),
    )


@pages.get("/editions/<int(max=2147483647):id>", endpoint="edition")
@staff_only
def show(id: int) -> str:
    shown, now = edition(id), the_clock().now()
    return render_template(
        "admin/edition.html",
        edition=shown,
        revision=shown.revision,
        pinned={mark.story_id for mark in marks_of(shown.newsletter_id) if mark.mark is Mark.PINNED},
        states=[(state.value, count) for state, count in states_of(id).items()],
        skips=skips_of(id),
        audience_now=releasing.audience_now(shown.slot_id, shown.local_date),
        may_edit=me().may(Right.EDIT),
        may_send=me().may(Right.SEND),
        late=now >= shown.start_by,
        actions=_actions(shown),
        next_step=next_step(shown, now),
    )


def _actions(shown: Edition) -> set[str]:
    """What can be done with an edition now, whoever may do it."""
    can = {
        "approve": shown.state is EditionState.DRAFTED and shown.held_at is None,
        "send": shown.state in (EditionState.DRAFTED, EditionState.APPROVED),
        "hold": shown.held_at is None and shown.state in OPEN | {EditionState.SENDING},
        "resume": shown.held_at is not None,
        "recompose": shown.state in (EditionState.PLANNED, EditionState.DRAFTED),
    }
    return {name for name, possible in can.items() if possible}


def next_step(shown: Edition, now: datetime) -> str:
    """What will happen next to an edition by itself, in a sentence."""
    at = f"{shown.slot.label} time"
    if shown.held_at is not None:
        return f"Held: {shown.held_reason}. It goes nowhere until somebody sends or resumes it."
    if shown.state in OPEN and now >= shown.start_by:
        return "It has missed its hour, so it does not go out by itself any more."
    if shown.state is EditionState.DRAFTED and shown.newsletter.approval is Approval.AUTO:
        return f"It goes out by itself at {at}, unless somebody holds it."
    sentences = {
        EditionState.PLANNED: "It has no draft yet.",
        EditionState.DRAFTED: f"It waits for somebody to approve it, and would then go out at {at}.",
        EditionState.APPROVED: f"It goes out at {at}. Its content cannot change any more.",
        EditionState.SENDING: "It is going out now.",
        EditionState.SENT: "It has gone out.",
        EditionState.SKIPPED: f"It was skipped: {shown.reason}.",
        EditionState.CANCELLED: f"It was cancelled: {shown.reason}.",
    }
    return sentences[shown.state]


@pages.get("/editions/<int(max=2147483647):id>/preview/<any(html, text):form>")
@staff_only
def preview(id: int, form: str) -> ResponseReturnValue:
    shown = edition(id)
    if shown.revision is None:
        return error_page(404, sentence="This edition has no draft yet.")
    content = rendering.preview(rendering.parts_of(shown.revision), shown.newsletter, form)
    if form == "text":
        return Response(content, mimetype="text/plain")
    return mail_in_a_frame(content)


@pages.post("/editions/compose")
@needs(Right.EDIT)
def compose() -> ResponseReturnValue:
    slot, now, by = (
        newsletter(request.form.get("newsletter") or None).default_slot,
        the_clock().now(),
        me().actor,
    )
    return attempt(
        lambda: publishing.compose(slot, publishing.today(slot, now), now, by),
        "Today's edition is drafted.",
        url_for("admin.editions"),
    )


@pages.post("/editions/<int(max=2147483647):id>/recompose")
@needs(Right.EDIT)
def recompose(id: int) -> ResponseReturnValue:
    shown, by = edition(id), me().actor
    slot, local_date = shown.slot, shown.local_date
    return attempt(
        lambda: publishing.compose(slot, local_date, the_clock().now(), by),
        "It is composed again from the latest stories.",
        url_for("admin.edition", id=id),
    )


@pages.post("/editions/<int(max=2147483647):id>/approve")
@needs(Right.EDIT)
def approve(id: int) -> ResponseReturnValue:
    by = me().actor
    return attempt(
        lambda: releasing.approve(id, the_clock().now(), by),
        "Approved. What readers will get is settled now.",
        url_for("admin.edition", id=id),
    )


@pages.post("/editions/<int(max=2147483647):id>/send")
@needs(Right.SEND)
def send(id: int) -> ResponseReturnValue:
    by, typed = me().actor, request.form.get("typed_date")
    return attempt(
        lambda: releasing.send(id, the_clock().now(), by, typed),
        "It is going out.",
        url_for("admin.edition", id=id),
    )


@pages.post("/editions/<int(max=2147483647):id>/hold")
@needs(Right.EDIT)
def hold(id: int) -> ResponseReturnValue:
    by, reason = me().actor, request.form.get("reason", "")
    return attempt(
        lambda: publishing.hold(id, reason, the_clock().now(), by),
        "Held. Nothing more goes out until somebody resumes it.",
        url_for("admin.edition", id=id),
    )


@pages.post("/editions/<int(max=2147483647):id>/resume")
@needs(Right.EDIT)
def resume(id: int) -> ResponseReturnValue:
    by = me().actor
    return attempt(
        lambda: publishing.resume(id, the_clock().now(), by),
        "Resumed. It goes on where it was.",
        url_for("admin.edition", id=id),
    )
