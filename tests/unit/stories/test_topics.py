from __future__ import annotations

import json
from pathlib import Path

import pytest

from newsletter.stories.evaluating import yes_or_no
from newsletter.stories.topics import TopicInvalid, judge, parse, passes, shipped

LABELLED = Path(__file__).parents[4] / "shared" / "data" / "stories" / "military_dev.jsonl"

HARBOUR = parse(
    """
    name = "Harbour"
    strong = ["ferry", "lock gate*"]
    names = ["Ellery", "Tarn*"]
    veto = ["price barge*", "storm in a harbour"]
    [weak]
    craft = ["barge*", "tug"]
    places = ["harbour", "quay*"]
    """
)


def words(title: str, summary: str = "") -> tuple[str, ...]:
    return judge(HARBOUR, title, summary).words


def about(title: str, summary: str = "") -> bool:
    return judge(HARBOUR, title, summary).about


def test_one_strong_phrase_in_the_title_is_enough():
    assert about("Ferry timetable changes")
    assert about("New lock-gates for the canal")


def test_two_weak_words_of_different_kinds_are_enough():
    assert about("Barges leave the harbour")
    assert not about("Barges leave")


def test_two_weak_words_of_one_kind_are_one():
    assert not about("Barge follows tug")
    assert not about("From quay to harbour")


def test_a_weak_word_and_a_name_are_enough_but_names_are_not():
    assert about("Quay in Ellery reopens")
    assert not about("From Ellery to Tarnmouth")


def test_a_summary_helps_a_title_that_says_something():
    assert about("Tug sold", "The ferry line has a new owner.")
    assert about("Tug sold", "It lay at the quay of Ellery.")
    assert not about("Tug sold", "It lay at the quay.")
    assert not about("Council meets", "On the agenda: the ferry, the quay, a barge and Ellery.")


def test_a_veto_hides_the_words_inside_it():
    assert not about("Storm in a harbour over price barges")
    assert about("Storm in a harbour, but ferry sails")
    assert about("Price barge in the harbour: another barge arrives")


def test_words_are_told_as_they_stand_and_the_strongest_first():
    assert words("Ellery quays: FERRY, ferry and Lock Gates") == ("FERRY", "Lock Gates", "quays", "Ellery")
    assert words("Barge at QUAY", "By the ferry") == ("Barge", "QUAY")
    assert words("Council meets", "By the ferry") == ()


def test_a_star_stands_for_any_ending_and_without_it_for_none():
    assert words("Tarnish") == ("Tarnish",)
    assert words("Ferryman and tugs") == ()


def test_capitals_hyphens_and_dots_do_not_matter():
    assert about("LOCK.GATE opened")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name = ", "not TOML"),
        ("strong = []", "name must be a text"),
        ("name = 'A'\nweek = []", "unknown: week"),
        ("name = 'A'\nweak = []", "weak a table"),
        ("name = 'A'\nstrong = 'war'", "strong must be a list"),
        ("name = 'A'\nveto = [1]", "veto must be a list of texts"),
        ("name = 'A'\n[weak]\nb = ['!']", "weak b has a phrase without a word: '!'"),
    ],
)
def test_a_topic_that_cannot_be_used_says_why(text, problem):
    with pytest.raises(TopicInvalid, match=problem):
        parse(text)


def test_an_unknown_topic_names_the_known_ones():
    with pytest.raises(TopicInvalid, match=r"no topic 'gardening', but there is: military"):
        shipped("gardening")


@pytest.mark.parametrize(
    ("stories", "sources", "through"),
    [
        ([True], [], True),
        ([True, False], [], True),
        ([True, False, False], [], False),
        ([False, False], [False, True], True),
        ([False], [False], False),
        ([], [], False),
    ],
)
def test_a_group_passes_by_half_of_its_stories_or_one_source(stories, sources, through):
    assert passes(stories, sources) is through


@pytest.mark.parametrize(
    "title",
    [
        "Frigate joins exercise off Port Ellery",
        "Two soldiers injured in avalanche near Tarn",
        "Defence minister inspects new howitzers",
        "Rebels shoot down helicopter over the Vale of Tarn",
        "Militia withdraws from the border town",
        "War widow, 91, meets the pilots' grandchildren at Remembrance Day parade",
    ],
)
def test_news_of_armed_forces_is_military(title):
    assert judge(shipped("military"), title).about


@pytest.mark.parametrize(
    "title",
    [
        "Attorney general sues Port Ellery over harbour dues",
        "Trade war puts a price on apricots",
        "Culture war reaches the library of Tarn",
        "Fire brigade rescues a cat and three kittens",
        "Salvation Army opens soup kitchen",
        "Think tank warns of empty water tanks",
        "New law to combat litter on beaches",
        "Mayor survives heart attack",
        "Glassworkers on strike for a third day",
    ],
)
def test_words_of_war_about_something_else_are_not_military(title):
    assert not judge(shipped("military"), title).about


@pytest.mark.skipif(not LABELLED.is_file(), reason="the labelled titles are not part of the project")
def test_labelled_titles_are_judged_as_people_judged_them():
    rows = [row for line in LABELLED.read_text(encoding="utf-8").splitlines() if (row := json.loads(line))]
    rows = [row for row in rows if row["split"] == "test"]
    answers = [judge(shipped("military"), row["title"], row["summary"]).about for row in rows]
    assert yes_or_no(answers, [row["y"] == 1 for row in rows]).f1 >= 0.87
