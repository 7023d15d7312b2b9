"""One reader's page: what they agreed to, what they were sent, and what staff can do for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date

from flask import Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter import privacy
from newsletter.delivery.bounce_models import bounces_of, newsletters_of_bounce
from newsletter.delivery.models import Delivery, deliveries_to
from newsletter.foundation import audit
from newsletter.foundation.clock import the_clock
from newsletter.foundation.database import transaction
from newsletter.foundation.secrets import the_keys
from newsletter.foundation.text import id_in
from newsletter.mail import outbox, suppression
from newsletter.mail.addresses import normalise
from newsletter.mail.outbox import OutboxMail
from newsletter.newsletters import calendar
from newsletter.newsletters.models import newsletters
from newsletter.staff.rights import Right
from newsletter.subscribers import changing, helping, signing_up, suppressing
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.desk_models import NoteUnknown, SubscriberNote, notes_about
from newsletter.subscribers.models import SignUpRequest, Subscriber, consent_story, subscriber
from newsletter.web.admin import filters
from newsletter.web.admin.access import NotHere, attempt, me, my_newsletters, needs, pages, proven, staff_only
from newsletter.web.admin.places import NUMBER

ONE = f"/subscribers/{NUMBER}"
A_PAGE = 30
MAILS_AT_MOST = 200


@pages.get(ONE, endpoint="subscriber")
@staff_only
def show(id: int) -> str:
    person, now = subscriber(id), the_clock().now()
    names = {newsletter.id: newsletter.name for newsletter in my_newsletters()}
    subscriptions = [one for one in person.subscriptions if one.newsletter_id in names]
    story = consent_story(person.address_hash, *person.former_hashes)
    copies = _copies(id)
    mails_before = id_in(request.args.get("mails", ""))
    mails = _mails(person, mails_before)
    return render_template(
        "admin/subscriber.html",
        subscriber=person,
        subscriptions=subscriptions,
        today={one.id: calendar.local_date_at(now, one.slot.zone) for one in subscriptions},
        sources=filters.SOURCES,
        story=[one for one in story if one.newsletter_id in names],
        deliveries=copies[:A_PAGE],
        older=copies[A_PAGE - 1].edition_id if len(copies) > A_PAGE else None,
        newsletter_names=names,
        mails=mails[:A_PAGE],
        older_mails=mails[A_PAGE - 1].id if len(mails) > A_PAGE else None,
        bounces=[one for one in bounces_of(id, A_PAGE) if any(me().sees(of) for of in newsletters_of_bounce(one))],
        waiting=_waiting(person),
        notes=[one for one in notes_about(id) if me().sees(one.newsletter_id)],
        suppressions=sorted(suppression.reasons(person.address_hash)),
        may_help=me().may(Right.HELP_SUBSCRIBERS),
        may_act=me().may(Right.HELP_SUBSCRIBERS) and not me().limited,
    )


def _copies(id: int) -> list[Delivery]:
    return deliveries_to(id, A_PAGE + 1, before=id_in(request.args.get("before", "")), among=me().newsletter_ids)


def _mails(person: Subscriber, before: int | None) -> list[OutboxMail]:
    """Who is limited sees those of their newsletters, by whom they come from."""
    others = {one.from_address for one in newsletters() if not me().sees(one.id)}
    found = outbox.mails_to(person.address, A_PAGE + 1, before=before, not_from=others)
    return list(found)


def _waiting(person: Subscriber) -> SignUpRequest | None:
    """A sign-up of theirs that waits for its button."""
    found = signing_up.waiting_for(person.address, the_clock().now())
    mine = (one for one in found if any(me().sees(wish.newsletter_id) for wish in one.wishes))
    return next(mine, None)


# What is done for them


@pages.post(f"{ONE}/pause", endpoint="pause_subscriber")
@needs(Right.HELP_SUBSCRIBERS)
def pause(id: int) -> ResponseReturnValue:
    until = _day(request.form.get("until", ""))
    return _help(id, lambda of: helping.pause(id, of, until, the_clock().now(), the_keys(), me().actor), "Paused.")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


@pages.post(f"{ONE}/end-pause", endpoint="end_pause_of_subscriber")
@needs(Right.HELP_SUBSCRIBERS)
def end_pause(id: int) -> ResponseReturnValue:
    return _help(
        id,
        lambda of: helping.end_pause(id, of, the_clock().now(), the_keys(), me().actor),
        "The pause is over; the next edition goes to them again.",
    )


@pages.post(f"{ONE}/move", endpoint="move_subscriber")
@needs(Right.HELP_SUBSCRIBERS)
def move(id: int) -> ResponseReturnValue:
    slot = request.form.get("slot", type=int) or 0
    return _help(id, lambda of: helping.move(id, of, slot, the_clock().now(), the_keys(), me().actor), "Moved.")


@pages.post(f"{ONE}/unsubscribe", endpoint="unsubscribe_subscriber")
@needs(Right.HELP_SUBSCRIBERS)
def unsubscribe(id: int) -> ResponseReturnValue:
    return _help(
        id,
        lambda of: helping.unsubscribe(id, of, the_clock().now(), the_keys(), me().actor),
        "Unsubscribed. Only they themselves can come back.",
    )


def _help(id: int, verb: Callable[[int], object], done: str) -> ResponseReturnValue:
    """About one of their newsletters that is one's own too; of others nothing is said."""
    about = request.form.get("newsletter", type=int) or 0
    if not me().sees(about) or about not in {one.newsletter_id for one in subscriber(id).subscriptions}:
        raise NotHere
    return attempt(lambda: verb(about), done, url_for("admin.subscriber", id=id))


