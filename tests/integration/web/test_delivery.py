"""The page of where an edition's copies are: what it shows to whom, and what can be decided there."""

from __future__ import annotations

import csv
import io
import re

import pytest
import sqlalchemy as sa

from newsletter.delivery import counting, deciding, reporting
from newsletter.delivery.models import Delivery
from newsletter.foundation.audit import AuditRecord
from newsletter.foundation.database import db, transaction
from newsletter.foundation.text import cell as harmless
from newsletter.staff.models import Role
from newsletter.subscribers.models import Subscriber
from tests.conftest import House
from tests.integration.delivery.test_reporting import MIXED
from tests.integration.web import Desk, signed_in
from tests.support import newsroom
from tests.support.forms import Sheet, open_page
from tests.support.ledgers import Copy, ledger_with
from tests.support.newsroom import delivery, edition_state, ledger_of

ANN, BOB = "ann@mail.example", "bob@mail.example"
DOUBTFUL = (Copy(ANN, "uncertain", "timed out"), Copy(BOB, "uncertain", "it closed the connection"))


def path(edition_id: int, rest: str = "") -> str:
    return f"/admin/editions/{edition_id}/delivery{rest}"


def page(house: House, edition_id: int, role: Role = Role.EDITOR, query: str = "") -> Sheet:
    return open_page(signed_in(house, role), path(edition_id) + query)


def table(sheet: Sheet, caption: str) -> list[list[str]]:
    """The cells of the table with that caption, row by row."""
    (found,) = [one for one in sheet.root.iter("table") if "".join(one.xpath("caption//text()")).startswith(caption)]
    cells = [row.xpath("th|td") for row in found.xpath("tbody/tr|tfoot/tr")]
    return [[" ".join("".join(cell.itertext()).split()) for cell in row] for row in cells]


def test_it_shows_how_far_it_is_and_states_that_add_up(house: House) -> None:
    many = [Copy(f"m{n}@mail.example") for n in range(40)]
    _, edition_id = ledger_with(house, *MIXED, *many)
    sheet = page(house, edition_id)
    assert "48 of 53" in sheet.words
    (bar,) = sheet.root.iter("progress")
    assert (bar.get("value"), bar.get("max")) == ("48", "53")
    assert sheet.root.xpath("//label[@for='over']"), "it has a name"
    states = {row[0]: row[1] for row in table(sheet, "Where the copies are")}
    assert states == {
        "Pending": "1",
        "Sending": "1",
        "Accepted": "44",
        "Deferred": "3",
        "Refused": "2",
        "Uncertain": "1",
        "Skipped": "1",
        "left": "1",
        "Audience": "53",
    }
    assert "If it stays as fast as in the last 60 seconds. 3 copies that were put off are tried again" in sheet.words


def test_refusals_are_grouped_and_domains_told_by_their_trouble(house: House) -> None:
    _, edition_id = ledger_with(house, *MIXED)
    sheet = page(house, edition_id)
    said = table(sheet, "Copies that were put off or refused")
    assert said[0][1:] == ["Deferred", "2"]
    assert "451 4.7.1 greylisted for … seconds" in said[0][0]
    assert "451 4.7.1 greylisted for 120 seconds" in said[0][0], "one of them in full"
    assert table(sheet, "The slowest")[0] == ["slow.example", "2", "–", "2", "–", "–", "2.0"]
    assert [row[0] for row in table(sheet, "Those that refused most")] == ["mail.example", "other.example"]
    assert [row[0] for row in table(sheet, "The largest, of 3")] == ["mail.example", "other.example", "slow.example"]


def test_rows_are_looked_for_by_state_domain_and_address_with_each_row_s_last_reply(house: House) -> None:
    _, edition_id = ledger_with(house, *MIXED)
    desk = signed_in(house, Role.SUPPORT)

    def rows(query: str) -> list[list[str]]:
        return table(open_page(desk, path(edition_id) + query), "Copies, in the order")

    assert len(rows("")) == 13
    assert [row[3] for row in rows("?state=refused&q=other.example")] == ["550 5.1.1 <r2@other.example>: user unknown"]
    assert [row[0] for row in rows("?q=D2@Slow.Example")] == ["d2@slow.example"]
    assert [row[0] for row in rows("?state=undecided")] == ["u1@other.example"]
    assert len(rows("?state=nonsense&after=x-y")) == 13, "what nobody could have pressed is nothing said"
    assert "There is none like that" in open_page(desk, path(edition_id) + "?q=nowhere.example").words


