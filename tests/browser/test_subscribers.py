"""The pages of readers, in a real browser: nobody is kept out, nothing runs off a phone's edge, and the list follows
what is typed."""

from __future__ import annotations

import re
from datetime import time, timedelta

from playwright.sync_api import Browser, Page, expect

from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import transaction
from newsletter.foundation.links import Purpose
from newsletter.subscribers import bulk, helping, segmenting, signing_up
from newsletter.subscribers.bulk import Wanted
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.desk_models import BulkKind, Segment
from newsletter.subscribers.segments import AtDomain, InState, OfNewsletter, ReaderState
from newsletter.subscribers.signing_up import Requested, Wishes
from tests.browser.axe import faults
from tests.browser.signed_in import sign_in
from tests.conftest import House
from tests.integration.subscribers import ANN
from tests.support import newsroom
from tests.support.newsroom import Paper
from tests.support.post import comes_back, mailed
from tests.support.returning import dsn, reported

LONG = f"a{'b' * 60}@{'c' * 60}.example"
PATHS = (
    "/admin/subscribers",
    "/admin/subscribers?newsletter=morning-post&state=active&joined_since=x&domain=example.org&count=yes",
    "/admin/subscribers?q=ann&newsletter=morning-post&state=active&source=form&domain=example.org",
    "/admin/subscribers?q=new@example.org",
    "/admin/segments",
    "/admin/subscribers/many?domain=mail.example",
    "/admin/subscribers/many?domain=mail.example&act=pause&of_newsletter=morning-post&until=2026-04-01",
    "/admin/subscribers/many?q=zzz&act=suppress",
    "/admin/many",
    "/admin/many/1",
    "/admin/many/2",
    "/admin/subscribers/1",
)


def furnish(house: House) -> Paper:
    """Readers in every state, one with a whole story, segments, and acts that run and are over."""
    paper = newsroom.found(house)
    courier = newsroom.found(house, "ridge-courier")
    paper.slot("Asia/Tokyo", time(7, 0))
    confirms(house, asks(house, ANN))
    courier.readers("bob@mail.example", LONG)
    mailing = mailed(paper, ANN, day=house.now.date())
    comes_back(house, dsn(reported(ANN, "4.2.2", "452 4.2.2 mailbox full"), to=mailing[0].return_path))
    asks(house, ANN, "ridge-courier")
    asks(house, "new@example.org")
    house.work()
    paper.readers(*(f"reader{n}@mail.example" for n in range(130)), paused_until=None)
    paper.change("reader7@mail.example", paused_until=house.now.date() + timedelta(days=3))
    with house.app.app_context():
        helping.write_note(1, "Called about <b>missing</b> mails.\nIs deaf in one ear.", None, house.now, COMMAND)
        helping.pause(1, paper.id, house.now.date() + timedelta(days=9), house.now, house.keys, COMMAND)
        at_mail = (AtDomain("mail.example"), OfNewsletter(paper.id))
        segmenting.save("At the mail provider", at_mail, house.now, COMMAND, None)
        segmenting.save("Gone <i>", (InState(ReaderState.UNSUBSCRIBED),), house.now, COMMAND, None)
        spoilt = segmenting.save("Spoilt", at_mail, house.now, COMMAND, None)
        with transaction() as session:
            session.get_one(Segment, spoilt).conditions = [{"kind": "sql"}]
        until = house.now.date() + timedelta(days=20)
        bulk.begin(Wanted(BulkKind.PAUSE, paper.id, until=until), at_mail, "130", house.now, COMMAND, None)
        bulk.work_due(house.now)
        bulk.begin(Wanted(BulkKind.UNSUBSCRIBE, paper.id), at_mail, "130", house.now, COMMAND, None)
    return paper


def asks(house: House, address: str, slug: str = "morning-post") -> Requested:
    origin = Origin("192.0.2.7", "A browser", "https://paper.example/" + "long" * 40)
    with house.app.app_context():
        return signing_up.request(Wishes([slug]), address, origin, house.now, house.keys)


