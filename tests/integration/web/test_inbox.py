"""The draft as a mail: who gets it, what its links do, and what they do not do."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from lxml import html
from werkzeug.test import TestResponse

from newsletter import scheduling
from newsletter.delivery import proposing, releasing
from newsletter.editions import publishing
from newsletter.editions.models import Revision, edition
from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.database import db, transaction
from newsletter.foundation.links import Purpose
from newsletter.newsletters.models import Slot
from newsletter.staff import settings, signing_in
from newsletter.staff.models import Role, Staff, StaffNewsletter
from tests.conftest import House
from tests.integration.subscribers import SITE
from tests.integration.web import signed_in, visitor
from tests.support.forms import open_page, words
from tests.support.inbox import Received
from tests.support.newsroom import SUBJECTS, Paper, alerts_raised, edition_state, found, ledger_of, send
from tests.support.racing import at_once

OLIVE, ED, SUE = "olive@example.org", "ed@example.org", "sue@example.org"
APPROVE, HOLD = Purpose.APPROVE, Purpose.HOLD


def hire(house: House, name: str, role: Role = Role.EDITOR, **wishes: str) -> int:
    """Somebody who wants drafts, unless they wish otherwise; their id."""
    with house.app.app_context():
        address = f"{name}@example.org"
        signing_in.add(address, role, house.now, COMMAND)
        return settings.change(address, house.now, COMMAND, **{"wants_drafts": "yes"} | wishes).id


def drafted(house: House, **changed: str) -> tuple[Paper, int]:
    paper = found(house, postal_address="1 Main Street", **changed)
    paper.tells(*SUBJECTS)
    paper.readers("ann@example.org")
    return paper, paper.draft()


def propose(house: House) -> int:
    """What the scheduler and a worker do about drafts, once."""
    with house.app.app_context():
        proposed = proposing.propose_due(house.now)
    house.work()
    return proposed


def drafts(house: House, address: str = OLIVE) -> list[Received]:
    return [mail for mail in house.inbox.of(address) if mail.subject.startswith("Draft: ")]


def paths(mail: Received) -> dict[str, str]:
    """Where the mail's links lead, by what they are for; the same in both parts."""
    text = mail.part("plain")
    found = dict(re.findall(r"(Approve|Hold|Edit|Which mails I get):\s+(https://\S+)", text))
    for link in found.values():
        assert f'href="{link}"' in mail.part("html")
    return {name: urlsplit(link).path for name, link in found.items()}


def link(house: House, revision_id: int, person_id: int, purpose: Purpose = APPROVE) -> str:
    with house.app.app_context():
        return urlsplit(proposing.link_to(purpose, revision_id, person_id)).path


def revision_id(house: House, edition_id: int) -> int:
    with house.app.app_context():
        revision = edition(edition_id).revision
        assert revision is not None
        return revision.id


def asked(house: House, purpose: Purpose = APPROVE, **changed: str) -> tuple[int, str]:
    """An edition whose draft Olive has, and the path of her link."""
    person = hire(house, "olive")
    _, edition_id = drafted(house, **changed)
    return edition_id, link(house, revision_id(house, edition_id), person, purpose)


def press(house: House, path: str, **typed: str) -> TestResponse:
    """The page's button, in a browser that knows nothing of us: no cookie, no form token."""
    return house.browser.post(path, base_url=SITE, data=typed)


def page(house: House, path: str) -> str:
    answer = house.browser.get(path, base_url=SITE)
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    return words(html.document_fromstring(answer.text).get_element_by_id("main"))


def recompose(house: House, paper: Paper, title: str = "The very latest news") -> None:
    paper.tells(title)
    with house.app.app_context():
        slot = db.session.get_one(Slot, paper.slot_id)
        publishing.compose(slot, house.now.date(), house.now, COMMAND)


# The mail


def test_who_wants_the_draft_gets_it_with_each_story_and_why_and_three_links(either_house: House) -> None:
    house = either_house
    hire(house, "olive")
    _, edition_id = drafted(house)
    assert propose(house) == 1
    (mail,) = drafts(house)
    text = " ".join(mail.part("plain").split())
    assert mail.message["From"] == "Morning Post <post@example.org>"
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert "It goes out by itself at 06:00 UTC, unless somebody holds it." in text
    with house.app.app_context():
        revision = edition(edition_id).revision
        assert revision is not None
        assert mail.subject == f"Draft: {revision.subject}"
        for item in revision.items:
            for part in (text, " ".join(mail.part("html").split())):
                assert item.headline in part
            assert f"Why: {item.reason}" in text
    assert set(paths(mail)) == {"Approve", "Hold", "Edit", "Which mails I get"}
    assert paths(mail)["Edit"] == f"/admin/editions/{edition_id}/edit"


