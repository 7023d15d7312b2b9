"""Pages behind a link from one's own mail: preferences, another address, one's data. GET shows, POST does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import wraps

from flask import Blueprint, Flask, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm.exc import DetachedInstanceError, ObjectDeletedError

from newsletter import privacy
from newsletter.foundation.clock import the_clock
from newsletter.foundation.languages import Words
from newsletter.foundation.links import LinkExpired, LinkInvalid, Purpose, the_links
from newsletter.foundation.secrets import the_keys
from newsletter.mail import addresses
from newsletter.mail.addresses import AddressInvalid
from newsletter.newsletters import calendar
from newsletter.newsletters.models import Newsletter, newsletter, newsletters
from newsletter.subscribers import changing, mails, preferences
from newsletter.subscribers.asking import ProofNeeded, TooManyAsked
from newsletter.subscribers.changing import AddressTaken
from newsletter.subscribers.models import SignUpRequest, Subscriber, SubscriberUnknown, Subscription, SubscriptionState
from newsletter.subscribers.preferences import PAUSE_AT_MOST, Choices, PauseInvalid
from newsletter.subscribers.signing_up import NotWelcome
from newsletter.web import formats, speaking, visitors
from newsletter.web.security import csrf

PAUSES = (7, 14, 28)
"""Days of a pause that one button makes."""

ROWS_SHOWN = 40
"""Of each kind of row, on the page of one's data; the file has all."""

pages = Blueprint("preferences", __name__)


def install(app: Flask) -> None:
    csrf.exempt(pages)  # the token in the address is the person's key; there is no cookie to ride on
    app.register_blueprint(pages)


ERASED_MEANWHILE = (SubscriberUnknown, ObjectDeletedError, DetachedInstanceError)
"""What is raised when somebody is erased in another tab at this moment."""


def known(view: Callable[[str, Subscriber], ResponseReturnValue]) -> Callable[[str], ResponseReturnValue]:
    """For a token of somebody whom we know; a damaged one and one of an erased person get a kind page."""

    @wraps(view)
    def checked(token: str) -> ResponseReturnValue:
        try:
            reader = preferences.reader_of(token, the_links())
            speaking.speak(reader.language if reader else "")
            return view(token, reader) if reader else _gone()
        except LinkInvalid:
            page = render_template(
                "public/preferences_gone.html", newsletter=visitors.only_newsletter(), state="invalid"
            )
            return page, 404
        except ERASED_MEANWHILE:
            return _gone()

    return checked


def _gone() -> ResponseReturnValue:
    return render_template("public/preferences_gone.html", newsletter=visitors.only_newsletter(), state="erased")


@pages.get("/preferences/<token>", endpoint="show")
@known
def show(token: str, reader: Subscriber) -> ResponseReturnValue:
    return _page(token, reader)


@pages.get("/preferences/<token>/pause")
@pages.get("/preferences/<token>/resume")
@pages.get("/preferences/<token>/leave")
def pressed(token: str) -> ResponseReturnValue:
    """Where a button's page is opened anew, the preferences are shown."""
    return redirect(url_for("preferences.show", token=token), 303)


def _page(token: str, reader: Subscriber, done: str = "", error: str = "", wrong: str = "") -> ResponseReturnValue:
    """`done` names what was done; `error` says what is wrong, and `wrong` names its field if it has one."""
    reading = _reading(reader)
    page = render_template(
        "public/preferences.html",
        token=token,
        reader=reader,
        reading=reading,
        offered=newsletters(),
        newsletter=_in_name_of(reader),
        pause=_pause_days(reading),
        done=done,
        error=error,
        wrong=wrong,
    )
    return page, 422 if error else 200


def _reading(reader: Subscriber) -> dict[int, Subscription]:
    return {one.newsletter_id: one for one in reader.subscriptions if one.state is SubscriptionState.ACTIVE}


def _in_name_of(reader: Subscriber) -> Newsletter | None:
    """Whose masthead the reader sees."""
    reads_or_read = [*_reading(reader).values(), *reader.subscriptions]
    return reads_or_read[0].newsletter if reads_or_read else visitors.only_newsletter()


@dataclass(frozen=True)
class PauseDays:
    """Until when the reader is paused, if they are, and between which days a pause may end, wherever their newsletters
    live; `quick` are those of one button, each with its number of days."""

    until: date | None
    first: date
    last: date
    quick: list[tuple[int, date]]


