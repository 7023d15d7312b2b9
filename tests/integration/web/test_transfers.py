"""The pages by which readers come in and go out: what they show to whom, and that nothing is lost on the way."""

from __future__ import annotations

import csv
import io
import json
from io import BytesIO

import pytest
from werkzeug.test import TestResponse

from newsletter.mail.suppression import SuppressionReason
from newsletter.newsletters.models import newsletter
from newsletter.staff.models import Role
from newsletter.staff.rights import Grant
from newsletter.subscribers import import_runs, uploading
from newsletter.subscribers.import_models import Import, ImportPart
from tests.conftest import House
from tests.integration.subscribers import ANN, SITE, count, everything, put_on_the_list
from tests.integration.web import Desk, signed_in, visitor
from tests.support import newsroom
from tests.support.forms import Sheet, open_page, words
from tests.support.tables_in import many, readers, state

IMPORT = "/admin/subscribers/import"
EXPORT = "/admin/subscribers/export"


def send(desk: Desk, octets: bytes, name: str = "old.csv", token: str | None = None, **fields: str) -> TestResponse:
    data = {"csrf_token": desk.token if token is None else token, "newsletter": "morning-post"} | fields
    return desk.client.post(IMPORT, base_url=SITE, data={**data, "file": (BytesIO(octets), name)})


def uploaded(desk: Desk, octets: bytes, name: str = "old.csv") -> Sheet:
    answer = send(desk, octets, name)
    assert answer.status_code == 303, answer.text
    return open_page(desk, answer.headers["Location"])


def worked(house: House, sheet: Sheet) -> Sheet:
    """The page after the scheduler has ticked."""
    with house.app.app_context():
        import_runs.work_due(house.clock, house.keys)
    return open_page(sheet.desk, sheet.path)


def outcomes(sheet: Sheet) -> dict[str, str]:
    (found,) = sheet.root.find_class("outcomes")
    rows = [row.xpath("th|td") for row in found.xpath("tbody/tr|tfoot/tr")]
    return {words(name): words(number) for name, number in rows}


def forget_proof(house: House) -> None:
    """Ten minutes pass since anybody said who they are."""
    house.later(minutes=11)


def test_ten_thousand_rows_with_problems_come_in_by_the_pages(house: House) -> None:
    newsroom.found(house).readers("r1@example.org")
    for number in range(2, 12):
        reason = SuppressionReason.LEFT if number % 2 else SuppressionReason.COMPLAINT
        put_on_the_list(house, reason, f"r{number}@example.org")
    bad = ["nobody", "a@b", "x@@example.org", "", "two words@example.org"]
    lines = [f"R{number}@example.org;Reader {number}" for number in range(9990)]
    lines += [f"{one};x" for one in bad if one] + ["r0@example.org;again"] * 6
    sheet = uploaded(signed_in(house), ("E-Mail;Name\r\n" + "\r\n".join(lines)).encode("utf-8-sig"))
    assert sheet.fields("Try it without taking anybody")["column-address"] == "0"
    assert "R0@example.org" in sheet.words
    wrong = sheet.after("Try it without taking anybody", source="", mode="confirmed")
    assert "Say where these people agreed" in wrong.words
    wrong = wrong.after("Try it without taking anybody", source="the old system", mode="confirmed")
    assert "Say how it can be proved" in wrong.words
    assert wrong.fields("Try it without taking anybody")["source"] == "the old system", "what was typed stays"
    trying = wrong.after("Try it without taking anybody", mode="confirmed", proof="its log")
    assert "nobody is taken yet" in trying.words
    tried = worked(house, trying)
    expected = {
        "Taken": "9,979",
        "Read it already": "1",
        "Stands in the file before": "6",
        "Left": "5",
        "Complained": "5",
        "No e-mail address": "4",
        "All rows": "10,000",
    }
    assert outcomes(tried) == expected
    assert "line 9,992: nobody" in tried.words
    assert readers(house) == ["r1@example.org"]
    running = tried.after("Start")
    assert "It has begun" in running.words
    assert running.root.xpath("//*[@hx-get]"), "it is asked for anew"
    done = worked(house, running)
    assert outcomes(done) == expected
    assert len(readers(house)) == 9980
    refused = done.press("Rows not taken as CSV")
    rows = list(csv.DictReader(io.StringIO(refused.text)))
    assert len(rows) == 20
    assert rows[0] == {"line": "4", "reason": "complained", "E-Mail": "R2@example.org", "Name": "Reader 2"}
    assert {row["reason"] for row in rows} == {"left", "complained", "no e-mail address", "stands in the file before"}


def tried(house: House, desk: Desk, *addresses: str, **typed: str) -> Sheet:
    sheet = uploaded(desk, "\n".join(["email", *addresses]).encode())
    return worked(house, sheet.after("Try it without taking anybody", source="the old system", **typed))


