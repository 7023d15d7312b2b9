from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from zoneinfo import ZoneInfo

import feedparser
import pytest

from newsletter.operations.demo import outlets as world
from newsletter.operations.demo.outlets import Article, FeedFormat, Outlet

ZONE = ZoneInfo("America/New_York")
BASE = "http://127.0.0.1:8000"
TODAY = date(2026, 11, 14)
A_WHOLE_ROUND = [TODAY + timedelta(days=number) for number in range(world.SAMPLE_DAYS)]
EVERYTHING = [article for day in A_WHOLE_ROUND for article in world.articles(day, zone=ZONE)]
XML_OUTLETS = [outlet for outlet in world.outlets() if outlet.format is not FeedFormat.JSON]
IN_XML = pytest.mark.parametrize("outlet", XML_OUTLETS, ids=lambda outlet: outlet.key)

CALENDAR = re.compile(
    r"\b(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?\b"
    r"|\b(January|February|March|April|May|June|July|August|September|October|November|December)\b"
)


def feed_of(outlet: Outlet) -> tuple[str, str, tuple[Article, ...]]:
    shown = world.feed_articles(outlet.key, TODAY, zone=ZONE)
    return *world.feed_xml(outlet, shown, base_url=BASE), shown


def coverage(day: date) -> Counter[str]:
    return Counter(article.event for article in world.articles(day, zone=ZONE))


# The sample


def test_there_are_six_outlets_and_one_is_the_newsrooms_own() -> None:
    assert len({outlet.key for outlet in world.outlets()}) == 6
    assert [(outlet.name, outlet.weight) for outlet in world.outlets() if outlet.own] == [("The Harbor Gazette", 1.5)]
    assert {outlet.format for outlet in world.outlets()} == set(FeedFormat)


def test_every_outlet_keeps_its_key_fit_for_an_address_and_its_accent_a_color() -> None:
    for outlet in world.outlets():
        assert outlet.key == world.slug_of(outlet.key)
        assert re.fullmatch(r"#[0-9a-f]{6}", outlet.accent)


@pytest.mark.parametrize("day", A_WHOLE_ROUND)
def test_a_day_has_enough_articles_and_enough_that_several_outlets_cover(day: date) -> None:
    articles = world.articles(day, zone=ZONE)
    assert 26 <= len(articles) <= 34
    assert {article.outlet for article in articles} == {outlet.key for outlet in world.outlets()}
    shared = [number for number in coverage(day).values() if number >= 2]
    assert len(shared) >= 5
    assert max(shared) <= 5


@pytest.mark.parametrize("day", A_WHOLE_ROUND)
def test_an_outlet_covers_an_event_once(day: date) -> None:
    told = Counter((article.event, article.outlet) for article in world.articles(day, zone=ZONE))
    assert set(told.values()) == {1}


@pytest.mark.parametrize("day", A_WHOLE_ROUND)
def test_a_picture_belongs_to_one_event_a_day(day: date) -> None:
    shown = {(a.picture.key, a.event) for a in world.articles(day, zone=ZONE) if a.picture}
    assert len({picture for picture, _ in shown}) == len(shown)


def test_no_article_is_left_half_written() -> None:
    own = next(outlet.key for outlet in world.outlets() if outlet.own)
    for article in EVERYTHING:
        texts = (article.headline, article.summary, article.author, article.section, *article.paragraphs)
        assert all(text and text == " ".join(text.split()) for text in texts), article.headline
        assert not article.headline.endswith("."), article.headline
        assert article.summary.endswith((".", "?")), article.headline
        assert len(article.paragraphs) in (range(3, 7) if article.outlet == own else range(2, 7)), article.headline
        assert len(article.headline) <= 100, article.headline
        assert 60 <= len(article.summary) <= 260, article.headline


def test_no_headline_and_no_summary_is_used_twice() -> None:
    for text in ("headline", "summary"):
        repeated = [value for value, n in Counter(getattr(a, text) for a in EVERYTHING).items() if n > 1]
        assert repeated == []


def test_slugs_are_ascii_and_an_outlet_uses_one_once_a_day() -> None:
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", article.slug) for article in EVERYTHING)
    used = Counter((article.outlet, article.day, article.slug) for article in EVERYTHING)
    assert set(used.values()) == {1}


def test_no_text_names_a_weekday_or_a_month() -> None:
    for article in EVERYTHING:
        for text in (article.headline, article.summary, *article.paragraphs):
            assert not CALENDAR.search(text), text
    for picture in world.pictures().values():
        assert not CALENDAR.search(picture.alt + picture.caption)


def test_every_picture_says_what_it_shows_and_is_small() -> None:
    for picture in world.pictures().values():
        assert all(getattr(picture, field.name) for field in fields(picture))
        assert picture.alt.startswith("Illustration:")
        assert world.picture_bytes(picture.key).startswith(b"\xff\xd8\xff")
        assert len(world.picture_bytes(picture.key)) <= 80_000


def test_every_picture_is_used() -> None:
    used = {article.picture.key for article in EVERYTHING if article.picture}
    assert used == set(world.pictures())


# Days and times


