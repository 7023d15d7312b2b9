"""The account of the person who is signed in: how they sign in, where they are, and what they get as mail."""

from __future__ import annotations

import io
from collections.abc import Sequence

import segno
from flask import Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.foundation.clock import the_clock
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.secrets import the_keys
from newsletter.staff import codes, devices, passkeys, sessions, settings
from newsletter.staff.codes import CodesNotBegun
from newsletter.staff.models import Staff, second_factor_required
from newsletter.staff.passkeys import Answer
from newsletter.staff.rights import Right
from newsletter.web.admin.access import (
    attempt,
    first_steps,
    me,
    must_set_up,
    pages,
    person_here,
    proven,
    session_here,
    staff_only,
    visit,
)
from newsletter.web.admin.signing_in import status_of


@pages.get("/me", endpoint="me")
@first_steps
@staff_only
def mine() -> str:
    return _page()


def _page(error: NewsletterError | None = None) -> str:
    person, now = person_here(), the_clock().now()
    return render_template(
        "admin/me.html",
        person=person,
        may_approve=me().may(Right.EDIT),
        needs_old_password=settings.needs_old_password(session_here(), now),
        sessions=[(one, devices.in_words(one.user_agent)) for one in sessions.sessions_of(person.id, now)],
        here=me().session_id,
        recovery_left=codes.recovery_left(person.id),
        passkeys_possible=passkeys.are_possible(),
        must_set_up=must_set_up(),
        required=second_factor_required(),
        error=error,
    )


@pages.post("/me/mails", endpoint="my_mails")
@staff_only
def change_mails() -> ResponseReturnValue:
    offered = settings.WISHES if me().may(Right.EDIT) else ("wants_alerts",)
    wishes = {wish: "yes" if wish in request.form else "no" for wish in offered}
    settings.change(me().address, the_clock().now(), me().actor, **wishes)
    flash("Saved.", "done")
    return redirect(url_for("admin.me"), 303)


@pages.post("/me/password", endpoint="my_password")
@first_steps
@staff_only
def change_password() -> ResponseReturnValue:
    """Who comes by a link from their mailbox need not know the old one."""
    if session_here().staff.password_hash is None and not me().is_proved:
        return _page(NotFresh()), 422
    form = request.form
    try:
        ended = settings.set_password(me().session_id, form.get("new", ""), form.get("old", ""), visit(), me().actor)
    except NewsletterError as error:
        return _page(error), status_of(error)
    elsewhere = " You are signed out everywhere else." if ended else ""
    flash(f"Your password is changed.{elsewhere}", "done")
    return redirect(url_for("admin.me"), 303)


class NotFresh(NewsletterError):
    """To set a first password, sign in again with a passkey or a one-time link; that was too long ago."""


# Passkeys


@pages.route("/me/passkeys/add", endpoint="add_passkey", methods=["GET", "POST"])
@proven
@first_steps
@staff_only
def add_passkey() -> ResponseReturnValue:
    now, error = the_clock().now(), None
    if request.method == "POST" and "passkey" in request.form:
        try:
            answer, name = Answer(request.form["passkey"]), request.form.get("name", "")
            made = passkeys.add(me().id, name, answer, now, me().actor)
        except NewsletterError as problem:
            error = problem
        else:
            flash(f"“{made.name}” opens the newsroom from now on.", "done")
            return redirect(url_for("admin.me"), 303)
    possible = passkeys.are_possible()
    prompt = passkeys.to_add(person_here(), now) if possible else None
    page = render_template("admin/passkey_add.html", prompt=prompt, error=error, name=request.form.get("name", ""))
    return page, 422 if error else 200


@pages.post("/me/passkeys/<int(max=2147483647):id>/remove", endpoint="remove_passkey")
@proven
@staff_only
def remove_passkey(id: int) -> ResponseReturnValue:
    return attempt(
        lambda: passkeys.remove(me().id, id, the_clock().now(), me().actor),
        "That passkey opens nothing here any more.",
        url_for("admin.me"),
    )


# Codes


@pages.post("/me/codes/begin", endpoint="begin_codes")
@proven
@first_steps
@staff_only
def begin_codes() -> ResponseReturnValue:
    codes.begin(me().id)
    return redirect(url_for("admin.codes"), 303)


@pages.route("/me/codes", endpoint="codes", methods=["GET", "POST"])
@proven
@first_steps
@staff_only
def set_up_codes() -> ResponseReturnValue:
    person, error = person_here(), None
    if person.has_codes or person.totp_salt is None:
        return redirect(url_for("admin.me"), 303)
    if request.method == "POST" and "code" in request.form:
        try:
            made = codes.confirm(me().id, request.form["code"], the_clock().now(), the_keys(), me().actor)
        except NewsletterError as problem:
            error, person = problem, person_here()
        else:
            return _recovery_page(made, first=True)
    return _codes_page(person, error), 422 if error else 200


def _codes_page(person: Staff, error: NewsletterError | None) -> str:
    secret = codes.secret(person, the_keys())
    return render_template("admin/codes.html", secret=[secret[i : i + 4] for i in range(0, 32, 4)], error=error)


@pages.get("/me/codes/picture.svg", endpoint="codes_picture")
@proven
@first_steps
@staff_only
def codes_picture() -> Response:
    """What the app's camera reads, while it is offered."""
    person = person_here()
    if person.has_codes:
        raise CodesNotBegun
    picture = io.BytesIO()
    segno.make(codes.address(person, the_keys()), error="m").save(picture, kind="svg", scale=5, light="#fff")
    return Response(picture.getvalue(), mimetype="image/svg+xml")


@pages.post("/me/codes/stop", endpoint="stop_codes")
@proven
@staff_only
def stop_codes() -> ResponseReturnValue:
    return attempt(
        lambda: codes.stop(me().id, the_clock().now(), me().actor),
        "No codes are wanted any more. The entry in your app can go.",
        url_for("admin.me"),
    )


@pages.post("/me/codes/recovery", endpoint="recovery_codes")
@proven
@staff_only
def renew_recovery() -> ResponseReturnValue:
    try:
        made = codes.renew_recovery(me().id, the_clock().now(), me().actor)
    except NewsletterError as error:
        flash(str(error), "problem")
        return redirect(url_for("admin.me"), 303)
    return _recovery_page(made)


def _recovery_page(made: Sequence[str], *, first: bool = False) -> str:
    return render_template("admin/recovery_codes.html", codes=made, first=first)


# Sessions


@pages.post("/me/sessions/<int(max=2147483647):id>/end", endpoint="end_session")
@staff_only
def end_session(id: int) -> ResponseReturnValue:
    return attempt(
        lambda: sessions.end(me().id, id, the_clock().now(), me().actor),
        "That browser is signed out.",
        url_for("admin.me"),
    )


@pages.post("/me/sessions/end-others", endpoint="end_other_sessions")
@staff_only
def end_others() -> ResponseReturnValue:
    return attempt(
        lambda: sessions.end_others(me().id, me().session_id, the_clock().now(), me().actor),
        "You are signed out everywhere but here.",
        url_for("admin.me"),
    )
