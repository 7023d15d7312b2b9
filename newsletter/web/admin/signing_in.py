"""Coming in and going out: by password, passkey, link and code."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import logout_user

from newsletter.foundation.clock import the_clock
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.links import LinkExpired, LinkInvalid, the_links
from newsletter.foundation.secrets import the_keys
from newsletter.mail.message import Sender
from newsletter.newsletters.models import newsletters
from newsletter.staff import inviting, notes, passkeys, sessions, signing_in
from newsletter.staff.guessing import TooManyFailures
from newsletter.staff.passkeys import Answer
from newsletter.staff.passwords import SignInBusy
from newsletter.staff.signing_in import LinkUsed, StaffExists, WaitedTooLong
from newsletter.subscribers.mails import sender_of
from newsletter.web.admin.access import (
    AWAITING,
    anyone,
    first_steps,
    me,
    pages,
    proven,
    staff_only,
    visit,
    wanted_page,
    welcome,
)

STATES = {LinkInvalid: "invalid", LinkUsed: "used", LinkExpired: "expired", StaffExists: "exists"}


def status_of(error: NewsletterError) -> int:
    """What a refused sign-in is answered with."""
    return {TooManyFailures: 429, SignInBusy: 503}.get(type(error), 422)


def staffs_sender() -> Sender:
    """Staff are written to in the first newsletter's name, since its address is one that the relay takes."""
    every = newsletters()
    return sender_of(every[0]) if every else notes.nobodys_sender()


@pages.route("/sign-in", methods=["GET", "POST"])
@anyone
def sign_in() -> ResponseReturnValue:
    if request.method != "POST":
        return _sign_in_page()
    address = request.form.get("address", "")
    try:
        if "passkey" in request.form:
            token = signing_in.sign_in_by_passkey(Answer(request.form["passkey"]), visit())
        else:
            token = signing_in.sign_in(address, request.form.get("password", ""), visit())
    except NewsletterError as error:
        return _sign_in_page(address, error), status_of(error)
    return welcome(token)


def _sign_in_page(address: str = "", error: NewsletterError | None = None) -> str:
    prompt = passkeys.to_ask(passkeys.SIGN_IN, the_clock().now()) if passkeys.are_possible() else None
    return render_template("admin/sign_in.html", address=address, error=error, prompt=prompt)


@pages.route("/sign-in/code", endpoint="sign_in_code", methods=["GET", "POST"])
@anyone
def code() -> ResponseReturnValue:
    """The second step, for who gave a password or a link."""
    token = str(session.get(AWAITING, ""))
    found = sessions.awaiting(token, the_clock().now())
    if found is None:
        return _begin_again()
    error = None
    if request.method == "POST":
        try:
            if "passkey" in request.form:
                signing_in.give_passkey(token, Answer(request.form["passkey"]), visit())
            else:
                signing_in.give_code(token, request.form.get("code", ""), visit(), the_keys())
            return welcome(token)
        except WaitedTooLong:
            return _begin_again()
        except NewsletterError as problem:
            error, found = problem, sessions.awaiting(token, the_clock().now())
    if found is None:
        return _begin_again()
    person, purpose = found.staff, passkeys.proof_by(found.staff_id)
    prompt = passkeys.to_ask(purpose, the_clock().now(), person) if person.passkeys else None
    page = render_template("admin/sign_in_code.html", person=person, prompt=prompt, error=error)
    return page, status_of(error) if error else 200


def _begin_again() -> ResponseReturnValue:
    flash("That took too long, or it was begun in another browser. Please sign in again.", "problem")
    return redirect(url_for("admin.sign_in", next=wanted_page()), 303)


@pages.route("/sign-in/forgotten", endpoint="forgotten", methods=["GET", "POST"])
@anyone
def forgotten() -> ResponseReturnValue:
    """The same answer for whomever, so that nobody learns who is on the staff."""
    if request.method != "POST":
        return render_template("admin/forgotten.html", asked=None)
    address = request.form.get("address", "").strip()
    signing_in.ask_for_link(address, visit(), the_links(), staffs_sender())
    return render_template("admin/forgotten.html", asked=address)


@pages.route("/link/<token>", methods=["GET", "POST"])
@anyone
def link(token: str) -> ResponseReturnValue:
    try:
        if request.method == "POST":
            return welcome(signing_in.use_link(token, visit()))
        address = signing_in.link(token, the_clock().now()).staff.address
    except (LinkInvalid, LinkUsed, LinkExpired) as error:
        return render_template("admin/sign_in_link.html", state=STATES[type(error)], address=None), 410
    return render_template("admin/sign_in_link.html", state="ask", address=address)


@pages.route("/invitation/<token>", methods=["GET", "POST"])
@anyone
def invitation(token: str) -> ResponseReturnValue:
    try:
        if request.method == "POST":
            answer = welcome(inviting.accept(token, visit()), url_for("admin.me"))
            flash("Welcome. Choose now how you sign in from here on: with a password, a passkey, or both.", "done")
            return answer
        asked = inviting.read(token, the_clock().now())
    except (LinkInvalid, LinkUsed, LinkExpired, StaffExists) as error:
        return render_template("admin/invitation.html", state=STATES[type(error)], asked=None), 410
    return render_template("admin/invitation.html", state="ask", asked=asked, what=notes.WHAT_THEY_DO[asked.role])


@pages.post("/prove")
@proven
@first_steps
@staff_only
def prove() -> ResponseReturnValue:
    """On to where a proof was wanted, once it is given."""
    return redirect(wanted_page() or url_for("admin.home"), 303)


@pages.post("/sign-out")
@first_steps
@staff_only
def sign_out() -> ResponseReturnValue:
    sessions.sign_out(me().get_id(), the_clock().now())
    logout_user()
    flash("You are signed out.", "done")
    return redirect(url_for("admin.sign_in"), 303)
