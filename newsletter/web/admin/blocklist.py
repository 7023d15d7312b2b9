"""The blocklist: addresses and domains that nobody signs up with."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.foundation.clock import the_clock
from newsletter.foundation.text import one_line
from newsletter.staff.rights import Right
from newsletter.subscribers import blocking
from newsletter.subscribers.blocking import Blocked, PatternInvalid, TooManyLines
from newsletter.web.admin.access import attempt, me, needs, pages, whole_house

SHOWN = 200
SHOWN_FAULTS = 10


@pages.get("/blocklist", endpoint="blocklist")
@whole_house
def show() -> str:
    return _page()


def _page(typed: str = "", note: str = "", error: str = "", **several: str) -> str:
    search = one_line(request.args.get("q", ""))[:254]
    found = blocking.blocked(search, SHOWN + 1)
    return render_template(
        "admin/blocklist.html",
        blocked=found[:SHOWN],
        more=len(found) > SHOWN,
        count=blocking.how_many(),
        search=search,
        typed=typed,
        note=note,
        error=error,
        several=several,
        may_help=me().may(Right.HELP_SUBSCRIBERS),
    )


@pages.post("/blocklist", endpoint="block")
@needs(Right.HELP_SUBSCRIBERS, whole_house=True)
def block() -> ResponseReturnValue:
    typed, note = request.form.get("pattern", ""), request.form.get("note", "")
    try:
        added = blocking.block(typed, note, the_clock().now(), me().actor)
    except PatternInvalid as error:
        return _page(typed, note, str(error)), 422
    flash(f"{typed.strip()} {'is blocked' if added else 'was blocked already'}.", "done")
    return redirect(url_for("admin.blocklist"), 303)


@pages.post("/blocklist/several", endpoint="block_several")
@needs(Right.HELP_SUBSCRIBERS, whole_house=True)
def block_several() -> ResponseReturnValue:
    typed, note = request.form.get("patterns", ""), request.form.get("note", "")
    try:
        done = blocking.block_all(typed, note, the_clock().now(), me().actor)
    except TooManyLines as error:
        return _page(patterns=typed, note_to_all=note, wrong=str(error)), 422
    if done.faults:
        return _page(patterns="\n".join(done.faults), note_to_all=note, wrong=_told(done)), 422
    flash(_told(done), "done")
    return redirect(url_for("admin.blocklist"), 303)


def _told(done: Blocked) -> str:
    known = f" {done.known:,} were before." if done.known else ""
    if not done.faults:
        return f"Blocked: {done.added:,}.{known}"
    named = ", ".join(f"“{one[:60]}”" for one in done.faults[:SHOWN_FAULTS])
    others = " and others" if len(done.faults) > SHOWN_FAULTS else ""
    return f"Blocked: {done.added:,}.{known} These cannot be: {named}{others}. Mend them below, and block the rest."


@pages.post("/blocklist/unblock", endpoint="unblock")
@needs(Right.HELP_SUBSCRIBERS, whole_house=True)
def unblock() -> ResponseReturnValue:
    pattern = request.form.get("pattern", "")
    return attempt(
        lambda: blocking.unblock(pattern, the_clock().now(), me().actor),
        f"{pattern} is not blocked any more.",
        url_for("admin.blocklist"),
    )
