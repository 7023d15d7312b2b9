"""Readers: find them, look them up, invite, and name whom one often looks for."""

from __future__ import annotations

from typing import Any, cast

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.foundation.clock import the_clock
from newsletter.foundation.database import TookTooLong, within
from newsletter.foundation.secrets import the_keys
from newsletter.foundation.text import id_in
from newsletter.mail import addresses
from newsletter.mail.addresses import AddressInvalid
from newsletter.newsletters.models import newsletters
from newsletter.staff.rights import Right
from newsletter.subscribers import segmenting, segments, signing_up
from newsletter.subscribers.desk_models import Segment, SegmentUnknown, segment
from newsletter.subscribers.models import SignUpRequest, Subscriber
from newsletter.subscribers.segments import ConditionsOutdated, ConditionsUnreadable
from newsletter.subscribers.signing_up import NeverMailed
from newsletter.web.admin import filters
from newsletter.web.admin.access import NotHere, attempt, me, my_newsletter, my_newsletters, needs, pages, staff_only
from newsletter.web.admin.filters import Filter
from newsletter.web.admin.places import NUMBER

A_PAGE = 50
ABOUT = 100_001
"""So far a page counts by itself."""

SECONDS = 3
"""What a question to the database may take before its page says that it took too long."""


@pages.get("/subscribers", endpoint="subscribers")
@staff_only
def show_all() -> ResponseReturnValue:
    wanted = filters.asked(request.args)
    found, late = _found(wanted)
    page = render_template(
        "admin/subscribers.html",
        wanted=wanted,
        subscribers=found[:A_PAGE],
        more=found[A_PAGE - 1].id if len(found) > A_PAGE else None,
        late=late,
        waiting=_waiting(wanted),
        count=_count(wanted) if "count" in request.args else None,
        about=None if _at_most() is None else ABOUT,
        newsletters=my_newsletters(),
        slots=filters.my_slots(),
        states=filters.STATES,
        sources=filters.SOURCES,
        said=filters.in_words(wanted.conditions, newsletters()),
        may_help=me().may(Right.HELP_SUBSCRIBERS),
    )
    return page, 422 if wanted.wrong else 200


def _found(wanted: Filter) -> tuple[list[Subscriber], TookTooLong | None]:
    if wanted.wrong:
        return [], None
    try:
        with within(SECONDS):
            before = id_in(request.args.get("before", ""))
            now = the_clock().now()
            found = segments.readers(wanted.conditions, now, me().newsletter_ids, before=before, limit=A_PAGE + 1)
            return list(found), None
    except TookTooLong as late:
        return [], late


def _waiting(wanted: Filter) -> list[SignUpRequest]:
    """Who has not pressed the button yet is nobody's reader, and is found by the whole address."""
    if "before" in request.args or not addresses.is_one(wanted.text):
        return []
    found = signing_up.waiting_for(wanted.text, the_clock().now())
    return [one for one in found[:1] if any(me().sees(wish.newsletter_id) for wish in one.wishes)]


@pages.get("/subscribers/count", endpoint="count_subscribers")
@staff_only
def count() -> str:
    """How many they are, for a page that is there already."""
    wanted = filters.asked(request.args)
    return render_template("admin/_count.html", count=_count(wanted), about=ABOUT, wanted=wanted)


def _at_most() -> int | None:
    """Exactly is for who asks for it."""
    return None if request.args.get("count") == "exactly" else ABOUT


def _count(wanted: Filter) -> int | None:
    """None when it takes too long."""
    if wanted.wrong:
        return 0
    try:
        with within(SECONDS):
            return segments.count(wanted.conditions, the_clock().now(), me().newsletter_ids, _at_most())
    except TookTooLong:
        return None


@pages.route("/subscribers/add", endpoint="add_subscriber", methods=["GET", "POST"])
@needs(Right.HELP_SUBSCRIBERS)
def add() -> ResponseReturnValue:
    address, slug = request.form.get("email", ""), request.form.get("newsletter", "")
    error = None
    if request.method == "POST":
        try:
            signing_up.request_for(my_newsletter(slug or None).slug, address, the_clock().now(), the_keys(), me().actor)
        except (AddressInvalid, NeverMailed) as problem:
            error = str(problem)
        else:
            flash(f"{address.strip()} gets a mail now, and is added when they press its button.", "done")
            return redirect(url_for("admin.subscribers"), 303)
    page = render_template(
        "admin/subscriber_add.html",
        newsletters=my_newsletters(),
        address=address,
        newsletter_slug=slug,
        error=error,
    )
    return page, 422 if error else 200