def test_the_mail_says_what_preflight_found_and_offers_no_approving_where_it_blocks(house: House) -> None:
    hire(house, "olive")
    _, edition_id = drafted(house)
    with house.app.app_context(), transaction():
        edition(edition_id).newsletter.postal_address = ""
        revision = db.session.get_one(Revision, revision_id(house, edition_id))
        revision.items[1].url = "nowhere"
    propose(house)
    (mail,) = drafts(house)
    text = " ".join(mail.part("plain").split())
    assert "As it is, it is held at 06:00 UTC, because of what stands below." in text
    assert "* MUST BE MENDED. The link of story 2 is not a whole web address" in text
    assert "* There is no postal address at its foot" in text
    assert "Must be mended." in mail.part("html")
    assert set(paths(mail)) == {"Hold", "Edit", "Which mails I get"}


@pytest.mark.parametrize(
    ("role", "wishes"),
    [(Role.SUPPORT, {}), (Role.EDITOR, {"wants_drafts": "no"}), (Role.OWNER, {"wants_drafts": "no"})],
)
def test_who_may_not_approve_or_does_not_want_it_gets_none(house: House, role: Role, wishes: dict[str, str]) -> None:
    hire(house, "sue", role, **wishes)
    drafted(house)
    assert propose(house) == 0
    assert house.inbox.mails == []


def test_each_person_gets_a_draft_once_however_often_the_scheduler_looks(house: House) -> None:
    hire(house, "olive", Role.OWNER)
    hire(house, "ed")
    drafted(house)
    for _ in range(4):
        propose(house)
        house.later(minutes=3)
    assert [len(drafts(house, who)) for who in (OLIVE, ED)] == [1, 1]


def test_two_schedulers_that_look_at_once_send_it_once(either_house: House) -> None:
    house = either_house
    hire(house, "olive")
    drafted(house)

    def look(_number: int) -> int:
        with house.app.app_context():
            return proposing.propose_due(house.now)

    assert sorted(at_once(3, look)) == [0, 0, 1]


def test_a_draft_that_is_made_before_the_cut_off_waits_for_it(house: House) -> None:
    hire(house, "olive")
    house.clock.at = house.clock.at.replace(hour=4, minute=0)
    paper = found(house)
    paper.tells(*SUBJECTS)
    recompose(house, paper)
    assert propose(house) == 0
    house.clock.at = house.clock.at.replace(hour=5, minute=15)
    assert propose(house) == 1


def test_a_draft_that_was_changed_is_sent_again_once_it_has_settled_but_not_to_who_changed_it(house: House) -> None:
    hire(house, "olive")
    hire(house, "ed")
    paper, edition_id = drafted(house)
    propose(house)
    for minute in range(3):
        recompose(house, paper, f"News of minute {minute}")
        propose(house)
        house.later(minutes=1)
    assert [len(drafts(house, who)) for who in (OLIVE, ED)] == [1, 1]

    with house.app.app_context(), transaction():
        db.session.get_one(Revision, revision_id(house, edition_id)).created_by = ED
    house.later(minutes=5)
    propose(house)
    propose(house)
    assert [len(drafts(house, who)) for who in (OLIVE, ED)] == [2, 1]


@pytest.mark.parametrize("state", ["approved", "sent", "late"])
def test_what_nobody_has_to_approve_any_more_is_not_sent(house: House, state: str) -> None:
    hire(house, "olive")
    _, edition_id = drafted(house, cooling_minutes="0")
    if state == "late":
        house.clock.at = house.clock.at.replace(hour=8)
    elif state == "sent":
        send(house, edition_id)
    else:
        with house.app.app_context():
            releasing.approve(edition_id, house.now, COMMAND)
    assert propose(house) == 0


