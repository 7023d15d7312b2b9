"""The sign-up box on other sites: in a frame, by a script, or as plain HTML. No cookies, no third parties."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from newsletter.foundation.clock import the_clock
from newsletter.foundation.languages import direction, spoken
from newsletter.foundation.links import the_links
from newsletter.foundation.secrets import the_keys
from newsletter.mail.addresses import AddressInvalid
from newsletter.newsletters.models import Newsletter, newsletter
from newsletter.subscribers import signing_up
from newsletter.subscribers.asking import ProofNeeded, TooManyAsked
from newsletter.subscribers.signing_up import Wishes
from newsletter.web import speaking, visitors
from newsletter.web.security import POLICY, csrf

SCRIPT = Path(__file__).parent.parent / "static" / "box.js"
COMMENT_OR_MARGIN = re.compile(r"^//.*\n|^\s+", re.MULTILINE)
ANYWHERE = POLICY.replace("frame-ancestors 'none'", "frame-ancestors *")
"""A frame on any page: there is nothing in it to be clicked against one's will but a form that mails oneself."""

pages = Blueprint("embed", __name__, url_prefix="/embed")


def install(app: Flask) -> None:
    csrf.exempt(pages)  # these forms carry no cookie, see web/public.py
    app.register_blueprint(pages)


@pages.get("/<slug>")
def frame(slug: str) -> Response:
    return _framed(_box_of(slug), "ask")


def _box_of(slug: str) -> Newsletter:
    """The newsletter of a box, which stands among a paper's words and speaks its language, unless the box's address
    names another. Raises NewsletterUnknown."""
    found = newsletter(slug)
    speaking.speak(spoken(found.language))
    return found


def _framed(shown: Newsletter, state: str, status: int = 200, **words: str) -> Response:
    page = render_template("public/embed.html", newsletter=shown, state=state, **words)
    answer = make_response(page, status)
    answer.headers["Content-Security-Policy"] = ANYWHERE
    return answer


@pages.post("/<slug>")
def sign_up(slug: str) -> ResponseReturnValue:
    """From the frame, which gets a page, or from the script, which gets JSON if it stands on a site that may ask."""
    wanted = _box_of(slug)
    by_script = request.accept_mimetypes.best == "application/json"
    if by_script and not _may_ask(wanted):
        return {"state": "elsewhere"}, 403
    address = request.form.get("email", "")
    wishes = Wishes([slug], request.form.getlist("slot", type=int), request.form.get("zone", ""), speaking.named())
    try:
        if not visitors.is_machine():
            address = signing_up.request(wishes, address, visitors.origin(), the_clock().now(), the_keys()).address
    except AddressInvalid as error:
        words = speaking.said(error)
        answer = {"state": "invalid", "message": words}
        return _said(answer, 422) if by_script else _framed(wanted, "ask", 422, address=address, error=words)
    except (ProofNeeded, TooManyAsked):
        return _said({"state": "proof"}, 429) if by_script else _framed(wanted, "proof", 429, address=address)
    return _said(_asked(wanted, address)) if by_script else _framed(wanted, "asked", address=address)


def _asked(wanted: Newsletter, address: str) -> dict[str, str]:
    return {
        "state": "asked",
        "address": address,
        # Translators: The address follows on a line of its own.
        "lead": gettext("Check your inbox: we have sent a mail to"),
        "next": gettext(
            "Press its one button and you are a reader of %(name)s. Until you do, you are not.", name=wanted.name
        ),
    }


def _may_ask(wanted: Newsletter) -> bool:
    asking = request.headers.get("Origin", "")
    return asking in (*wanted.sites, _own_origin())


def _own_origin() -> str:
    parts = urlsplit(the_links().site_url)
    return f"{parts.scheme}://{parts.netloc}"


def _said(answer: dict[str, str], status: int = 200) -> Response:
    """For the site that asked, which `_may_ask` knows."""
    said = make_response(answer, status)
    said.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
    said.headers["Vary"] = "Origin"
    return said


@pages.get("/<slug>.js")
def script(slug: str) -> Response:
    """The script with the newsletter's words in it. It stays the same for an hour, and says when it has changed."""
    shown = _box_of(slug)
    words = {
        "newsletter": shown.slug,
        "language": speaking.named(),
        "lang": speaking.language(),
        "dir": direction(speaking.language()),
        "own": {"lang": shown.language, "dir": direction(shown.language)},
        "heading": gettext("Sign Up for %(name)s", name=shown.name),
        "promise": shown.promise,
        "text": shown.sign_up_text.text,
        "label": gettext("Your e-mail address"),
        "button": gettext("Sign Up Now"),
        "accent": shown.accent,
        "action": the_links().to("/subscribe"),
        "embed": the_links().to(f"/embed/{shown.slug}"),
    }
    source = COMMENT_OR_MARGIN.sub("", SCRIPT.read_text("utf-8")).replace("__BOX__", json.dumps(words))
    answer = Response(source, mimetype="text/javascript")
    answer.headers["Cache-Control"] = "public, max-age=3600"
    answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    answer.set_etag(hashlib.sha256(source.encode()).hexdigest()[:32])
    answer.make_conditional(request)
    return answer