@pages.post(f"{ONE}/address", endpoint="change_address_of_subscriber")
@needs(Right.HELP_SUBSCRIBERS, whole_house=True)
def change_address(id: int) -> ResponseReturnValue:
    typed, now, by = request.form.get("email", ""), the_clock().now(), me().actor
    return attempt(
        lambda: changing.request_for(id, typed, now, by),
        "A mail goes to the new address, unless it is another reader’s or never mailed. When its button is pressed, "
        "they have that address; the old one is told.",
        url_for("admin.subscriber", id=id),
    )


@pages.post(f"{ONE}/suppress")
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


# What is known of them


@pages.post(f"{ONE}/notes", endpoint="note_subscriber")
@needs(Right.HELP_SUBSCRIBERS)
def write_note(id: int) -> ResponseReturnValue:
    about = request.form.get("newsletter", type=int)
    theirs = {one.newsletter_id for one in subscriber(id).subscriptions}
    if not me().sees(about) or (about is not None and about not in theirs):
        raise NotHere
    text, now, by = request.form.get("note", ""), the_clock().now(), me().actor
    back = url_for("admin.subscriber", id=id, _anchor="notes")
    return attempt(lambda: helping.write_note(id, text, about, now, by), "The note is kept.", back)


@pages.post(f"{ONE}/notes/<int(max=2147483647):note>/delete", endpoint="delete_note")
@needs(Right.HELP_SUBSCRIBERS)
def delete_note(id: int, note: int) -> ResponseReturnValue:
    found = _note(id, note)
    now, by, back = the_clock().now(), me().actor, url_for("admin.subscriber", id=id, _anchor="notes")
    return attempt(lambda: helping.delete_note(id, found.id, now, by), "The note is gone.", back)


def _note(id: int, note: int) -> SubscriberNote:
    """Raises NoteUnknown."""
    for one in notes_about(id):
        if one.id == note and me().sees(one.newsletter_id):
            return one
    raise NoteUnknown(id=note)


@pages.post(f"{ONE}/export", endpoint="export_subscriber")
@proven
@needs(Right.HELP_SUBSCRIBERS, whole_house=True)
def export(id: int) -> Response:
    """All that is stored, as the person would get it. It is a POST because it is written down who took it along."""
    told = json.dumps(privacy.about(id), ensure_ascii=False, indent=2)
    with transaction():
        audit.record(me().actor, "subscriber.export", f"subscriber:{id}", the_clock().now())
    headers = {"Content-Disposition": f"attachment; filename=subscriber-{id}.json", "Cache-Control": "no-store"}
    return Response(told, mimetype="application/json", headers=headers)


@pages.post(f"{ONE}/erase", endpoint="erase_subscriber")
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
