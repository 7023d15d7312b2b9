"""The words that readers agree to, in each version that there ever was. They are only read here."""

from __future__ import annotations

from flask import render_template, request

from newsletter.staff.rights import Right
from newsletter.subscribers import wordings
from newsletter.web.admin.access import me, my_newsletters, pages, staff_only


@pages.get("/consent-texts", endpoint="consent_texts")
@staff_only
def show() -> str:
    """How many agreed takes a moment where there are millions, so the page asks for it once it is there."""
    mine, counted = my_newsletters(), "counted" in request.args
    return render_template(
        "admin/consent_texts.html",
        newsletters=[(one, wordings.wordings(one)) for one in mine],
        agreed=wordings.agreed([one.id for one in mine]) if counted else None,
        may_own=me().may(Right.OWN),
    )
