"""Who is signed in, and what they may do here: what each route decided, kept before any of them runs.

A route says with `anyone`, `staff_only` or `needs` whom it is for; one that says nothing is for nobody. What lies below
one of the `PLACES` belongs to a newsletter, and who does not work for that one is told that it is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, UserMixin, current_user, login_user

from newsletter.foundation import safety
from newsletter.foundation.audit import Actor
from newsletter.foundation.clock import the_clock
from newsletter.foundation.errors import NewsletterError, NotFound
from newsletter.foundation.secrets import the_keys
from newsletter.newsletters.models import Newsletter, newsletter, newsletters
from newsletter.staff import passkeys, proving, rights, sessions
from newsletter.staff.guessing import TooManyFailures
from newsletter.staff.models import Role, Staff, StaffSession, second_factor_required
from newsletter.staff.passkeys import Answer
from newsletter.staff.passwords import SignInBusy
from newsletter.staff.rights import Right
from newsletter.staff.sessions import Visit
from newsletter.web.admin.places import Place, place_of
from newsletter.web.security import POLICY, at_fault

pages = Blueprint("admin", __name__, url_prefix="/admin")
manager = LoginManager()

LIVE_POLICY = f"{POLICY}; connect-src 'self'"
"""Staff's pages ask for parts of themselves anew."""

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Decision:
    """Whom a route is for.

    `right` is what it takes beside being signed in. `visitors` may see it too. `whole_house` is not for who is limited
    to some newsletters. `again` wants a fresh proof. `first_steps` is open to who has still to set up a second factor.
    """

    right: Right | None = None
    visitors: bool = False
    whole_house: bool = False
    again: bool = False
    first_steps: bool = False


def _decided(view: View, decision: Decision) -> View:
    view.decision = decision  # type: ignore[attr-defined]
    return view


def decision_of(view: Callable[..., Any]) -> Decision | None:
    """None where nobody has decided."""
    return getattr(view, "decision", None)


def anyone(view: View) -> View:
    """For visitors too."""
    return _decided(view, Decision(visitors=True))


def staff_only(view: View) -> View:
    return _decided(view, Decision())


def needs(right: Right, *, whole_house: bool = False) -> Callable[[View], View]:
    """For staff who have the right; others get 403, visitors the sign-in page."""
    return lambda view: _decided(view, Decision(right, whole_house=whole_house))


def whole_house(view: View) -> View:
    """For staff who work for all newsletters; others get 403."""
    return _decided(view, Decision(whole_house=True))


def first_steps(view: View) -> View:
    """For staff, also while they have still to set up a second factor."""
    return _decided(view, replace(decision_of(view) or Decision(), first_steps=True))


def proven(view: View) -> View:
    """Only within ten minutes of proving that it is them; stands above what says whom it is for."""
    return _decided(view, replace(decision_of(view) or Decision(), again=True))


class SignedIn(UserMixin):  # type: ignore[misc]
    """The person behind a browser's session, as Flask-Login wants them: `get_id` is the session's token."""

    def __init__(self, token: str, session: StaffSession) -> None:
        person = session.staff
        self._token = token
        self.session_id = session.id
        self.is_proved = sessions.is_proved(session, the_clock().now())
        self.id = person.id
        self.address = person.address
        self.role: Role = person.role
        self.may_send = person.may_send
        self.newsletter_ids = person.newsletter_ids
        self.actor: Actor = sessions.actor(person, request.remote_addr)

    def get_id(self) -> str:
        return self._token

    @property
    def limited(self) -> bool:
        return self.newsletter_ids is not None

    def may(self, right: Right) -> bool:
        return rights.may(self, right)

    def sees(self, newsletter_id: int | None) -> bool:
        """Whether they work for it; what belongs to no newsletter is seen by who works for all."""
        if newsletter_id is None:
            return not self.limited
        return rights.sees(self, newsletter_id)


def install(app: Flask) -> None:
    manager.init_app(app, add_context_processor=False)
    manager.login_view = "admin.sign_in"
    manager.login_message = None
    app.context_processor(lambda: {"me": None if at_fault() or not current_user.is_authenticated else me()})
    app.context_processor(lambda: {"halted": safety.halted})


@manager.user_loader  # type: ignore[untyped-decorator]
def _load(token: str) -> SignedIn | None:
    now = the_clock().now()
    found = sessions.session_of(token, now)
    if found is None:
        return None
    sessions.seen(found, now)
    return SignedIn(token, found)


def me() -> SignedIn:
    """Whoever is signed in; only behind `staff_only` and `needs`."""
    return current_user._get_current_object()  # type: ignore[no-any-return]


def visit() -> Visit:
    """Where the visitor is, and when."""
    return Visit(the_clock().now(), request.remote_addr, request.headers.get("User-Agent", ""))


