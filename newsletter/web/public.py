"""Pages to sign up, confirm and leave. GET shows, POST does: scanners follow links in mails (DESIGN.md §5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    current_app,
    get_template_attribute,
    redirect,
    render_template,
    request,
    send_file,
    url_for,
)
from flask.typing import ResponseReturnValue

from newsletter.delivery import watching, welcoming
from newsletter.foundation import database
from newsletter.foundation.clock import the_clock
from newsletter.foundation.errors import CannotStart
from newsletter.foundation.links import LinkExpired, LinkInvalid, Purpose, the_links
from newsletter.foundation.parts import Part
from newsletter.foundation.secrets import the_keys
from newsletter.mail import addresses
from newsletter.mail.addresses import AddressInvalid
from newsletter.newsletters import calendar
from newsletter.newsletters.models import Newsletter, Offer, Slot, newsletter, newsletters, offers
from newsletter.stories.pictures import the_pictures
from newsletter.subscribers import preferences, signing_up
from newsletter.subscribers.asking import ProofNeeded, TooManyAsked
from newsletter.subscribers.models import (
    SignUpRequest,
    Subscription,
    SubscriptionState,
    active_subscription,
    subscriber_at,
)
from newsletter.subscribers.preferences import Reason
from newsletter.subscribers.signing_up import Asked, NotWelcome, Wishes
from newsletter.web import speaking, visitors
from newsletter.web.security import csrf

pages = Blueprint("public", __name__)

GAP = "\N{SUBSTITUTE}"
"""Stands in for the address on a page that is composed once for everybody."""

the_answer: Part[Callable[[tuple[Offer, ...], str], str]] = Part("answer")


def install(app: Flask) -> None:
    # These forms stand on other sites too and carry no cookie; what they do is guarded by tokens and caps instead.
    csrf.exempt(pages)
    app.register_blueprint(pages)
    the_answer.install(app, lru_cache(maxsize=100)(_compose_answer))


@pages.get("/")
def index() -> str:
    return render_template("public/index.html", newsletter=visitors.only_newsletter(), offered=newsletters())


@pages.get("/look/<slug>.css")
def look(slug: str) -> Response:
    """The newsletter's own colour, as a stylesheet, because our policy lets no page carry styles."""
    css = f":root {{ --accent: {newsletter(slug).accent}; }}\n"
    return Response(css, mimetype="text/css", headers={"Cache-Control": "public, max-age=300"})


@pages.get("/subscribe")
def subscribe_form() -> str:
    named = _named(request.args.getlist("newsletter"))
    offered = named or newsletters()
    return _form(offered, named) if offered else index()


def _named(slugs: Sequence[str]) -> list[Newsletter]:
    """Those newsletters, each once. Raises NewsletterUnknown."""
    return [newsletter(slug[:80]) for slug in dict.fromkeys(slugs) if slug]


def _form(
    offered: Sequence[Newsletter],
    chosen: Sequence[Newsletter] = (),
    address: str = "",
    error: str = "",
    unchosen: bool = False,
    slot_ids: Sequence[int] = (),
) -> str:
    """The page with the form: one newsletter's, or a choice of several. `unchosen` says that none was ticked."""
    return render_template(
        "public/sign_up.html",
        newsletter=offered[0] if len(offered) == 1 else None,
        offered=offered,
        chosen=chosen,
        address=address,
        error=error,
        unchosen=unchosen,
        slot_ids=slot_ids,
    )