def _pause_days(reading: dict[int, Subscription]) -> PauseDays | None:
    todays = [calendar.local_date_at(the_clock().now(), one.slot.zone) for one in reading.values()]
    if not todays:
        return None
    today = max(todays)
    ahead = [one.paused_until for one in reading.values() if one.paused_until and one.paused_until > today]
    return PauseDays(
        until=max(ahead, default=None),
        first=today + timedelta(days=1),
        last=min(todays) + PAUSE_AT_MOST,
        quick=[(days, today + timedelta(days=days)) for days in PAUSES],
    )


@pages.post("/preferences/<token>", endpoint="save")
@known
def save(token: str, reader: Subscriber) -> ResponseReturnValue:
    if "whole" not in request.form:  # the form's last field: half a form would leave what it does not name
        error = gettext("The form did not arrive whole, so nothing was changed. Please try once more.")
        return _page(token, reader, error=error)
    chosen = request.form.getlist("newsletter", type=int)
    choices = Choices(
        newsletters={id: request.form.get(f"slot-{id}", type=int) or 0 for id in chosen},
        shown=request.form.getlist("shown", type=int),
        text_only="text_only" in request.form,
        language=request.form.get("language", ""),
    )
    return _do(
        token, lambda: preferences.save(token, choices, visitors.origin(), the_clock().now(), the_keys(), the_links())
    )


@pages.post("/preferences/<token>/pause", endpoint="pause")
@known
def pause(token: str, reader: Subscriber) -> ResponseReturnValue:
    def verb() -> Subscriber | None:
        try:
            until = date.fromisoformat(request.form.get("until", ""))
        except ValueError as error:
            raise PauseInvalid(problem=Words("write the day like 2026-12-24.")) from error
        return preferences.pause(token, until, visitors.origin(), the_clock().now(), the_keys(), the_links())

    return _do(token, verb, "paused")


@pages.post("/preferences/<token>/resume", endpoint="resume")
@known
def resume(token: str, reader: Subscriber) -> ResponseReturnValue:
    return _do(
        token,
        lambda: preferences.resume(token, visitors.origin(), the_clock().now(), the_keys(), the_links()),
        "resumed",
    )


@pages.post("/preferences/<token>/leave", endpoint="leave")
@known
def leave(token: str, reader: Subscriber) -> ResponseReturnValue:
    return _do(
        token,
        lambda: preferences.leave_all(token, visitors.origin(), the_clock().now(), the_keys(), the_links()),
        "left",
    )


def _do(token: str, verb: Callable[[], Subscriber | None], done: str = "saved") -> ResponseReturnValue:
    """Do it, and show the page with what came of it, in the language that the reader has now."""
    error, wrong = "", ""
    try:
        verb()
    except NotWelcome as refused:
        error = speaking.said(refused)
    except PauseInvalid as refused:
        error, wrong = speaking.said(refused), "until"
    reader = preferences.reader_of(token, the_links())
    speaking.speak(reader.language if reader else "")
    return _page(token, reader, "" if error else done, error, wrong) if reader else _gone()


@pages.route("/preferences/<token>/address", methods=["GET", "POST"], endpoint="address")
@known
def address(token: str, reader: Subscriber) -> ResponseReturnValue:
    about, typed = _in_name_of(reader), request.form.get("email", "")
    if request.method != "POST":
        return _address_page(token, reader)
    if meant := visitors.doubted(typed):
        return visitors.doubt_page(about, meant)
    try:
        if addresses.normalise(addresses.parse(typed)) == reader.normalised:
            return _address_page(token, reader, typed, gettext("This is your address already. Nothing was changed."))
        if not visitors.is_machine():
            changing.request(token, typed, visitors.origin(), the_clock().now(), the_links(), speaking.chosen())
    except AddressInvalid as problem:
        return _address_page(token, reader, typed, speaking.said(problem))
    except ProofNeeded:
        return visitors.proof_page(about)
    except TooManyAsked:
        return visitors.too_many_page(about)
    return _address_page(token, reader, addresses.parse(typed), asked=True)


def _address_page(
    token: str, reader: Subscriber, typed: str = "", error: str = "", asked: bool = False
) -> ResponseReturnValue:
    page = render_template(
        "public/change_address.html",
        token=token,
        reader=reader,
        newsletter=_in_name_of(reader),
        address=typed,
        error=error,
        asked=asked,
    )
    return page, 422 if error else 200


