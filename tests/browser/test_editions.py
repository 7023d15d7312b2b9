"""The page of an edition in each of its states, in a real browser: nobody is kept out, nothing runs off a phone's edge,
and the countdown counts."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from newsletter.delivery import correcting, ending, releasing, shards
from newsletter.delivery.models import Delivery, DeliveryState, Shard
from newsletter.editions import adding, publishing
from newsletter.editions.models import Edition
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db, transaction
from newsletter.newsletters.models import Slot
from tests.browser.axe import violations
from tests.browser.signed_in import sign_in
from tests.conftest import House
from tests.support import newsroom
from tests.support.newsroom import SUBJECTS, Paper

PHONE = {"width": 320, "height": 640}


def paper(house: House, slug: str, cooling: int = 0) -> tuple[Paper, int]:
    """A newsletter of its own, with readers of its own, and today's draft."""
    made = newsroom.found(house, slug, cooling=cooling, pictures="none")
    made.tells(*SUBJECTS)
    made.readers(*(f"{name}@{slug}.example.org" for name in ("ann", "bob", "cleo")))
    return made, made.draft()


def states(house: House) -> dict[str, int]:
    """An edition in each state that its page knows."""
    ids = {name: paper(house, name, 2)[1] for name in ("drafted", "approved", "cooling", "pulled-back", "cancelled")}
    gone = ("sending", "paused", "ended", "sent", "stopped", "two-revisions")
    sending, now = {name: paper(house, name)[1] for name in gone}, house.now
    with house.app.app_context():
        releasing.approve(ids["approved"], now, COMMAND)
        releasing.send(ids["cooling"], now, COMMAND)
        releasing.send(ids["pulled-back"], now, COMMAND)
        releasing.pull_back(ids["pulled-back"], now, COMMAND)
        ending.cancel(ids["cancelled"], "an empty day", now, COMMAND)
        for name in gone:
            releasing.send(sending[name], now, COMMAND)
            if name in ("stopped", "ended", "two-revisions"):
                _one_on_its_way(house, sending[name])
        ending.cancel(sending["ended"], "a wrong name in the headline", now, COMMAND)
        story_id = db.session.get_one(Edition, sending["two-revisions"]).revisions[-1].items[0].story_id
        assert story_id is not None
        releasing.pull_story(sending["two-revisions"], story_id, now, COMMAND)
        publishing.hold(sending["stopped"], "the court decides", now, COMMAND)
        releasing.pause(sending["paused"], now, COMMAND)
        publishing.hold(sending["sending"], "for the fixture", now, COMMAND)
    house.work()
    with house.app.app_context():
        publishing.resume(sending["sending"], now, COMMAND)
        correction = correcting.prepare(sending["sent"], None, now, COMMAND).id
        slot = db.session.get_one(Edition, ids["drafted"]).slot
        special = adding.special(slot, now.date(), now, COMMAND, "What we know").id
        later = ending.skip(db.session.get_one(Slot, slot.id), now.date().replace(day=9), "a holiday", now, COMMAND).id
    return ids | sending | {"correction": correction, "special": special, "skipped": later}


def _one_on_its_way(house: House, edition_id: int) -> None:
    """A worker has begun one of its mails, and nobody knows yet what became of it."""
    row = db.session.scalars(sa.select(Delivery).where(Delivery.edition_id == edition_id).limit(1)).one()
    with transaction() as session:
        values = {"state": DeliveryState.SENDING, "attempt": "a"}
        session.execute(sa.update(Delivery).where(Delivery.id == row.id).values(values))
        lease = {"lease": "a", "lease_until": house.now + shards.LEASE}
        session.execute(sa.update(Shard).where(Shard.edition_id == edition_id).values(lease))


def faults(page: Page) -> list[str]:
    page.eval_on_selector_all("details", "every => every.forEach(one => one.open = true)")
    found = violations(page)
    wide = page.evaluate("document.documentElement.scrollWidth")
    return found + ([f"{wide} pixels wide"] if wide > PHONE["width"] else [])


@pytest.mark.slow
def test_everybody_can_use_the_page_in_each_state_on_the_smallest_phone(
    browser: Browser, house: House, site: str
) -> None:
    ids = states(house)
    paths = {name: f"/admin/editions/{id}" for name, id in ids.items()}
    look_at(paths | {"all": "/admin/editions", "a special": "/admin/editions/special"}, browser, house, site)


def test_everybody_can_use_the_page_of_a_draft_and_of_what_is_sent(browser: Browser, house: House, site: str) -> None:
    draft, sent = paper(house, "drafted")[1], paper(house, "sent")[1]
    with house.app.app_context():
        releasing.send(sent, house.now, COMMAND)
    house.work()
    look_at({"drafted": f"/admin/editions/{draft}", "sent": f"/admin/editions/{sent}"}, browser, house, site)


def look_at(paths: dict[str, str], browser: Browser, house: House, site: str) -> None:
    page = browser.new_context(viewport=PHONE).new_page()  # type: ignore[arg-type]
    sign_in(page, house, site)
    for name, path in paths.items():
        answer = page.goto(f"{site}{path}")
        assert answer is not None
        assert answer.status == 200, name
        assert faults(page) == [], name


def test_the_countdown_counts_and_the_page_looks_again_when_it_is_over(
    browser: Browser, house: House, site: str
) -> None:
    """The service's clock stands still; the browser's own counts."""
    _, edition_id = paper(house, "morning-post", 2)
    with house.app.app_context():
        releasing.send(edition_id, house.now, COMMAND)
    page = browser.new_context().new_page()
    sign_in(page, house, site)
    page.clock.install()
    page.goto(f"{site}/admin/editions/{edition_id}")
    timer = page.get_by_role("timer")
    expect(timer).to_have_text("2:00")
    page.clock.run_for(61_000)
    expect(timer).to_have_text("0:59")
    house.later(minutes=2)
    with house.app.app_context():
        releasing.release_due(house.now)
    page.clock.run_for(65_000)
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(timer).to_have_count(0)


def test_the_page_does_not_look_again_while_somebody_types(browser: Browser, house: House, site: str) -> None:
    _, edition_id = paper(house, "morning-post", 2)
    with house.app.app_context():
        releasing.send(edition_id, house.now, COMMAND)
    page = browser.new_context().new_page()
    sign_in(page, house, site)
    page.clock.install()
    page.goto(f"{site}/admin/editions/{edition_id}")
    page.get_by_text("Cancel…").click()
    page.get_by_label("Why it is cancelled").fill("a wrong name")
    page.clock.run_for(140_000)
    expect(page.get_by_label("Why it is cancelled")).to_have_value("a wrong name")