def test_many_rows_are_pages(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting.rows_of, "__defaults__", (reporting.BEGINNING, 5))
    _, edition_id = ledger_with(house, *MIXED)
    desk, found = signed_in(house), []
    there: str | None = path(edition_id)
    while there:
        sheet = open_page(desk, there)
        found += [row[0] for row in table(sheet, "Copies, in the order")]
        there = sheet.links().get("Look further") or sheet.links().get("Next")
    assert sorted(found) == sorted(one.address for one in MIXED)


# Deciding


def test_one_uncertain_copy_is_sent_again_and_one_left(house: House) -> None:
    _, edition_id = ledger_with(house, *DOUBTFUL)
    sheet = page(house, edition_id)
    assert "For you to decide: 2 copies" in sheet.words
    assert [row[0] for row in table(sheet, "Uncertain copies")] == [ANN, BOB]
    after = sheet.after("Send again")
    assert "It goes again. If the reader had it already, they get two." in after.words
    assert "For you to decide: 1 copy" in after.words
    last = after.after("Leave")
    assert "It is left as it is" in last.words
    assert "For you to decide" not in last.words
    assert ledger_of(house, edition_id) == {"pending": 1, "uncertain": 1}
    rows = {row[0]: row[1] for row in table(last, "Copies, in the order")}
    assert "left as it is" in rows[BOB]
    assert "sent again" in rows[ANN]


def test_all_are_decided_at_once_with_their_number_typed_where_they_are_many(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "TYPED_ABOVE", 1)
    paper, edition_id = ledger_with(house, *DOUBTFUL)
    paper.leave(BOB)
    sheet = page(house, edition_id)
    assert "Type 2 to decide about so many" in sheet.words
    assert "Nothing was changed" in sheet.after("Send 2 copies again", count="3").words
    after = sheet.after("Send 2 copies again", count="2")
    assert "Copies to go again: 1. Others stay uncertain (1: its reader has left)." in after.words
    assert after.buttons().count("Leave") == 2, "in the list of those to decide, and among the rows"
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1, "uncertain": 1}


def test_all_are_left_at_once(house: House) -> None:
    _, edition_id = ledger_with(house, *DOUBTFUL)
    assert "Copies left as they are: 2." in page(house, edition_id).after("Leave 2 copies").words


def test_it_is_paused_and_goes_on_from_there(house: House) -> None:
    _, edition_id = ledger_with(house, Copy(ANN), Copy(BOB, "pending"))
    paused = page(house, edition_id).after("Pause")
    assert "It is paused, and nothing goes out until somebody goes on." in paused.words
    assert "Pause" not in paused.buttons()
    assert "It goes on." in paused.after("Go on").words
    assert edition_state(house, edition_id) == "sending"


def test_support_sees_everything_and_decides_nothing(house: House) -> None:
    _, edition_id = ledger_with(house, *DOUBTFUL)
    sheet = page(house, edition_id, Role.SUPPORT)
    assert "For you to decide: 2 copies" in sheet.words
    assert sheet.buttons() == ["Look"]


def test_the_edition_s_page_says_what_asks_for_a_hand_and_leads_there(house: House) -> None:
    _, edition_id = ledger_with(house, *DOUBTFUL)
    sheet = open_page(signed_in(house), f"/admin/editions/{edition_id}")
    assert "2 copies are uncertain, and somebody should decide about them." in sheet.words
    assert sheet.links()["Domains, refusals and every copy"] == path(edition_id)


def test_an_edition_of_which_nothing_went_out_has_no_such_page(house: House) -> None:
    paper = newsroom.found(house)
    paper.tells(*newsroom.SUBJECTS)
    answer = signed_in(house).get(path(paper.draft()))
    assert answer.status_code == 404
    assert "of which anything went out" in answer.text