@pages.post("/subscribers/ask-again", endpoint="ask_again")
@needs(Right.HELP_SUBSCRIBERS)
def ask_again() -> ResponseReturnValue:
    """The confirmation mail once more."""
    id = id_in(request.form.get("request", "")) or 0
    now, by, among = the_clock().now(), me().actor, me().newsletter_ids
    return attempt(
        lambda: signing_up.ask_again(id, now, the_keys(), by, among),
        "The mail goes out again in a moment, unless the address got one in the last 15 minutes or three today.",
        _back(),
    )


def _back() -> str:
    """The person's page where there is one, else the search."""
    person = id_in(request.form.get("subscriber", ""))
    if person is not None:
        return url_for("admin.subscriber", id=person)
    return url_for("admin.subscribers", q=request.form.get("q") or None)


# Segments


@pages.get("/segments", endpoint="segments")
@staff_only
def show_segments() -> str:
    return _segments_page()


def _segments_page(error: str = "") -> str:
    return render_template(
        "admin/segments.html",
        segments=[{"kept": one, "said": _said(one)} for one in _mine()],
        may_help=me().may(Right.HELP_SUBSCRIBERS),
        error=error,
    )


def _mine() -> list[Segment]:
    return [one for one in segmenting.every() if segmenting.is_for(one, me().newsletter_ids)]


def _said(one: Segment) -> list[str] | None:
    """None when it cannot be read."""
    try:
        return filters.in_words(segmenting.conditions_of(one), newsletters())
    except (ConditionsUnreadable, ConditionsOutdated):
        return None


@pages.post("/segments", endpoint="save_segment")
@needs(Right.HELP_SUBSCRIBERS)
def save() -> ResponseReturnValue:
    wanted, name = filters.asked(request.form), request.form.get("name", "")
    return attempt(
        lambda: segmenting.save(name, wanted.conditions, the_clock().now(), me().actor, me().newsletter_ids),
        "The segment is kept.",
        _page_of(wanted.typed),
    )


@pages.get(f"/segments/{NUMBER}", endpoint="segment")
@staff_only
def show_segment(id: int) -> ResponseReturnValue:
    try:
        conditions = segmenting.conditions_of(_segment(id))
    except (ConditionsUnreadable, ConditionsOutdated) as problem:
        return _segments_page(str(problem)), 422
    return redirect(_page_of(filters.fields_of(conditions, newsletters())), 303)


def _page_of(fields: dict[str, str]) -> str:
    """Where they are found; a name of theirs is no option of `url_for`, for none begins with a line."""
    return url_for("admin.subscribers", **cast(dict[str, Any], fields))


def _segment(id: int) -> Segment:
    """Raises NotHere for one that is for others."""
    try:
        found = segment(id)
    except SegmentUnknown as error:
        raise NotHere from error
    if not segmenting.is_for(found, me().newsletter_ids):
        raise NotHere
    return found


@pages.get(f"/segments/{NUMBER}/count", endpoint="count_segment")
@staff_only
def count_segment(id: int) -> str:
    found, problem, number = _segment(id), "", None
    try:
        with within(SECONDS):
            conditions = segmenting.conditions_of(found)
            number = segments.count(conditions, the_clock().now(), me().newsletter_ids, ABOUT)
    except TookTooLong:
        pass
    except (ConditionsUnreadable, ConditionsOutdated) as error:
        problem = str(error)
    return render_template("admin/_count.html", count=number, about=ABOUT, problem=problem)


@pages.post(f"/segments/{NUMBER}/delete", endpoint="delete_segment")
@needs(Right.HELP_SUBSCRIBERS)
def delete_segment(id: int) -> ResponseReturnValue:
    found, now, by = _segment(id), the_clock().now(), me().actor
    back = url_for("admin.segments")
    return attempt(lambda: segmenting.delete(found.id, now, by), "The segment is gone; its readers are not.", back)