@pages.route("/change/<token>", methods=["GET", "POST"], endpoint="change")
def change(token: str) -> ResponseReturnValue:
    now, links = the_clock().now(), the_links()
    try:
        found = changing.asked(token, now, links)
        mover = mails.reader_of(found)
        speaking.speak((mover.language if mover else "") or found.language)
        if request.method == "POST":
            return _change_page("done", changing.confirm(token, visitors.origin(), now, the_keys(), links))
    except LinkInvalid:
        return _change_page("invalid"), 404
    except LinkExpired:
        return _change_page("expired"), 410
    except AddressTaken:
        return _change_page("taken"), 403
    except NotWelcome as error:
        return _change_page("refused", error=speaking.said(error)), 403
    return _change_page("already" if found.confirmed_at else "ask", found)


def _change_page(state: str, asked: SignUpRequest | None = None, error: str = "") -> str:
    whose = asked.subscriber_id if asked and state in ("done", "already") else None
    return render_template(
        "public/changed.html",
        state=state,
        newsletter=asked.newsletter if asked else visitors.only_newsletter(),
        address=asked.address if asked else None,
        preferences=the_links().make(Purpose.PREFERENCES, whose) if whose else None,
        error=error,
    )


@pages.route("/preferences/", methods=["GET", "POST"], endpoint="lost")
def lost() -> ResponseReturnValue:
    """For those who lost their mails: a link to their preferences, sent to their address."""
    slug, typed = request.values.get("newsletter", ""), request.form.get("email", "")
    about = newsletter(slug[:80]) if slug else visitors.only_newsletter()
    if not newsletters():
        return redirect(url_for("public.index"), 303)
    if request.method != "POST":
        return _lost_page(about)
    if meant := visitors.doubted(typed):
        return visitors.doubt_page(about, meant)
    try:
        to = addresses.parse(typed)
        if not visitors.is_machine():
            changing.request_link(slug or None, typed, visitors.origin(), the_clock().now(), speaking.chosen())
    except AddressInvalid as problem:
        return _lost_page(about, typed, speaking.said(problem))
    except ProofNeeded:
        return visitors.proof_page(about)
    except TooManyAsked:
        return visitors.too_many_page(about)
    return _lost_page(about, to, asked=True)


def _lost_page(about: Newsletter | None, typed: str = "", error: str = "", asked: bool = False) -> ResponseReturnValue:
    page = render_template("public/lost_link.html", newsletter=about, address=typed, error=error, asked=asked)
    return page, 422 if error else 200


@pages.get("/preferences/<token>/data", endpoint="data")
@known
def data(token: str, reader: Subscriber) -> ResponseReturnValue:
    return render_template(
        "public/my_data.html",
        token=token,
        newsletter=_in_name_of(reader),
        reader=reader,
        stored=privacy.about(reader.id),
        papers={one.name: one for one in newsletters()},
        rows_shown=ROWS_SHOWN,
        in_our_words=in_our_words,
    )


NOTES = (
    Words("another slot"),
    Words("pause ended"),
    Words("by their preferences"),
    Words("undone by staff"),
    Words("to another address"),
    Words("from another address"),
)
"""What we write beside a change (subscribers/preferences.py, changing.py and bulk.py)."""


def in_our_words(note: str) -> str:
    """A note to a consent event in the page's language. What a person wrote stays as it is."""
    if until := re.fullmatch(r"paused until (\d{4}-\d\d-\d\d)", note):
        return str(gettext("paused until %(day)s", day=formats.day(date.fromisoformat(until[1]))))
    return str(gettext(note)) if note in NOTES else note


@pages.get("/preferences/<token>/data.json", endpoint="data_json")
@known
def data_json(token: str, reader: Subscriber) -> ResponseReturnValue:
    text = json.dumps(privacy.about(reader.id), ensure_ascii=False, indent=2)
    headers = {"Content-Disposition": "attachment; filename=my-data.json"}
    return Response(text, mimetype="application/json", headers=headers)


@pages.route("/preferences/<token>/erase", methods=["GET", "POST"], endpoint="erase")
@known
def erase(token: str, reader: Subscriber) -> ResponseReturnValue:
    if request.method != "POST":
        return render_template("public/erase.html", token=token, reader=reader, newsletter=_in_name_of(reader))
    privacy.erase(reader.id, visitors.origin(), the_clock().now(), the_keys())
    return redirect(url_for("preferences.show", token=token), 303)
