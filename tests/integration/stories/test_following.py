"""Which feeds a newsletter collects, and how: added, changed, removed, as lists; each by somebody."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from newsletter.foundation.audit import Actor, ActorKind, AuditRecord
from newsletter.foundation.database import db
from newsletter.newsletters.models import newsletter
from newsletter.newsletters.settings import SettingInvalid
from newsletter.stories import following, outlines
from newsletter.stories.following import AddressTaken, Move, NotFollowed, NoWebAddress, SourceExists, Use
from newsletter.stories.models import NewsletterSource, Source, SourceState, SourceUnknown, sources_of
from newsletter.stories.outlines import Outline
from tests.conftest import House
from tests.support.feeds import feed, item, poll, poll_due, source, stories
from tests.support.newsroom import found
from tests.support.raw_outlet import RawOutlet, answer

EVE = Actor(ActorKind.STAFF, "eve@example.org", 7)
FEED = "https://a.example/feed"
POST, NEWS = "morning-post", "evening-news"


@pytest.fixture
def house(either_desk: House) -> House:
    """A house with two newsletters."""
    found(either_desk, NEWS)
    return either_desk


def add(house: House, slug: str = POST, url: str = FEED, **more: Any) -> int:
    with house.app.app_context():
        return following.add_source(newsletter(slug), url, "Bay Herald", house.now, EVE, **more).id


def change(house: House, source_id: int, slug: str | None = POST, **settings: str) -> None:
    with house.app.app_context():
        following.change(source_id, newsletter(slug) if slug else None, house.now, EVE, **settings)


def unfollow(house: House, source_id: int, slug: str = POST) -> None:
    with house.app.app_context():
        following.unfollow(newsletter(slug), source_id, house.now, EVE)


def use(house: House, source_id: int, slug: str = POST) -> Use | None:
    with house.app.app_context():
        used = db.session.get(NewsletterSource, (newsletter(slug).id, source_id))
        return Use(used.weight, used.own, used.on_topic, used.section) if used else None


def acts(house: House) -> list[tuple[str, dict[str, Any]]]:
    """What Eve did, in order."""
    with house.app.app_context():
        records = db.session.scalars(sa.select(AuditRecord).order_by(AuditRecord.id))
        return [(record.action, record.details) for record in records if record.actor_name == EVE.name]


def set_state(house: House, source_id: int, state: SourceState) -> None:
    with house.app.app_context():
        later = house.now + timedelta(days=9)
        values = {"state": state, "error": "gone", "failing_since": house.now, "failures": 4, "next_poll_at": later}
        db.session.execute(sa.update(Source).where(Source.id == source_id).values(**values))
        db.session.commit()


# Adding


def test_a_feed_is_added_once_and_used_by_each_newsletter_as_it_likes(house: House) -> None:
    first = add(house, use=Use(2.0, own=True, on_topic=True, section="Coast"), page_fetch=True)
    assert add(house, NEWS) == first
    assert (use(house, first), use(house, first, NEWS)) == (Use(2.0, True, True, "Coast"), Use())
    assert source(house, first).page_fetch, "one newsletter's wish is not taken back by another's silence"
    with pytest.raises(SourceExists, match="Morning Post collects"):
        add(house)
    assert acts(house) == [
        ("source.add", {"url": FEED, "newsletter": POST}),
        ("source.add", {"url": FEED, "newsletter": NEWS}),
    ]


def test_a_feed_that_has_moved_for_good_is_added_where_it_is_now(house: House, outlet: RawOutlet) -> None:
    outlet.pages |= {"/old": answer(status="301 Moved", location="/new"), "/new": feed(item("One", "/1"))}
    first = add(house, url=outlet.url("/old"), fetcher=house.fetcher)
    assert source(house, first).url == outlet.url("/new")
    with pytest.raises(SourceExists):
        add(house, url=outlet.url("/old"), fetcher=house.fetcher)


def test_an_outlet_goes_by_its_feeds_title_unless_told_otherwise(house: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = feed(item("One", "/1"))
    with house.app.app_context():
        url, now = outlet.url("/feed"), house.now
        added = following.add_source(newsletter(POST), url, None, now, EVE, fetcher=house.fetcher)
        assert added.outlet == "Bay Herald"
        assert following.add_source(newsletter(POST), FEED, None, now, EVE).outlet == FEED


@pytest.mark.parametrize("url", ["", "feed", "ftp://a.example/", "https://", "http://[::1", "https://a/" + "x" * 2000])
def test_what_is_no_web_address_is_not_added(house: House, url: str) -> None:
    with pytest.raises(NoWebAddress):
        add(house, url=url)
    assert acts(house) == []


# Changing how a newsletter uses it


def test_a_newsletter_changes_its_own_use_and_no_other_s(house: House) -> None:
    it = add(house)
    add(house, NEWS)
    change(house, it, weight="2.5", own="yes", on_topic="yes", section=" Coast ")
    assert (use(house, it), use(house, it, NEWS)) == (Use(2.5, True, True, "Coast"), Use())
    change(house, it, own="no", section="")
    assert use(house, it) == Use(2.5, False, True, "")


def test_what_was_changed_is_written_down_and_nothing_else(house: House) -> None:
    it = add(house)
    change(house, it, weight="2", own="no", outlet="Bay Herald")
    change(house, it, weight="2")
    assert acts(house)[1:] == [
        ("source.change", {"newsletter": POST, "before": {"weight": 1.0}, "after": {"weight": 2.0}})
    ]


@pytest.mark.parametrize("weight", ["0.1", "1", "10"])
def test_a_weight_is_from_a_tenth_to_ten(house: House, weight: str) -> None:
    it = add(house)
    change(house, it, weight=weight)
    assert use(house, it) == Use(float(weight))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("weight", "0"),
        ("weight", "0.09"),
        ("weight", "10.1"),
        ("weight", "-1"),
        ("weight", "nan"),
        ("weight", "inf"),
        ("weight", "1,5"),
        ("weight", ""),
        ("own", "maybe"),
        ("on_topic", "1"),
        ("page_fetch", ""),
        ("disabled", "true"),
        ("section", "x" * 101),
        ("section", "a\nb"),
        ("outlet", ""),
        ("outlet", "x" * 201),
        ("colour", "blue"),
        ("state", "ok"),
        ("id", "7"),
    ],
)
def test_a_setting_that_cannot_be_is_named_and_nothing_is_changed(house: House, key: str, text: str) -> None:
    it = add(house)
    with pytest.raises(SettingInvalid, match=key):
        change(house, it, **{"section": "Coast", key: text} if key != "section" else {key: text})
    assert use(house, it) == Use()


def test_who_does_not_use_a_source_has_no_use_of_it_to_change(house: House) -> None:
    it = add(house)
    with pytest.raises(NotFollowed, match="Evening News does not collect source"):
        change(house, it, NEWS, weight="2")
    with pytest.raises(NotFollowed, match="No newsletter"):
        change(house, it, None, weight="2")
    with pytest.raises(SourceUnknown):
        change(house, 999, outlet="Nobody")


# Changing the source itself


def test_a_source_is_renamed_and_allowed_to_look_at_pages(house: House) -> None:
    it = add(house)
    change(house, it, None, outlet="The Bay Herald", page_fetch="yes")
    assert (source(house, it).outlet, source(house, it).page_fetch) == ("The Bay Herald", True)


def test_a_source_that_is_moved_by_hand_is_asked_there_at_once_and_keeps_its_stories(
    house: House, outlet: RawOutlet
) -> None:
    outlet.pages["/old"] = outlet.pages["/new"] = feed(item("One", "https://a.example/1"), etag='"x"')
    it = add(house, url=outlet.url("/old"))
    poll(house, it)
    assert poll_due(house) == []
    change(house, it, None, url=outlet.url("/new"))
    assert source(house, it).etag is None
    assert [one.error for one in poll_due(house)] == [None]
    assert len(stories(house)) == 1
    with house.app.app_context():
        assert following.last_moves([it, 999]) == {it: Move(outlet.url("/old"), house.now)}


def test_no_two_sources_are_at_one_address(house: House) -> None:
    one, two = add(house), add(house, url="https://b.example/feed")
    with pytest.raises(AddressTaken, match=f"Source {one} is at {FEED} already"):
        change(house, two, None, url=FEED)
    with pytest.raises(NoWebAddress):
        change(house, two, None, url="nowhere")
    assert source(house, two).url == "https://b.example/feed"


def test_a_disabled_source_is_not_asked_and_an_enabled_one_is_asked_at_once(house: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = feed(item("One", "https://a.example/1"))
    it = add(house, url=outlet.url("/feed"))
    poll(house, it)
    change(house, it, None, disabled="yes")
    house.later(days=30)
    assert poll_due(house) == []
    change(house, it, None, disabled="no")
    assert [one.source_id for one in poll_due(house)] == [it]
    assert [act for act, _ in acts(house)] == ["source.add", "source.change", "source.change"]


@pytest.mark.parametrize("way", [{"disabled": "no"}, {"url": "https://b.example/new"}], ids=str)
def test_a_source_that_was_gone_begins_anew_when_somebody_says_so(house: House, way: dict[str, str]) -> None:
    it = add(house)
    set_state(house, it, SourceState.GONE)
    change(house, it, None, **way)
    again = source(house, it)
    assert (again.state, again.next_poll_at) == (SourceState.NEW, house.now)
    assert (again.error, again.failing_since, again.failures) == (None, None, 0)


def test_a_source_that_is_well_is_not_hurried_by_enabling_it(house: House) -> None:
    it = add(house)
    set_state(house, it, SourceState.OK)
    change(house, it, None, disabled="no")
    assert source(house, it).next_poll_at > house.now


# Removing


def test_a_source_that_one_newsletter_removes_stays_for_the_other(house: House) -> None:
    it = add(house)
    add(house, NEWS)
    unfollow(house, it)
    assert (use(house, it), use(house, it, NEWS)) == (None, Use())
    assert source(house, it).state is SourceState.NEW
    assert acts(house)[-1] == ("source.remove", {"url": FEED, "newsletter": POST})
    with pytest.raises(NotFollowed, match="Morning Post does not collect source"):
        unfollow(house, it)
    with pytest.raises(SourceUnknown):
        unfollow(house, 999)


def test_a_source_that_nobody_collects_any_more_is_disabled_and_its_stories_stay(
    house: House, outlet: RawOutlet
) -> None:
    outlet.pages["/feed"] = feed(item("One", "https://a.example/1"))
    it = add(house, url=outlet.url("/feed"))
    poll(house, it)
    unfollow(house, it)
    house.later(days=1)
    assert source(house, it).state is SourceState.DISABLED
    assert poll_due(house) == []
    assert [story.title for story in stories(house)] == ["One"]

    assert add(house, NEWS, url=outlet.url("/feed")) == it
    assert [one.source_id for one in poll_due(house)] == [it], "it is collected again at once"


def test_what_staff_disabled_is_not_enabled_by_one_more_newsletter(house: House) -> None:
    it = add(house)
    change(house, it, None, disabled="yes")
    add(house, NEWS)
    assert source(house, it).state is SourceState.DISABLED


# Lists


def test_a_list_comes_in_with_its_sections_and_goes_out_the_same(house: House) -> None:
    listed = [
        Outline("https://a.example/1", "Alone"),
        Outline("https://a.example/2", "Bay & <Sons>", "Coast"),
        Outline("https://a.example/3", "Cape", "Coast"),
        Outline("https://a.example/4", "Dune", "Inland & North"),
    ]
    with house.app.app_context():
        octets = outlines.write("My feeds", listed)
        assert following.import_sources(newsletter(POST), outlines.read(octets), house.now, EVE) == 4
        assert following.import_sources(newsletter(POST), listed, house.now, EVE) == 0
        uses = sorted(sources_of(newsletter(POST).id), key=lambda used: used.source.url)
        exported = [Outline(used.source.url, used.source.outlet, used.section) for used in uses]
        assert exported == listed
        assert outlines.read(outlines.write("Again", exported)) == listed
        assert outlines.write("x", exported).count(b'text="Coast"') == 1, "one outline for each section"
    assert [act for act, _ in acts(house)] == ["source.import"] * 2
    assert acts(house)[0][1] == {"listed": 4, "added": 4}


def test_a_list_changes_nothing_about_what_is_collected_already(house: House) -> None:
    it = add(house, use=Use(3.0, section="Mine"))
    with house.app.app_context():
        listed = [Outline(FEED, "Another name", "Theirs")]
        assert following.import_sources(newsletter(POST), listed, house.now, EVE) == 0
    assert (use(house, it), source(house, it).outlet) == (Use(3.0, section="Mine"), "Bay Herald")