def test_a_draft_that_cannot_be_looked_at_keeps_no_other_one_back(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hire(house, "olive")
    _, broken = drafted(house)
    other = found(house, "evening-post")
    other.tells("One", "Two", "Three")
    other.draft()
    real = proposing.checking.findings

    def findings(one: object, *words: object) -> object:
        if getattr(one, "id", None) == broken:
            raise RuntimeError("a fault of ours")
        return real(one, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(proposing.checking, "findings", findings)
    assert propose(house) == 1
    assert f"The draft of edition {broken} could not be sent" in caplog.text


def test_the_scheduler_sends_drafts(house: House) -> None:
    hire(house, "olive")
    drafted(house)
    scheduling.run_once(house.app, house.clock, house.fetcher)
    house.work()
    assert len(drafts(house)) == 1


# Approving


def test_a_person_approves_from_the_mail_without_signing_in(either_house: House) -> None:
    house = either_house
    hire(house, "olive")
    _, edition_id = drafted(house, approval="manual")
    propose(house)
    path = paths(drafts(house)[0])["Approve"]
    shown = page(house, path)
    assert "Approve this edition?" in shown
    assert f"Approve as {OLIVE}" in shown

    answer = press(house, path)
    assert (answer.status_code, answer.headers["Location"]) == (303, path)
    assert edition_state(house, edition_id) == "approved"
    assert "You approved it on 3 Mar 2026, 05:20 UTC. It goes out at 06:00 UTC" in page(house, path)
    with house.app.app_context():
        record = db.session.scalars(sa.select(AuditRecord).where(AuditRecord.action == "edition.approve")).one()
        assert (record.actor_kind, record.actor_name) == ("staff", OLIVE)
    house.clock.at = house.clock.at.replace(hour=6, minute=0)
    with house.app.app_context():
        releasing.release_due(house.now)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1}


def test_the_page_shows_the_whole_mail(house: House) -> None:
    _, path = asked(house)
    answer = house.browser.get(f"{path}/preview", base_url=SITE)
    assert all(subject in answer.text for subject in SUBJECTS)
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    root = html.document_fromstring(house.browser.get(path, base_url=SITE).text)
    (frame,) = root.iter("iframe")
    assert frame.get("src") == f"{path}/preview"


@pytest.mark.parametrize("purpose", [APPROVE, HOLD])
def test_a_scanner_that_follows_the_links_changes_nothing(house: House, purpose: Purpose) -> None:
    edition_id, path = asked(house, purpose, approval="manual")
    before = everything(house)
    for _ in range(3):
        for follow in (house.browser.get, house.browser.head, house.browser.options):
            assert follow(path, base_url=SITE).status_code == 200
            assert follow(f"{path}/preview", base_url=SITE).status_code == 200
    assert everything(house) == before
    assert edition_state(house, edition_id) == "drafted"


def everything(house: House) -> dict[str, list[object]]:
    """All rows of all tables."""
    with house.app.app_context():
        tables = db.metadata.sorted_tables
        return {table.name: [tuple(row) for row in db.session.execute(sa.select(table))] for table in tables}


def test_to_press_twice_is_to_press_once(house: House) -> None:
    edition_id, path = asked(house)
    assert [press(house, path).status_code for _ in range(2)] == [303, 303]
    with house.app.app_context():
        query = sa.select(AuditRecord).where(AuditRecord.action == "edition.approve")
        assert len(db.session.scalars(query).all()) == 1
    assert edition_state(house, edition_id) == "approved"


def test_a_draft_that_was_changed_meanwhile_is_not_approved_by_the_older_mail(house: House) -> None:
    person = hire(house, "olive")
    paper, edition_id = drafted(house)
    old = link(house, revision_id(house, edition_id), person)
    recompose(house, paper)
    assert press(house, old).status_code == 410
    assert edition_state(house, edition_id) == "drafted"
    assert "This is not the latest draft" in page(house, old)

    latest = open_page(visitor(house), old).links()["See the latest draft"]
    assert press(house, urlsplit(latest).path).status_code == 303
    assert edition_state(house, edition_id) == "approved"


def test_what_blocks_is_shown_and_cannot_be_approved_from_the_mail(house: House) -> None:
    edition_id, path = asked(house)
    with house.app.app_context(), transaction():
        db.session.get_one(Revision, revision_id(house, edition_id)).subject = "TODO: write this"
    shown = open_page(visitor(house), path)
    assert "Must be mended: “TODO:” in the subject" in shown.words
    assert shown.buttons() == []
    answer = press(house, path)
    assert answer.status_code == 409
    assert "The edition is not ready: “TODO:” in the subject" in answer.text
    assert edition_state(house, edition_id) == "drafted"


def test_an_audience_that_jumped_is_approved_by_typing_the_number(house: House) -> None:
    person = hire(house, "olive")
    paper, first = drafted(house, cooling_minutes="0")
    send(house, first)
    house.work()
    house.later(days=1)
    paper.tells("Tram returns", "Library opens late", "Orchard in bloom")
    second = paper.draft()
    paper.readers(*(f"reader{number}@example.org" for number in range(20)))
    path = link(house, revision_id(house, second), person)
    desk = visitor(house)
    assert open_page(desk, path).press(f"Approve as {OLIVE}", audience="20").status_code == 303  # one left meanwhile
    assert edition_state(house, second) == "approved"


@pytest.mark.parametrize("typed", ["", "1", "2100"])
def test_a_wrong_number_approves_nothing(house: House, typed: str) -> None:
    person = hire(house, "olive")
    paper, first = drafted(house, cooling_minutes="0")
    send(house, first)
    house.work()
    house.later(days=1)
    paper.tells("Tram returns", "Library opens late", "Orchard in bloom")
    second = paper.draft()
    paper.readers(*(f"reader{number}@example.org" for number in range(20)))
    answer = press(house, link(house, revision_id(house, second), person), audience=typed)
    assert answer.status_code == 409
    assert "21 readers" in answer.text
    assert edition_state(house, second) == "drafted"


# Whose link it is


def test_who_was_disabled_has_links_that_do_nothing(house: House) -> None:
    edition_id, path = asked(house)
    with house.app.app_context(), transaction() as session:
        session.execute(sa.update(Staff).values(disabled_at=house.now))
    assert "This link does nothing" in page(house, path)
    assert press(house, path).status_code == 410
    assert house.browser.get(f"{path}/preview", base_url=SITE).status_code == 404
    assert edition_state(house, edition_id) == "drafted"


def test_who_may_not_approve_any_more_has_links_that_do_nothing(house: House) -> None:
    edition_id, path = asked(house)
    with house.app.app_context(), transaction() as session:
        session.execute(sa.update(Staff).values(role=Role.SUPPORT, may_send=False))
    assert press(house, path).status_code == 410
    assert edition_state(house, edition_id) == "drafted"


def test_who_does_not_send_any_more_holds_from_the_mail_and_approves_nothing(house: House) -> None:
    edition_id, path = asked(house)
    with house.app.app_context(), transaction() as session:
        session.execute(sa.update(Staff).values(may_send=False))
    assert press(house, path).status_code == 410
    assert edition_state(house, edition_id) == "drafted"
    assert press(house, link(house, revision_id(house, edition_id), 1, HOLD)).status_code == 303
    assert edition_state(house, edition_id) == "held drafted"


def test_a_draft_goes_to_who_works_for_its_newsletter_and_the_link_asks_again(house: House) -> None:
    edition_id, path = asked(house)
    ed = hire(house, "ed")
    other = found(house, "ridge-courier")
    with house.app.app_context(), transaction() as session:
        session.execute(sa.update(Staff).values(limited=True))
        session.add(StaffNewsletter(staff_id=ed, newsletter_id=1))
        session.add(StaffNewsletter(staff_id=1, newsletter_id=other.id))
    propose(house)
    assert (len(drafts(house)), len(drafts(house, ED))) == (0, 1)
    assert press(house, path).status_code == 410
    assert edition_state(house, edition_id) == "drafted"
    assert press(house, link(house, revision_id(house, edition_id), ed)).status_code == 303


def test_the_draft_for_who_does_not_send_has_no_link_that_approves(house: House) -> None:
    hire(house, "olive")
    with house.app.app_context(), transaction() as session:
        session.execute(sa.update(Staff).values(may_send=False))
    drafted(house)
    propose(house)
    text = drafts(house)[0].part("plain")
    assert "/admin/inbox/approve/" not in text
    assert "/admin/inbox/approve/" not in drafts(house)[0].part("html")
    assert "/admin/inbox/hold/" in text


def test_a_link_does_what_it_was_made_for_and_nothing_else(house: House) -> None:
    edition_id, path = asked(house)
    crossed = path.replace("/approve/", "/hold/")
    assert press(house, crossed).status_code == 410
    for token in ("nonsense", path.rpartition("/")[2][:-1], house.links.make(APPROVE, 1), "\u00ff%FF"):
        assert press(house, f"/admin/inbox/approve/{token}").status_code == 410
    assert press(house, path.replace("/approve/", "/send/")).status_code == 404
    assert edition_state(house, edition_id) == "drafted"


def test_somebody_else_who_is_signed_in_approves_in_the_name_of_the_link_s_person(house: House) -> None:
    """Who has the mail has the key; the trail names whose key it was."""
    _, path = asked(house)
    desk = signed_in(house, Role.SUPPORT)
    assert open_page(desk, path).press(f"Approve as {OLIVE}").status_code == 303
    with house.app.app_context():
        record = db.session.scalars(sa.select(AuditRecord).where(AuditRecord.action == "edition.approve")).one()
        assert record.actor_name == OLIVE


def test_once_it_goes_out_the_link_does_nothing(house: House) -> None:
    edition_id, path = asked(house, HOLD, cooling_minutes="0")
    send(house, edition_id)
    for state in ("sending", "sent"):
        assert edition_state(house, edition_id) == state
        assert press(house, path).status_code == 410
        assert "It is too late for this" in page(house, path)
        house.work()


# Holding


def test_a_person_holds_from_the_mail_and_all_who_want_alerts_are_told(house: House) -> None:
    edition_id, path = asked(house, HOLD)
    assert "Hold this edition?" in page(house, path)
    assert [press(house, path).status_code for _ in range(2)] == [303, 303]
    assert edition_state(house, edition_id) == "held drafted"
    assert f"Held: held by {OLIVE}, by mail" in page(house, path)
    assert alerts_raised(house, f"edition-held:{edition_id}") == 1
    house.clock.at = house.clock.at.replace(hour=6, minute=0)
    with house.app.app_context():
        releasing.release_due(house.now)
    assert edition_state(house, edition_id) == "held drafted"


def test_what_is_approved_can_still_be_held_from_the_mail(house: House) -> None:
    edition_id, path = asked(house, HOLD)
    with house.app.app_context():
        releasing.approve(edition_id, house.now, COMMAND)
    assert press(house, path).status_code == 303
    assert edition_state(house, edition_id) == "held approved"


def test_a_held_draft_is_sent_with_the_reason_why_it_is_held(house: House) -> None:
    hire(house, "olive")
    paper = found(house, items_at_least="9")
    paper.tells(*SUBJECTS)
    paper.draft()
    propose(house)
    assert "It is held: too few stories: 5 of at least 9." in " ".join(drafts(house)[0].part("plain").split())


# What a person wants


def test_a_person_chooses_their_mails(house: House) -> None:
    desk = signed_in(house, Role.EDITOR)
    mine = open_page(desk, "/admin/me")
    assert mine.fields("Save") == {"csrf_token": mine.fields("Save")["csrf_token"], "wants_alerts": ["yes"]}
    mine = mine.after("Save", wants_drafts="yes")
    assert "Saved." in mine.words
    assert mine.fields("Save")["wants_drafts"] == ["yes"]
    assert mine.fields("Save")["wants_alerts"] == ["yes"]
    desk.post("/admin/me/mails")
    assert set(open_page(desk, "/admin/me").fields("Save")) == {"csrf_token"}


def test_support_is_not_offered_drafts_and_cannot_ask_for_them(house: House) -> None:
    desk = signed_in(house, Role.SUPPORT)
    assert "wants_drafts" not in open_page(desk, "/admin/me").fields("Save")
    desk.post("/admin/me/mails", wants_drafts="yes", wants_alerts="yes")
    with house.app.app_context():
        person = db.session.scalars(sa.select(Staff)).one()
        assert (person.wants_drafts, person.wants_alerts) == (False, True)


def test_a_visitor_has_no_mails_to_choose(house: House) -> None:
    answer = visitor(house).get("/admin/me")
    assert answer.status_code == 302
    assert "/admin/sign-in" in answer.headers["Location"]


def test_the_draft_is_proposed_again_the_next_day(house: House) -> None:
    hire(house, "olive")
    paper, _ = drafted(house)
    propose(house)
    house.later(days=1)
    paper.tells("Tram returns", "Library opens late")
    paper.draft()
    propose(house)
    assert len(drafts(house)) == 2
    assert timedelta(0) < house.now - drafts(house)[0].message["Date"].datetime
