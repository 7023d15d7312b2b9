"""Every way in which somebody outside can make us send a mail, found from the routes themselves, and the cap of each.

A route or a mail that is added without a decision here fails.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest

from newsletter.mail import templates
from newsletter.subscribers.answering import MAIL_PAUSE, MAILS_A_DAY
from newsletter.subscribers.asking import ASKED_AN_HOUR
from tests.conftest import House
from tests.integration.subscribers import ANN, MORNING_POST, asked, became_reader, link_in, sign_up
from tests.integration.web import signed_in
from tests.support import newsroom

BOB = "bob@example.org"

ASK = {"public.subscribe", "embed.sign_up", "preferences.lost", "preferences.address"}
"""POSTs by anybody, or by a reader about an address that is not proven theirs: all of them under the caps."""

PROVEN = {"public.confirm", "preferences.change", "preferences.save"}
"""POSTs behind a link that was sent to the address that gets the mail: one mail for each change that they bring."""

SILENT = {
    "preferences.erase",
    "preferences.leave",
    "preferences.pause",
    "preferences.resume",
    "public.say_why",
    "public.undo_leaving",
    "public.unsubscribe",
}
"""POSTs that cause none."""

MAILS = {
    "confirm": ASK,
    "already": ASK,
    "preferences": ASK,
    "change": ASK,
    "changing": ASK,
    "remind": {"once for each request"},
    "welcome": PROVEN,
    "changed": PROVEN,
    "moved": PROVEN,
    "edition": {"the ledger"},
    "alert": {"staff only"},
    "alerts": {"staff only"},
    "answer": {"staff only"},
    "draft": {"staff only"},
    "staff_invitation": {"staff only"},
    "staff_link": {"staff only"},
}
"""What each mail is sent by. Only the edition is no outbox mail: a row of the ledger, unique for edition and reader."""


def posts(house: House) -> set[str]:
    """What takes a POST, but for the staff's pages."""
    rules = house.app.url_map.iter_rules()
    return {
        rule.endpoint for rule in rules if "POST" in (rule.methods or ()) and not rule.endpoint.startswith("admin.")
    }


def test_every_route_that_takes_a_post_is_decided_on(house: House) -> None:
    assert posts(house) == ASK | PROVEN | SILENT


def test_every_mail_is_decided_on() -> None:
    folders = {folder.name for folder in (templates.folder() / "email").iterdir() if folder.name != "_parts"}
    assert folders == set(MAILS)


Way = Callable[[House, str], None]
"""Asks once more for a mail to Ann from a network of its own."""


def by_form(house: House, ip: str) -> None:
    sign_up(house, ANN, ip=ip)


def by_box(house: House, ip: str) -> None:
    house.browser.post(f"/embed/{MORNING_POST}", data={"email": ANN}, environ_overrides={"REMOTE_ADDR": ip})


def by_lost_link(house: House, ip: str) -> None:
    house.browser.post("/preferences/", data={"email": ANN}, environ_overrides={"REMOTE_ADDR": ip})


def by_staff(house: House, ip: str) -> None:
    signed_in(house).post("/admin/subscribers/add", email=ANN, newsletter=MORNING_POST)


def by_bobs_change(house: House, ip: str) -> None:
    link = link_in(house, BOB, "/preferences/")
    house.browser.post(f"{link}/address", data={"email": ANN}, environ_overrides={"REMOTE_ADDR": ip})


WAYS: dict[str, Way] = {
    "public.subscribe": by_form,
    "embed.sign_up": by_box,
    "preferences.lost": by_lost_link,
    "preferences.address": by_bobs_change,
    "staff": by_staff,
}


def test_there_is_a_way_to_try_for_each_route_that_asks() -> None:
    assert set(WAYS) == ASK | {"staff"}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("reads", [False, True], ids=["unknown", "reader"])
def test_a_mailbox_gets_one_mail_in_fifteen_minutes_and_three_a_day(house: House, way: Way, reads: bool) -> None:
    newsroom.found(house)
    became_reader(house, BOB)
    if reads:
        became_reader(house, ANN)
    begun, before = house.now, len(house.inbox.of(ANN))
    sent_at = []
    for number in range(9):
        way(house, f"192.0.2.{number + 1}")
        house.work()
        got = len(house.inbox.of(ANN)) - before - len(sent_at)
        sent_at += [house.now] * got
        house.later(minutes=7)
    assert house.now - begun < timedelta(days=1)
    asks_a_stranger = way in (by_lost_link,)
    takes_no_reader = way is by_bobs_change and reads
    expected = 0 if (asks_a_stranger and not reads) or takes_no_reader else MAILS_A_DAY - (1 if reads else 0)
    assert len(sent_at) == expected, "becoming a reader took one of the day's three"
    gaps = [later - earlier for earlier, later in pairwise(sent_at)]
    assert all(gap >= MAIL_PAUSE for gap in gaps)


@pytest.mark.parametrize("way", [by_form, by_box, by_lost_link, by_bobs_change])
def test_a_network_asks_twenty_times_an_hour_by_whichever_way(house: House, way: Way) -> None:
    """The twenty-first time comes a challenge, also by another way than the first twenty."""
    newsroom.found(house)
    became_reader(house, BOB)
    for number in range(ASKED_AN_HOUR):
        assert sign_up(house, f"reader{number}@example.org", ip="192.0.2.99").status_code == 200
    house.work()
    before = len(house.inbox.mails)
    way(house, "192.0.2.99")
    house.work()
    assert len(house.inbox.mails) == before
    way(house, "192.0.2.100")
    house.work()
    to_ann = 0 if way is by_lost_link else 1
    assert len(house.inbox.of(ANN)) == to_ann
    assert len(house.inbox.mails) == before + to_ann + (1 if way is by_bobs_change else 0), "Bob is told of his change"


def test_pressing_the_same_button_again_sends_nothing_more(house: House) -> None:
    newsroom.found(house)
    link = asked(house)
    for _ in range(5):
        assert house.browser.post(link).status_code == 200
        house.work()
    assert len(house.inbox.of(ANN)) == 2, "the confirmation and the welcome"
    page = link_in(house, ANN, "/preferences/")
    for _ in range(5):
        for act in ("pause", "resume"):
            house.browser.post(f"{page}/{act}", data={"until": "2026-03-20"})
        house.browser.post(page, data={"whole": "yes", "newsletter": "1", "shown": "1", "slot-1": "1"})
        house.work()
    leave = link_in(house, ANN, "/unsubscribe/")
    for _ in range(5):
        for path in (leave, f"{leave}/undo", f"{leave}/reason"):
            house.browser.post(path, data={"reason": "other"})
        house.work()
    assert len(house.inbox.of(ANN)) == 2


def test_leaving_and_coming_back_by_the_preferences_cannot_be_made_a_flood(house: House) -> None:
    """Who holds the link of somebody else's mail can tick and untick, and each tick may bring a welcome."""
    newsroom.found(house)
    became_reader(house)
    page = link_in(house, ANN, "/preferences/")
    before = len(house.inbox.of(ANN))
    for _ in range(12):
        house.browser.post(page, data={"whole": "yes", "shown": "1"})
        house.work()
        house.browser.post(page, data={"whole": "yes", "newsletter": "1", "slot-1": "1"})
        house.work()
        house.later(minutes=10)
    assert len(house.inbox.of(ANN)) - before <= MAILS_A_DAY