def test_who_is_not_an_owner_can_only_have_them_asked(house: House) -> None:
    newsroom.found(house)
    desk = signed_in(house, Role.SUPPORT)
    sheet = uploaded(desk, b"email\nann@example.org\n")
    assert "only an owner can say" in sheet.words
    answer = sheet.press("Try it without taking anybody", source="x", mode="confirmed", proof="mine")
    assert answer.status_code == 403
    asked = tried(house, desk, ANN)
    assert "1 person gets a mail with a button" in asked.words
    worked(house, asked.after("Start"))
    assert readers(house) == []
    house.work()
    assert [mail.recipient for mail in house.inbox.mails] == [ANN]


def test_what_an_owner_has_tried_as_confirmed_only_an_owner_starts(house: House) -> None:
    newsroom.found(house)
    sheet = tried(house, signed_in(house), ANN, mode="confirmed", proof="its log")
    support = signed_in(house, Role.SUPPORT)
    assert "An owner can start this" in open_page(support, sheet.path).words
    assert support.post(f"{sheet.path}/start").status_code == 403
    assert state(house, 1) == "checked"


def test_the_proof_is_asked_for_at_the_start_and_the_upload_is_not_lost(house: House) -> None:
    newsroom.found(house)
    desk = signed_in(house)
    forget_proof(house)
    sheet = tried(house, desk, ANN, mode="confirmed", proof="its log")
    asking = sheet.press("Start")
    assert asking.status_code == 403
    assert "Is it you?" in asking.text
    assert "nothing is lost" in asking.text
    assert state(house, 1) == "checked"
    assert count(house, ImportPart) == 1


def test_a_file_is_taken_in_only_from_who_may_and_with_the_form_s_token(house: House) -> None:
    newsroom.found(house)
    large = b"email\n" + b"ann@example.org\n" * 20_000
    assert send(visitor(house), large, token="x").status_code == 302
    house.app.config["WTF_CSRF_ENABLED"] = True
    desk = signed_in(house)
    assert send(desk, large, token="wrong").status_code == 400
    assert count(house, Import) == 0
    assert send(desk, large).status_code == 303, "more than other forms take"
    assert desk.client.post("/admin/subscribers/add", base_url=SITE, data={"email": "x" * 300_000}).status_code == 413


