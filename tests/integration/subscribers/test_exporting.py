"""Readers go out as they stand now, a batch after the other, and come in again as the same."""

from __future__ import annotations

import csv
import io
import json
from datetime import date

import pytest
import sqlalchemy as sa

from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.database import db
from newsletter.foundation.telling import csv_lines, json_lines
from newsletter.mail.suppression import SuppressionReason
from newsletter.newsletters.models import newsletters
from newsletter.subscribers import exporting
from newsletter.subscribers.exporting import COLUMNS, Whom
from newsletter.subscribers.segments import InState, OfNewsletter, Part, ReaderState
from tests.conftest import House
from tests.integration.subscribers import ANN, became_reader, everything, link_in, put_on_the_list, statements
from tests.support import newsroom
from tests.support.newsroom import Paper
from tests.support.tables_in import brought, many, readers

BOB, CY, DORA = "bob@example.org", "cy@example.org", "dora@example.org"


def out(house: House, *, form: str = "csv", **whom: object) -> str:
    tell = csv_lines if form == "csv" else json_lines
    with house.app.app_context():
        wanted = {"newsletter_ids": [one.id for one in newsletters()]} | whom
        return "".join(tell(COLUMNS, exporting.export(Whom(**wanted), house.now, COMMAND)))  # type: ignore[arg-type]


def rows(house: House, **whom: object) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(out(house, **whom))))


def addresses(house: House, **whom: object) -> list[str]:
    return [row["email"] for row in rows(house, **whom)]


def of_all_kinds(house: House) -> Paper:
    paper = newsroom.found(house)
    paper.readers(ANN, BOB, CY, DORA)
    paper.change(BOB, paused_until=date(2026, 4, 1))
    paper.leave(CY)
    put_on_the_list(house, SuppressionReason.HARD_BOUNCE, DORA)
    return paper


def test_each_is_told_as_they_stand_now(either_house: House) -> None:
    house = either_house
    of_all_kinds(house)
    told = {row["email"]: (row["state"], row["paused_until"], row["left_at"][:10]) for row in rows(house)}
    assert told == {
        ANN: ("active", "", ""),
        BOB: ("paused", "2026-04-01", ""),
        CY: ("unsubscribed", "", "2026-03-03"),
        DORA: ("bounced", "", ""),
    }
    by_state = {state: addresses(house, conditions=[InState(state)]) for state in ReaderState}
    assert by_state == {"active": [ANN], "paused": [BOB], "suppressed": [DORA], "unsubscribed": [CY]}


def test_the_proof_of_consent_goes_along_also_of_who_has_another_address_now(house: House) -> None:
    newsroom.found(house)
    became_reader(house)
    house.browser.post(f"{link_in(house, ANN, '/preferences/')}/address", data={"email": "ann@example.net"})
    house.work()
    house.browser.post(link_in(house, "ann@example.net", "/change/"))
    (row,) = rows(house)
    assert (row["email"], row["consented_at"]) == ("ann@example.net", "2026-03-03T05:20:00+00:00")


def test_only_what_is_asked_for_goes_out(house: House) -> None:
    post, courier = newsroom.found(house), newsroom.found(house, "ridge-courier")
    post.readers(ANN, BOB)
    courier.readers(CY, "bea@example.org")
    assert addresses(house, newsletter_ids=[courier.id]) == [CY, "bea@example.org"]
    some = [Part("b")]
    assert addresses(house, conditions=some) == [BOB, "bea@example.org"]
    assert addresses(house, newsletter_ids=[post.id], conditions=some) == [BOB]
    assert addresses(house, conditions=[*some, OfNewsletter(courier.id)]) == ["bea@example.org"]


def test_no_cell_is_a_formula_and_none_is_lost_by_that(house: House) -> None:
    hostile = ["+sum@example.org", "-x@example.org", "=cmd@example.org"]
    newsroom.found(house).readers(*hostile)
    text = out(house)
    assert [row["email"] for row in csv.DictReader(io.StringIO(text))] == [
        f"'{one}" for one in sorted(hostile, key=hostile.index)
    ]
    lines = [json.loads(line) for line in out(house, form="jsonl").splitlines()]
    assert [line["email"] for line in lines] == hostile, "in JSON there are no formulas"


def test_what_is_exported_and_imported_are_the_same_readers(house: House) -> None:
    paper = of_all_kinds(house)
    tokyo = paper.slot("Asia/Tokyo", newsroom.time(18, 0))
    paper.readers("Zoë@bücher.example".replace("ë", "e"), "+tag@example.org", slot_id=tokyo)
    text = out(house)
    told = {(row["email"], row["slot"], row["language"], row["consented_at"]) for row in rows(house)}
    with house.app.app_context():
        db.session.execute(sa.text("DELETE FROM subscriptions"))
        db.session.execute(sa.text("DELETE FROM subscribers"))
        db.session.execute(sa.text("DELETE FROM suppressions"))
        db.session.commit()
    house.later(days=30)
    assert brought(house, text) == {"taken": 4, "left": 1, "bounced": 1}
    again = {(row["email"], row["slot"], row["language"], row["consented_at"]) for row in rows(house)}
    assert again == {row for row in told if row[0] not in (CY, DORA)}, "who is away stays away, the others are the same"
    assert readers(house) == sorted([ANN, BOB, "+tag@example.org", "Zoe@bücher.example"])


def test_who_took_them_along_and_how_many_is_written_down_before_the_first_goes_out(house: House) -> None:
    of_all_kinds(house)
    with house.app.app_context():
        exporting.export(Whom([1], [InState(ReaderState.ACTIVE)]), house.now, COMMAND)
        record = db.session.scalars(sa.select(AuditRecord).where(AuditRecord.action == "subscribers.export")).one()
    assert record.details == {"count": 1, "conditions": [{"kind": "state", "state": "active"}]}
    assert "audit_records" in everything(house)


def test_many_go_out_in_batches(either_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house = either_house
    monkeypatch.setattr(exporting, "BATCH", 10)
    newsroom.found(house).readers(*many(35))
    with statements(house) as seen:
        assert sorted(addresses(house)) == many(35)
    asked = [one for one in seen if "LIMIT" in one and "FROM subscriptions" in one]
    assert len(asked) == 5
