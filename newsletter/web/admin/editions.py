"""Editions: list, look, approve, send, hold; what is undone and mended is in mending.py."""

from __future__ import annotations

from datetime import datetime

from flask import Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.delivery import audience, checking, correcting, releasing, reporting
from newsletter.delivery.models import DeliveryState
from newsletter.delivery.reporting import Report
from newsletter.editions import adding, publishing, rendering
from newsletter.editions.models import (
    Edition,
    EditionKind,
    EditionState,
    Revision,
    edition,
    others_of_the_day,
    recent_editions,
)
from newsletter.editions.publishing import OPEN
from newsletter.editions.withdrawing import UNSENT
from newsletter.foundation import safety
from newsletter.foundation.clock import the_clock
from newsletter.foundation.database import db
from newsletter.foundation.errors import NewsletterError
from newsletter.newsletters.models import Approval
from newsletter.staff.rights import Right
from newsletter.stories.models import Mark, marks_of
from newsletter.web.admin import desk
from newsletter.web.admin.access import attempt, me, my_newsletter, my_newsletters, needs, pages, staff_only
from newsletter.web.formats import moment
from newsletter.web.security import error_page, mail_in_a_frame

ONE = "/editions/<int(max=2147483647):id>"
TEXT_POLICY = "default-src 'none'; frame-ancestors 'self'; sandbox"


@pages.get("/editions", endpoint="editions")
@staff_only
def show_all() -> str:
    latest = recent_editions(among=me().newsletter_ids)
    return render_template(
        "admin/editions.html",
        editions=latest,
        counts=reporting.glance(latest),
        newsletters=my_newsletters(),
        slots=slots(),
        may_edit=me().may(Right.EDIT),
    )


def slots() -> list[tuple[int, str]]:
    """Every slot with its newsletter's name."""
    return [(slot.id, f"{one.name}, {slot.label}") for one in my_newsletters() for slot in one.slots]


@pages.get(ONE, endpoint="edition")
@staff_only
def show(id: int) -> str:
    return page_of(edition(id))


def page_of(shown: Edition, **more: object) -> str:
    """The page of an edition; `more` is what its desk has to say besides."""
    now = the_clock().now()
    findings = checking.findings(shown, now)
    report = reporting.report(shown, now) if shown.frozen_at is not None else None
    blocked = shown.state is EditionState.DRAFTED and any(one.blocking for one in findings)
    return render_template(
        "admin/edition.html",
        edition=shown,
        revision=shown.revision,
        pinned={mark.story_id for mark in marks_of(shown.newsletter_id) if mark.mark is Mark.PINNED},
        report=report,
        counted=report.counted if report else None,
        received=_received(shown, report),
        others=others_of_the_day(shown),
        corrects=db.session.get(Revision, shown.corrects_id) if shown.corrects_id else None,
        audience_now=audience.expected(shown) if shown.frozen_at is None else shown.audience or 0,
        findings=findings,
        may_edit=me().may(Right.EDIT),
        may_send=me().may(Right.SEND),
        late=now >= shown.start_by,
        actions=actions_of(shown) - ({"approve", "send"} if blocked else set()),
        next_step=next_step(shown, now, blocked),
        nothing_starts=_nothing_starts(shown, now),
        seconds_left=_seconds_left(shown, now),
        **desk.told(shown, now) | more,
    )


def _received(shown: Edition, report: Report | None) -> list[tuple[Revision, int]]:
    """The revisions that readers may have, each with how many. Where there is one only, its figures are there."""
    sealed = [one for one in shown.revisions if one.sealed_at is not None]
    if report is None or report.counted is None or len(sealed) != 1:
        return correcting.received(shown)
    states = (DeliveryState.ACCEPTED, DeliveryState.UNCERTAIN, DeliveryState.SENDING)
    copies = sum(report.counted.states[state] + report.welcome.get(state, 0) for state in states)
    return [(sealed[0], copies)] if copies else []