@pages.post("/subscribe")
def subscribe() -> ResponseReturnValue:
    typed, slot_ids = request.form.get("email", ""), request.form.getlist("slot", type=int)
    slugs = [slug[:80] for slug in request.form.getlist("newsletter") if slug]
    several = "several" in request.form or not slugs
    if not slugs and len(offered := newsletters()) != 1:
        return (_form(offered, address=typed, unchosen=True, slot_ids=slot_ids) if offered else index()), 422
    slugs = slugs or [offered[0].slug]
    if meant := visitors.doubted(typed):
        return visitors.doubt_page(_named(slugs)[0], meant)
    wishes = Wishes(slugs, slot_ids, request.form.get("zone", ""), speaking.chosen())
    try:
        address = addresses.parse(typed)
        if visitors.is_machine():
            wanted: Sequence[Offer] = offers(slugs)
        else:
            wanted = signing_up.request(wishes, address, visitors.origin(), the_clock().now(), the_keys()).offers
    except AddressInvalid as error:
        chosen = _named(slugs)
        return _form(newsletters() if several else chosen, chosen, typed, speaking.said(error), slot_ids=slot_ids), 422
    except ProofNeeded:
        return visitors.proof_page(_named(slugs)[0])
    except TooManyAsked:
        return visitors.too_many_page(_named(slugs)[0])
    return _signed_up(tuple(wanted), address)


def _signed_up(wanted: tuple[Offer, ...], address: str) -> str:
    """The answer to most sign-ups. Up to the address it is the same for everybody, so it is composed once."""
    page = the_answer()(wanted, speaking.language())
    return page.replace(GAP, get_template_attribute("macros.html", "mail_address")(address))


def _compose_answer(wanted: tuple[Offer, ...], _language: str) -> str:
    return render_template("public/signed_up.html", newsletter=wanted[0], wanted=wanted, address=GAP)


@pages.route("/confirm/<token>", methods=["GET", "POST"])
def confirm(token: str) -> ResponseReturnValue:
    now, links = the_clock().now(), the_links()
    try:
        if request.method == "POST":
            asked = signing_up.confirm(token, visitors.origin(), now, the_keys(), links)
            state = _state(asked, "done")
        else:
            asked = signing_up.asked(token, now, links)
            state = _state(asked, "ask")
    except LinkInvalid:
        return _confirm_page("invalid", None, now), 404
    except LinkExpired:
        return _confirm_page("expired", signing_up.expired_request(token, links), now), 410
    except NotWelcome:
        return _confirm_page("refused", signing_up.expired_request(token, links), now), 403
    return _confirm_page(state, asked.request, now)


def _state(asked: Asked, fresh: str) -> str:
    if not asked.already:
        return fresh
    return "already" if asked.reads else "left"


@dataclass(frozen=True)
class Coming:
    """What a page tells about one newsletter of a request: when it leaves, and the date of its first edition."""

    newsletter: Newsletter
    slot: Slot
    first: date | None
    words: str


def _confirm_page(state: str, asked: SignUpRequest | None, now: datetime) -> str:
    coming = _coming(asked, now) if asked else []
    reader = subscriber_at(addresses.normalise(asked.address)) if asked else None
    speaking.speak((reader.language if reader else "") or (asked.language if asked else ""))
    return render_template(
        "public/confirm.html",
        state=state,
        newsletter=asked.newsletter if asked else visitors.only_newsletter(),
        address=asked.address if asked else None,
        coming=coming,
        at_once=state == "done" and any(welcoming.latest(one.slot.id, now) for one in coming),
        preferences=_preferences_token(reader.id) if reader and state in ("done", "already") else None,
    )


def _coming(asked: SignUpRequest, now: datetime) -> list[Coming]:
    """As the person has it now, where they changed it since."""
    normalised = addresses.normalise(asked.address)
    found = []
    for wish in asked.wishes:
        reading = active_subscription(normalised, wish.newsletter_id)
        slot = reading.slot if reading else wish.slot
        published = wish.newsletter
        first = calendar.first_date(now, slot.local_time, slot.zone, published.days, published.skip_dates)
        found.append(Coming(wish.newsletter, slot, first, wish.sign_up_text.text))
    return found


def _preferences_token(subscriber_id: int) -> str:
    return the_links().make(Purpose.PREFERENCES, subscriber_id)


