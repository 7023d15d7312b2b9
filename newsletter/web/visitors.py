"""Who fills in a public form: where they are, and whether they are a person as far as we can tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flask import Flask, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from newsletter.foundation.clock import the_clock
from newsletter.foundation.links import LinkInvalid, Purpose, the_links
from newsletter.foundation.secrets import the_keys
from newsletter.mail import addresses
from newsletter.newsletters.models import Newsletter, newsletters
from newsletter.subscribers import proving
from newsletter.subscribers.consent import Origin
from newsletter.web.security import address_of, at_fault

TRAP = "website"
"""A field that people do not see; what fills it in is a machine."""

HASTY_SECONDS, STALE_SECONDS = 2, 86400


def install(app: Flask) -> None:
    app.jinja_env.globals.update(form_made=form_made, form_page=form_page, house=house)


def form_made() -> str:
    """A token for a form that says when it was shown; forms pasted into other sites have none."""
    return the_links().make(Purpose.FORM, int(the_clock().now().timestamp()))


def form_page() -> str:
    """The address of the page that a form stands on, for the proof of consent; the token of a mail's link left out."""
    path = request.path.replace((request.view_args or {}).get("token") or "\0", "…")
    return request.form.get("page_url") or the_links().to(path)


def origin() -> Origin:
    """Where the visitor's word comes from. A proof of work that stands in the form is used up by this."""
    now = the_clock().now()
    page = request.form.get("page_url") or request.headers.get("Referer", "")
    proof = request.form.get("altcha", "")
    return Origin(
        address_of(request.remote_addr or ""),
        request.headers.get("User-Agent", ""),
        page,
        proven=bool(proof) and proving.spend(proof, now, the_keys().secret),
        hasty=_is_hasty(now),
    )


def _is_hasty(now: datetime) -> bool:
    """Whether the form was sent sooner than a person could, or its token is damaged or a day old."""
    token = request.form.get("made", "")
    if not token:
        return False
    try:
        age = now.timestamp() - the_links().read(Purpose.FORM, token)
    except LinkInvalid:
        return True
    return not HASTY_SECONDS <= age <= STALE_SECONDS


def is_machine() -> bool:
    """What it asked for is not done, and the answer does not tell."""
    return bool(request.form.get(TRAP))


def only_newsletter() -> Newsletter | None:
    """The one in whose name a page speaks that belongs to none."""
    every = newsletters()
    return every[0] if len(every) == 1 else None


@dataclass(frozen=True)
class House:
    """What stands at the head of a page that belongs to no newsletter. A word of ours has no `language` of its own."""

    name: str
    language: str = ""


def house() -> House:
    every = [] if at_fault() else newsletters()
    if len(every) == 1:
        return House(every[0].name, every[0].language)
    publishers = {one.publisher for one in every}
    if len(publishers) == 1 and (publisher := publishers.pop()):
        return House(publisher, every[0].language)
    return House(gettext("Newsletters"))


def doubted(typed: str) -> str | None:
    """The address that was probably meant by what was typed, unless the visitor has said that it is right."""
    return None if "as_typed" in request.form else addresses.suggestion(typed)


def doubt_page(about: Newsletter | None, meant: str) -> ResponseReturnValue:
    """Asks whether another address was meant, with nothing saved yet and nothing else that was filled in lost.

    `email` is the field's name in every form of ours.
    """
    typed = request.form.get("email", "").strip()
    page = render_template(
        "public/did_you_mean.html",
        newsletter=about,
        action=request.path,
        kept=_kept("email", "as_typed"),
        typed=typed if addresses.is_one(typed) else None,
        meant=meant,
    )
    return page, 422


def proof_page(about: Newsletter | None) -> ResponseReturnValue:
    """The same form once more, with a sum for the browser; nothing that was typed is lost."""
    page = render_template(
        "public/proof.html",
        newsletter=about,
        action=request.path,
        kept=_kept("altcha", "made"),
        challenge=proving.challenge(the_clock().now(), the_keys().secret),
    )
    return page, 429


def too_many_page(about: Newsletter | None) -> ResponseReturnValue:
    return render_template("public/too_many.html", newsletter=about), 429, {"Retry-After": "3600"}


def _kept(*without: str) -> list[tuple[str, str]]:
    """What was filled in, to be sent once more."""
    return [(name, value) for name, value in request.form.items(multi=True) if name not in (*without, TRAP)]
