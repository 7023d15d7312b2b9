"""The page of an edition in each of its states: it offers what can be done now, and one thing first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pytest

from newsletter.delivery import ending, releasing, shards
from newsletter.editions import publishing
from newsletter.editions.models import Edition, recent_editions
from newsletter.foundation import leases, safety
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db, transaction
from newsletter.newsletters.models import Slot
from newsletter.staff.models import Role
from tests.conftest import House
from tests.integration.delivery import during_the_first_mail
from tests.integration.web import Desk, signed_in
from tests.support import newsroom
from tests.support.attempts import start
from tests.support.forms import Sheet, open_page
from tests.support.newsroom import SUBJECTS, Paper, edition_state, ledger_of
from tests.support.public_pages import primary_buttons_of

ANN, BOB = "ann@example.org", "bob@example.org"


@dataclass(frozen=True)
class Room:
    """A paper whose edition of today is drafted, and an editor at its page."""

    paper: Paper
    desk: Desk
    id: int

    @property
    def house(self) -> House:
        return self.paper.house

    @property
    def path(self) -> str:
        return f"/admin/editions/{self.id}"

    def page(self) -> Sheet:
        return open_page(self.desk, self.path)

    def press(self, button: str, **typed: str) -> Sheet:
        return self.page().after(button, **typed)

    @property
    def first(self) -> list[str]:
        """What the eye is led to."""
        return primary_buttons_of(self.desk.get(self.path))

    def send(self) -> None:
        newsroom.send(self.house, self.id)


def room(house: House, role: Role = Role.EDITOR, cooling: int = 0, **changed: str) -> Room:
    paper = newsroom.found(house, cooling=cooling, **changed)
    paper.tells(*SUBJECTS)
    paper.readers(ANN, BOB)
    return Room(paper, signed_in(house, role), paper.draft())


def pull(house: House, edition_id: int) -> None:
    with house.app.app_context():
        items = db.session.get_one(Edition, edition_id).revisions[-1].items
        assert items[0].story_id is not None
        releasing.pull_story(edition_id, items[0].story_id, house.now, COMMAND)


# Each state


def test_a_draft_is_approved_first_and_can_be_sent_held_changed_composed_again_or_cancelled(house: House) -> None:
    at = room(house, approval="manual")
    page = at.page()
    assert at.first == ["Approve"]
    assert {"Approve", "Send now to 2 readers", "Hold this edition", "Compose again", "Cancel this edition"} <= set(
        page.buttons()
    )
    assert page.links()["Change words and order"] == f"{at.path}/edit"
    assert not {"Pull it back", "Pause", "Go on", "Resume", "Pull it out", "Draft a correction"} & set(page.buttons())
    assert "It waits for somebody to approve it" in page.words
    assert "“Approve” settles what readers get; it goes out at its slot." in page.words


def test_an_approved_edition_is_sent_first_and_stories_can_be_pulled(house: House) -> None:
    at = room(house, cooling=2)
    page = at.press("Approve")
    assert at.first == ["Send now to 2 readers"]
    assert "it goes out in 2 minutes, and can be pulled back until then" in page.words
    assert page.buttons().count("Pull it out") == len(SUBJECTS)
    assert "Compose again" not in page.buttons()
    after = page.after("Pull it out")
    assert "Whatever has not gone out goes out without it." in after.words
    assert after.buttons().count("Pull it out") == len(SUBJECTS) - 1


def test_while_it_cools_off_the_first_thing_is_to_pull_it_back_and_the_page_counts_down(house: House) -> None:
    at = room(house, cooling=2)
    page = at.press("Send now to 2 readers")
    assert "until then you can pull it back" in page.words
    assert "05:22 UTC, unless somebody pulls it back. 2:00" in page.words
    assert at.first == ["Pull it back"]
    assert not {"Approve", "Hold this edition", "Send now to 2 readers"} & set(page.buttons())
    (timer,) = page.root.xpath("//*[@role='timer']")
    assert timer.get("data-seconds") == "120"
    assert page.root.xpath("//noscript/meta[@http-equiv='refresh']/@content") == ["10"]

    house.later(seconds=61)
    assert "0:59" in at.page().words
    after = at.press("Pull it back")
    assert "Nobody got it" in after.words
    assert edition_state(house, at.id) == "held approved"
    assert not after.root.xpath("//noscript/meta | //*[@role='timer']")


def test_a_held_edition_is_resumed_first(house: House) -> None:
    at = room(house)
    page = at.press("Hold this edition", reason="the court decides at seven")
    assert "Held: the court decides at seven." in page.words
    assert at.first == ["Resume"]
    assert "It goes on where it was." in page.after("Resume").words
    assert at.first == ["Approve"]


def test_a_running_send_is_paused_and_goes_on(house: House) -> None:
    at = room(house)
    at.send()
    page = at.page()
    assert at.first == ["Pause"]
    assert "It is going out now. What has not gone out by 3 Mar 2026, 18:00 UTC expires." in page.words
    assert not {"Hold this edition", "Approve", "Compose again"} & set(page.buttons())

    paused = page.after("Pause")
    assert at.first == ["Go on"]
    assert "Paused since" in paused.words
    assert "18:00 UTC expires" in paused.words
    house.work()
    assert house.inbox.mails == []
    paused.after("Go on")
    house.work()
    assert ledger_of(house, at.id) == {"accepted": 2}


def test_the_rest_of_a_running_send_is_cancelled(house: House) -> None:
    at = room(house)
    at.send()
    during_the_first_mail(house.inbox, lambda: at.press("Cancel the rest", reason="a wrong name"))
    house.work()
    page = at.page()
    assert "It was stopped before its end: a wrong name." in page.words
    assert ledger_of(house, at.id) == {"accepted": 1, "skipped(cancelled)": 1}
    assert "Draft a correction" in page.buttons()


def test_a_send_that_is_ended_and_has_a_copy_on_its_way_offers_nothing_but_to_wait(house: House) -> None:
    at = room(house)
    at.send()
    with house.app.app_context():
        shard = shards.lease(house.now)
        assert shard is not None
        start(shard.rows[0], house.now)
        ending.cancel(at.id, "a wrong name", house.now, COMMAND)
    page = at.page()
    assert "It was ended: a wrong name. What was on its way at that moment still arrives." in page.words
    assert not {"Pause", "Cancel the rest", "Pull it out"} & set(page.buttons())


def test_a_story_is_pulled_while_the_edition_goes_out_and_the_page_says_who_has_which(house: House) -> None:
    at = room(house)
    at.send()
    during_the_first_mail(house.inbox, lambda: at.press("Pull it out"))
    house.work()
    assert "revision 2, 1; revision 1, 1" in at.page().words


@pytest.mark.parametrize("button", ["Cancel this edition"])
def test_a_cancelled_edition_offers_nothing(house: House, button: str) -> None:
    at = room(house)
    page = at.press(button, reason="an empty day")
    assert "It was cancelled: an empty day." in page.words
    assert page.buttons() == []
    assert at.first == []


def test_a_sent_edition_can_be_corrected_and_the_correction_says_what_it_corrects(house: House) -> None:
    at = room(house)
    at.send()
    house.work()
    assert at.first == []
    page = at.press("Draft a correction")
    assert page.path != at.path
    assert "Put right what was wrong" in page.words
    assert page.root.findtext(".//h1") == "Morning Post, correction 1"
    assert "goes to those who may have received that: 2 readers" in page.words
    assert "It goes out when somebody sends it, and never by itself." in page.words
    assert "Compose again" not in page.buttons()
    assert "Of the same day: Morning Post, correction 1 is drafted." in at.page().words

    again = at.press("Draft a correction")
    assert "correction 1 of the same is drafted already" in again.words
    page.after("Send now to 2 readers")
    house.work()
    assert len(house.inbox.of(ANN)) == len(house.inbox.of(BOB)) == 2


def test_of_several_revisions_one_says_which_was_wrong(house: House) -> None:
    at = room(house)
    at.send()
    during_the_first_mail(house.inbox, lambda: pull(house, at.id))
    house.work()
    page = at.page()
    values = page.root.xpath("//select[@id='revision']/option")
    assert [one.text.split(":")[0] for one in values] == [
        "Revision 2, which 1 received",
        "Revision 1, which 1 received",
    ]
    made = page.after("Draft a correction", revision=values[1].get("value"))
    assert "revision 1, and goes to those who may have received that: 1 reader." in made.words


def test_a_late_edition_asks_for_its_date_and_then_cools_off(house: House) -> None:
    at = room(house, cooling=2)
    house.clock.at = house.clock.at.replace(hour=9)
    page = at.press("Send now to 2 readers", typed_date="yes")
    assert "type its date, 2026-03-03" in page.words
    page = at.press("Send now to 2 readers", typed_date="2026-03-03")
    assert "09:22 UTC, unless somebody pulls it back" in page.words


# What keeps it from going


def test_a_page_on_which_somebody_waits_says_when_nothing_starts(house: House) -> None:
    at = room(house, cooling=2)
    with house.app.app_context():
        leases.take_or_renew(safety.SCHEDULER, "a scheduler", house.now, timedelta(seconds=30))
    assert "sign of life" not in at.page().words
    at.send()
    house.later(minutes=3)
    page = at.page()
    assert "The scheduler gave no sign of life since" in page.words
    assert "Nothing starts until it runs again." in page.words
    assert not page.root.xpath("//noscript/meta | //*[@role='timer']"), "there is nothing to wait for"


def test_while_everything_is_halted_the_page_says_so(house: House) -> None:
    at = room(house)
    with house.app.app_context(), transaction():
        safety.halt("this may be a copy.", house.now)
    assert "Nothing is sent: this may be a copy." in at.page().words
    assert "this may be a copy" in at.press("Send now to 2 readers").words
    assert edition_state(house, at.id) == "drafted"


def test_what_preflight_finds_keeps_approve_and_send_away(house: House) -> None:
    at = room(house)
    with house.app.app_context(), transaction():
        db.session.get_one(Edition, at.id).revisions[-1].subject = ""
    page = at.page()
    assert "The subject is empty." in page.words
    assert not {"Approve", "Send now to 2 readers"} & set(page.buttons())


# Who may


def test_who_may_only_read_sees_no_buttons_and_is_refused(house: House) -> None:
    at = room(house, Role.SUPPORT)
    assert at.page().buttons() == []
    for deed in ("pull-back", "pause", "unpause", "cancel", "pull-story", "correct"):
        assert at.desk.post(f"{at.path}/{deed}").status_code == 403, deed
    assert at.desk.post("/admin/editions/skip").status_code == 403
    assert at.desk.get("/admin/editions/special").status_code == 403


@pytest.mark.parametrize("deed", ["pull-back", "pause", "unpause", "pull-story?story=1"])
def test_what_cannot_be_done_is_said_and_changes_nothing(house: House, deed: str) -> None:
    at = room(house)
    answer = at.desk.post(f"{at.path}/{deed}", story="999")
    assert answer.status_code == 303
    assert "This cannot be done now" in at.page().words
    assert edition_state(house, at.id) == "drafted"


@pytest.mark.parametrize("typed", ["", "x", "1" * 20, "-1", "²"])
def test_a_number_that_is_none_is_not_found(house: House, typed: str) -> None:
    at = room(house)
    assert at.desk.post(f"{at.path}/pull-story", story=typed).status_code == 404


# All editions


def test_a_day_is_left_out_from_the_page_of_editions(house: House) -> None:
    at = room(house)
    page = open_page(at.desk, "/admin/editions").after("Leave out this day", day="2026-03-05", reason="a holiday")
    assert "That day is left out." in page.words
    assert "a holiday" in page.words
    with house.app.app_context():
        made = next(one for one in recent_editions() if one.local_date == date(2026, 3, 5))
        assert (made.state, made.reason) == ("skipped", "a holiday")
        skipped = made.id
    shown = open_page(at.desk, f"/admin/editions/{skipped}")
    assert "It was left out: a holiday." in shown.words
    wrong = open_page(at.desk, "/admin/editions").after("Leave out this day", day="soon", reason="a holiday")
    assert "write the date like 2026-03-31" in wrong.words


def test_a_special_edition_is_drafted_of_ticked_stories_and_sent(house: House) -> None:
    at = room(house)
    page = open_page(at.desk, open_page(at.desk, "/admin/editions").links()["Special edition…"])
    boxes = page.root.xpath("//input[@name='story']/@value")
    assert len(boxes) == len(SUBJECTS)
    draft = page.after("Draft it", subject="What we know", story=boxes[1:3])
    assert draft.root.findtext(".//h1") == "Morning Post, special edition 1"
    assert len(draft.root.xpath("//ol[@id='items']/li")) == 2
    draft.after("Send now to 2 readers")
    house.work()
    assert [mail.subject for mail in house.inbox.of(ANN)] == ["What we know"]
    listed = open_page(at.desk, "/admin/editions").words
    assert "Morning Post, special edition 1: What we know" in listed


def test_a_special_edition_s_draft_composed_again_leaves_the_daily_one_alone(house: House) -> None:
    at = room(house)
    page = open_page(at.desk, "/admin/editions/special").after("Draft it")
    at.paper.tells("Volcano wakes in the north")
    assert "Volcano wakes in the north" in page.after("Compose again").words
    assert "Volcano wakes in the north" not in at.page().words


def test_the_list_says_what_lies_over_an_edition(house: House) -> None:
    at = room(house)
    at.send()
    at.press("Pause")
    (row,) = open_page(at.desk, "/admin/editions").root.xpath("//tbody/tr")
    assert "Paused" in row.text_content()
    with house.app.app_context():
        publishing.hold(at.id, "the court", house.now, COMMAND)
        assert db.session.get_one(Slot, at.paper.slot_id).label == "06:00 UTC"
    (row,) = open_page(at.desk, "/admin/editions").root.xpath("//tbody/tr")
    assert "the court" in row.text_content()
