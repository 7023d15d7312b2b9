"""Readers: find, look up, invite, suppress, erase."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter import privacy
from newsletter.delivery.models import deliveries_to
from newsletter.foundation.clock import the_clock
from newsletter.foundation.secrets import the_keys
from newsletter.foundation.text import one_line
from newsletter.mail import outbox, suppression
from newsletter.mail.addresses import AddressInvalid, normalise
from newsletter.mail.outbox import OutboxMail
from newsletter.newsletters.models import newsletters
from newsletter.staff.rights import Right
from newsletter.subscribers import signing_up, suppressing
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.models import Subscriber, active_counts, consent_story, search, subscriber
from newsletter.subscribers.signing_up import NeverMailed
from newsletter.web.admin.access import attempt, me, my_newsletter, my_newsletters, needs, pages, proven, staff_only

A_PAGE = 50


@pages.get("/subscribers", endpoint="subscribers")
@staff_only
def show_all() -> str:
    text = one_line(request.args.get("q", ""))
    found = list(
        search(text, before=_number(request.args.get("before", "")), limit=A_PAGE + 1, among=me().newsletter_ids)
    )
    return render_template(
        "admin/subscribers.html",
        q=text,
        subscribers=found[:A_PAGE],
        more=found[A_PAGE - 1].id if len(found) > A_PAGE else None,
        total=sum(count for of, count in active_counts().items() if me().sees(of)),
        may_help=me().may(Right.HELP_SUBSCRIBERS),
    )


def _number(text: str) -> int | None:
    return min(int(text), 2**31 - 1) if text.isdecimal() else None


@pages.get("/subscribers/<int(max=2147483647):id>", endpoint="subscriber")
@staff_only
def show(id: int) -> str:
    person = subscriber(id)
    names = {newsletter.id: newsletter.name for newsletter in my_newsletters()}
    return render_template(
        "admin/subscriber.html",
        subscriber=person,
        subscriptions=[one for one in person.subscriptions if one.newsletter_id in names],
        story=[one for one in consent_story(person.address_hash) if one.newsletter_id in names],
        deliveries=[one for one in deliveries_to(id) if one.newsletter_id in names],
        newsletter_names=names,
        mails=_mails(person),
        suppressions=sorted(suppression.reasons(person.address_hash)),
        may_help=me().may(Right.HELP_SUBSCRIBERS),
        may_act=me().may(Right.HELP_SUBSCRIBERS) and not me().limited,
    )


def _mails(person: Subscriber) -> list[OutboxMail]:
    """Who is limited sees those of their newsletters, by whom they come from."""
    others = {one.from_address for one in newsletters() if not me().sees(one.id)}
    return [mail for mail in outbox.mails_to(person.address) if mail.sender_address not in others]


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


@pages.post("/subscribers/<int(max=2147483647):id>/suppress")
@needs(Right.HELP_SUBSCRIBERS, whole_house=True)
def suppress(id: int) -> ResponseReturnValue:
    person = subscriber(id)
    back = url_for("admin.subscriber", id=id)
    if not _typed(person):
        return redirect(back, 303)
    note, now, by = request.form.get("note", ""), the_clock().now(), me().actor
    return attempt(
        lambda: suppressing.suppress(person.address, note, now, the_keys(), by),
        f"{person.address} is never mailed again.",
        back,
    )


def _typed(person: Subscriber) -> bool:
    """Whether the person's address was typed, as for acts that cannot be undone; says so if not."""
    if normalise(request.form.get("address_typed", "").strip()) == person.normalised:
        return True
    flash("Nothing was changed: the address you typed is not the one on this page.", "problem")
    return False


@pages.post("/subscribers/<int(max=2147483647):id>/erase", endpoint="erase_subscriber")
@proven
@needs(Right.HELP_SUBSCRIBERS, whole_house=True)
def erase(id: int) -> ResponseReturnValue:
    person = subscriber(id)
    if not _typed(person):
        return redirect(url_for("admin.subscriber", id=id), 303)
    by = me().actor
    return attempt(
        lambda: privacy.erase(id, Origin(ip=by.ip), the_clock().now(), the_keys(), by),
        f"{person.address} is erased.",
        url_for("admin.subscribers"),
    )