def confirms(house: House, asked: Requested) -> None:
    token = house.links.make(Purpose.CONFIRM, asked.id, asked.expires_at)
    with house.app.app_context():
        signing_up.confirm(token, Origin("192.0.2.7"), house.now, house.keys, house.links)


def test_everybody_can_read_and_use_the_pages_on_any_screen(browser: Browser, house: House, site: str) -> None:
    furnish(house)
    page = browser.new_page()
    sign_in(page, house, site)
    found = {}
    for path in PATHS:
        page.goto(f"{site}{path}")
        for width in (320, 375, 1280):
            found[f"{path} at {width}"] = faults(page, width)
    page.close()
    assert {name: what for name, what in found.items() if what} == {}


def test_the_list_follows_what_is_typed_and_the_address_bar_follows_the_list(
    browser: Browser, house: House, site: str
) -> None:
    furnish(house)
    page = browser.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    sign_in(page, house, site)
    page.goto(f"{site}/admin/subscribers")
    expect(page.get_by_text("133 readers")).to_be_visible()
    page.evaluate("window.stayed = true")
    page.get_by_label("Find an address by any part of it").press_sequentially("BOB@")
    expect(page.get_by_role("link", name="bob@mail.example")).to_be_visible()
    expect(page.get_by_role("link", name=ANN)).to_have_count(0)
    expect(page.get_by_text("1 reader", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(r"/admin/subscribers\?(.*&)?q=BOB(@|%40)"))
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("State").select_option("Paused")
    expect(page.get_by_role("heading", name="Nobody like that")).to_be_visible()
    page.get_by_label("Find an address by any part of it").fill("")
    expect(page.get_by_text("131 readers")).to_be_visible()
    assert page.evaluate("window.stayed"), "only the list was asked for"
    expect(page).to_have_url(re.compile(r"[?&]q=&.*state=paused"))
    page.goto(page.url)
    expect(page.get_by_label("State")).to_have_value("paused")
    assert told == [], "nothing is against the page's policy"
    page.close()


def test_an_act_on_many_is_looked_at_begun_watched_and_undone(browser: Browser, house: House, site: str) -> None:
    paper = newsroom.found(house)
    paper.readers(*(f"reader{n}@mail.example" for n in range(130)))
    page = browser.new_page()
    sign_in(page, house, site)
    page.goto(f"{site}/admin/subscribers?domain=mail.example")
    page.get_by_role("button", name="Do something with all of these…").click()
    page.get_by_label("Act", exact=True).select_option("Unsubscribe")
    page.get_by_label("Newsletter", exact=True).select_option("Morning Post")
    page.get_by_role("button", name="See how many").click()
    expect(page.get_by_text("reader129@mail.example")).to_be_visible()
    page.get_by_label("Type 130 to change so many").fill("130")
    page.get_by_role("button", name="Unsubscribe from Morning Post, 130 readers").click()
    expect(page.get_by_text("0 of 130")).to_be_visible()
    with house.app.app_context():
        while bulk.work_due(house.now):
            pass
    expect(page.get_by_text("130 of 130")).to_be_visible()
    page.get_by_role("button", name="Undo it").click()
    with house.app.app_context():
        while bulk.work_due(house.now):
            pass
    expect(page.get_by_text("Left, because changed since")).to_be_visible()
    expect(page.get_by_text("Undone", exact=True)).to_be_visible()
    page.close()


def test_without_scripts_one_finds_counts_filters_and_helps(page: Page, house: House, site: str) -> None:
    furnish(house)
    sign_in(page, house, site)
    page.goto(f"{site}/admin/subscribers")
    page.get_by_label("Find an address by any part of it").fill("ann")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Count them").click()
    expect(page.get_by_text("1 reader", exact=True)).to_be_visible()
    page.get_by_role("link", name=ANN).click()
    page.get_by_role("button", name="End the pause").click()
    expect(page.get_by_text("The pause is over")).to_be_visible()
    page.get_by_label("A note").fill("Asked twice.")
    page.get_by_role("button", name="Keep the note").click()
    expect(page.get_by_text("Asked twice.")).to_be_visible()