def test_what_is_too_large_or_no_table_is_told_and_nothing_is_kept(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    newsroom.found(house)
    desk = signed_in(house)
    before = everything(house)["imports"]
    for octets, told in ((b"PK\x03\x04", "save it as CSV"), (b"", "nothing in it")):
        answer = send(desk, octets, "<b>book</b>.xlsx")
        assert answer.status_code == 422
        assert told in answer.text
        assert "<b>book" not in answer.text
    answer = desk.client.post(IMPORT, base_url=SITE, data={"csrf_token": desk.token, "newsletter": "morning-post"})
    assert (answer.status_code, "none was chosen" in answer.text) == (422, True)
    monkeypatch.setattr(uploading, "LARGEST", 1000)
    assert send(desk, b"email\n" + b"x" * 2000).status_code == 422
    monkeypatch.setattr("newsletter.web.admin.transfers.AROUND", 0)
    assert send(desk, b"email\n" + b"x" * 2000).status_code == 413
    assert everything(house)["imports"] == before


def test_strangers_words_are_words_on_the_page(house: House) -> None:
    newsroom.found(house)
    desk = signed_in(house)
    octets = b'email,<script>alert(1)</script>\n<img src=x onerror=y>,"<b>"\n'
    sheet = uploaded(desk, octets, "<i>a</i>.csv")
    for page in (
        sheet,
        worked(house, sheet.after("Try it without taking anybody", source="<u>", **{"column-address": "0"})),
    ):
        text = desk.get(page.path).text
        for tag in ("<script>alert", "<img src=x", "<b>", "<i>a", "<u>"):
            assert tag not in text, tag


def test_cells_of_the_rows_not_taken_are_no_formulas(house: House) -> None:
    newsroom.found(house)
    desk = signed_in(house)
    sheet = uploaded(desk, b"email,name\n=1+1,+2\nann@example.org,x\n")
    done = worked(house, sheet.after("Try it without taking anybody", source="x"))
    rows = list(csv.reader(io.StringIO(done.press("Rows not taken as CSV").text)))
    assert rows == [["line", "reason", "email", "name"], ["2", "no e-mail address", "'=1+1", "'+2"]]


def test_it_is_read_in_another_way_when_it_looks_wrong(house: House) -> None:
    newsroom.found(house)
    sheet = uploaded(signed_in(house), "почта;имя\nann@example.org;Анна\n".encode("cp1251"))
    assert "Анна" not in sheet.words
    again = sheet.after("Read it in this way", charset="cp1251", separator=";", names="")
    assert "Анна" in again.words
    assert again.fields("Try it without taking anybody")["column-address"] == "0"


def test_a_tried_import_can_be_changed_or_thrown_away(house: House) -> None:
    newsroom.found(house)
    desk = signed_in(house)
    sheet = tried(house, desk, ANN)
    changing = open_page(desk, sheet.links()["Change the columns"])
    again = worked(house, changing.after("Try it without taking anybody", mode="confirmed", proof="x"))
    assert "because they confirmed elsewhere (proof: x)" in again.words
    gone = again.after("Throw the file away")
    assert "Nobody was taken" in gone.words
    assert (count(house, ImportPart), readers(house)) == (0, [])
    assert "not there any more" in open_page(desk, desk.post(f"{sheet.path}/refused.csv").headers["Location"]).words


def test_a_running_import_is_cancelled(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_runs, "BATCH_OF_FILE", 10)
    monkeypatch.setattr(import_runs, "SLICE_SECONDS", 0)
    newsroom.found(house)
    desk = signed_in(house)
    sheet = uploaded(desk, "\n".join(["email", *many(50)]).encode())
    trying = sheet.after("Try it without taking anybody", source="x", mode="confirmed", proof="y")
    for _ in range(6):
        trying = worked(house, trying)
    running = worked(house, trying.after("Start"))
    assert "10 rows" in running.words
    progress = desk.get(f"{sheet.path}/progress")
    assert "HX-Refresh" not in progress.headers
    cancelled = running.after("Cancel")
    assert "Who was taken stays, and nobody else comes" in cancelled.words
    assert desk.get(f"{sheet.path}/progress").headers["HX-Refresh"] == "true"
    worked(house, cancelled)
    assert len(readers(house)) == 10
    assert "It was over already" in open_page(desk, desk.post(f"{sheet.path}/cancel").headers["Location"]).words


def limited(house: House, slug: str) -> Desk:
    with house.app.app_context():
        ids = frozenset({newsletter(slug).id})
    return signed_in(house, Role.SUPPORT, grant=Grant(Role.SUPPORT, newsletter_ids=ids))


def test_who_is_limited_brings_readers_into_their_newsletter_only(house: House) -> None:
    newsroom.found(house)
    newsroom.found(house, "ridge-courier")
    desk = limited(house, "ridge-courier")
    assert send(desk, b"email\nann@example.org\n").status_code == 404
    answer = send(desk, b"email\nann@example.org\n", newsletter="ridge-courier")
    assert answer.status_code == 303
    assert limited(house, "morning-post").get(answer.headers["Location"]).status_code == 404
    assert "Ridge Courier" in open_page(desk, IMPORT).words


# Out


def downloaded(answer: TestResponse) -> list[dict[str, str]]:
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["Content-Disposition"]
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_readers_are_exported_by_newsletter_and_state(house: House) -> None:
    newsroom.found(house).readers(ANN)
    courier = newsroom.found(house, "ridge-courier")
    courier.readers("bob@example.org", "cy@example.org")
    courier.leave("cy@example.org")
    sheet = open_page(signed_in(house, Role.SUPPORT), EXPORT)
    rows = downloaded(sheet.press("Export as CSV", newsletter=["morning-post", "ridge-courier"]))
    assert [(row["email"], row["newsletter"], row["state"]) for row in rows] == [
        (ANN, "morning-post", "active"),
        ("bob@example.org", "ridge-courier", "active"),
        ("cy@example.org", "ridge-courier", "unsubscribed"),
    ]
    rows = downloaded(sheet.press("Export as CSV", newsletter=["ridge-courier"], state="unsubscribed"))
    assert [row["email"] for row in rows] == ["cy@example.org"]
    lines = sheet.press("As JSON Lines", newsletter=["morning-post"])
    assert lines.headers["Content-Type"] == "application/jsonl"
    assert json.loads(lines.text)["email"] == ANN
    none = sheet.press("Export as CSV", newsletter=[])
    assert none.status_code == 422
    assert "Choose one newsletter" in none.text


def test_whoever_is_found_in_the_list_can_be_exported(house: House) -> None:
    newsroom.found(house).readers(ANN, "bob@mail.example", "cy@mail.example")
    desk, path = signed_in(house), f"{EXPORT}?domain=mail.example&newsletter=morning-post&state=active"
    assert "at mail.example" in desk.get(path).text
    sheet = open_page(desk, path)
    assert [row["email"] for row in downloaded(sheet.press("Export as CSV"))] == ["bob@mail.example", "cy@mail.example"]
    wrong = open_page(desk, EXPORT).press("Export as CSV", state="nonsense")
    assert wrong.status_code == 422
    assert "Nothing was exported" in wrong.text


def test_an_export_asks_for_proof_and_is_written_down(house: House) -> None:
    newsroom.found(house).readers(ANN)
    desk = signed_in(house)
    forget_proof(house)
    answer = open_page(desk, EXPORT).press("Export as CSV")
    assert answer.status_code == 403
    assert ANN not in answer.text
    open_page(signed_in(house), EXPORT).press("Export as CSV")
    (record,) = [row for row in everything(house)["audit_records"] if "subscribers.export" in row]
    assert record[-1] == {"count": 1, "newsletters": ["morning-post"], "conditions": []}


def test_who_is_limited_takes_along_the_readers_of_their_newsletters_only(house: House) -> None:
    newsroom.found(house).readers(ANN)
    newsroom.found(house, "ridge-courier").readers("bob@example.org")
    desk = limited(house, "ridge-courier")
    rows = downloaded(open_page(desk, EXPORT).press("Export as CSV"))
    assert [row["email"] for row in rows] == ["bob@example.org"]
    assert desk.post(EXPORT, newsletter="morning-post").status_code == 404
