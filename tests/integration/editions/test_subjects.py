"""What an edition's subject says: the lead, or a pattern, and never the same twice in a row."""

from __future__ import annotations

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.delivery import checking, releasing
from newsletter.editions import adding, editing, publishing
from newsletter.editions.editing import Changes
from newsletter.editions.models import Edition
from newsletter.editions.preflight import Kind
from newsletter.editions.wording import Name, Wording, worded
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db, transaction
from newsletter.foundation.text import one_line
from newsletter.newsletters import settings, subjects
from newsletter.newsletters.models import Slot, newsletter
from tests.conftest import House
from tests.support import newsroom
from tests.support.newsroom import Paper

POST = Name("Morning Post", "3 March 2026")
THREE = ("Harbor bridge closes", "Snow on the pass", "Choir wins a prize")


def wording_of(house: House, edition_id: int) -> tuple[str, str]:
    with house.app.app_context():
        revision = db.session.get_one(Edition, edition_id).revision
        assert revision is not None
        return revision.subject, revision.preheader


def told(paper: Paper, *titles: str) -> None:
    """In this order, because each later one has less weight."""
    for place, title in enumerate(titles):
        paper.story(title, f"Outlet of {title}", {"weight": 5.0 - place})


# The pattern


@pytest.mark.parametrize(
    ("pattern", "subject", "preheader"),
    [
        ("", "Harbor bridge closes", "Snow on the pass · Choir wins a prize"),
        ("{lead}", "Harbor bridge closes", "Snow on the pass · Choir wins a prize"),
        ("{name}: {lead}", "Morning Post: Harbor bridge closes", "Snow on the pass · Choir wins a prize"),
        ("{name}, {date}", "Morning Post, 3 March 2026", "Harbor bridge closes · Snow on the pass"),
        ("{count} stories for you", "3 stories for you", "Harbor bridge closes · Snow on the pass"),
        ("The news", "The news", "Harbor bridge closes · Snow on the pass"),
    ],
)
def test_a_subject_is_the_lead_or_what_the_pattern_says(pattern: str, subject: str, preheader: str) -> None:
    assert worded(THREE, Name(POST.name, POST.date, pattern)) == Wording(subject, preheader)


def test_braces_in_a_headline_are_nothing_but_words() -> None:
    lead = "{name} and {date.year} {0!r}"
    assert worded([lead], Name(POST.name, POST.date, "{lead} – {name}")).subject == f"{lead} – Morning Post"


def test_without_stories_the_newsletter_s_name_is_the_subject() -> None:
    assert worded([], POST) == Wording("Morning Post", "")


def test_a_long_headline_is_cut_and_the_rest_of_the_pattern_stands() -> None:
    subject = worded(["Bridge " * 70], Name(POST.name, POST.date, "{lead} · {name}, {date}")).subject
    assert len(subject) <= 300
    assert subject.endswith("… · Morning Post, 3 March 2026")


def test_a_subject_is_one_line_whatever_a_headline_holds() -> None:
    assert worded(["Bridge\r\nBcc: victim@example.org\u202e"], POST).subject == "Bridge Bcc: victim@example.org"


@pytest.mark.parametrize("pattern", ["", "{lead}", "{name}: {lead}, {date} ({count})", "50 % off"])
def test_what_can_be_used_has_no_problem(pattern: str) -> None:
    assert subjects.problem_in(pattern) is None


# Never twice in a row


@pytest.mark.parametrize("before", ["Harbor bridge closes", "HARBOR  bridge closes ", "harbor bridge\u00a0closes"])
def test_the_next_headline_stands_where_the_lead_was_the_last_subject(before: str) -> None:
    assert worded(THREE, POST, before) == Wording("Snow on the pass", "Harbor bridge closes · Choir wins a prize")


def test_a_pattern_with_the_lead_takes_the_next_headline_too() -> None:
    pattern = Name(POST.name, POST.date, "{name}: {lead}")
    assert worded(THREE, pattern, "Morning Post: Harbor bridge closes").subject == "Morning Post: Snow on the pass"


def test_the_date_is_added_where_no_headline_is_new() -> None:
    assert worded(THREE[:1], POST, THREE[0]).subject == "Harbor bridge closes · 3 March 2026"
    fixed = Name(POST.name, POST.date, "The news")
    assert worded(THREE, fixed, "the news").subject == "The news · 3 March 2026"


def test_two_editions_of_one_date_differ_as_well() -> None:
    fixed = Name(POST.name, POST.date, "{name}, {date}")
    assert worded(THREE, fixed, "Morning Post, 3 March 2026").subject == "Morning Post, 3 March 2026 (2)"


def test_a_subject_that_cannot_grow_gets_its_date_all_the_same() -> None:
    long = "x" * 300
    subject = worded([long], POST, long).subject
    assert len(subject) <= 300
    assert subject.endswith("… · 3 March 2026")


PATTERNS = st.lists(st.sampled_from(["{lead}", "{name}", "{date}", "{count}", " · ", "News"]), max_size=6).map("".join)


@given(headlines=st.lists(st.text(max_size=400), max_size=4), pattern=PATTERNS)
def test_whatever_the_headlines_are_a_subject_is_one_short_line_and_new(headlines: list[str], pattern: str) -> None:
    name = Name(POST.name, POST.date, pattern)
    subjects_so_far = [""]
    for _ in range(4):
        said = worded(headlines, name, subjects_so_far[-1])
        assert 0 < len(said.subject) <= 300
        assert len(said.preheader) <= 300
        assert one_line(said.subject) == said.subject
        assert said.subject.casefold() != subjects_so_far[-1].casefold()
        subjects_so_far.append(said.subject)