def actions_of(shown: Edition) -> set[str]:
    """What can be done with an edition now, whoever may do it."""
    state, cooling = shown.state, _cools_off(shown)
    going = state is EditionState.SENDING and shown.reason is None
    draft = state in (EditionState.PLANNED, EditionState.DRAFTED) and shown.corrects_id is None
    left_out = state is EditionState.SKIPPED and shown.kind is EditionKind.DAILY
    can = {
        "approve": state is EditionState.DRAFTED and shown.held_at is None,
        "send": state in (EditionState.DRAFTED, EditionState.APPROVED) and not cooling,
        "pull_back": cooling,
        "pause": going and shown.paused_at is None and shown.held_at is None,
        "unpause": going and shown.paused_at is not None,
        "hold": shown.held_at is None and state in OPEN and not cooling,
        "resume": shown.held_at is not None,
        "recompose": draft or left_out,
        "edit": state in (EditionState.DRAFTED, EditionState.APPROVED) and not cooling,
        "pull_story": state in UNSENT and state is not EditionState.DRAFTED and shown.reason is None,
        "cancel": state in OPEN or going,
        "correct": state in (EditionState.SENDING, EditionState.SENT),
    }
    return {name for name, possible in can.items() if possible}


def _cools_off(shown: Edition) -> bool:
    return shown.send_at is not None and shown.state is EditionState.APPROVED


def _seconds_left(shown: Edition, now: datetime) -> int | None:
    """Until a Send by hand takes effect; None when nothing is to be waited for."""
    if shown.send_at is None or not _cools_off(shown):
        return None
    return max(0, round((shown.send_at - now).total_seconds()))


def _nothing_starts(shown: Edition, now: datetime) -> str | None:
    """Why nothing starts by itself, for a page on which somebody waits for it."""
    if shown.state not in (*OPEN, EditionState.SENDING):
        return None
    if (reason := safety.halted()) is not None:
        return f"Nothing is sent: {reason}"
    asleep = releasing.asleep_since(now) if shown.state in OPEN else None
    if asleep is None:
        return None
    return f"The scheduler gave no sign of life since {moment(asleep)}. Nothing starts until it runs again."


def next_step(shown: Edition, now: datetime, blocked: bool = False) -> str:
    """What will happen next to an edition by itself, in a sentence or two. `blocked` is by what preflight found."""
    if shown.held_at is not None:
        return f"Held: {shown.held_reason}. {_while_stopped(shown)}"
    if shown.paused_at is not None:
        return f"Paused since {moment(shown.paused_at, shown.slot.zone)}. {_while_stopped(shown)}"
    if shown.state is EditionState.SENDING:
        return _going_out(shown)
    if shown.send_at is not None and shown.state in OPEN:
        return f"It goes out at {moment(shown.send_at, shown.slot.zone)}, unless somebody pulls it back."
    if shown.state in OPEN:
        return _ahead(shown, now, blocked)
    why = f": {shown.reason}" if shown.reason else ""
    ends = {
        EditionState.SENT: f"It was stopped before its end{why}." if why else "It has gone out.",
        EditionState.SKIPPED: f"It was left out{why}.",
        EditionState.CANCELLED: f"It was cancelled{why}.",
    }
    return ends[shown.state]


def _while_stopped(shown: Edition) -> str:
    if shown.state is EditionState.SENDING:
        return f"Nothing more goes out until somebody goes on, and what has not gone out by {_end(shown)} expires."
    return "It goes nowhere until somebody sends or resumes it."


def _going_out(shown: Edition) -> str:
    if shown.reason is None:
        return f"It is going out now. What has not gone out by {_end(shown)} expires."
    return f"It was ended: {shown.reason}. What was on its way at that moment still arrives."


