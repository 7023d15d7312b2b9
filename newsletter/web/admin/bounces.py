"""What came back: what people must look at, editions with too many bounces, and the latest of all."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Response, abort, render_template, url_for
from flask.typing import ResponseReturnValue

from newsletter.delivery import bounces as verbs
from newsletter.delivery import tallying
from newsletter.delivery.bounce_models import Bounce, bounce, for_staff, latest, stopped, waiting_for_staff
from newsletter.editions.models import edition
from newsletter.foundation.clock import the_clock
from newsletter.foundation.secrets import the_keys
from newsletter.mail import returned
from newsletter.mail.addresses import normalise
from newsletter.staff.rights import Right
from newsletter.subscribers.models import Subscriber, subscriber_at
from newsletter.web.admin.access import attempt, me, needs, pages, staff_only

SHOWN = 20_000


@pages.get("/bounces", endpoint="bounces")
@staff_only
def show_all() -> str:
    mine = me().newsletter_ids
    open_ones = for_staff(newsletter_ids=mine)
    asked = [
        {"edition": edition(one.edition_id), "tally": one, "waiting": tallying.waiting(one.edition_id)}
        for one in stopped()
        if me().sees(edition(one.edition_id).newsletter_id)
    ]
    return render_template(
        "admin/bounces.html",
        stopped=asked,
        open=open_ones,
        open_count=waiting_for_staff(mine),
        latest=latest(newsletter_ids=mine),
        readers=_readers(open_ones),
        may_help=me().may(Right.HELP_SUBSCRIBERS),
    )


def _readers(some: Sequence[Bounce]) -> dict[int, int]:
    """Who has the address that a report names, where nothing signed says that it is about them."""
    named = {one.id: subscriber_at(normalise(one.address)) for one in some if one.address}
    return {id: reader.id for id, reader in named.items() if reader and _sees(reader)}


def _sees(reader: Subscriber) -> bool:
    return not me().limited or any(me().sees(one.newsletter_id) for one in reader.subscriptions)


@pages.get("/bounces/<int(max=2147483647):id>", endpoint="bounce")
@staff_only
def show(id: int) -> str:
    found = bounce(id)
    words = returned.read(found.raw).text[:SHOWN] if found.raw else ""
    may_help = me().may(Right.HELP_SUBSCRIBERS)
    return render_template("admin/bounce.html", bounce=found, words=words, readers=_readers([found]), may_help=may_help)


@pages.get("/bounces/<int(max=2147483647):id>/mail.eml", endpoint="bounced_mail")
@staff_only
def download(id: int) -> Response:
    """As a file: a stranger's mail is never shown as a page of ours."""
    octets = bounce(id).raw
    if octets is None:
        abort(404)
    name = f"attachment; filename=bounce-{id}.eml"
    return Response(octets, mimetype="application/octet-stream", headers={"Content-Disposition": name})


@pages.post("/bounces/<int(max=2147483647):id>/settle", endpoint="settle_bounce")
@needs(Right.HELP_SUBSCRIBERS)
def settle(id: int) -> ResponseReturnValue:
    return attempt(
        lambda: verbs.settle(id, the_clock().now(), me().actor), "That is settled.", url_for("admin.bounces")
    )


@pages.post("/bounces/editions/<int(max=2147483647):id>/release", endpoint="release_bounces")
@needs(Right.HELP_SUBSCRIBERS)
def release(id: int) -> ResponseReturnValue:
    return attempt(
        lambda: tallying.release(id, the_clock().now(), the_keys(), me().actor),
        "All those addresses are suppressed.",
        url_for("admin.bounces"),
    )


@pages.post("/bounces/editions/<int(max=2147483647):id>/leave", endpoint="leave_bounces")
@needs(Right.HELP_SUBSCRIBERS)
def leave(id: int) -> ResponseReturnValue:
    return attempt(
        lambda: tallying.leave(id, the_clock().now(), me().actor),
        "Those addresses are left alone, and get the next edition.",
        url_for("admin.bounces"),
    )
