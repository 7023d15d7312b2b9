"""The first page says what needs whom, what comes next, how the last went, and whether we grow and are wanted."""

from __future__ import annotations

import re
from html import unescape

import sqlalchemy as sa

from newsletter.delivery import counting
from newsletter.editions.models import Edition, edition
from newsletter.foundation import alerts, safety
from newsletter.foundation.database import db, transaction
from newsletter.newsletters.models import newsletter
from newsletter.staff.models import Role
from newsletter.staff.rights import Grant
from newsletter.subscribers.growing import SubscriberDay
from tests.conftest import House
from tests.integration.subscribers import statements
from tests.integration.web import Desk, signed_in
from tests.support import newsroom
from tests.support.busy_house import HOSTILE, busy
from tests.support.ledgers import Copy, ledger_with

NIGHT_DESK = Grant(Role.SUPPORT, may_send=True)


def words(desk: Desk, path: str = "/admin/") -> str:
    """What stands on a page, as it is read."""
    text = desk.get(path).text
    main = text[text.index("<main") :]
    return unescape(" ".join(re.sub(r"<[^>]+>", " ", main).split()))


def needs(desk: Desk) -> list[str]:
    """What is said of each need, as it is read."""
    text = desk.get("/admin/").text
    main = text[text.index("<main") : text.index('id="coming"')]
    items = re.split(r'<li class="need ', main)[1:]
    return [unescape(" ".join(re.sub(r"<[^>]+>", " ", f"<{one}").split())) for one in items]


def link(desk: Desk, label: str) -> str:
    found = re.search(rf'href="([^"]+)">{re.escape(label)}<', desk.get("/admin/").text)
    assert found, label
    return unescape(found[1])


def test_a_quiet_house_needs_nobody(house: House) -> None:
    newsroom.found(house)
    page = words(signed_in(house))
    assert "Nothing needs you now" in page
    assert "every source speaks" in page
    assert "in 40 min" in page
    assert "draft" in page


def test_a_house_without_newsletters_has_a_first_page_too(house: House) -> None:
    assert "No newsletter has a day to go out on." in words(signed_in(house))


def test_every_kind_of_need_is_told_with_what_mends_it(either_house: House) -> None:
    house = either_house
    busy(house)
    with house.app.app_context(), transaction():
        safety.halt("the machine's clock was moved.", house.now)
    desk = signed_in(house)
    told = needs(desk)
    for start, *said in (
        ("Nothing is sent", "the machine's clock was moved.", "newsletter db accept-restore"),
        ("Morning Post, Saturday, 28 February 2026 is held", HOSTILE, "Look, and let it go"),
        ("Morning Post, Tuesday, 3 March 2026 waits for approval", "Its slot is in 40 min", "Read and approve"),
        (f"The relay {HOSTILE} does not answer.", "Check the relay."),
        ("1 copy of Morning Post, Monday, 2 March 2026 is uncertain", "Decide"),
        ("1 copy of Morning Post, Sunday, 1 March 2026 is uncertain", "Decide"),
        ("Too much of Morning Post, Sunday, 1 March 2026 came back", "Look through them"),
        ("1 mail that came back wants a person", "Look through them"),
        ("5 sources send no stories", f"Harbor Gazette {HOSTILE}", "and 1 more", "See the sources"),
    ):
        one = told.pop(0)
        assert one.startswith(start), one
        assert all(words in one for words in said), one
    assert told == []
    for label in ("Read and approve", "Decide", "Look through them", "See the sources", "Look, and let it go"):
        assert desk.get(link(desk, label)).status_code == 200, label


def test_what_one_may_not_do_is_told_without_a_button(house: House) -> None:
    busy(house)
    told = needs(signed_in(house, Role.EDITOR, grant=Grant(Role.EDITOR)))
    for kind in ("is held", "waits for approval", "is uncertain"):
        (one, *_) = [need for need in told if kind in need]
        assert "Somebody who may send decides about it." in one
    told = needs(signed_in(house, Role.SUPPORT, grant=NIGHT_DESK))
    assert not any("Somebody who may send" in one for one in told)


def test_a_paused_edition_goes_on_from_here(house: House) -> None:
    _, edition_id = ledger_with(house, Copy("ann@mail.example", "pending"))
    desk = signed_in(house)
    desk.post(f"/admin/editions/{edition_id}/delivery/pause")
    page = desk.get("/admin/").text
    assert "is paused" in page
    action = re.search(r'action="([^"]+)">(?:(?!</form>).)*Go on', page, re.DOTALL)
    assert action
    assert desk.post(action[1]).status_code == 303
    assert not any("is paused" in one for one in needs(desk))


