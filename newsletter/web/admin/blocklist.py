"""The blocklist: addresses and domains that nobody signs up with."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.foundation.clock import the_clock
from newsletter.staff.rights import Right
from newsletter.subscribers import blocking
from newsletter.subscribers.blocking import PatternInvalid
from newsletter.web.admin.access import attempt, me, needs, pages, whole_house


@pages.get("/blocklist", endpoint="blocklist")
@whole_house
def show() -> str:
    return _page()


def _page(typed: str = "", note: str = "", error: str = "") -> str:
    return render_template(
        "admin/blocklist.html",
        blocked=blocking.blocked(),
        typed=typed,
        note=note,
        error=error,
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


@pages.post("/blocklist/unblock", endpoint="unblock")
@needs(Right.HELP_SUBSCRIBERS, whole_house=True)
def unblock() -> ResponseReturnValue:
    pattern = request.form.get("pattern", "")
    return attempt(
        lambda: blocking.unblock(pattern, the_clock().now(), me().actor),
        f"{pattern} is not blocked any more.",
        url_for("admin.blocklist"),
    )
