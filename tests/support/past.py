"""Editions that went out, put into the tables as they stand there afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from newsletter.editions import publishing
from newsletter.editions.models import Edition, EditionKind, EditionState, Item, Revision
from newsletter.foundation.database import db, transaction
from newsletter.newsletters.models import Slot
from tests.support.newsroom import Paper


def went_out(
    paper: Paper,
    day: date,
    *headlines: str,
    state: str = "sent",
    number: int = 0,
    slot_id: int | None = None,
    items: Sequence[dict[str, Any]] = (),
    special: bool = False,
    corrects: int | None = None,
    **revision: Any,
) -> int:
    """An edition with the headlines, or with `items` as they are said; its id. It began at its slot's time. With a
    `number` it is a correction, or a `special` one, which may be of the edition that it `corrects`."""
    with paper.house.app.app_context(), transaction() as session:
        slot = db.session.get_one(Slot, slot_id or paper.slot_id)
        moments = publishing.schedule_of(slot, day)
        kind = EditionKind.SPECIAL if special else EditionKind.CORRECTION if number else EditionKind.DAILY
        wrong = db.session.get_one(Edition, corrects).revision if corrects else None
        told = items or [{"headline": headline} for headline in headlines or [f"The news of {day}"]]
        went = Edition(
            newsletter_id=paper.id,
            slot_id=slot.id,
            local_date=day,
            number=number,
            kind=kind,
            corrects_id=wrong.id if wrong else None,
            state=EditionState(state),
            slot_at=moments.slot_at,
            cutoff_at=moments.cutoff_at,
            start_by=moments.start_by,
            finish_by=moments.finish_by,
            frozen_at=moments.slot_at + timedelta(minutes=90 * number) if state in ("sending", "sent") else None,
            created_at=moments.cutoff_at,
            revisions=[
                Revision(
                    number=1,
                    created_at=moments.cutoff_at,
                    created_by="test",
                    **{"sealed_at": moments.cutoff_at, "subject": told[0]["headline"]} | revision,
                    items=[_item(position, moments, one) for position, one in enumerate(told, 1)],
                )
            ],
        )
        session.add(went)
        session.flush()
        return went.id


def _item(position: int, moments: Any, told: dict[str, Any]) -> Item:
    values = {
        "url": f"https://outlet.example/{position}",
        "outlet": "Harbor Gazette",
        "published_at": moments.slot_at - timedelta(hours=5),
    }
    return Item(position=position, **values | told)