# Live


def test_what_changes_is_asked_for_alone_while_it_goes_out(house: House) -> None:
    _, edition_id = ledger_with(house, Copy(ANN), Copy(BOB, "pending"))
    desk = signed_in(house)
    whole = desk.get(path(edition_id))
    assert f'data-live="{path(edition_id, "/progress")}"' in whole.text
    assert "connect-src 'self'" in whole.headers["Content-Security-Policy"]
    assert ">Refresh</a>" in whole.text, "also without scripts"
    part = desk.get(path(edition_id, "/progress"))
    assert 'data-state="going"' in part.text
    assert "<html" not in part.text
    house.work()
    house.work()
    assert 'data-state="over"' in desk.get(path(edition_id, "/progress")).text
    over = desk.get(path(edition_id))
    assert "data-live" not in over.text
    assert "live.js" not in over.text


def test_a_large_edition_that_was_not_counted_yet_says_so_and_can_be_counted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, edition_id = ledger_with(house, *MIXED)
    monkeypatch.setattr(counting, "AT_ONCE", 0)
    sheet = page(house, edition_id)
    assert "So many rows are being counted for the first time." in sheet.words
    counted = open_page(sheet.desk, sheet.links()["Count them now"])
    assert "Counted at 05:21:00 UTC." in counted.words
    assert "Count them now" not in counted.links()


# The ledger as a file


def ledger_csv(desk: Desk, edition_id: int) -> list[dict[str, str]]:
    answer = desk.post(path(edition_id, "/ledger.csv"))
    assert answer.status_code == 200
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=ledger-morning-post-2026-03-03-")
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_the_ledger_is_a_file_with_a_row_for_each_copy_and_it_is_noted_who_took_it(house: House) -> None:
    _, edition_id = ledger_with(house, *MIXED)
    rows = ledger_csv(signed_in(house), edition_id)
    assert {row["address"]: row["state"] for row in rows} == {one.address: one.state for one in MIXED}
    (deferred,) = [row for row in rows if row["address"] == "d1@slow.example"]
    assert (deferred["last_reply"], deferred["attempts"]) == ("451 4.7.1 greylisted for 120 seconds", "3")
    with house.app.app_context():
        query = sa.select(AuditRecord.actor_name).where(AuditRecord.action == "edition.export-ledger")
        assert db.session.scalars(query).all() == ["owner0@example.org"]


def test_no_cell_is_a_formula(house: House) -> None:
    _, edition_id = ledger_with(house, *(Copy(ANN, "refused", f"{sign}cmd|' /C calc'!A0") for sign in "="))
    with house.app.app_context(), transaction() as session:
        session.execute(sa.update(Subscriber).values(address="=1+1@mail.example"))
    (row,) = ledger_csv(signed_in(house), edition_id)
    assert row["address"] == "'=1+1@mail.example"
    assert row["last_reply"] == "'=cmd|' /C calc'!A0"


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_cell_that_a_spreadsheet_would_take_for_a_formula_gets_an_apostrophe(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"


def test_a_harmless_cell_stays_as_it_is() -> None:
    assert [harmless(cell) for cell in ("", "550 no", "a=b")] == ["", "550 no", "a=b"]


# Strangers' words


def test_hostile_words_of_servers_and_domains_are_text(house: House) -> None:
    script = "<script>alert(1)</script>"
    _, edition_id = ledger_with(house, Copy(ANN, "refused", f"550 no {script}"), Copy(BOB, "uncertain", script))
    with house.app.app_context(), transaction() as session:
        one = delivery(house, ANN).subscriber_id
        bad = {"normalised": f"x@{script}", "address": f"x@{script}"}
        session.execute(sa.update(Subscriber).where(Subscriber.id == one).values(bad))
        session.execute(sa.update(Delivery).where(Delivery.subscriber_id != one).values(last_reply=f'"{script}'))
    desk = signed_in(house)
    for text in (desk.get(path(edition_id)).text, desk.get(path(edition_id) + f"?q={script}").text):
        assert "alert(1)" in text
        assert not re.search(r"<script>", text)