@pages.before_request
def _decide() -> ResponseReturnValue | None:
    """All that is decided about a request before its view."""
    decision = decision_of(current_app.view_functions[request.endpoint or ""])
    if decision is None:
        abort(404)
    if decision.visitors:
        return None
    if not current_user.is_authenticated:
        return manager.unauthorized()  # type: ignore[no-any-return]
    if not decision.first_steps and must_set_up():
        return redirect(url_for("admin.me"), 303)
    if decision.right is not None and not me().may(decision.right):
        abort(403)
    if decision.whole_house and me().limited:
        abort(403)
    _look_at_place()
    return prove_again() if decision.again and not me().is_proved else None


@pages.after_request
def _policy(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", LIVE_POLICY)
    return response


def must_set_up() -> bool:
    """Whether everybody must have a second factor, and who is signed in has none."""
    return second_factor_required() and not person_here().has_second_factor


def person_here() -> Staff:
    return session_here().staff


def session_here() -> StaffSession:
    found = sessions.session_of(me().get_id(), the_clock().now())
    if found is None:
        abort(403)
    return found


# Newsletters


class NotHere(NotFound):
    """There is no such page, or it belongs to a newsletter that you do not work for. Nothing was changed."""


def _look_at_place() -> None:
    """Raises NotHere."""
    place = place_of(request.url_rule.rule if request.url_rule else "")
    if place is not None:
        must_see(place, **(request.view_args or {}))


def must_see(place: Place, **which: Any) -> None:
    """For who is limited, what belongs to another newsletter is not there, and neither is told from the other. Raises
    NotHere."""
    if not me().limited:
        return
    with suppress(NotFound):
        if any(me().sees(id) for id in place(which)):
            return
    raise NotHere


def must_see_all(place: Place, **which: Any) -> None:
    """For what changes it in every newsletter that it belongs to: 403 for who does not work for them all."""
    if me().limited and not all(me().sees(id) for id in place(which)):
        abort(403)


def my_newsletters() -> Sequence[Newsletter]:
    """Those that one works for."""
    return [one for one in newsletters() if me().sees(one.id)]


def my_newsletter(slug: str | None) -> Newsletter:
    """Raises NewsletterUnknown, WhichNewsletter, NoNewsletter."""
    return newsletter(slug, my_newsletters())


# Proving it again


def prove_again() -> ResponseReturnValue | None:
    """None when what came with the form proves it; else the page that asks.

    That page holds all that was filled in and sends it once more, so nothing is lost.
    """
    if request.method == "POST" and any(name in request.form for name in PROOFS):
        try:
            _prove()
        except TooManyFailures as problem:
            return _ask(problem, 429)
        except SignInBusy as problem:
            return _ask(problem, 503)
        except NewsletterError as problem:
            return _ask(problem, 422)
        return None
    return _ask(None, 403)


PROOFS = ("proof_password", "proof_code", "proof_passkey")


def _prove() -> None:
    """Raises what proving raises."""
    id, form, here = me().session_id, request.form, visit()
    if form.get("proof_passkey"):
        proving.by_passkey(id, Answer(form["proof_passkey"]), here)
    elif form.get("proof_code"):
        proving.by_code(id, form["proof_code"], here, the_keys())
    else:
        proving.by_password(id, form.get("proof_password", ""), here)


def _ask(error: NewsletterError | None, status: int) -> ResponseReturnValue:
    kept = [(name, value) for name, value in request.form.items(multi=True) if name not in (*PROOFS, "csrf_token")]
    person, back = person_here(), request.full_path.rstrip("?")
    asking = request.method == "GET"
    page = render_template(
        "admin/prove.html",
        action=url_for("admin.prove", next=back) if asking else back,
        kept=kept,
        person=person,
        prompt=passkeys.to_ask(passkeys.proof_by(person.id), the_clock().now(), person) if person.passkeys else None,
        error=error,
    )
    return page, status


# Coming and going


def attempt(verb: Callable[[], object], done: str, back: str) -> ResponseReturnValue:
    """Call a verb, say how it went, and go back to a page."""
    try:
        verb()
    except NewsletterError as error:
        flash(str(error), "problem")
    else:
        flash(done, "done")
    return redirect(back, 303)


AWAITING = "awaiting"
"""Where the cookie holds the token of a session that still wants a code."""


def welcome(token: str, otherwise: str | None = None) -> ResponseReturnValue:
    """Into the newsroom with a session, or to the page that wants its code."""
    now, wanted = the_clock().now(), wanted_page()
    session.clear()
    if sessions.awaiting(token, now) is not None:
        session[AWAITING] = token
        return redirect(url_for("admin.sign_in_code", next=wanted), 303)
    found = sessions.session_of(token, now)
    if found is None:
        abort(500)
    login_user(SignedIn(token, found))
    return redirect(otherwise or wanted or url_for("admin.home"), 303)


def wanted_page() -> str | None:
    """Where the person wanted to go: a path of this site's staff pages, never another site's."""
    wanted = request.args.get("next", "")
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return None
    elsewhere = parts.scheme or parts.netloc or "\\" in wanted or not wanted.isprintable()
    return wanted if parts.path.startswith("/admin/") and not elsewhere else None