@pages.route("/unsubscribe/<token>", methods=["GET", "POST"])
def unsubscribe(token: str) -> ResponseReturnValue:
    """RFC 8058: the POST needs neither cookie nor form token, answers 200 and redirects nowhere."""
    links = the_links()
    try:
        if request.method == "POST":
            left = preferences.unsubscribe(token, visitors.origin(), the_clock().now(), the_keys(), links)
            return _unsubscribe_page("done" if left else "already", left, token)
        found = preferences.subscription_of(token, links)
    except LinkInvalid:
        return _unsubscribe_page("invalid", None, token), 404
    return _unsubscribe_page("ask" if _reads(found) else "already", found, token)


def _reads(found: Subscription | None) -> bool:
    return found is not None and found.state is SubscriptionState.ACTIVE


@pages.post("/unsubscribe/<token>/undo")
def undo_leaving(token: str) -> ResponseReturnValue:
    try:
        found = preferences.undo_leaving(token, visitors.origin(), the_clock().now(), the_keys(), the_links())
    except LinkInvalid:
        return _unsubscribe_page("invalid", None, token), 404
    except NotWelcome:
        return _unsubscribe_page("refused", preferences.subscription_of(token, the_links()), token), 403
    return _unsubscribe_page("back" if _reads(found) else "already", found, token)


@pages.post("/unsubscribe/<token>/reason")
def say_why(token: str) -> ResponseReturnValue:
    """A remark without a reason is one too."""
    remark = request.form.get("remark", "")
    reason = request.form.get("reason") or (Reason.OTHER if remark.strip() else "")
    try:
        preferences.say_why(token, reason, remark, the_clock().now(), the_keys(), the_links())
        found = preferences.subscription_of(token, the_links())
    except LinkInvalid:
        return _unsubscribe_page("invalid", None, token), 404
    if found is None or _reads(found):
        return _unsubscribe_page("back" if found else "already", found, token)
    if reason not in set(Reason):
        return _unsubscribe_page("unsaid", found, token), 422
    return _unsubscribe_page("thanks", found, token)


@pages.get("/unsubscribe/<token>/undo")
@pages.get("/unsubscribe/<token>/reason")
def unsubscribed(token: str) -> ResponseReturnValue:
    """Where a button's page is opened anew, it is the link that is shown."""
    return redirect(url_for("public.unsubscribe", token=token), 303)


def _unsubscribe_page(state: str, found: Subscription | None, token: str) -> str:
    speaking.speak(found.subscriber.language if found else "")
    return render_template(
        "public/unsubscribe.html",
        state=state,
        token=token,
        newsletter=found.newsletter if found else visitors.only_newsletter(),
        address=found.subscriber.address if found else None,
        may_return=found is not None and preferences.may_return(found, the_clock().now()),
        reasons=list(Reason),
        preferences=_preferences_token(found.subscriber_id) if found else None,
    )


@pages.get("/pictures/<string(length=32):name>-<int(max=9999):width>.jpg")
def picture(name: str, width: int) -> ResponseReturnValue:
    """One of our own pictures. Its name is made of what it shows, so it never changes."""
    file = the_pictures().file(name, width)
    if not re.fullmatch(r"[0-9a-f]{32}", name) or not file.is_file():
        abort(404)
    answer = send_file(file, mimetype="image/jpeg", max_age=365 * 86400)
    answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return answer


@pages.get("/healthz")
def healthz() -> Response:
    """This process answers."""
    return Response("ok\n", mimetype="text/plain")


@pages.get("/readyz")
def readyz() -> Response:
    """This process can work: its database answers and is at this program's version. And nothing keeps editions from
    going out, else a line says what: who watches this notices it also when no mail leaves any more."""
    try:
        database.check(database.db.engine)
    except CannotStart as error:
        current_app.logger.warning("%s", error)
        return Response("not ready\n", status=503, mimetype="text/plain")
    if troubles := watching.troubles(the_clock().now()):
        return Response("".join(f"{line}\n" for line in troubles), status=503, mimetype="text/plain")
    return Response("ready\n", mimetype="text/plain")
