"""Mail scanners open every link before the person does: nothing may come of it."""

from __future__ import annotations

import re
from html import unescape

import sqlalchemy as sa

from newsletter.foundation.database import db
from newsletter.mail.outbox import OutboxMail
from tests.conftest import House
from tests.integration.subscribers import ANN, SITE, everything, link_in, sign_up, state_of
from tests.support import newsroom
from tests.support.inbox import Received

NEW = "ann@example.net"
OUR_LINK = re.compile(rf"{re.escape(SITE)}(/[^\s\"'<>]*)")

ALL = {"already", "change", "changed", "changing", "confirm", "edition", "moved", "preferences", "remind", "welcome"}
"""Every mail that readers get."""


def links_of(mail: Received) -> set[str]:
    """The paths of our own links in a mail: in both its parts, and in its headers."""
    texts = [mail.part("plain"), unescape(mail.part("html")), str(mail.message["List-Unsubscribe"] or "")]
    return {path.rstrip(".,") for text in texts for path in OUR_LINK.findall(text)}


class Scanner:
    """Fetches every link of each new mail by GET and HEAD, three times, before anybody reads it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.seen = 0
        self.kinds: set[str] = set()

    def look(self) -> None:
        for mail in self.house.inbox.mails[self.seen :]:
            before = everything(self.house)
            for path in links_of(mail):
                for method in ("GET", "HEAD") * 3:
                    answer = self.house.browser.open(path, method=method)
                    assert answer.status_code == 200, (method, path, answer.status_code)
            assert everything(self.house) == before, mail.message["Subject"]
        self.seen = len(self.house.inbox.mails)
        with self.house.app.app_context():
            self.kinds |= set(db.session.scalars(sa.select(OutboxMail.name)))
        if any(mail.message["List-ID"] for mail in self.house.inbox.mails):
            self.kinds.add("edition")


def test_nothing_comes_of_fetching_every_link_of_every_mail(house: House) -> None:
    scanner = Scanner(house)

    def settle(**later: float) -> None:
        house.later(**later)
        house.work()
        scanner.look()

    paper = newsroom.found(house)
    sign_up(house)
    settle()
    settle(hours=25)
    assert state_of(house) == [], "no scanner signs anybody up"
    paper.tells(*newsroom.SUBJECTS)
    paper.readers("bob@example.org")
    newsroom.send(house, paper.draft())
    assert house.browser.post(link_in(house, ANN, "/confirm/")).status_code == 200
    settle()
    house.later(minutes=16)
    sign_up(house)
    settle()
    house.later(minutes=16)
    house.browser.post("/preferences/", data={"email": ANN})
    settle()
    house.later(hours=24)
    leave = link_in(house, ANN, "/unsubscribe/")
    house.browser.post(f"{link_in(house, ANN, '/preferences/')}/address", data={"email": NEW})
    settle()
    assert house.browser.post(link_in(house, NEW, "/change/")).status_code == 200
    settle()
    assert state_of(house, NEW) == ["active"], "no scanner made anybody leave"
    assert house.browser.post(leave).status_code == 200
    assert state_of(house, NEW) == ["unsubscribed"], "and the links still do what they say"
    assert scanner.kinds == ALL