def test_an_edition_looks_at_the_last_one_of_its_slot_that_went_out(either_house: House) -> None:
    house = either_house
    paper = newsroom.found(house, items_at_least="1", subject_pattern="The news")
    other = paper.slot("Europe/Berlin", time(7, 0))
    told(paper, *THREE)
    paper.readers("ann@example.org")
    first = paper.draft()
    newsroom.send(house, first)
    house.work()
    house.later(days=1)
    told(paper, "Ferry gets a hull", "Oyster beds reopen")
    second = paper.draft()
    assert wording_of(house, first)[0] == "The news"
    assert wording_of(house, second)[0] == "The news · 4 March 2026"
    with house.app.app_context():
        editions = db.session.query(Edition).filter_by(slot_id=other).all()
        assert {one.revisions[-1].subject for one in editions} == {"The news"}, "nothing of that slot went out"


def test_a_draft_is_worded_anew_when_another_says_the_same_meanwhile(house: House) -> None:
    """A special edition of the same lead, sent between the cut-off and the slot."""
    paper = newsroom.found(house, items_at_least="1")
    lead, _, _ = (paper.story(title, title) for title in THREE)
    daily = paper.draft()
    before = wording_of(house, daily)[0]
    with house.app.app_context():
        slot = db.session.get_one(Slot, paper.slot_id)
        special = adding.special(slot, house.now.date(), house.now, COMMAND, before.upper(), [lead]).id
    newsroom.send(house, special)
    for _ in range(3):
        paper.draft()
    subject, preheader = wording_of(house, daily)
    assert subject.casefold() != before.casefold()
    assert subject in THREE
    assert before in preheader
    with house.app.app_context():
        assert len(db.session.get_one(Edition, daily).revisions) == 2, "once"


def test_a_hand_s_subject_is_left_alone_and_staff_are_told_that_it_says_the_same(house: House) -> None:
    paper = newsroom.found(house, items_at_least="1")
    lead, _, _ = (paper.story(title, title) for title in THREE)
    daily = paper.draft()
    with house.app.app_context():
        editing.change(daily, 1, Changes(subject="THE BRIDGE"), house.now, COMMAND)
        slot = db.session.get_one(Slot, paper.slot_id)
        special = adding.special(slot, house.now.date(), house.now, COMMAND, "The bridge", [lead]).id
        said = [finding.kind for finding in checking.findings(db.session.get_one(Edition, daily), house.now)]
        assert Kind.SUBJECT not in said
    newsroom.send(house, special)
    paper.draft()
    assert wording_of(house, daily)[0] == "THE BRIDGE"
    with house.app.app_context():
        said = [finding.kind for finding in checking.findings(db.session.get_one(Edition, daily), house.now)]
        assert Kind.SUBJECT in said


def test_an_approved_edition_counts_and_a_draft_does_not(house: House) -> None:
    paper = newsroom.found(house, items_at_least="1", subject_pattern="The news", approval="manual")
    told(paper, *THREE)
    first = paper.draft()
    house.later(days=1)
    told(paper, "Ferry gets a hull")
    second = paper.draft()
    assert wording_of(house, second)[0] == "The news"
    with house.app.app_context():
        releasing.approve(first, house.now, COMMAND)
    house.later(days=1)
    told(paper, "Oyster beds reopen")
    assert wording_of(house, paper.draft())[0] == "The news · 5 March 2026"


def test_the_date_is_in_the_newsletter_s_language(house: House) -> None:
    paper = newsroom.found(house, items_at_least="1", subject_pattern="{name}, {date}")
    told(paper, *THREE)
    with house.app.app_context(), transaction():
        newsletter(paper.slug).language = "de"
    assert wording_of(house, paper.draft())[0] == "Morning Post, 3. März 2026"


# A subject and the hand


def test_a_subject_that_is_the_lead_follows_it_and_a_hand_s_stays(house: House) -> None:
    paper = newsroom.found(house, items_at_least="1")
    told(paper, *THREE)
    edition_id = paper.draft()
    with house.app.app_context():
        first = db.session.get_one(Edition, edition_id).revisions[-1]
        lead, second, _ = [item.id for item in first.items]
        moved = editing.change(edition_id, 1, Changes(order=(second, lead)), house.now, COMMAND)
        assert (moved.subject, moved.preheader) == ("Snow on the pass", "Harbor bridge closes · Choir wins a prize")
        written = editing.change(edition_id, 2, Changes(subject="Three things"), house.now, COMMAND)
        back = editing.change(edition_id, 3, Changes(order=(written.items[1].id,)), house.now, COMMAND)
        assert (back.subject, back.preheader) == ("Three things", "Snow on the pass · Choir wins a prize")
        usual = editing.change(edition_id, 4, Changes(subject=" "), house.now, COMMAND)
        assert (usual.subject, usual.by_hand) == ("Harbor bridge closes", ["order"])


def test_a_pattern_counts_from_the_next_draft_on(house: House) -> None:
    paper = newsroom.found(house, items_at_least="1")
    told(paper, *THREE)
    edition_id = paper.draft()
    with house.app.app_context():
        settings.change(paper.slug, house.now, COMMAND, subject_pattern="{name}: {lead}")
    assert wording_of(house, edition_id)[0] == "Harbor bridge closes"
    recompose(paper)
    assert wording_of(house, edition_id)[0] == "Morning Post: Harbor bridge closes"


def recompose(paper: Paper) -> None:
    with paper.house.app.app_context():
        slot = db.session.get_one(Slot, paper.slot_id)
        publishing.compose(slot, publishing.today(slot, paper.house.now), paper.house.now, COMMAND)