def test_the_texts_return_after_seven_days_under_new_dates() -> None:
    first, again = (world.articles(TODAY + timedelta(days=days), zone=ZONE) for days in (0, 7))
    assert [article.headline for article in first] == [article.headline for article in again]
    assert {world.guid(article) for article in first}.isdisjoint(world.guid(article) for article in again)


def test_every_article_came_out_in_the_day_before_five_in_the_morning_local_time() -> None:
    for zone in (ZONE, ZoneInfo("Asia/Tokyo"), ZoneInfo("Pacific/Kiritimati")):
        press = datetime(2026, 11, 14, 5, tzinfo=zone)
        for article in world.articles(TODAY, zone=zone):
            assert article.published_at.tzinfo is UTC
            assert timedelta(hours=0.5) <= press - article.published_at <= timedelta(hours=20)


def test_hours_are_counted_in_utc_across_a_clock_change() -> None:
    """New York's clocks went from 01:59 back to 01:00 on 1 November 2026."""
    spans = [
        datetime(day.year, day.month, day.day, 5, tzinfo=ZONE).astimezone(UTC) - article.published_at
        for day in (date(2026, 11, 1), date(2026, 11, 8))
        for article in world.articles(day, zone=ZONE)
    ]
    assert spans[: len(spans) // 2] == spans[len(spans) // 2 :]


def test_a_feed_shows_today_in_order_and_then_yesterday() -> None:
    for outlet in world.outlets():
        shown = world.feed_articles(outlet.key, TODAY, zone=ZONE)
        days = [article.day for article in shown]
        assert days == sorted(days, reverse=True)
        assert set(days) == {TODAY, TODAY - timedelta(days=1)}
        for day in set(days):
            positions = [article.position for article in shown if article.day == day]
            assert positions == list(range(1, len(positions) + 1))


def test_an_article_with_a_position_of_its_own_stands_there() -> None:
    first_sample_day = date.fromordinal(TODAY.toordinal() // 7 * 7)
    signal = world.feed_articles("callow-bay-signal", first_sample_day, zone=ZONE)
    assert signal[0].event == "steady-tide-opens"


def test_an_article_is_found_by_outlet_date_and_slug_only() -> None:
    article = world.articles(TODAY, zone=ZONE)[0]
    assert world.find_article(article.outlet, TODAY, article.slug, zone=ZONE) == article
    assert world.find_article(article.outlet, TODAY + timedelta(days=1), article.slug, zone=ZONE) is None
    assert world.find_article("callow-bay-signal", TODAY, article.slug, zone=ZONE) is None


# Feeds


@IN_XML
def test_a_feed_is_well_formed_and_complete(outlet: Outlet) -> None:
    content_type, body, shown = feed_of(outlet)
    feed = feedparser.parse(BytesIO(body.encode()), response_headers={"content-type": content_type})
    assert not feed.bozo
    assert feed.feed.title == outlet.name
    told = [
        (e.title, e.link, e.id, e.summary, e.author, [t.term for t in e.tags], e.published_parsed[:6])
        for e in feed.entries
    ]
    assert told == [
        (
            a.headline,
            world.article_url(a, base_url=BASE),
            world.guid(a),
            a.summary,
            a.author,
            [a.section],
            a.published_at.timetuple()[:6],
        )
        for a in shown
    ]


@IN_XML
def test_a_feed_carries_its_pictures_with_description_and_credit(outlet: Outlet) -> None:
    content_type, body, shown = feed_of(outlet)
    feed = feedparser.parse(BytesIO(body.encode()), response_headers={"content-type": content_type})
    for entry, article in zip(feed.entries, shown, strict=True):
        if article.picture is None:
            assert "media_content" not in entry
            continue
        assert entry.media_content[0]["url"] == f"{BASE}/demo/pictures/{article.picture.file}"
        assert entry.media_credit[0]["content"] == article.picture.credit
        assert article.picture.alt in body


def test_a_json_feed_is_complete() -> None:
    outlet = next(outlet for outlet in world.outlets() if outlet.format is FeedFormat.JSON)
    content_type, body, shown = feed_of(outlet)
    feed = json.loads(body)
    assert content_type.startswith("application/feed+json")
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    for item, article in zip(feed["items"], shown, strict=True):
        assert (item["id"], item["title"], item["summary"]) == (
            world.guid(article),
            article.headline,
            article.summary,
        )
        assert datetime.fromisoformat(item["date_published"]) == article.published_at
        assert ("image" in item) == (article.picture is not None)


def test_an_outlet_with_nothing_to_say_still_has_a_feed() -> None:
    for outlet in world.outlets():
        _, body = world.feed_xml(outlet, (), base_url=BASE)
        assert outlet.name in body


def test_markup_in_a_headline_stays_text() -> None:
    rss = next(outlet for outlet in world.outlets() if outlet.format is FeedFormat.RSS)
    article = next(a for a in EVERYTHING if a.outlet == rss.key)
    loud = Article(**{**vars(article), "headline": 'Fish & chips <b>"now"</b>'})
    _, body = world.feed_xml(rss, (loud,), base_url=BASE)
    assert "<title>Fish &amp; chips &lt;b&gt;" in body
