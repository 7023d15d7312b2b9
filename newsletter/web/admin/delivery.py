"""Where an edition's copies are: how far it is, where it goes badly, what nobody can know, and row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from flask import Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.delivery import deciding, releasing, reporting
from newsletter.delivery.counting import Reason
from newsletter.delivery.deciding import Decided
from newsletter.delivery.models import DeliveryState
from newsletter.delivery.reporting import BEGINNING, Place, Report, Row, Wanted
from newsletter.editions.models import Edition, EditionState, EditionUnknown, edition
from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.clock import the_clock
from newsletter.foundation.database import transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.text import one_line
from newsletter.mail.addresses import normalise
from newsletter.staff.rights import Right
from newsletter.web.admin.access import attempt, me, needs, pages, proven, staff_only
from newsletter.web.admin.editions import ONE, actions_of, next_step
from newsletter.web.downloads import csv_file

DELIVERY = f"{ONE}/delivery"
ANYWHERE_AT_MOST = 2**31 - 1


@dataclass(frozen=True)
class Search:
    """What somebody looks for among the rows: a state, or those that ask for a hand, and a domain or an address."""

    state: str
    text: str

    @property
    def is_address(self) -> bool:
        return "@" in self.text.strip("@")

    @property
    def wanted(self) -> Wanted:
        state = DeliveryState(self.state) if self.state in list(DeliveryState) else None
        domain = "" if self.is_address else self.text.lstrip("@").lower()
        return Wanted(state, domain, undecided=self.state == "undecided")


@pages.get(DELIVERY, endpoint="delivery")
@staff_only
def show(id: int) -> str:
    shown, now = _frozen(id), the_clock().now()
    search = Search(one_line(request.args.get("state", "")), one_line(request.args.get("q", ""))[:254])
    found = reporting.report(shown, now, afresh="afresh" in request.args)
    rows = _rows(shown, search)
    return render_template(
        "admin/delivery.html",
        **_told(shown, found),
        search=search,
        rows=rows,
        after=f"{rows.after[0]}-{rows.after[1]}" if rows.after else None,
        undecided=reporting.rows_of(shown, Wanted(undecided=True), limit=SHOWN_UNDECIDED) if found.undecided else None,
        typed_above=deciding.TYPED_ABOVE,
        examples={one: reporting.example_of(one) for one in _reasons(found)},
        may_send=me().may(Right.SEND),
        may_export=me().may(Right.OWN),
        actions=actions_of(shown),
    )


SHOWN_UNDECIDED = 20
SHOWN_REASONS = 12


def _frozen(id: int) -> Edition:
    found = edition(id)
    if found.frozen_at is None:
        raise EditionUnknown(what=f"{id} of which anything went out")
    return found


def _reasons(found: Report) -> tuple[Reason, ...]:
    return found.counted.reasons[:SHOWN_REASONS] if found.counted else ()


def _told(shown: Edition, found: Report) -> dict[str, object]:
    return {
        "edition": shown,
        "report": found,
        "reasons": _reasons(found),
        "next_step": next_step(shown, the_clock().now()),
        "going": shown.state is EditionState.SENDING,
    }


def _rows(shown: Edition, search: Search) -> reporting.Rows:
    if search.is_address:
        row = reporting.row_to(shown.id, normalise(search.text))
        return reporting.Rows([row] if row and search.wanted.state in (None, row.state) else [], None)
    return reporting.rows_of(shown, search.wanted, _after(request.args.get("after", "")))


def _after(typed: str) -> Place:
    shard, _, id = typed.partition("-")
    if not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in (shard, id)):
        return BEGINNING
    return min(int(shard), ANYWHERE_AT_MOST), int(id)


@pages.get(f"{DELIVERY}/progress", endpoint="delivery_progress")
@staff_only
def progress(id: int) -> str:
    """What changes on the page while an edition goes out."""
    shown = _frozen(id)
    return render_template("admin/_progress.html", **_told(shown, reporting.report(shown, the_clock().now())))


@pages.post(f"{DELIVERY}/pause", endpoint="pause_delivery")
@needs(Right.SEND)
def pause(id: int) -> ResponseReturnValue:
    by = me().actor
    return attempt(
        lambda: releasing.pause(id, the_clock().now(), by),
        "Paused. What was on its way at this moment still arrives, and nothing else goes out.",
        url_for("admin.delivery", id=id),
    )


@pages.post(f"{DELIVERY}/unpause", endpoint="unpause_delivery")
@needs(Right.SEND)
def unpause(id: int) -> ResponseReturnValue:
    by = me().actor
    return attempt(
        lambda: releasing.unpause(id, the_clock().now(), by), "It goes on.", url_for("admin.delivery", id=id)
    )


@pages.post(f"{DELIVERY}/<int(max=9223372036854775807):copy>/resend", endpoint="resend_copy")
@needs(Right.SEND)
def resend(id: int, copy: int) -> ResponseReturnValue:
    by = me().actor
    return attempt(
        lambda: deciding.resend(id, copy, the_clock().now(), by),
        "It goes again. If the reader had it already, they get two.",
        url_for("admin.delivery", id=id),
    )


@pages.post(f"{DELIVERY}/<int(max=9223372036854775807):copy>/leave", endpoint="leave_copy")
@needs(Right.SEND)
def leave(id: int, copy: int) -> ResponseReturnValue:
    by = me().actor
    return attempt(
        lambda: deciding.leave(id, copy, the_clock().now(), by),
        "It is left as it is: uncertain, and nobody is asked about it any more.",
        url_for("admin.delivery", id=id),
    )


@pages.post(f"{DELIVERY}/resend", endpoint="resend_copies")
@needs(Right.SEND)
def resend_all(id: int) -> ResponseReturnValue:
    by, typed = me().actor, request.form.get("count")
    return _decided(id, lambda: deciding.resend_all(id, the_clock().now(), by, typed), "to go again")


@pages.post(f"{DELIVERY}/leave", endpoint="leave_copies")
@needs(Right.SEND)
def leave_all(id: int) -> ResponseReturnValue:
    by, typed = me().actor, request.form.get("count")
    return _decided(id, lambda: deciding.leave_all(id, the_clock().now(), by, typed), "left as they are")


def _decided(id: int, decide: Callable[[], Decided], what: str) -> ResponseReturnValue:
    try:
        decided = decide()
    except NewsletterError as error:
        flash(str(error), "problem")
    else:
        stay = f" Others stay uncertain ({decided.why_not})." if decided.not_done else ""
        flash(f"Copies {what}: {decided.done:,}.{stay}", "done" if decided.done or not stay else "problem")
    return redirect(url_for("admin.delivery", id=id), 303)


@pages.post(f"{DELIVERY}/ledger.csv", endpoint="delivery_csv")
@proven
@needs(Right.OWN)
def download(id: int) -> Response:
    """Every row of the ledger. It is a POST because it is written down who took everybody's addresses along."""
    shown = _frozen(id)
    _note_export(shown, me().actor)
    name = f"ledger-{shown.newsletter.slug}-{shown.local_date}-{shown.id}.csv"
    return csv_file(name, COLUMNS, _batches(shown.id))


def _note_export(shown: Edition, by: Actor) -> None:
    with transaction():
        audit.record(by, "edition.export-ledger", f"edition:{shown.id}", the_clock().now())


COLUMNS = (
    "delivery",
    "address",
    "kind",
    "state",
    "skip_reason",
    "decision",
    "attempts",
    "next_attempt_at",
    "last_reply",
    "changed_at",
)


def _batches(edition_id: int) -> Iterator[Iterable[tuple[object, ...]]]:
    rows = reporting.every_row(edition_id)
    while some := list(islice(rows, 500)):
        yield map(_cells, some)


def _cells(row: Row) -> tuple[object, ...]:
    waits = row.state in (DeliveryState.PENDING, DeliveryState.DEFERRED)
    return (
        row.id,
        row.address,
        row.kind,
        row.state,
        row.skip_reason,
        row.decision,
        row.attempts,
        row.next_attempt_at.isoformat() if waits else None,
        row.last_reply,
        row.updated_at.isoformat(),
    )
