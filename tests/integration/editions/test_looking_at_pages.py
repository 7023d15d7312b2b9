"""A story whose feed names no picture gets that of its page, where its source allows a look."""

from __future__ import annotations

from io import BytesIO

import pytest
import sqlalchemy as sa
from PIL import Image
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from newsletter.editions import illustrating, publishing
from newsletter.editions.models import Item, edition_of
from newsletter.foundation.audit import COMMAND, SYSTEM
from newsletter.foundation.database import db, transaction
from newsletter.newsletters.models import newsletter
from newsletter.stories import collecting, following
from newsletter.stories.models import Story
from tests.conftest import House
from tests.support import newsroom
from tests.support.outlets import Piece, article, publish

TITLES = ("Harbor bridge closes", "New school opens", "Ferry gets a hull", "Snow on the pass")
SAID = {"title": "x", "image": "/bridge.png", "image:alt": "The bridge in fog"}
NONE_NAMED = "Neither the feed nor the article’s page names a picture."


@pytest.fixture(autouse=True)
def bridge(httpserver: HTTPServer) -> None:
    """A picture that is really there."""
    buffer = BytesIO()
    Image.new("RGB", (640, 360), "teal").save(buffer, "PNG")
    httpserver.expect_request("/bridge.png").respond_with_data(buffer.getvalue(), content_type="image/png")


def tell(house: House, httpserver: HTTPServer, *titles: str, image: str = "", page_fetch: bool = True) -> None:
    """Stories of an outlet whose feed names a picture or not."""
    url = publish(httpserver, "/feed.xml", "Bay Herald", [Piece(t, "x", house.now, image=image) for t in titles])
    with house.app.app_context():
        following.add_source(newsletter(None), url, "Bay Herald", house.now, COMMAND, page_fetch=page_fetch)
        assert [one.error for one in collecting.collect_due(house.now, house.fetcher)] == [None]


def draft(house: House) -> dict[str, Item]:
    """The items of today's edition, drafted now, by their headlines."""
    with house.app.app_context():
        drafted = publishing.compose(newsletter(None).default_slot, house.now.date(), house.now, SYSTEM)
        assert drafted.revision
        items = {item.headline: item for item in drafted.revision.items}
        db.session.expunge_all()
        return items


def story(house: House, title: str) -> Story:
    with house.app.app_context():
        told = db.session.scalars(sa.select(Story).where(Story.title == title)).one()
        db.session.expunge(told)
        return told


def asked(httpserver: HTTPServer, title: str) -> int:
    """How often the page of a story was asked for."""
    path = "/" + Piece(title, "", None).path  # type: ignore[arg-type]
    return sum(request.path == path for request, _ in httpserver.log)


def test_story_and_item_get_the_picture_of_the_page_and_its_description(
    either_house: House, httpserver: HTTPServer
) -> None:
    house = either_house
    newsroom.found(house, items_at_least="1")
    article(httpserver, "/harbor-bridge-closes", TITLES[0], SAID)
    tell(house, httpserver, TITLES[0])
    item = draft(house)[TITLES[0]]
    told = story(house, TITLES[0])
    for one in (item, told):
        assert (one.image_url, one.image_alt) == (httpserver.url_for("/bridge.png"), "The bridge in fog")
    assert item.picture, "it is fetched and kept with us like any other"
    assert item.picture_note is None


def test_the_page_is_looked_at_once_and_the_feed_does_not_take_its_picture_away(
    house: House, httpserver: HTTPServer
) -> None:
    newsroom.found(house, items_at_least="1")
    article(httpserver, "/harbor-bridge-closes", TITLES[0], SAID)
    tell(house, httpserver, TITLES[0])
    draft(house)
    house.later(minutes=20)
    with house.app.app_context():
        (again,) = collecting.collect_due(house.now, house.fetcher)
        assert (again.error, again.updated) == (None, 0)
    assert draft(house)[TITLES[0]].picture
    assert asked(httpserver, TITLES[0]) == 1


def test_a_picture_of_the_feed_is_enough(house: House, httpserver: HTTPServer) -> None:
    newsroom.found(house, items_at_least="1")
    article(httpserver, "/harbor-bridge-closes", TITLES[0], SAID | {"image": "/other.png"})
    tell(house, httpserver, TITLES[0], image=httpserver.url_for("/bridge.png"))
    assert draft(house)[TITLES[0]].image_url == httpserver.url_for("/bridge.png")
    assert asked(httpserver, TITLES[0]) == 0


