"""Approving or holding an edition from the mail with its draft, without signing in.

The token in the address is the person's key, so there is no form token. GET shows and POST does: mail scanners follow
links, and some of them several times.
"""

from __future__ import annotations

from flask import Flask, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.delivery import checking, proposing
from newsletter.delivery.proposing import Asked, NotTheLatest, TooLateToSay
from newsletter.editions import rendering
from newsletter.editions.models import EditionState
from newsletter.editions.preflight import Kind
from newsletter.foundation.clock import the_clock
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.links import LinkInvalid, Purpose
from newsletter.web.admin.access import anyone, pages
from newsletter.web.admin.editions import next_step
from newsletter.web.security import csrf, error_page, mail_in_a_frame

PATH = "/inbox/<any(approve, hold):deed>/<token>"


def install(app: Flask) -> None:
    csrf.exempt(inbox)


@pages.route(PATH, methods=["GET", "POST"])
@anyone
def inbox(deed: str, token: str) -> ResponseReturnValue:
    purpose = Purpose(deed)
    try:
        if request.method != "POST":
            return _page(proposing.read(purpose, token))
        typed = request.form.get("audience")
        proposing.answer(purpose, token, the_clock().now(), request.remote_addr, typed)
    except LinkInvalid:
        return render_template("admin/inbox.html", state="invalid"), 410
    except NewsletterError as error:
        status = 410 if isinstance(error, NotTheLatest | TooLateToSay) else 409
        return _page(proposing.read(purpose, token), error), status
    return redirect(url_for("admin.inbox", deed=deed, token=token), 303)


def _page(asked: Asked, error: NewsletterError | None = None) -> str:
    found, now = asked.edition, the_clock().now()
    state = _state(asked)
    findings = checking.findings(found, now) if state == "ask" else []
    return render_template(
        "admin/inbox.html",
        state=state,
        deed=asked.purpose.value,
        asked=asked,
        edition=found,
        error=None if isinstance(error, NotTheLatest | TooLateToSay) else error,
        findings=findings,
        blocked=any(one.blocking and one.kind is not Kind.AUDIENCE for one in findings),
        typed_is_wanted=any(one.blocking and one.kind is Kind.AUDIENCE for one in findings),
        next_step=next_step(found, now, any(one.blocking for one in findings)),
        token=request.view_args["token"] if request.view_args else "",
    )


def _state(asked: Asked) -> str:
    """What the page has to say: `ask`, or why there is nothing to ask."""
    found = asked.edition
    if not asked.is_open:
        return "closed"
    if not asked.is_latest:
        return "older"
    if asked.purpose is Purpose.HOLD:
        return "done" if found.held_at else "ask"
    if found.state is EditionState.APPROVED:
        return "done"
    return "ask"


@pages.get(f"{PATH}/preview")
@anyone
def inbox_preview(deed: str, token: str) -> ResponseReturnValue:
    try:
        revision = proposing.read(Purpose(deed), token).revision
    except LinkInvalid:
        return error_page(404)
    return mail_in_a_frame(rendering.preview(rendering.parts_of(revision), revision.edition.newsletter, "html"))
