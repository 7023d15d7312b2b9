"""Staff's pages of readers: whom they find, what they show of somebody, and what staff can do for them."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from newsletter import privacy
from newsletter.delivery.models import Delivery, deliveries_to
from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.database import TookTooLong, db, transaction, within
from newsletter.staff.models import Role
from newsletter.subscribers import bulk, segmenting
from newsletter.subscribers.bulk import Wanted
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.desk_models import BulkAct, BulkKind, Segment, SubscriberNote
from newsletter.subscribers.models import Subscriber, Subscription, SubscriptionOrigin, subscriber_at
from newsletter.subscribers.segments import AtDomain, OfNewsletter
from tests.conftest import BuildHouse, House
from tests.integration.subscribers import (
    ANN,
    asked,
    became_reader,
    everything,
    link_in,
    sign_up,
    state_of,
    story_of,
    words_of,
)
from tests.integration.web import Desk, in_production, signed_in
from tests.integration.web.test_roles import limited
from tests.support import newsroom
from tests.support.post import mailed

HOSTILE = '"><script>alert(1)</script>{{7*7}}'


def addresses_on(desk: Desk, query: str) -> list[str]:
    page = desk.get(f"/admin/subscribers?{query}")
    assert page.status_code == 200, page.text
    return re.findall(r'class="row-link mail-address" href="[^"]+">([^<]+)<', page.text)


def acts(house: House) -> list[str]:
    with house.app.app_context():
        return list(db.session.scalars(sa.select(AuditRecord.action).order_by(AuditRecord.id)))


# Finding


def test_each_filter_of_the_form_finds_its_readers(house: House) -> None:
    post, courier = newsroom.found(house), newsroom.found(house, "ridge-courier")
    post.readers("ann@example.org", origin=SubscriptionOrigin.IMPORT)
    post.readers("bob@example.net", state="unsubscribed", unsubscribed_at=house.now)
    courier.readers("cleo@bücher.example", confirmed_at=house.now - timedelta(days=9))
    desk = signed_in(house)
    ann, bob, cleo = "ann@example.org", "bob@example.net", "cleo@bücher.example"
    today = house.now.date()
    for query, found in {
        "": [cleo, bob, ann],
        "q=N%40EX": [ann],
        "q=bücher": [cleo],
        "newsletter=morning-post": [bob, ann],
        f"slot={courier.slot_id}": [cleo],
        "state=active": [cleo, ann],
        "state=unsubscribed": [bob],
        "source=import": [ann],
        f"joined_since={today}": [bob, ann],
        f"joined_until={today - timedelta(days=9)}": [cleo],
        f"left_since={today}&left_until={today}": [bob],
        "domain=%40Bücher.Example": [cleo],
        "bounced=yes": [],
        "newsletter=ridge-courier&state=unsubscribed": [],
    }.items():
        assert addresses_on(desk, query) == found, query
        count = desk.get(f"/admin/subscribers/count?{query}").text
        assert f"{len(found)} reader" in count, query


@pytest.mark.parametrize(
    "query", ["slot=9", "slot=x", "state=dead", "source=spam", "joined_since=3.3.2026", "left_until=x"]
)
def test_a_filter_that_says_nothing_finds_nobody_and_is_told(house: House, query: str) -> None:
    newsroom.found(house).readers(ANN)
    page = signed_in(house).get(f"/admin/subscribers?{query}")
    assert page.status_code == 422
    assert ANN not in page.text
    assert "Nobody was looked for" in page.text


def test_pages_follow_one_another_without_losing_the_filter(house: House) -> None:
    paper = newsroom.found(house)
    paper.readers(*(f"reader{n}@example.org" for n in range(120)), "other@example.net")
    desk, seen, path = signed_in(house), [], "domain=example.org"
    while path:
        seen += addresses_on(desk, path)
        link = re.search(r'href="/admin/subscribers\?([^"]*before=[^"]*)"', desk.get(f"/admin/subscribers?{path}").text)
        path = link[1].replace("&amp;", "&") if link else ""
    assert seen == [f"reader{n}@example.org" for n in reversed(range(120))]


def test_who_has_not_confirmed_is_found_by_the_whole_address_and_mailed_again(house: House) -> None:
    newsroom.found(house)
    asked(house)
    desk = signed_in(house)
    assert "Send that mail again" not in desk.get("/admin/subscribers?q=ann").text
    page = desk.get(f"/admin/subscribers?q={ANN}").text
    assert "Send that mail again" in page
    request = re.search(r'name="request" value="(\d+)"', page)
    assert request
    house.later(minutes=16)
    before = len(house.inbox.of(ANN))
    assert desk.post("/admin/subscribers/ask-again", request=request[1], q=ANN).status_code == 303
    house.work()
    assert len(house.inbox.of(ANN)) == before + 1
    assert house.browser.post(link_in(house, ANN, "/confirm/")).status_code == 200
    with house.app.app_context():
        assert db.session.scalars(sa.select(Subscription.origin)).all() == [SubscriptionOrigin.STAFF]
    assert "subscriber.ask-again" in acts(house)
    assert "Send that mail again" not in desk.get(f"/admin/subscribers?q={ANN}").text


def test_a_sign_up_of_another_newsletter_is_no_business_of_who_is_limited(house: House) -> None:
    newsroom.found(house), newsroom.found(house, "ridge-courier")
    asked(house)
    desk = limited(house, "ridge-courier")
    assert "Send that mail again" not in desk.get(f"/admin/subscribers?q={ANN}").text
    house.later(minutes=16)
    before = len(house.inbox.of(ANN))
    desk.post("/admin/subscribers/ask-again", request="1")
    house.work()
    assert len(house.inbox.of(ANN)) == before


def test_by_which_way_somebody_came_is_kept(house: House) -> None:
    newsroom.found(house), newsroom.found(house, "ridge-courier")
    became_reader(house)
    sign_up(house, "bob@example.org", page_url="https://paper.example/story")
    house.work()
    house.browser.post(link_in(house, "bob@example.org", "/confirm/"))
    with house.app.app_context():
        origins = db.session.scalars(sa.select(Subscription.origin).order_by(Subscription.id)).all()
    assert origins == [SubscriptionOrigin.FORM, SubscriptionOrigin.EMBED]


def test_a_question_that_takes_too_long_is_broken_off(build_house: BuildHouse, either_database: str) -> None:
    endless = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    house = build_house(either_database)
    with house.app.app_context():
        house.clock.steady = iter(range(10**9)).__next__  # type: ignore[method-assign]
        with pytest.raises(TookTooLong, match="Nothing was changed"), within(1):
            db.session.execute(sa.text(endless))
        assert db.session.scalar(sa.text("SELECT 1")) == 1
        with within(60):
            assert db.session.scalar(sa.text("SELECT 2")) == 2


# Segments


def test_a_segment_is_kept_found_counted_and_deleted(house: House) -> None:
    newsroom.found(house).readers(ANN, "bob@example.net")
    desk = signed_in(house)
    desk.post("/admin/segments", name="Ours <b>", domain="example.org", newsletter="morning-post")
    page = desk.get("/admin/segments").text
    assert "Ours &lt;b&gt;" in page
    answer = desk.get("/admin/segments/1")
    assert answer.headers["Location"] == "/admin/subscribers?newsletter=morning-post&domain=example.org"
    assert desk.get("/admin/segments/1/count").text.strip() == "1 reader"
    desk.post("/admin/segments/1/delete")
    assert desk.get("/admin/segments/1").status_code == 404
    assert acts(house)[-2:] == ["segment.save", "segment.delete"]


def test_a_segment_that_cannot_be_read_finds_nobody_and_says_so(house: House) -> None:
    newsroom.found(house).readers(ANN)
    with house.app.app_context():
        for name, spoilt in (("a", [{"kind": "sql"}]), ("b", "x"), ("c", [{"kind": "newsletter", "id": 99}])):
            id = segmenting.save(name, (AtDomain("example.org"),), house.now, COMMAND, None)
            with transaction() as session:
                session.get_one(Segment, id).conditions = spoilt  # type: ignore[assignment]
    desk = signed_in(house)
    for id in (1, 2, 3):
        page = desk.get(f"/admin/segments/{id}")
        assert page.status_code == 422
        assert "Nobody was touched" in page.text
        assert "Nobody was touched" in desk.get(f"/admin/segments/{id}/count").text


def test_who_is_limited_neither_finds_nor_counts_others(house: House) -> None:
    post, courier = newsroom.found(house), newsroom.found(house, "ridge-courier")
    post.readers("ann@example.org", "both@example.org")
    courier.readers("cleo@example.org")
    with house.app.app_context(), transaction() as session:
        both = subscriber_at("both@example.org")
        assert both
        left = {"newsletter_id": courier.id, "slot_id": courier.slot_id, "state": "unsubscribed"}
        session.add(Subscription(subscriber_id=both.id, confirmed_at=house.now, unsubscribed_at=house.now, **left))
        for subscriber in session.scalars(sa.select(Subscriber)):
            subscriber.bounced_at = house.now
        whole = segmenting.save("Whole", (AtDomain("example.org"),), house.now, COMMAND, None)
        theirs = segmenting.save("Courier", (OfNewsletter(courier.id),), house.now, COMMAND, None)
    desk = limited(in_production(house), "morning-post")
    for query in ("", "domain=example.org", "q=example", "bounced=yes", "state=active"):
        assert addresses_on(desk, query) == ["both@example.org", "ann@example.org"], query
        assert desk.get(f"/admin/subscribers/count?{query}").text.strip() == "2 readers"
    for query in ("q=cleo", "state=unsubscribed", "left_since=2026-01-01"):
        assert addresses_on(desk, query) == [], query
        assert desk.get(f"/admin/subscribers/count?{query}").text.strip() == "0 readers"
    for path in (
        "/admin/subscribers?newsletter=ridge-courier",
        "/admin/subscribers/count?newsletter=ridge-courier",
        f"/admin/segments/{whole}",
        f"/admin/segments/{theirs}/count",
    ):
        assert desk.get(path).status_code == 404, path
    assert desk.get(f"/admin/subscribers?slot={courier.slot_id}").status_code == 422
    before = everything(house)
    for fields in (
        {"act": "unsubscribe", "of_newsletter": "ridge-courier"},
        {"act": "suppress"},
        {"act": "move", "to_slot": str(courier.slot_id)},
    ):
        assert desk.post("/admin/subscribers/many", **fields).status_code == 422
    assert everything(house) == before


# Many


def test_an_act_on_many_shows_how_many_and_who_and_wants_their_number(house: House) -> None:
    paper = newsroom.found(house)
    paper.readers(*(f"reader{n}@example.org" for n in range(101)))
    paper.readers("bob@example.org", state="unsubscribed")
    desk = signed_in(house)
    fields = {"domain": "example.org", "act": "unsubscribe", "of_newsletter": "morning-post"}
    page = words_of(desk.get("/admin/subscribers/many?domain=example.org&act=unsubscribe&of_newsletter=morning-post"))
    for words in ("101 readers", "102 are like that; of 1 nothing is changed", "reader100@example.org", "Type 101"):
        assert words in page
    refused = desk.post("/admin/subscribers/many", **fields, count="102")
    assert refused.status_code == 422
    assert "Type that number, 101" in words_of(refused)
    assert desk.post("/admin/subscribers/many", **fields, count="101").headers["Location"] == "/admin/many/1"
    assert "every 2s" in desk.get("/admin/many/1/progress").text
    with house.app.app_context():
        bulk.work_due(house.now)
    assert "101 of 101" in desk.get("/admin/many/1/progress").text
    assert "every 2s" not in desk.get("/admin/many/1/progress").text
    desk.post("/admin/many/1/undo")
    assert "Undoing" in desk.get("/admin/many").text


def test_to_begin_with_many_one_proves_that_it_is_oneself(house: House) -> None:
    newsroom.found(house).readers(ANN)
    desk = signed_in(house)
    house.later(minutes=11)
    fields = {"domain": "example.org", "act": "unsubscribe", "of_newsletter": "morning-post"}
    assert desk.post("/admin/subscribers/many", **fields).status_code == 403
    assert desk.post("/admin/subscribers/1/export").status_code == 403
    with house.app.app_context():
        assert db.session.scalars(sa.select(BulkAct)).all() == []


def test_an_act_of_the_whole_house_is_not_there_for_who_is_limited(house: House) -> None:
    paper = newsroom.found(house)
    paper.readers(ANN)
    with house.app.app_context():
        id = bulk.begin(Wanted(BulkKind.UNSUBSCRIBE, paper.id), (), "", house.now, COMMAND, None)
    desk = limited(in_production(house), "morning-post")
    for path in (f"/admin/many/{id}", f"/admin/many/{id}/progress"):
        assert desk.get(path).status_code == 404
    for deed in ("stop", "undo"):
        assert desk.post(f"/admin/many/{id}/{deed}").status_code == 404
    assert "Unsubscribe" not in desk.get("/admin/many").text


# One


def test_staff_pause_move_and_unsubscribe_in_a_reader_s_name_and_the_story_says_who(house: House) -> None:
    paper = newsroom.found(house)
    tokyo = paper.slot("Asia/Tokyo", at=house.now.time())
    became_reader(house)
    desk, about = signed_in(house, Role.SUPPORT), str(paper.id)
    until = house.now.date() + timedelta(days=9)
    for deed, fields in (
        ("pause", {"until": str(until)}),
        ("end-pause", {}),
        ("move", {"slot": str(tokyo)}),
        ("unsubscribe", {}),
    ):
        assert desk.post(f"/admin/subscribers/1/{deed}", newsletter=about, **fields).status_code == 303
    who = "support0@example.org"
    assert [(event.kind, event.note, event.by) for event in story_of(house)][2:] == [
        ("changed", f"paused until {until}", who),
        ("changed", "pause ended", who),
        ("changed", "another slot", who),
        ("unsubscribed", "", who),
    ]
    assert acts(house)[-4:] == [f"subscriber.{deed}" for deed in ("pause", "end-pause", "move", "unsubscribe")]
    assert state_of(house) == ["unsubscribed"]


def test_nothing_that_staff_press_brings_back_who_left(house: House) -> None:
    """Rule 14."""
    paper = newsroom.found(house)
    paper.readers(ANN)
    paper.leave(ANN)
    desk, before = signed_in(house), everything(house)
    for deed in ("pause", "end-pause", "move", "unsubscribe"):
        desk.post(f"/admin/subscribers/1/{deed}", newsletter=str(paper.id), until="2026-03-20", slot=str(paper.slot_id))
    after = everything(house)
    assert {name for name in after if after[name] != before[name]} == set()


def test_a_pause_that_makes_no_sense_changes_nothing(house: House) -> None:
    paper = newsroom.found(house)
    paper.readers(ANN)
    desk = signed_in(house)
    for until in ("", "x", "2026-03-03", "2027-03-05"):
        desk.post("/admin/subscribers/1/pause", newsletter=str(paper.id), until=until)
    with house.app.app_context():
        assert db.session.scalars(sa.select(Subscription.paused_until)).all() == [None]


def test_what_belongs_to_another_newsletter_cannot_be_changed_through_the_person(house: House) -> None:
    post, courier = newsroom.found(house), newsroom.found(house, "ridge-courier")
    became_reader(house)
    became_reader(house, ANN, "ridge-courier")
    desk = limited(in_production(house), "morning-post")
    note = {"note": "x", "newsletter": str(courier.id)}
    before = everything(house)
    for deed in ("pause", "end-pause", "move", "unsubscribe"):
        fields = {"newsletter": str(courier.id), "until": "2026-03-20", "slot": str(courier.slot_id)}
        assert desk.post(f"/admin/subscribers/1/{deed}", **fields).status_code == 404
    for fields in (note, {"note": "x", "newsletter": ""}):
        assert desk.post("/admin/subscribers/1/notes", **fields).status_code == 404
    for deed in ("address", "suppress", "export", "erase"):
        assert desk.post(f"/admin/subscribers/1/{deed}").status_code == 403
    assert everything(house) == before
    assert desk.post("/admin/subscribers/1/notes", note="Mine", newsletter=str(post.id)).status_code == 303


def test_notes_are_seen_by_their_newsletter_s_people_exported_and_erased(house: House) -> None:
    post, courier = newsroom.found(house), newsroom.found(house, "ridge-courier")
    became_reader(house)
    became_reader(house, ANN, "ridge-courier")
    desk = signed_in(house)
    for about, text in (("", "Of the house"), (str(post.id), HOSTILE), (str(courier.id), "Of the Courier")):
        desk.post("/admin/subscribers/1/notes", note=text, newsletter=about)
    page = desk.get("/admin/subscribers/1").text
    assert "<script>alert" not in page
    assert "{{7*7}}" in page
    theirs = limited(house, "ridge-courier").get("/admin/subscribers/1").text
    assert ["Of the house" in theirs, "7*7" in theirs, "Of the Courier" in theirs] == [False, False, True]
    assert limited(in_production(house), "ridge-courier").post("/admin/subscribers/1/notes/1/delete").status_code == 404
    desk.post("/admin/subscribers/1/notes/3/delete")
    told = json.loads(desk.post("/admin/subscribers/1/export").text)
    assert [note["text"] for note in told["notes"]] == ["Of the house", HOSTILE]
    assert told["address"] == ANN
    assert acts(house)[-1] == "subscriber.export"
    with house.app.app_context():
        assert privacy.erase(1, Origin(), house.now, house.keys)
        assert db.session.scalars(sa.select(SubscriberNote)).all() == []
    assert "7*7" not in repr(everything(house)), "nor in the trail"


def test_staff_ask_for_another_address_and_only_its_owner_decides(house: House) -> None:
    newsroom.found(house)
    became_reader(house)
    desk, new = signed_in(house), "ann@example.net"
    for wrong in ("x", ANN):
        desk.post("/admin/subscribers/1/address", email=wrong)
    desk.post("/admin/subscribers/1/address", email=new)
    house.work()
    with house.app.app_context():
        assert subscriber_at(new) is None
    assert house.browser.post(link_in(house, new, "/change/")).status_code == 200
    with house.app.app_context():
        assert subscriber_at(new) is not None
    assert acts(house).count("subscriber.change-address") == 1
    assert "From another address" in desk.get("/admin/subscribers/1").text


def test_hostile_addresses_are_shown_as_they_are(house: House) -> None:
    paper = newsroom.found(house)
    paper.readers('"<img/src=x>"@example.org')
    page = signed_in(house).get(f"/admin/subscribers?q={'<img'}&domain={HOSTILE}").text
    assert "<img" not in page
    assert "<script>alert" not in page
    assert "<img" not in signed_in(house).get("/admin/subscribers/1").text


def test_a_person_s_copies_are_found_edition_by_edition_and_paged(either_house: House) -> None:
    house = either_house
    paper = newsroom.found(house)
    paper.readers(ANN, "bob@example.org")
    for day in range(5):
        mailed(paper, ANN, day=house.now.date() - timedelta(days=day))
    with house.app.app_context():
        ledger = db.session.scalars(sa.select(Delivery.id).where(Delivery.subscriber_id == 1)).all()
        first = deliveries_to(1, 3)
        rest = deliveries_to(1, 3, before=first[-1].edition_id)
        assert {one.id for one in [*first, *rest]} == set(ledger)
        assert (len(first), len(rest), deliveries_to(1, among=[99])) == (3, len(ledger) - 3, [])