def test_a_source_that_does_not_allow_it_has_its_pages_left_alone(house: House, httpserver: HTTPServer) -> None:
    newsroom.found(house, items_at_least="1")
    article(httpserver, "/harbor-bridge-closes", TITLES[0], SAID)
    tell(house, httpserver, TITLES[0], page_fetch=False)
    item = draft(house)[TITLES[0]]
    assert (item.image_url, item.picture, item.picture_note) == (None, None, None)
    assert asked(httpserver, TITLES[0]) == 0


def test_what_a_page_does_not_give_is_noted_and_the_draft_stands(house: House, httpserver: HTTPServer) -> None:
    newsroom.found(house, items_at_least="1", per_outlet_at_most="4")
    article(httpserver, "/new-school-opens", TITLES[1], {"title": "No picture"})
    httpserver.expect_request("/ferry-gets-a-hull").respond_with_data("Broken", status=500)
    article(httpserver, "/snow-on-the-pass", TITLES[3], SAID | {"image": "/missing.png"})
    tell(house, httpserver, *TITLES)
    items = draft(house)
    notes = {title: item.picture_note or "" for title, item in items.items()}
    looked = "The article’s page could not be looked at for a picture. The server answered "
    assert notes[TITLES[0]].startswith(f"{looked}500 Internal Server Error"), "no page is there at all"
    assert notes[TITLES[1]] == NONE_NAMED
    assert notes[TITLES[2]].startswith(f"{looked}500 Internal Server Error: it has a fault of its own")
    assert "The server answered" in notes[TITLES[3]], "the page names a picture that is not there"
    assert [item.picture for item in items.values()] == [None] * 4


def test_with_pictures_by_link_the_page_s_own_is_linked_and_with_none_no_page_is_looked_at(
    house: House, httpserver: HTTPServer
) -> None:
    newsroom.found(house, items_at_least="1", pictures="link")
    article(httpserver, "/harbor-bridge-closes", TITLES[0], SAID)
    tell(house, httpserver, TITLES[0])
    item = draft(house)[TITLES[0]]
    assert (item.image_url, item.picture) == (httpserver.url_for("/bridge.png"), None)


def test_a_newsletter_without_pictures_looks_at_no_page(house: House, httpserver: HTTPServer) -> None:
    newsroom.found(house, items_at_least="1", pictures="none")
    article(httpserver, "/harbor-bridge-closes", TITLES[0], SAID)
    tell(house, httpserver, TITLES[0])
    assert draft(house)[TITLES[0]].image_url is None
    assert asked(httpserver, TITLES[0]) == 0


def test_a_draft_waits_only_so_long_for_pages(
    house: House, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    newsroom.found(house, items_at_least="1")
    article(httpserver, "/harbor-bridge-closes", TITLES[0], SAID)
    tell(house, httpserver, TITLES[0])
    monkeypatch.setattr(illustrating, "PAGES_SECONDS", -1.0)
    item = draft(house)[TITLES[0]]
    assert item.picture_note == "There was no time to look at the article’s page for a picture."
    assert asked(httpserver, TITLES[0]) == 0


def test_a_page_that_comes_after_the_edition_was_sealed_changes_nothing_in_it(
    house: House, httpserver: HTTPServer
) -> None:
    newsroom.found(house, items_at_least="1")

    def approved_meanwhile(_request: Request) -> Response:
        with house.app.app_context(), transaction():
            edition = edition_of(newsletter(None).default_slot.id, house.now.date())
            assert edition
            assert edition.revision
            edition.revision.sealed_at = house.now
        return Response("<meta property='og:image' content='/bridge.png'>", content_type="text/html")

    httpserver.expect_request("/harbor-bridge-closes").respond_with_handler(approved_meanwhile)
    tell(house, httpserver, TITLES[0])
    assert draft(house)[TITLES[0]].image_url is None


def test_no_transaction_is_open_while_a_page_is_waited_for(either_house: House, httpserver: HTTPServer) -> None:
    house = either_house
    newsroom.found(house, items_at_least="1")
    open_: list[int] = []

    def meanwhile(_request: Request) -> Response:
        with house.app.app_context():
            open_.append(db.engine.pool.checkedout())  # type: ignore[attr-defined]
        return Response("<meta property='og:image' content='/bridge.png'>", content_type="text/html")

    httpserver.expect_request("/harbor-bridge-closes").respond_with_handler(meanwhile)
    tell(house, httpserver, TITLES[0])
    assert draft(house)[TITLES[0]].picture
    assert open_ == [0]
