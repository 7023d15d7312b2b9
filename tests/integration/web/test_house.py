"""The pages of the whole house: the suppression list, the blocklist, consent texts, and how the system stands."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from newsletter.foundation import processes
from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.database import db, transaction
from newsletter.foundation.processes import Kind
from newsletter.mail.suppression import SuppressionReason
from newsletter.newsletters.models import SignUpText, newsletter
from newsletter.staff.models import Role
from newsletter.staff.rights import Grant
from newsletter.subscribers import blocking, suppressing
from newsletter.subscribers.models import BlockedAddress
from tests.conftest import House
from tests.integration.subscribers import ANN, became_reader, count, put_on_the_list, suppressed_for
from tests.integration.web import Desk, signed_in
from tests.support import newsroom
from tests.support.busy_house import HOSTILE, busy

BY_HAND = {SuppressionReason.BY_HAND}


def acts(house: House, subject: str = "") -> list[tuple[str, str]]:
    with house.app.app_context():
        found = db.session.scalars(sa.select(AuditRecord).order_by(AuditRecord.id))
        return [(one.actor_name, one.action) for one in found if one.subject.startswith(subject)]


def suppress(house: House, address: str = ANN) -> None:
    with house.app.app_context():
        suppressing.suppress(address, "a typing error", house.now, house.keys, COMMAND)


# The suppression list


def test_a_typed_address_is_found_with_why_since_when_and_by_whom(either_house: House) -> None:
    house = either_house
    suppress(house)
    put_on_the_list(house, SuppressionReason.COMPLAINT)
    desk = signed_in(house)
    page = desk.post("/admin/suppressions/look", email=" Ann@Example.org ").text
    for words in ("is on the list", "By hand", "Complaint", "a typing error", "by command line", "Nothing lifts it."):
        assert words in page
    assert "is not on the list" in desk.post("/admin/suppressions/look", email="bob@example.org").text
    answer = desk.post("/admin/suppressions/look", email="<b>no address")
    assert answer.status_code == 422
    assert "&lt;b&gt;no address" in answer.text


def test_looking_changes_nothing_and_is_in_no_link(house: House) -> None:
    suppress(house)
    desk = signed_in(house)
    before = acts(house)
    desk.post("/admin/suppressions/look", email=ANN)
    assert acts(house) == before
    assert desk.get("/admin/suppressions/look").status_code == 405


def test_an_address_is_added_once_and_by_its_adder(house: House) -> None:
    desk = signed_in(house, Role.SUPPORT)
    assert desk.post("/admin/suppressions", email=ANN, note="she wrote").status_code == 303
    assert suppressed_for(house) == BY_HAND
    page = desk.get("/admin/suppressions").text
    assert all(words in page for words in ("is never mailed again", "she wrote", "by support0@example.org"))
    desk.post("/admin/suppressions", email=ANN)
    assert "was on the list by hand already" in desk.get("/admin/suppressions").text
    answer = desk.post("/admin/suppressions", email="nobody", note="why")
    assert answer.status_code == 422
    assert 'value="why"' in answer.text, "what was written is kept"


def test_no_address_stands_on_the_list(house: House) -> None:
    suppress(house)
    page = signed_in(house).get("/admin/suppressions").text
    assert ANN not in page
    assert house.keys.address_hash(ANN)[:16] in page
    assert house.keys.address_hash(ANN) not in page


def test_an_owner_takes_back_what_was_entered_here_and_says_why(either_house: House) -> None:
    house = either_house
    suppress(house)
    desk = signed_in(house)
    assert "Take the entry by hand back" in desk.post("/admin/suppressions/look", email=ANN).text
    desk.post("/admin/suppressions/take-back", email=ANN, why="  ")
    assert "Say why it was a mistake" in desk.get("/admin/suppressions").text
    assert suppressed_for(house) == BY_HAND
    desk.post("/admin/suppressions/take-back", email=ANN, why="It was another Ann.")
    assert suppressed_for(house) == set()
    assert "is taken back" in desk.get("/admin/suppressions").text
    assert acts(house, "address:")[-1] == ("owner0@example.org", "subscriber.unsuppress")


@pytest.mark.parametrize("reason", [one for one in SuppressionReason if one not in BY_HAND])
def test_what_staff_did_not_enter_is_not_theirs_to_lift(house: House, reason: SuppressionReason) -> None:
    put_on_the_list(house, reason)
    desk = signed_in(house)
    assert "Take the entry" not in desk.post("/admin/suppressions/look", email=ANN).text
    desk.post("/admin/suppressions/take-back", email=ANN, why="please")
    assert suppressed_for(house) == {reason}
    assert "nobody here can take it off" in desk.get("/admin/suppressions").text


def test_an_entry_by_hand_that_came_along_from_elsewhere_stays(house: House) -> None:
    put_on_the_list(house, SuppressionReason.BY_HAND)
    desk = signed_in(house)
    desk.post("/admin/suppressions/take-back", email=ANN, why="please")
    assert suppressed_for(house) == BY_HAND


def test_other_reasons_stay_when_the_entry_by_hand_goes(house: House) -> None:
    suppress(house)
    put_on_the_list(house, SuppressionReason.COMPLAINT)
    desk = signed_in(house)
    desk.post("/admin/suppressions/take-back", email=ANN, why="a slip")
    assert suppressed_for(house) == {SuppressionReason.COMPLAINT}
    assert "Other reasons stay" in desk.get("/admin/suppressions").text


def test_taking_back_and_the_download_want_a_fresh_proof(house: House) -> None:
    suppress(house)
    desk = signed_in(house)
    house.later(minutes=11)
    assert desk.post("/admin/suppressions/take-back", email=ANN, why="x").status_code == 403
    assert desk.post("/admin/suppressions.csv").status_code == 403
    assert suppressed_for(house) == BY_HAND


def test_the_download_holds_hashes_and_is_written_down(either_house: House) -> None:
    house = either_house
    suppress(house)
    put_on_the_list(house, SuppressionReason.HARD_BOUNCE, "bob@example.org")
    answer = signed_in(house).post("/admin/suppressions.csv")
    lines = answer.text.splitlines()
    assert lines[0] == "address_hash,reason,since"
    assert {line.split(",")[0] for line in lines[1:]} == {
        house.keys.address_hash(one) for one in (ANN, "bob@example.org")
    }
    assert "@" not in answer.text
    assert "typing" not in answer.text
    assert acts(house)[-1][1] == "suppressions.export"


def test_counts_and_older_entries_are_there(house: House) -> None:
    for n in range(60):
        put_on_the_list(house, SuppressionReason.LEFT, f"r{n}@example.org")
    desk = signed_in(house)
    assert "Count them" in desk.get("/admin/suppressions").text
    page = desk.get("/admin/suppressions?counted=yes").text
    assert re.search(r'Left elsewhere</th><td class="number">60<', page)
    older = re.search(r'href="([^"]+)">Older entries', page)
    assert older
    assert desk.get(older[1]).text.count("<code>") == 10
    assert desk.get("/admin/suppressions?before=" + "9" * 5000).status_code == 200


# The blocklist


def test_several_are_blocked_at_once_and_what_cannot_be_comes_back(either_house: House) -> None:
    house = either_house
    desk = signed_in(house)
    lines = "spam.example\nann@Example.org  # she asked\n\n# a remark\nSPAM.example\nno <b>domain\n"
    answer = desk.post("/admin/blocklist/several", patterns=lines, note="a flood")
    assert answer.status_code == 422
    assert "Blocked: 2. 1 were before." in answer.text
    assert "no &lt;b&gt;domain" in answer.text
    assert "spam.example</textarea>" not in answer.text, "only what is left to mend stands there"
    with house.app.app_context():
        assert [(one.pattern, one.note, one.by) for one in blocking.blocked()] == [
            ("ann@example.org", "a flood", "owner0@example.org"),
            ("spam.example", "a flood", "owner0@example.org"),
        ]
    assert [act for _, act in acts(house, "pattern:")] == ["address.block"] * 2


def test_too_many_lines_change_nothing(house: House) -> None:
    desk = signed_in(house)
    answer = desk.post("/admin/blocklist/several", patterns="\n".join(f"d{n}.example" for n in range(501)))
    assert answer.status_code == 422
    assert "500 at a time" in answer.text
    assert count(house, BlockedAddress) == 0


def test_a_long_address_is_blocked_and_named_in_the_trail(either_house: House) -> None:
    house = either_house
    long = f"a{'b' * 60}@{'c' * 60}.example"
    desk = signed_in(house)
    assert desk.post("/admin/blocklist", pattern=long).status_code == 303
    assert desk.post("/admin/blocklist/unblock", pattern=long).status_code == 303
    with house.app.app_context():
        found = db.session.scalars(sa.select(AuditRecord).where(AuditRecord.action == "address.unblock")).one()
        assert found.details["pattern"] == long


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("spam", ["spam.example"]),
        ("FLOOD", ["spam.example"]),
        ("eve@mail.spam.example", ["spam.example"]),
        ("ann@example.org", ["ann@example.org"]),
        ("%", []),
        ("", ["ann@example.org", "spam.example"]),
    ],
)
def test_the_blocklist_is_searched_by_what_stands_there_and_by_whom_it_keeps_out(
    house: House, typed: str, found: list[str]
) -> None:
    with house.app.app_context():
        blocking.block("spam.example", "a Flood", house.now, COMMAND)
        blocking.block(ANN, "", house.now, COMMAND)
    page = signed_in(house).get("/admin/blocklist", query_string={"q": typed}).text
    assert re.findall(r'row"><span class="mail-address">([^<]+)<', page) == found


# Consent texts


def another_version(house: House) -> None:
    house.later(days=1)
    with house.app.app_context(), transaction() as session:
        paper = newsletter("morning-post")
        session.add(SignUpText(newsletter_id=paper.id, version=2, text=f"Yes! {HOSTILE}", created_at=house.now))


def test_every_version_is_shown_with_since_until_by_whom_and_how_many_agreed(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    became_reader(house)
    another_version(house)
    desk = signed_in(house, Role.SUPPORT)
    page = desk.get("/admin/consent-texts").text
    assert page.index("Version 2") < page.index("Version 1")
    assert 'by <span class="mail-address">command line</span>' in page
    assert "{{7*7}}" in page
    assert "<script>alert" not in page
    assert "Count who agreed to it" in page
    assert "1 person agreed" not in page
    counted = desk.get("/admin/consent-texts?counted=yes").text
    assert re.findall(r"(\d+) (?:person|people) agreed", counted) == ["0", "1"]
    assert "newsletter’s settings" not in page, "who may not change them is not sent there"
    assert "newsletter’s settings" in signed_in(house).get("/admin/consent-texts").text


def test_who_confirms_twice_agreed_once(house: House) -> None:
    newsroom.found(house)
    became_reader(house)
    became_reader(house, "bob@example.org")
    house.later(hours=1)
    became_reader(house, "bob+again@example.org")
    assert "3 people agreed" in signed_in(house).get("/admin/consent-texts?counted=yes").text


# The system


def system(desk: Desk) -> str:
    return desk.get("/admin/system").text


def test_the_system_page_says_who_lives_what_waits_and_what_was_done_last(either_house: House) -> None:
    house = either_house
    busy(house)
    desk = signed_in(house)
    page = system(desk)
    for words in ("Alive", "Silent", "No scheduler gives a sign of life.", "newsletter-2026-03-02.db", "123 MB"):
        assert words in page
    assert "12 rows forgotten" in page
    assert "SQLite" in page or "PostgreSQL" in page
    assert "<script>alert" not in page
    assert desk.get("/admin/system/facts").status_code == 200


def test_who_gives_no_sign_of_life_is_silent_and_is_forgotten_after_a_day(house: House) -> None:
    with house.app.app_context():
        processes.beat("w", Kind.WORKER, house.now, house.now)
    desk = signed_in(house)
    assert "Alive" in system(desk)
    house.later(seconds=90)
    assert "Alive" in system(desk)
    house.later(seconds=1)
    assert "Alive" not in system(desk)
    assert "Silent" in system(desk)
    house.later(days=1)
    assert "Silent" not in system(desk)


def test_a_sign_of_life_brings_a_process_back(house: House) -> None:
    with house.app.app_context():
        begun = house.now
        processes.beat("w", Kind.WORKER, begun, house.now)
        house.later(hours=1)
        processes.beat("w", Kind.WORKER, begun, house.now)
        (found,) = processes.known(house.now)
        assert (found.since, found.seen_at) == (begun, begun + timedelta(hours=1))


def test_the_system_page_tells_no_secret(house: House) -> None:
    page = system(signed_in(house))
    assert house.keys.secret not in page
    assert str(house.app.extensions["newsletter.config"].directory) not in page


# The way there


def test_the_house_leads_each_to_what_they_may_see(house: House) -> None:
    newsroom.found(house)
    with house.app.app_context():
        ids = frozenset({newsletter("morning-post").id})
    for desk, first, pages in (
        (signed_in(house), "/admin/system", 6),
        (signed_in(house, Role.SUPPORT), "/admin/suppressions", 3),
        (
            signed_in(house, Role.EDITOR, grant=Grant(Role.EDITOR, newsletter_ids=ids)),
            "/admin/consent-texts",
            1,
        ),
    ):
        home = desk.get("/admin/").text
        assert f'<a href="{first}">House</a>' in home
        page = desk.get(first).text
        links = re.findall(r'href="([^"]+)"', page[page.index("house-nav") : page.index("</header>")])
        assert len(links) == pages
        assert all(desk.get(link).status_code == 200 for link in links)
