"""Who is signed in, and what they may do here."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, abort, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user, logout_user

from newsletter.foundation import safety
from newsletter.foundation.audit import Actor
from newsletter.foundation.clock import the_clock
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.links import LinkExpired, LinkInvalid
from newsletter.staff import rights, signing_in
from newsletter.staff.models import Role, Staff
from newsletter.staff.rights import Right
from newsletter.staff.signing_in import LinkUsed, SignInBusy, SignInRefused, TooManyFailures
from newsletter.web.security import at_fault

pages = Blueprint("admin", __name__, url_prefix="/admin")
manager = LoginManager()


class SignedIn(UserMixin):  # type: ignore[misc]
    """The person behind a browser's session, as Flask-Login wants them: `get_id` is the session's token."""

    def __init__(self, token: str, person: Staff) -> None:
        self._token = token
        self.id = person.id
        self.address = person.address
        self.role: Role = person.role
        self.actor: Actor = signing_in.actor(person, request.remote_addr)

    def get_id(self) -> str:
        return self._token

    def may(self, right: Right) -> bool:
        return rights.may(self.role, right)


def install(app: Flask) -> None:
    manager.init_app(app, add_context_processor=False)
    manager.login_view = "admin.sign_in"
    manager.login_message = None
    app.context_processor(lambda: {"me": None if at_fault() or not current_user.is_authenticated else me()})
    app.context_processor(lambda: {"halted": safety.halted})


@manager.user_loader  # type: ignore[untyped-decorator]
def _load(token: str) -> SignedIn | None:
    found = signing_in.session_of(token, the_clock().now())
    return SignedIn(token, found.staff) if found else None


def me() -> SignedIn:
    """Whoever is signed in; only behind `staff_only`."""
    return current_user._get_current_object()  # type: ignore[no-any-return]


staff_only: Callable[[Callable[..., Any]], Callable[..., Any]] = login_required


def needs(right: Right) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For staff who have the right; others get 403, visitors the sign-in page."""

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            if not me().may(right):
                abort(403)
            return view(*args, **kwargs)

        return login_required(checked)  # type: ignore[no-any-return]

    return decorate


def attempt(verb: Callable[[], object], done: str, back: str) -> ResponseReturnValue:
    """Call a verb, say how it went, and go back to a page."""
    try:
        verb()
    except NewsletterError as error:
        flash(str(error), "problem")
    else:
        flash(done, "done")
    return redirect(back, 303)


@pages.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> ResponseReturnValue:
    if request.method != "POST":
        return render_template("admin/sign_in.html", address="", error=None)
    address = request.form.get("address", "")
    try:
        token = signing_in.sign_in(
            address, request.form.get("password", ""), the_clock().now(), request.remote_addr or "", _agent()
        )
    except TooManyFailures as error:
        return render_template("admin/sign_in.html", address=address, error=str(error)), 429
    except SignInBusy as error:
        return render_template("admin/sign_in.html", address=address, error=str(error)), 503
    except SignInRefused as error:
        return render_template("admin/sign_in.html", address=address, error=str(error)), 422
    return _welcome(token)


def _agent() -> str:
    return request.headers.get("User-Agent", "")


def _welcome(token: str) -> ResponseReturnValue:
    session.clear()
    found = signing_in.session_of(token, the_clock().now())
    if found is None:
        abort(500)
    login_user(SignedIn(token, found.staff))
    return redirect(_next() or url_for("admin.home"), 303)


def _next() -> str | None:
    """Where the person wanted to go: a path of this site's staff pages, never another site's."""
    wanted = request.args.get("next", "")
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return None
    elsewhere = parts.scheme or parts.netloc or "\\" in wanted or not wanted.isprintable()
    return wanted if parts.path.startswith("/admin/") and not elsewhere else None


@pages.route("/link/<token>", methods=["GET", "POST"])
def link(token: str) -> ResponseReturnValue:
    now = the_clock().now()
    try:
        if request.method == "POST":
            return _welcome(signing_in.use_link(token, now, request.remote_addr, _agent()))
        address = signing_in.link(token, now).staff.address
    except (LinkInvalid, LinkUsed, LinkExpired) as error:
        state = {LinkInvalid: "invalid", LinkUsed: "used", LinkExpired: "expired"}[type(error)]
        return render_template("admin/sign_in_link.html", state=state, address=None), 410
    return render_template("admin/sign_in_link.html", state="ask", address=address)


@pages.post("/sign-out")
@staff_only
def sign_out() -> ResponseReturnValue:
    signing_in.sign_out(me().get_id(), the_clock().now())
    logout_user()
    flash("You are signed out.", "done")
    return redirect(url_for("admin.sign_in"), 303)