def _ahead(shown: Edition, now: datetime, blocked: bool) -> str:
    if shown.kind is not EditionKind.DAILY:
        return "It goes out when somebody sends it, and never by itself."
    if now >= shown.start_by:
        return "It has missed its hour, so it does not go out by itself any more."
    at = shown.slot.label if shown.slot.zone == "UTC" else f"{shown.slot.label} time"
    if shown.state is EditionState.DRAFTED and shown.newsletter.approval is Approval.AUTO:
        if blocked:
            return f"As it is, it is held at {at}, because of what stands below."
        return f"It goes out by itself at {at}, unless somebody holds it."
    sentences = {
        EditionState.PLANNED: "It has no draft yet.",
        EditionState.DRAFTED: f"It waits for somebody to approve it, and would then go out at {at}.",
        EditionState.APPROVED: f"It goes out at {at}. What readers get is settled.",
    }
    return sentences[shown.state]


def _end(shown: Edition) -> str:
    return moment(shown.finish_by, shown.slot.zone)


@pages.get(f"{ONE}/preview/<any(html, text):form>")
@staff_only
def preview(id: int, form: str) -> ResponseReturnValue:
    shown = edition(id)
    if shown.revision is None:
        return error_page(404, sentence="This edition has no draft yet.")
    scheme = request.args.get("scheme") if request.args.get("scheme") in desk.SCHEMES else None
    content = rendering.preview(rendering.parts_of(shown.revision), shown.newsletter, form, scheme)
    if form == "text":
        return Response(content, mimetype="text/plain", headers={"Content-Security-Policy": TEXT_POLICY})
    return mail_in_a_frame(content)


@pages.post("/editions/compose")
@needs(Right.EDIT)
def compose() -> ResponseReturnValue:
    slot, now, by = (
        my_newsletter(request.form.get("newsletter") or None).default_slot,
        the_clock().now(),
        me().actor,
    )
    return attempt(
        lambda: publishing.compose(slot, publishing.today(slot, now), now, by),
        "Today's edition is drafted.",
        url_for("admin.editions"),
    )


@pages.post(f"{ONE}/recompose")
@needs(Right.EDIT)
def recompose(id: int) -> ResponseReturnValue:
    by = me().actor
    return attempt(
        lambda: adding.compose_again(id, the_clock().now(), by),
        "It is composed again from the latest stories.",
        url_for("admin.edition", id=id),
    )


@pages.post(f"{ONE}/approve")
@needs(Right.SEND)
def approve(id: int) -> ResponseReturnValue:
    by, typed, seen = me().actor, request.form.get("audience"), request.form.get("seen", type=int)
    return attempt(
        lambda: releasing.approve(id, the_clock().now(), by, typed_audience=typed, seen=seen),
        "Approved. What readers will get is settled now.",
        url_for("admin.edition", id=id),
    )


@pages.post(f"{ONE}/send")
@needs(Right.SEND)
def send(id: int) -> ResponseReturnValue:
    by, typed, readers = me().actor, request.form.get("typed_date"), request.form.get("audience")
    seen = request.form.get("seen", type=int)
    try:
        found = releasing.send(id, the_clock().now(), by, typed, typed_audience=readers, seen=seen)
    except NewsletterError as error:
        flash(str(error), "problem")
    else:
        cools = "Sent. It goes out in a moment; until then you can pull it back."
        flash(cools if found.state in OPEN else "It is going out.", "done")
    return redirect(url_for("admin.edition", id=id), 303)


@pages.post(f"{ONE}/hold")
@needs(Right.EDIT)
def hold(id: int) -> ResponseReturnValue:
    by, reason = me().actor, request.form.get("reason", "")
    return attempt(
        lambda: publishing.hold(id, reason, the_clock().now(), by),
        "Held. Nothing more goes out until somebody resumes it.",
        url_for("admin.edition", id=id),
    )


@pages.post(f"{ONE}/resume")
@needs(Right.SEND)
def resume(id: int) -> ResponseReturnValue:
    by = me().actor
    return attempt(
        lambda: publishing.resume(id, the_clock().now(), by),
        "Resumed. It goes on where it was.",
        url_for("admin.edition", id=id),
    )
