"""One day, from feeds to inbox, over real HTTP and real SMTP, on both databases."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlsplit

from pytest_httpserver import HTTPServer

from newsletter import scheduling
from newsletter.delivery import releasing
from newsletter.delivery.models import DeliveryState, states_of
from newsletter.editions.models import EditionState, edition_of
from newsletter.foundation.audit import COMMAND
from newsletter.newsletters import settings
from newsletter.newsletters.models import newsletter
from newsletter.newsletters.settings import NewNewsletter
from newsletter.stories import following
from tests.conftest import House
from tests.support.inbox import Received
from tests.support.outlets import Piece, publish

ANN = "ann@example.org"


def test_a_whole_day(either_house: House, httpserver: HTTPServer) -> None:
    house = either_house
    open_a_newsroom(house, httpserver)

    sign_up(house, ANN)
    confirmation = only(house, ANN)
    assert confirmation.subject == "Please confirm: Morning Post"
    assert confirmation.message["Auto-Submitted"] == "auto-generated"
    assert confirmation.message["List-Unsubscribe"] is None

    link = path_in(confirmation, "/confirm/")
    assert house.browser.get(link).status_code == 200
    house.work()
    assert len(house.inbox.of(ANN)) == 1, "looking at the page confirms nothing"
    assert house.browser.post(link).status_code == 200
    assert house.browser.post(link).status_code == 200, "a second press answers the same"
    house.work()
    assert [mail.subject for mail in house.inbox.of(ANN)][1:] == ["Welcome to Morning Post"]

    tick(house)
    with house.app.app_context():
        drafted = edition_of(newsletter(None).default_slot.id, house.now.date())
        assert drafted is not None
        assert drafted.state is EditionState.DRAFTED
        edition_id = drafted.id
        releasing.approve(edition_id, house.now, COMMAND)
    house.work()
    assert house.inbox.editions_of(ANN) == [], "approved is not sent"

    house.later(minutes=40)
    tick(house)
    house.work()
    (edition,) = house.inbox.editions_of(ANN)
    check_headers(house, edition)
    check_content(edition)
    with house.app.app_context():
        states = states_of(edition_id)
        assert states[DeliveryState.ACCEPTED] == 1
        assert sum(states.values()) == 1

    leave = urlsplit(str(edition.message["List-Unsubscribe"]).strip("<>"))
    assert leave.path in edition.part("html")
    assert leave.path in edition.part("plain")
    answer = house.browser.post(leave.path, data={"List-Unsubscribe": "One-Click"})
    assert (answer.status_code, answer.headers.get("Location")) == (200, None)

    tomorrow(house, httpserver)
    assert len(house.inbox.editions_of(ANN)) == 1, "who has left is not mailed the next day"
    with house.app.app_context():
        next_day = edition_of(newsletter(None).default_slot.id, house.now.date())
        assert next_day is not None
        assert (next_day.state, next_day.audience) == (EditionState.SENT, 0)


def open_a_newsroom(house: House, httpserver: HTTPServer) -> None:
    with house.app.app_context():
        new = NewNewsletter("morning-post", "Morning Post", "post@example.org")
        published = settings.add(
            new, house.now, COMMAND, postal_address="1 Quay Street, Port Ellery", items_at_least="2"
        )
        for path, outlet, pieces in todays_papers(house):
            url = publish(httpserver, path, outlet, pieces)
            following.add_source(newsletter(published.slug), url, outlet, house.now, COMMAND)
    tick(house)


def todays_papers(house: House) -> list[tuple[str, str, list[Piece]]]:
    early = house.now - timedelta(hours=3)
    bridge = Piece("Harbor bridge closes for repairs", "The harbor bridge is closed until spring for repairs.", early)
    again = Piece("Repairs close the harbor bridge", "Repairs will keep the harbor bridge closed until spring.", early)
    school = Piece("New school opens its doors", "Four hundred children walked into the new school.", early)
    hostile = Piece("Fish & <b>chips</b> \N{BULLET} price rises", "A portion now costs more & tastes the same.", early)
    return [("/bay.xml", "Bay Herald", [bridge, school]), ("/cape.xml", "Cape Courier", [again, hostile])]


def tick(house: House) -> None:
    scheduling.run_once(house.app, house.clock, house.fetcher)


def sign_up(house: House, address: str) -> None:
    answer = house.browser.post("/subscribe", data={"email": address, "newsletter": "morning-post"})
    assert answer.status_code == 200
    assert address in re.sub("<[^>]*>", "", answer.text)
    house.work()


def only(house: House, address: str) -> Received:
    (mail,) = house.inbox.of(address)
    return mail


def path_in(mail: Received, start: str) -> str:
    match = re.search(rf"https://news\.example\.org({start}[^\s\"<>]+)", mail.part("plain"))
    assert match, mail.part("plain")
    return match[1]


def check_headers(house: House, edition: Received) -> None:
    message = edition.message
    assert message["To"] == ANN
    assert "Morning Post" in message["From"]
    assert message["List-ID"] == "<morning-post.example.org>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert re.fullmatch(r"<https://news\.example\.org/unsubscribe/\S+>", message["List-Unsubscribe"])
    assert re.fullmatch(r"<d[a-z2-7]+-[a-z2-7]{16}@example\.org>", message["Message-ID"])
    assert message["Date"].datetime == house.now
    assert message["MIME-Version"] == "1.0"
    assert message["Auto-Submitted"] is None, "an edition is no auto-reply"
    assert re.fullmatch(r"bounces\+d[a-z2-7]+-[a-z2-7]{16}@example\.org", edition.sender)
    assert all(len(line) <= 998 for line in edition.octets.split(b"\r\n"))
    assert b"\n" not in edition.octets.replace(b"\r\n", b""), "every line ends in CRLF"
    assert edition.octets.isascii()
    assert len(edition.part("html").encode()) < 100_000


def check_content(edition: Received) -> None:
    html, text = edition.part("html"), edition.part("plain")
    for headline in ("New school opens its doors", "Fish & chips \N{BULLET} price rises"):
        assert headline in text
        assert headline.replace("&", "&amp;") in html
    assert text.count("arbor bridge") >= 1
    assert "1 Quay Street, Port Ellery" in html
    assert "1 Quay Street, Port Ellery" in text
    assert ANN in html
    assert ANN in text


def tomorrow(house: House, httpserver: HTTPServer) -> None:
    house.clock.at = (house.now + timedelta(days=1)).replace(hour=5, minute=20)
    early = house.now - timedelta(hours=2)
    pieces = [
        Piece(title, "Something quite different happened here.", early)
        for title in ("Ferry gets a new hull", "Snow on the pass", "Choir wins a prize")
    ]
    httpserver.clear()
    for path in ("/bay.xml", "/cape.xml"):
        publish(httpserver, path, "Bay Herald", pieces if path == "/bay.xml" else [])
    tick(house)
    house.later(minutes=40)
    tick(house)
    house.work()
