"""The audit trail: who did what, when and from where."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date

from flask import render_template, request
from flask.typing import ResponseReturnValue

from newsletter.foundation import audit
from newsletter.foundation.audit import AuditRecord, Wanted
from newsletter.foundation.clock import the_clock
from newsletter.foundation.database import db, transaction
from newsletter.foundation.text import one_line
from newsletter.staff.models import everybody
from newsletter.staff.rights import Right
from newsletter.web.admin.access import me, needs, pages, proven
from newsletter.web.downloads import csv_file

A_PAGE = 50
A_BATCH = 1000
FIELDS = ("who", "act", "subject", "since", "until")
COLUMNS = ("at", "kind", "who", "ip", "act", "subject", "details")
LONGEST = 254


@pages.get("/audit", endpoint="audit")
@needs(Right.OWN)
def show() -> ResponseReturnValue:
    typed = _typed()
    wanted, wrong = _wanted(typed)
    before = request.args.get("before", "")
    found = audit.find(wanted, min(int(before), 2**31 - 1) if before.isdecimal() else None, A_PAGE + 1)
    page = render_template(
        "admin/audit.html",
        records=found[:A_PAGE],
        more=found[A_PAGE - 1].id if len(found) > A_PAGE else None,
        typed=typed,
        asked={name: text for name, text in typed.items() if text},
        wrong=wrong,
        people=[one.address for one in everybody()] + ["command line", "the service"],
    )
    return page, 422 if wrong else 200


def _typed() -> dict[str, str]:
    return {name: one_line(request.values.get(name, ""))[:LONGEST] for name in FIELDS}


def _wanted(typed: dict[str, str]) -> tuple[Wanted, list[str]]:
    """What is looked for, and which fields are no dates."""
    days, wrong = {}, []
    for name in ("since", "until"):
        try:
            days[name] = date.fromisoformat(typed[name]) if typed[name] else None
        except ValueError:
            wrong.append(name)
    return Wanted(typed["who"], typed["act"], typed["subject"], **days), wrong


@pages.post("/audit.csv", endpoint="audit_csv")
@proven
@needs(Right.OWN)
def export() -> ResponseReturnValue:
    wanted, wrong = _wanted(_typed())
    if wrong:
        return show()
    with transaction():
        looked_for = {name: text for name, text in _typed().items() if text}
        audit.record(me().actor, "audit.export", "audit:all", the_clock().now(), **looked_for)
    return csv_file(f"audit-{the_clock().now():%Y-%m-%d}.csv", COLUMNS, _batches(wanted))


def _batches(wanted: Wanted) -> Iterator[list[tuple[str, ...]]]:
    """A batch after the other, so that neither we nor the database hold them all."""
    before: int | None = None
    while found := audit.find(wanted, before, A_BATCH):
        before = found[-1].id
        rows = [_cells(one) for one in found]
        db.session.expunge_all()
        db.session.rollback()  # whoever reads slowly keeps no transaction open
        yield rows


def _cells(one: AuditRecord) -> tuple[str, ...]:
    details = json.dumps(one.details, ensure_ascii=False) if one.details else ""
    return (one.at.isoformat(), one.actor_kind, one.actor_name, one.ip or "", one.action, one.subject, details)
