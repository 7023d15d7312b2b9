"""Stories by hand: read from a page or typed in, one for each page, and theirs to edit who wrote them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa
from pytest_httpserver import HTTPServer

from newsletter.delivery import releasing
from newsletter.foundation.audit import COMMAND, Actor, ActorKind, AuditRecord
from newsletter.foundation.database import db
from newsletter.foundation.errors import NewsletterError, Refused
from newsletter.newsletters.models import newsletter
from newsletter.stories import adding, collecting, following, marking, reading
from newsletter.stories.adding import Added, StoryByHand, StoryInvalid
from newsletter.stories.models import Story, StoryMark, StoryUnknown
from tests.conftest import BuildHouse, House
from tests.support import newsroom
from tests.support.newsroom import Paper
from tests.support.outlets import Piece, article, publish
from tests.support.racing import at_once, both_pass

EVE = Actor(ActorKind.STAFF, "eve@example.org", 7)
BRIDGE = StoryByHand("Harbor bridge closes", "https://gazette.example/news/bridge?id=7", outlet="Harbor Gazette")
WHOLE = StoryByHand(
    title="A word to our readers",
    url="https://gazette.example/word",
    summary="We moved. The kettle came first.",
    outlet="Harbor Gazette",
    section="Desk",
    image_url="https://gazette.example/word.jpg",
    image_alt="A kettle in a box",
    image_credit="Ann Example",
)
SAID = {
    "title": "Harbor bridge closes",
    "description": "It is closed until spring.",
    "site_name": "Harbor Gazette",
    "image": "/bridge.jpg",
    "image:alt": "The bridge in fog",
}


def add(paper: Paper, new: StoryByHand, *, pin: bool = True) -> Added:
    with paper.house.app.app_context():
        added = adding.add(newsletter(paper.slug), new, paper.house.now, EVE, pin=pin)
        db.session.refresh(added.story)
        return added


def edit(house: House, story_id: int, new: StoryByHand) -> None:
    with house.app.app_context():
        adding.edit(story_id, new, house.now, EVE)


def filled_in(house: House, new: StoryByHand) -> StoryByHand:
    with house.app.app_context():
        return adding.filled_in(new, house.fetcher)


def withdraw(house: House, story_id: int) -> None:
    with house.app.app_context():
        releasing.withdraw(story_id, "", house.now, COMMAND)


def stories(house: House) -> list[StoryByHand]:
    """Every story, as staff would write it."""
    with house.app.app_context():
        return [StoryByHand.written(known) for known in db.session.scalars(sa.select(Story).order_by(Story.id))]


def marks(house: House) -> list[tuple[str, int]]:
    with house.app.app_context():
        return [(mark.mark.value, mark.story_id) for mark in db.session.scalars(sa.select(StoryMark))]


def acts(house: House) -> list[tuple[str, str]]:
    """What was done to stories, and who did it."""
    with house.app.app_context():
        records = db.session.scalars(sa.select(AuditRecord).order_by(AuditRecord.id))
        return [(one.action, one.actor_name) for one in records if one.action.startswith("story.")]


def details(house: House) -> dict[str, Any]:
    """Of the latest act."""
    with house.app.app_context():
        record = db.session.scalars(sa.select(AuditRecord).order_by(AuditRecord.id.desc())).first()
        assert record
        return record.details


def the_first_two_meet(house: House, original: Callable[..., Any]) -> Callable[..., Any]:
    """As both_pass, but who comes again is not kept waiting."""
    meeting, arrivals = both_pass(house, original), count()
    return lambda *args: (meeting if next(arrivals) < 2 else original)(*args)


# Adding


def test_a_story_stands_as_it_was_written_pinned_and_with_who_wrote_it(either_house: House) -> None:
    paper = newsroom.found(either_house)
    added = add(paper, WHOLE)
    assert added.is_new
    assert stories(either_house) == [WHOLE]
    assert marks(either_house) == [("pinned", added.story.id)]
    assert acts(either_house) == [("story.add", EVE.name), ("story.pinned", EVE.name)]


def test_one_that_is_not_pinned_competes_with_the_others(house: House) -> None:
    paper = newsroom.found(house)
    add(paper, WHOLE, pin=False)
    assert marks(house) == []
    assert [choice.lead.title for choice in paper.compose().choices] == [WHOLE.title]


@pytest.mark.parametrize(("publisher", "outlet"), [("The Post Company", "The Post Company"), ("", "Morning Post")])
def test_a_story_of_no_outlet_is_the_publishers(house: House, publisher: str, outlet: str) -> None:
    paper = newsroom.found(house, publisher=publisher)
    assert add(paper, StoryByHand("A word to our readers")).story.outlet == outlet


def test_it_is_a_story_of_its_own_newsletter_only(house: House) -> None:
    paper, other = newsroom.found(house), newsroom.found(house, "other-post")
    assert add(paper, WHOLE).is_new
    assert other.compose().choices == ()
    assert add(other, WHOLE).is_new
    assert len(stories(house)) == 2


@pytest.mark.parametrize(
    "again",
    [
        "https://gazette.example/news/bridge?id=7",
        "http://gazette.example/news/bridge?id=7",
        "https://www.gazette.example/news/bridge/?id=7#top",
        "https://GAZETTE.example:443/news/bridge?utm_source=x&id=7&fbclid=y",
    ],
)
def test_a_page_twice_is_one_story_and_its_first_words_stand(either_house: House, again: str) -> None:
    paper = newsroom.found(either_house)
    first = add(paper, BRIDGE, pin=False)
    second = add(paper, StoryByHand("Other words", again))
    assert (second.story.id, second.is_new) == (first.story.id, False)
    assert stories(either_house) == [BRIDGE]
    assert marks(either_house) == [("pinned", first.story.id)]


@pytest.mark.parametrize("tail", ["", "?utm_campaign=morning&gclid=1", "#comments", "/"])
def test_a_page_that_a_feed_brought_is_that_story(house: House, httpserver: HTTPServer, tail: str) -> None:
    paper = newsroom.found(house)
    feed = publish(httpserver, "/feed", "Harbor Gazette", [Piece("Harbor bridge closes", "", house.now, slug="bridge")])
    with house.app.app_context():
        following.add_source(newsletter(None), feed, None, house.now, COMMAND, fetcher=house.fetcher)
        collecting.collect_due(house.now, house.fetcher)
    added = add(paper, StoryByHand("Our own words for it", httpserver.url_for("/bridge") + tail))
    assert not added.is_new
    assert (added.story.title, added.story.outlet) == ("Harbor bridge closes", "Harbor Gazette")
    assert len(stories(house)) == 1
    assert marks(house) == [("pinned", added.story.id)]
    assert acts(house) == [("story.pinned", EVE.name)]


def test_a_page_that_only_another_newsletters_feed_brought_is_new_here(house: House) -> None:
    paper, other = newsroom.found(house), newsroom.found(house, "other-post")
    theirs = other.story("Harbor bridge closes", "Harbor Gazette", page=page_key(BRIDGE), url=BRIDGE.url)
    added = add(paper, BRIDGE)
    assert added.is_new
    assert added.story.id != theirs


def page_key(new: StoryByHand) -> str:
    return str(adding.page_of(new.url))


def test_what_is_typed_in_twice_on_a_day_is_one_story_and_the_next_day_another(either_house: House) -> None:
    """The form was sent twice; and a word to the readers may come again."""
    paper, word = newsroom.found(either_house), StoryByHand("A word to our readers", summary="We moved.")
    first, again = add(paper, word), add(paper, replace(word, summary="We moved again."))
    assert (first.is_new, again.is_new) == (True, False)
    assert first.story.id == again.story.id
    either_house.later(days=1)
    assert add(paper, word).is_new


@pytest.mark.parametrize("new", [BRIDGE, StoryByHand("A word to our readers")])
def test_two_who_add_it_at_once_add_one(either_house: House, monkeypatch: pytest.MonkeyPatch, new: StoryByHand) -> None:
    paper = newsroom.found(either_house)
    monkeypatch.setattr(adding, "_known", the_first_two_meet(either_house, adding._known))
    added = at_once(2, lambda _: add(paper, new))
    assert {one.story.id for one in added} == {1}
    assert sorted(one.is_new for one in added) == [False, True]
    assert len(stories(either_house)) == 1
    assert marks(either_house) == [("pinned", 1)]
    assert acts(either_house) == [("story.add", EVE.name), ("story.pinned", EVE.name)]


@pytest.mark.parametrize(
    ("new", "field"), [(BRIDGE, "url"), (replace(BRIDGE, url="http://gazette.example/news/bridge?id=7&ref=x"), "url")]
)
def test_a_page_that_was_withdrawn_is_not_added_before_it_is_restored(
    either_house: House, new: StoryByHand, field: str
) -> None:
    """It would be chosen nowhere, and nobody would know why."""
    paper = newsroom.found(either_house)
    taken = add(paper, BRIDGE).story.id
    withdraw(either_house, taken)
    with pytest.raises(StoryInvalid, match=f"withdrawn, as story {taken}") as caught:
        add(paper, new)
    assert caught.value.field == field
    with either_house.app.app_context():
        marking.restore(taken, either_house.now, EVE)
    assert add(paper, new).story.id == taken


def test_what_was_typed_in_and_withdrawn_is_not_added_again(house: House) -> None:
    paper, word = newsroom.found(house), StoryByHand("A word to our readers")
    withdraw(house, add(paper, word).story.id)
    with pytest.raises(StoryInvalid, match="withdrawn") as caught:
        add(paper, word)
    assert caught.value.field == "title"


def test_a_page_that_another_newsletter_withdrew_is_not_added_either(house: House) -> None:
    """A withdrawal is for every newsletter, under whichever feed the page comes in."""
    paper, other = newsroom.found(house), newsroom.found(house, "other-post")
    withdraw(house, add(other, BRIDGE).story.id)
    with pytest.raises(StoryInvalid, match="withdrawn"):
        add(paper, BRIDGE)


WRONG: list[tuple[str, str, str]] = [
    ("title", "", "write one"),
    ("title", " \n\t ", "write one"),
    ("title", "\u202e\u200b\u200e\x07", "write one"),
    ("title", "x" * 10_000, "over 500 characters"),
    ("summary", "x" * 601, "over 600 characters"),
    ("outlet", "x" * 201, "over 200 characters"),
    ("section", "x" * 101, "over 100 characters"),
    ("image_alt", "x" * 501, "over 500 characters"),
    ("image_credit", "x" * 201, "over 200 characters"),
    ("url", "https://gazette.example/" + "x" * 2000, "over 2000 characters"),
    ("image_url", "https://gazette.example/" + "x" * 2000, "over 2000 characters"),
    *(
        (field, url, "write it whole")
        for field in ("url", "image_url")
        for url in (
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,<script>alert(1)</script>",
            "file:///etc/passwd",
            "ftp://gazette.example/a",
            "gazette.example/story",
            "/story",
            "https://",
            "https:///story",
            "https://[gazette/story",
            "https://gazette.example:99999/story",
            "https://gazette.example/a b",
            "https://gazette.example/a\njavascript:alert(1)",
        )
    ),
]


@pytest.mark.parametrize(("field", "text", "problem"), WRONG)
def test_what_cannot_be_used_is_told_of_its_field_and_nothing_is_saved(
    house: House, field: str, text: str, problem: str
) -> None:
    paper = newsroom.found(house)
    with pytest.raises(StoryInvalid, match=problem) as caught:
        add(paper, replace(WHOLE, **{field: text}))
    assert caught.value.field == field
    assert len(str(caught.value)) < 200
    assert (stories(house), acts(house)) == ([], [])


def test_what_no_line_can_hold_is_left_out_and_the_rest_is_text(either_house: House) -> None:
    paper = newsroom.found(either_house)
    hostile = "<script>alert('x')</script> \"two\"\r\nlines\x00\x1b[31m \u202eesrever\u202c \ud800"
    add(paper, StoryByHand(hostile, summary="One.\n\nTwo.\tThree."))
    (stored,) = stories(either_house)
    assert stored.title == "<script>alert('x')</script> \"two\" lines [31m esrever"
    assert stored.summary == "One. Two. Three."


@pytest.mark.parametrize("title", ["خانه‌های جدید", "👨‍👩‍👧 at home", "x" * 500, "Ⅻ ﬁ ｆｕｌｌ", "橋が閉鎖"])
def test_what_people_write_is_kept_to_the_letter(either_house: House, title: str) -> None:
    add(newsroom.found(either_house), StoryByHand(title))
    assert stories(either_house)[0].title == title


# Editing


def test_an_edited_story_keeps_its_number_and_the_trail_has_both_wordings(either_house: House) -> None:
    paper = newsroom.found(either_house)
    story_id = add(paper, BRIDGE).story.id
    edit(either_house, story_id, WHOLE)
    assert stories(either_house) == [WHOLE]
    assert details(either_house) == {"before": asdict(BRIDGE), "after": asdict(WHOLE)}
    assert acts(either_house)[-1] == ("story.edit", EVE.name)
    edit(either_house, story_id, StoryByHand("Only words now", outlet="Harbor Gazette"))
    assert stories(either_house) == [StoryByHand("Only words now", outlet="Harbor Gazette")]


def test_saved_as_it_was_it_leaves_no_record(house: House) -> None:
    story_id = add(newsroom.found(house), WHOLE).story.id
    edit(house, story_id, WHOLE)
    assert "story.edit" not in dict(acts(house))


def test_the_next_draft_tells_it_in_the_new_words(house: House) -> None:
    paper = newsroom.found(house)
    story_id = add(paper, BRIDGE).story.id
    paper.draft()
    edit(house, story_id, replace(BRIDGE, title="Harbor bridge stays open"))
    assert [choice.lead.title for choice in paper.compose().choices] == ["Harbor bridge stays open"]


def test_an_outlets_own_words_are_the_outlets(house: House) -> None:
    paper = newsroom.found(house)
    theirs = paper.story("Snow on the pass", "Ridge Courier")
    with pytest.raises(Refused, match=r"Ridge Courier’s own\. Change them in the edition"):
        edit(house, theirs, WHOLE)
    assert stories(house)[0].title == "Snow on the pass"


def test_a_withdrawn_story_is_restored_before_it_is_edited(house: House) -> None:
    """Else its page could come in again from a feed, while it stands withdrawn under another."""
    taken = add(newsroom.found(house), BRIDGE).story.id
    withdraw(house, taken)
    with pytest.raises(Refused, match="Restore it first"):
        edit(house, taken, WHOLE)


def test_a_story_that_there_is_not_cannot_be_edited(house: House) -> None:
    with pytest.raises(StoryUnknown):
        edit(house, 999, WHOLE)


@pytest.mark.parametrize(("field", "text", "problem"), WRONG[::7])
def test_an_edit_that_cannot_be_used_changes_nothing(house: House, field: str, text: str, problem: str) -> None:
    story_id = add(newsroom.found(house), WHOLE).story.id
    with pytest.raises(StoryInvalid, match=problem):
        edit(house, story_id, replace(WHOLE, **{"section": "Port", field: text}))
    assert stories(house) == [WHOLE]


def test_an_edit_makes_no_second_story_of_a_page(either_house: House) -> None:
    paper = newsroom.found(either_house)
    feeds = paper.story("Snow on the pass", "Ridge Courier", page=adding.page_of("https://ridge.example/snow"))
    first, second = add(paper, BRIDGE).story.id, add(paper, WHOLE).story.id
    typed, other = add(paper, StoryByHand("One word")).story.id, add(paper, StoryByHand("Another")).story.id
    before = stories(either_house)
    for story_id, new, taken in (
        (second, BRIDGE, first),
        (second, replace(WHOLE, url="http://ridge.example/snow?utm_source=x"), feeds),
        (other, replace(BRIDGE, title="Another"), first),
        (other, StoryByHand("One word"), typed),
    ):
        with pytest.raises(StoryInvalid, match=f"story {taken} has it already"):
            edit(either_house, story_id, new)
    assert stories(either_house) == before


def test_an_edit_to_a_page_that_was_withdrawn_is_refused(either_house: House) -> None:
    paper = newsroom.found(either_house)
    taken, mine = add(paper, BRIDGE).story.id, add(paper, WHOLE).story.id
    withdraw(either_house, taken)
    with pytest.raises(StoryInvalid, match=f"withdrawn, as story {taken}"):
        edit(either_house, mine, replace(WHOLE, url=BRIDGE.url))


def test_a_page_that_a_feed_brought_later_does_not_keep_its_words_from_being_edited(house: House) -> None:
    paper = newsroom.found(house)
    paper.story("Harbor bridge closes", "Ridge Courier")
    story_id = add(paper, BRIDGE).story.id
    with house.app.app_context():
        db.session.execute(sa.update(Story).where(Story.id != story_id).values(page=page_key(BRIDGE)))
        db.session.commit()
    edit(house, story_id, replace(BRIDGE, title="Harbor bridge stays open"))
    assert stories(house)[-1].title == "Harbor bridge stays open"


def test_two_who_make_two_stories_one_page_at_once(either_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    paper = newsroom.found(either_house)
    ids = [add(paper, StoryByHand(title)).story.id for title in ("One word", "Another")]
    monkeypatch.setattr(adding, "_known", the_first_two_meet(either_house, adding._known))

    def point(number: int) -> str:
        try:
            edit(either_house, ids[number], replace(BRIDGE, title=f"Words {number}"))
        except StoryInvalid as refused:
            return refused.field
        return "saved"

    assert sorted(at_once(2, point)) == ["saved", "url"]
    assert [one.url for one in stories(either_house)].count(BRIDGE.url) == 1


# Filling in from a page


def test_a_page_fills_in_what_was_not_written(house: House, httpserver: HTTPServer) -> None:
    url = article(httpserver, "/bridge", "Bridge - Gazette", SAID)
    assert filled_in(house, StoryByHand("", url)) == StoryByHand(
        title="Harbor bridge closes",
        url=url,
        summary="It is closed until spring.",
        outlet="Harbor Gazette",
        image_url=httpserver.url_for("/bridge.jpg"),
        image_alt="The bridge in fog",
    )


def test_what_was_written_is_not_overwritten(house: House, httpserver: HTTPServer) -> None:
    url = article(httpserver, "/bridge", "Bridge - Gazette", SAID | {"url": "https://elsewhere.example/"})
    assert filled_in(house, replace(WHOLE, url=url)) == replace(WHOLE, url=url)
    part = StoryByHand("Our headline", url, summary="  ", section="Port")
    completed = filled_in(house, part)
    assert (completed.title, completed.summary) == ("Our headline", "It is closed until spring.")
    assert (completed.url, completed.section) == (url, "Port")


def test_the_pages_words_for_its_picture_do_not_describe_another_one(house: House, httpserver: HTTPServer) -> None:
    url = article(httpserver, "/bridge", "Bridge", SAID)
    mine = StoryByHand("", url, image_url="https://gazette.example/kettle.jpg")
    assert filled_in(house, mine).image_alt == ""
    same = replace(mine, image_url=httpserver.url_for("/bridge.jpg"))
    assert filled_in(house, same).image_alt == "The bridge in fog"


def test_a_page_that_goes_on_and_on_fills_in_what_fits(house: House, httpserver: HTTPServer) -> None:
    paper = newsroom.found(house)
    said = dict.fromkeys(("title", "description", "site_name", "image:alt"), "word " * 2000)
    url = article(httpserver, "/long", "x", said | {"image": "/a picture of it.jpg"})
    added = add(paper, filled_in(house, StoryByHand("", url)))
    assert added.story.image_url == httpserver.url_for("/a%20picture%20of%20it.jpg")


def test_an_address_around_which_there_is_space_is_that_address(house: House, httpserver: HTTPServer) -> None:
    url = article(httpserver, "/bridge", "Bridge", SAID)
    assert filled_in(house, StoryByHand("", f" {url}\r\n")).title == "Harbor bridge closes"


@pytest.mark.parametrize("url", ["", "  ", "gazette.example/story", "javascript:alert(1)", "file:///etc/passwd"])
def test_what_is_no_address_is_told_of_the_field_and_nothing_is_asked(house: House, url: str) -> None:
    with pytest.raises(StoryInvalid) as caught:
        filled_in(house, StoryByHand("", url))
    assert caught.value.field == "url"


@pytest.mark.parametrize(
    ("body", "kind", "sentence"),
    [
        (b"%PDF-1.7", "application/pdf", "no page that can be read: the server calls it application/pdf"),
        (b"\x89PNG", "image/png; x=y", "the server calls it image/png"),
        (b"words", "text/plain", "the server calls it text/plain"),
        (b"x", "a" * 4000, "calls it " + "a" * 60 + ","),
        (b"", "text/html", "no page that can be read: it is empty."),
        (b"<!-- -->", "text/html", "no page that can be read: it is empty."),
        (b"x" * 2_000_000, "text/html", "The answer is larger than 1 MB."),
    ],
)
def test_what_is_no_page_is_told_in_a_sentence(
    build_house: BuildHouse, sqlite_url: str, httpserver: HTTPServer, body: bytes, kind: str, sentence: str
) -> None:
    house = build_house(sqlite_url)
    house = build_house(sqlite_url, fetching=fetching_of(house, max_megabytes=1))
    httpserver.expect_request("/page").respond_with_data(body, content_type=kind)
    assert sentence in problem_of(house, httpserver.url_for("/page"))


def fetching_of(house: House, **changed: object) -> Any:
    return house.app.extensions["newsletter.config"].fetching.model_copy(update=changed)


def problem_of(house: House, url: str) -> str:
    with pytest.raises(NewsletterError) as caught:
        filled_in(house, StoryByHand("", url))
    return str(caught.value)


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(404, "The server answered 404 Not Found"), (500, "answered 500"), (410, "it is gone for good (410)")],
)
def test_a_server_that_gives_no_page_is_told_in_a_sentence(
    house: House, httpserver: HTTPServer, status: int, sentence: str
) -> None:
    httpserver.expect_request("/page").respond_with_data("no", status=status)
    problem = problem_of(house, httpserver.url_for("/page"))
    assert sentence in problem
    assert "feed" not in problem


def test_a_page_of_the_inner_network_is_not_read(
    build_house: BuildHouse, sqlite_url: str, httpserver: HTTPServer
) -> None:
    house = build_house(sqlite_url)
    house = build_house(sqlite_url, fetching=fetching_of(house, allow_networks=()))
    article(httpserver, "/secret", "Secret", {})
    for url in (httpserver.url_for("/secret"), "http://169.254.169.254/latest/", "http://[::1]/", "http://10.0.0.1/"):
        assert "is not a public address" in problem_of(house, url)
    assert httpserver.log == []


def test_a_page_that_redirects_inward_is_not_read_either(house: House, httpserver: HTTPServer) -> None:
    away = {"Location": "http://127.0.0.2:1/secret"}
    httpserver.expect_request("/page").respond_with_data("", status=302, headers=away)
    assert "127.0.0.2 is not a public address" in problem_of(house, httpserver.url_for("/page"))


def test_a_host_that_nobody_has_is_told_in_a_sentence(house: House) -> None:
    assert "no-such-outlet.invalid cannot be reached" in problem_of(house, "https://no-such-outlet.invalid/")


def test_a_page_that_would_take_hours_to_read_is_given_up(
    house: House, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of lxml's reader grows with the square of an element's attributes."""
    monkeypatch.setattr(reading, "SECONDS", 0.5)
    attributes = " ".join(f"a{number}=1" for number in range(200_000))
    httpserver.expect_request("/page").respond_with_data(f"<p {attributes}>", content_type="text/html")
    assert "could not be read within 0.5 seconds" in problem_of(house, httpserver.url_for("/page"))
