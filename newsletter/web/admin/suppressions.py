"""The suppression list: whether an address is on it and why, and what staff may add and take back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flask import Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.foundation import audit
from newsletter.foundation.clock import the_clock
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.secrets import the_keys
from newsletter.foundation.text import one_line
from newsletter.mail import suppression
from newsletter.mail.addresses import AddressInvalid, normalise
from newsletter.mail.suppression import Suppression, SuppressionReason
from newsletter.staff.rights import Right
from newsletter.subscribers import suppressing
from newsletter.subscribers.models import Subscriber, subscriber_at
from newsletter.web.admin.access import me, needs, pages, proven, whole_house
from newsletter.web.downloads import csv_file

A_PAGE = 50
A_BATCH = 5000
LONGEST = 254

MEANINGS = {
    SuppressionReason.HARD_BOUNCE: "A server said that there is no such mailbox. Their own confirming lifts it.",
    SuppressionReason.COMPLAINT: "They told their provider that our mail is spam. Nothing lifts it.",
    SuppressionReason.ERASURE: "They asked to be forgotten. Their own confirming lifts it.",
    SuppressionReason.BY_HAND: "Staff decided it. An owner can take back what was done here.",
    SuppressionReason.LEFT: "They left where they were mailed before us. Their own confirming lifts it.",
}


@dataclass(frozen=True)
class Looked:
    """What a search found. `reader` is who has the address, if anybody does."""

    address: str
    entries: Sequence[Suppression]
    by: dict[tuple[str, SuppressionReason], str]
    reader: Subscriber | None
    may_take_back: bool


@pages.get("/suppressions", endpoint="suppressions")
@whole_house
def show() -> str:
    return _page()


def _page(looked: Looked | None = None, typed: str = "", note: str = "", **errors: str) -> str:
    entries = suppression.newest(_number(request.args.get("before", "")), A_PAGE + 1)
    return render_template(
        "admin/suppressions.html",
        entries=entries[:A_PAGE],
        more=entries[A_PAGE - 1].id if len(entries) > A_PAGE else None,
        by=suppressing.who(one.address_hash for one in entries),
        counts=suppression.counts() if "counted" in request.args else None,
        meanings=MEANINGS,
        looked=looked,
        typed=typed,
        note=note,
        errors=errors,
        may_help=me().may(Right.HELP_SUBSCRIBERS),
        may_own=me().may(Right.OWN),
    )


def _number(typed: str) -> int | None:
    return min(int(typed), 2**31 - 1) if typed.isdecimal() and len(typed) < 19 else None


@pages.post("/suppressions/look", endpoint="look_up_suppression")
@whole_house
def look() -> ResponseReturnValue:
    """A POST although it changes nothing: an address in a link would stand in logs and histories."""
    typed = _typed("email")
    try:
        return _page(_looked(typed), typed)
    except AddressInvalid as error:
        return _page(None, typed, look=str(error)), 422


def _typed(name: str) -> str:
    return one_line(request.form.get(name, ""))[:LONGEST]


def _looked(typed: str) -> Looked:
    """Raises AddressInvalid."""
    hashed = suppressing.hash_of(typed, the_keys())
    return Looked(
        typed.strip(),
        suppression.entries(hashed),
        suppressing.who([hashed]),
        subscriber_at(normalise(typed.strip())),
        suppressing.may_take_back(hashed),
    )


@pages.post("/suppressions", endpoint="add_suppression")
@needs(Right.HELP_SUBSCRIBERS, whole_house=True)
def add() -> ResponseReturnValue:
    typed, note = _typed("email"), one_line(request.form.get("note", ""))[:300]
    try:
        added = suppressing.suppress(typed, note, the_clock().now(), the_keys(), me().actor)
    except AddressInvalid as error:
        return _page(None, typed, note, add=str(error)), 422
    flash(f"{typed.strip()} {'is never mailed again' if added else 'was on the list by hand already'}.", "done")
    return redirect(url_for("admin.suppressions"), 303)


@pages.post("/suppressions/take-back", endpoint="take_back_suppression")
@proven
@needs(Right.OWN)
def take_back() -> ResponseReturnValue:
    typed = _typed("email")
    try:
        suppressing.take_back(typed, request.form.get("why", ""), the_clock().now(), the_keys(), me().actor)
        left = _looked(typed).entries
    except NewsletterError as error:
        flash(str(error), "problem")
    else:
        still = " Other reasons stay, so they are still not mailed." if left else ""
        flash(f"The entry by hand for {typed.strip()} is taken back.{still}", "done")
    return redirect(url_for("admin.suppressions"), 303)


@pages.post("/suppressions.csv", endpoint="suppressions_csv")
@proven
@needs(Right.OWN)
def download() -> Response:
    """Hashes, which say nothing to who has not our key; no note, since a server's words may name the address."""
    now = the_clock().now()
    with transaction():
        audit.record(me().actor, "suppressions.export", "suppressions:all", now)
    return csv_file(f"suppressions-{now:%Y-%m-%d}.csv", ("address_hash", "reason", "since"), _batches())


def _batches() -> Iterator[list[tuple[str, str, str]]]:
    before: int | None = None
    while found := suppression.newest(before, A_BATCH):
        before = found[-1].id
        rows = [(one.address_hash, str(one.reason), one.created_at.isoformat()) for one in found]
        db.session.expunge_all()
        db.session.rollback()  # whoever reads slowly keeps no transaction open
        yield rows
