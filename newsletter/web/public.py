"""Pages for readers. GET shows, POST does: scanners follow links in mails (DESIGN.md §5)."""

from __future__ import annotations

import re

from flask import Blueprint, Flask, Response, abort, current_app, render_template, request, send_file
from flask.typing import ResponseReturnValue

from newsletter.foundation import database
from newsletter.foundation.clock import the_clock
from newsletter.foundation.errors import CannotStart
from newsletter.foundation.links import LinkExpired, LinkInvalid, the_links
from newsletter.foundation.secrets import the_keys
from newsletter.mail.addresses import AddressInvalid
from newsletter.newsletters.models import newsletter, newsletters
from newsletter.stories.pictures import the_pictures
from newsletter.subscribers import preferences, signing_up
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.models import SignUpRequest, Subscription, SubscriptionState
from newsletter.subscribers.signing_up import Asked, NotWelcome, TooManySignUps
from newsletter.web.security import address_of, csrf

pages = Blueprint("public", __name__)


def install(app: Flask) -> None:
    # These forms stand on other sites too and carry no cookie; what they do is guarded by tokens and caps instead.
    csrf.exempt(pages)
    app.register_blueprint(pages)


@pages.get("/")
def index() -> str:
    return render_template("public/index.html", newsletters=newsletters())


@pages.get("/look/<slug>.css")
def look(slug: str) -> Response:
    """The newsletter's own colour, as a stylesheet, because our policy lets no page carry styles."""
    css = f":root {{ --accent: {newsletter(slug).accent}; }}\n"
    return Response(css, mimetype="text/css", headers={"Cache-Control": "public, max-age=300"})


@pages.get("/subscribe")
def subscribe_form() -> str:
    wanted = newsletter(request.args.get("newsletter") or None)
    return render_template("public/sign_up.html", newsletter=wanted, address="", error=None)


@pages.post("/subscribe")
def subscribe() -> ResponseReturnValue:
    wanted = newsletter(request.form.get("newsletter") or None)
    address = request.form.get("email", "")
    try:
        asked = signing_up.request(wanted.slug, address, _origin(), the_clock().now(), the_keys())
    except AddressInvalid as error:
        return render_template("public/sign_up.html", newsletter=wanted, address=address, error=str(error)), 422
    except TooManySignUps:
        return render_template("public/too_many.html", newsletter=wanted), 429
    return render_template("public/signed_up.html", newsletter=wanted, address=asked.address)


def _origin() -> Origin:
    page = request.form.get("page_url") or request.headers.get("Referer", "")
    return Origin(address_of(request.remote_addr or ""), request.headers.get("User-Agent", ""), page)


@pages.route("/confirm/<token>", methods=["GET", "POST"])
def confirm(token: str) -> ResponseReturnValue:
    now, links = the_clock().now(), the_links()
    try:
        if request.method == "POST":
            asked = signing_up.confirm(token, _origin(), now, the_keys(), links)
            state = _state(asked, "done")
        else:
            asked = signing_up.asked(token, now, links)
            state = _state(asked, "ask")
    except LinkInvalid:
        return _confirm_page("invalid", None), 404
    except LinkExpired:
        return _confirm_page("expired", signing_up.expired_request(token, links)), 410
    except NotWelcome:
        return _confirm_page("refused", signing_up.expired_request(token, links)), 403
    return _confirm_page(state, asked.request)


def _state(asked: Asked, fresh: str) -> str:
    if not asked.already:
        return fresh
    return "already" if asked.reads else "left"


def _confirm_page(state: str, asked: SignUpRequest | None) -> str:
    return render_template(
        "public/confirm.html",
        state=state,
        newsletter=asked.newsletter if asked else _only_newsletter(),
        address=asked.address if asked else None,
        consent=asked.sign_up_text.text if asked else None,
        slot=asked.slot if asked else None,
    )


def _only_newsletter() -> object:
    every = newsletters()
    return every[0] if len(every) == 1 else None


@pages.route("/unsubscribe/<token>", methods=["GET", "POST"])
def unsubscribe(token: str) -> ResponseReturnValue:
    """RFC 8058: the POST needs neither cookie nor form token, answers 200 and redirects nowhere."""
    links = the_links()
    try:
        if request.method == "POST":
            left = preferences.unsubscribe(token, _origin(), the_clock().now(), the_keys(), links)
            return _unsubscribe_page("done", left)
        found = preferences.subscription_of(token, links)
    except LinkInvalid:
        return _unsubscribe_page("invalid", None), 404
    reading = found is not None and found.state is SubscriptionState.ACTIVE
    return _unsubscribe_page("ask" if reading else "already", found)


def _unsubscribe_page(state: str, found: Subscription | None) -> str:
    return render_template(
        "public/unsubscribe.html",
        state=state,
        newsletter=found.newsletter if found else _only_newsletter(),
        address=found.subscriber.address if found else None,
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
    """This process can work: its database answers and is at this program's version."""
    try:
        database.check(database.db.engine)
    except CannotStart as error:
        current_app.logger.warning("%s", error)
        return Response("not ready\n", status=503, mimetype="text/plain")
    return Response("ready\n", mimetype="text/plain")
