"""What preflight found, on the edition's page, and what can be done about it there."""

from __future__ import annotations

from newsletter.editions.models import edition
from newsletter.foundation.database import transaction
from newsletter.staff.models import Role
from tests.conftest import House
from tests.integration.web import signed_in
from tests.support.forms import Sheet, open_page
from tests.support.newsroom import SUBJECTS, Paper, edition_state, found, send


def drafted(house: House) -> tuple[Paper, int]:
    paper = found(house, cooling_minutes="0")
    paper.tells(*SUBJECTS)
    paper.readers("ann@example.org")
    return paper, paper.draft()


def at_desk(house: House, edition_id: int, role: Role = Role.EDITOR) -> Sheet:
    return open_page(signed_in(house, role), f"/admin/editions/{edition_id}")


def test_what_is_only_worth_a_look_stands_there_and_the_edition_can_be_approved(house: House) -> None:
    _, edition_id = drafted(house)
    page = at_desk(house, edition_id)
    assert "Worth a look There is no postal address at its foot" in page.words
    assert "Must be" not in page.words
    page.press("Approve")
    assert edition_state(house, edition_id) == "approved"


def test_what_blocks_stands_there_with_what_to_do_and_nothing_approves_it(house: House) -> None:
    _, edition_id = drafted(house)
    with house.app.app_context(), transaction():
        revision = edition(edition_id).revision
        assert revision is not None
        revision.items[1].headline, revision.items[1].by_hand = "[headline] <b>goes</b> here", ["headline"]
    page = at_desk(house, edition_id)
    assert "Must be mended: “[headline]” in the headline of story 2" in page.words
    assert "Write what belongs there, or take the story out." in page.words
    assert "As it is, it is held at 06:00 UTC" in page.words
    assert "Approve" not in page.buttons()
    answer = page.desk.post(f"/admin/editions/{edition_id}/approve")
    assert "not ready" in page.desk.get(answer.headers["Location"]).text
    assert edition_state(house, edition_id) == "drafted"


def test_an_audience_that_jumped_is_approved_by_typing_the_number(house: House) -> None:
    paper, first = drafted(house)
    send(house, first)
    house.work()
    house.later(days=1)
    paper.tells("Tram returns", "Orchard in bloom", "Regatta is off")
    second = paper.draft()
    paper.readers(*(f"reader{number}@example.org" for number in range(20)))
    assert "Approve for so many" not in at_desk(house, second, Role.SUPPORT).buttons()
    page = at_desk(house, second)
    assert "Must be confirmed: It would go to 21 readers; the last edition went to 1." in page.words
    again = page.after("Approve for so many", audience="1")
    assert "not ready" in again.words
    again.press("Approve for so many", audience="21")
    assert edition_state(house, second) == "approved"


def test_of_an_edition_without_a_draft_or_that_is_out_nothing_is_said(house: House) -> None:
    _, edition_id = drafted(house)
    send(house, edition_id)
    house.work()
    page = at_desk(house, edition_id)
    assert "Worth a look" not in page.words