def test_an_edition_that_goes_by_itself_waits_for_nobody(house: House) -> None:
    paper = newsroom.found(house, approval="auto")
    paper.tells(*newsroom.SUBJECTS)
    paper.draft()
    desk = signed_in(house)
    assert needs(desk) == []
    assert "Drafted Harbor bridge closes" in words(desk)
    desk.post("/admin/newsletters/morning-post")  # nothing valid: it stays as it is
    with house.app.app_context(), transaction():
        newsletter("morning-post").approval = "manual"  # type: ignore[assignment]
    assert len(needs(desk)) == 1


def test_a_draft_past_its_slot_says_for_how_long_it_may_still_begin(house: House) -> None:
    paper = newsroom.found(house, approval="manual")
    paper.tells(*newsroom.SUBJECTS)
    paper.draft()
    house.later(hours=1)
    (told,) = needs(signed_in(house))
    assert "Its slot was 20 min ago" in told
    assert "it can still begin for 1 h 40 min" in told


def test_who_is_limited_sees_their_own_newsletters_needs_and_figures_only(house: House) -> None:
    busy(house)
    with house.app.app_context():
        courier = newsletter("ridge-courier").id
    desk = signed_in(house, Role.EDITOR, grant=Grant(Role.EDITOR, may_send=True, newsletter_ids=frozenset({courier})))
    page = words(desk)
    assert [one.split(" ")[0] for one in needs(desk)] == ["The"], "the relay is everybody's"
    assert "Morning Post" not in page
    assert "877 read it." in page
    assert "Ridge Courier" in page


def test_the_last_and_the_one_before_add_up_and_lead_to_their_deliveries(either_house: House) -> None:
    house = either_house
    busy(house)
    desk = signed_in(house)
    page = desk.get("/admin/").text
    section = page[page.index('id="outcomes"') : page.index('id="growth"')]
    rows = re.findall(r"<tr.*?</tr>", section, re.DOTALL)[1:]
    figures = [[int(n) for n in re.findall(r'class="number">(\d+)<', row)] for row in rows]
    assert figures == [[12, 9, 1, 1, 1, 0], [12, 10, 1, 1, 0, 0]]
    assert all(audience == sum(others) for audience, *others in figures)
    for path in re.findall(r'href="([^"]+/delivery)"', section):
        assert desk.get(path).status_code == 200


def test_growth_and_health_are_told_in_words_and_by_day(house: House) -> None:
    busy(house)
    page = words(signed_in(house))
    assert "141,599 read it. In 90 days 39,059 joined and 17,460 left, which makes 21,599 more." in page
    assert "3 Mar 2026 141,599 400" in page
    assert "Look at it 1,000 of 40,000 mails (2.50 %)." in page


def test_hostile_words_stay_words(house: House) -> None:
    busy(house)
    text = signed_in(house).get("/admin/").text
    assert "<script>alert" not in text
    assert "{{7*7}}" in text, "nothing is worked out"


def test_no_figure_of_the_page_counts_readers_or_the_copies_of_large_editions(house: House) -> None:
    busy(house)
    with house.app.app_context(), transaction() as session:
        session.execute(sa.update(Edition).where(Edition.frozen_at.is_not(None)).values(audience=1_000_000))
    desk = signed_in(house)
    desk.get("/admin/")
    with statements(house) as seen:
        assert desk.get("/admin/").status_code == 200
    looked = [one for one in seen if re.search(r"\bFROM (subscribers|subscriptions|deliveries)\b", one)]
    assert [one for one in looked if "1!=1" not in one] == [], "of no edition at all, nothing is read"
    assert "being counted" in words(desk)


def test_uncertain_copies_of_a_large_edition_are_told_as_they_were_counted(either_house: House) -> None:
    house = either_house
    _, edition_id = ledger_with(house, Copy("ann@mail.example"), Copy("bob@mail.example", "uncertain"))
    with house.app.app_context():
        counting.keep(edition_id, counting.count(edition(edition_id), house.now))
        with transaction():
            edition(edition_id).audience = counting.AT_ONCE + 1
    (told,) = needs(signed_in(house))
    assert told.startswith("1 copy of Morning Post")


def test_an_alert_that_stands_among_the_needs_by_itself_is_not_told_twice(house: House) -> None:
    busy(house)
    with house.app.app_context():
        assert "edition-held" in {one.key.partition(":")[0] for one in alerts.open_alerts()}
    assert sum("is held" in one for one in needs(signed_in(house))) == 1


def test_a_newsletter_without_days_yet_has_no_chart(house: House) -> None:
    newsroom.found(house)
    desk = signed_in(house)
    assert "uplot" not in desk.get("/admin/").text
    with house.app.app_context():
        assert db.session.scalar(sa.select(sa.func.count()).select_from(SubscriberDay)) == 0
