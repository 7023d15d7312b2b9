"""Feeds of past editions, read as feed readers read them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import feedparser
import pytest
from lxml import etree, html

from newsletter.delivery import releasing
from newsletter.foundation.audit import COMMAND
from newsletter.newsletters import settings
from newsletter.stories.parsing import ParsedFeed, parse
from tests.conftest import House
from tests.integration.web.test_archive import HERE, LIST, SITE, TODAY, get, illustrated
from tests.support import newsroom
from tests.support.newsroom import Paper
from tests.support.past import went_out

EVERY, RSS, JSON = "/feed.xml", f"{LIST}feed.xml", f"{LIST}feed.json"
FEEDS = (EVERY, RSS, JSON)
MOMENT = datetime(2026, 3, 3, 6, 0, tzinfo=UTC)


@pytest.fixture
def paper(house: House) -> Paper:
    return newsroom.found(house, items_at_least="1", tagline="All that matters")


def entries(house: House, path: str = RSS) -> list[Any]:
    """An RSS feed's entries, of a feed in which feedparser finds no fault."""
    answer = get(house, path)
    assert answer.status_code == 200, path
    read = feedparser.parse(answer.data, response_headers={"content-type": answer.headers["Content-Type"]})
    assert (read.bozo, read.version) == (False, "rss20"), read.get("bozo_exception")
    return list(read.entries)


def items(house: House, path: str = JSON) -> list[dict[str, Any]]:
    answer = get(house, path)
    assert answer.status_code == 200, path
    return list(json.loads(answer.data)["items"])


def as_we_read_it(house: House, path: str) -> ParsedFeed:
    answer = get(house, path)
    return parse(answer.data, answer.headers["Content-Type"], SITE + path, house.now + timedelta(days=30))


def test_the_rss_feed_tells_of_each_edition(house: House, paper: Paper) -> None:
    others = [{"story_id": None, "outlet": "Ridge Courier", "title": "Shut", "url": "https://ridge.example/1"}]
    lead = {"headline": "Harbor bridge closes", "summary": "Until May.", "also_covered": others, "outlets": 2}
    went_out(paper, TODAY - timedelta(1), "Yesterday")
    went_out(paper, TODAY, items=[lead, {"headline": "Snow on the pass"}], intro="Good morning.")
    channel = etree.fromstring(get(house, RSS).data).find("channel")
    named = {one.tag: one.text for one in channel if one.tag in ("title", "link", "description", "language")}
    assert named == {
        "title": "Morning Post",
        "link": SITE + LIST,
        "description": "All that matters",
        "language": "en",
    }
    assert channel.find("{http://www.w3.org/2005/Atom}link").get("href") == SITE + RSS
    today, yesterday = entries(house)
    assert (today.title, today.link) == ("Harbor bridge closes", SITE + HERE)
    assert (yesterday.title, yesterday.link) == ("Yesterday", f"{SITE}/editions/morning-post/2026-03-02")
    assert parsedate_to_datetime(today.published) == MOMENT
    content = html.fromstring(today.summary)
    assert [one.text_content() for one in content.xpath("//li//strong")] == ["Harbor bridge closes", "Snow on the pass"]
    assert content.xpath("//li[1]//a/@href") == ["https://outlet.example/1", "https://ridge.example/1"]
    for words in ("Good morning.", "Until May.", "(Harbor Gazette)", "Also covered by Ridge Courier"):
        assert words in content.text_content()
    assert content.xpath("//a/@href")[-1] == SITE + HERE


def test_the_json_feed_tells_the_same(house: House, paper: Paper) -> None:
    """See https://www.jsonfeed.org/version/1.1/ for what must be there."""
    (name,) = illustrated(paper, (1600, 900))
    answer = get(house, JSON)
    assert answer.headers["Content-Type"].partition(";")[0] == "application/feed+json"
    written = json.loads(answer.data)
    (item,) = written.pop("items")
    assert written == {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "Morning Post",
        "description": "All that matters",
        "language": "en",
        "home_page_url": SITE + LIST,
        "feed_url": SITE + JSON,
    }
    image = f"{SITE}/pictures/{name}-1200.jpg"
    description = etree.fromstring(get(house, RSS).data).findtext("channel/item/description")
    assert item.pop("content_html") == description
    assert item == {
        "id": entries(house)[0].id,
        "url": SITE + HERE,
        "title": "Story 1",
        "image": image,
        "date_published": "2026-03-03T06:00:00+00:00",
        "language": "en",
    }
    assert html.fromstring(description).xpath("//img/@src") == [image]
    assert html.fromstring(description).xpath("//img/@alt") == ["A ship 1"]


@pytest.mark.parametrize("path", FEEDS)
def test_our_own_reader_of_feeds_finds_the_same_editions(house: House, paper: Paper, path: str) -> None:
    for day in (1, 2, 3):
        went_out(paper, date(2026, 3, day), f"Lead of day {day}")
    read = as_we_read_it(house, path)
    assert read.title == "Morning Post"
    assert [story.title for story in read.stories] == ["Lead of day 3", "Lead of day 2", "Lead of day 1"]
    assert {story.date_note for story in read.stories} == {None}
    assert read.stories[0].published_at == MOMENT
    assert read.stories[0].url == SITE + HERE


def test_the_feed_of_all_newsletters_has_the_latest_first(house: House, paper: Paper) -> None:
    evening = newsroom.found(house, "evening-post", at=time(18, 0))
    for day in (2, 3):
        went_out(paper, date(2026, 3, day), f"Morning of {day}")
        went_out(evening, date(2026, 3, day), f"Evening of {day}")
    found = entries(house, EVERY)
    assert [one.title for one in found] == ["Evening of 3", "Morning of 3", "Evening of 2", "Morning of 2"]
    assert [one.tags[0].term for one in found[:2]] == ["Evening Post", "Morning Post"]
    assert len({one.id for one in found}) == 4
    channel = etree.fromstring(get(house, EVERY).data).find("channel")
    assert channel.findtext("title") == "Newsletters"
    assert channel.findtext("link") == f"{SITE}/editions/"
    for slug in ("morning-post", "evening-post"):
        with house.app.app_context():
            settings.change(slug, house.now, COMMAND, publisher="The Harbor Gazette")
    assert etree.fromstring(get(house, EVERY).data).findtext("channel/title") == "The Harbor Gazette"


def test_readers_of_a_feed_get_one_edition_a_day_whatever_slots_there_are(house: House, paper: Paper) -> None:
    tokyo = paper.slot("Asia/Tokyo", time(6, 0))
    went_out(paper, TODAY, "For London")
    went_out(paper, TODAY, "For Tokyo", slot_id=tokyo)
    assert [one.title for one in entries(house)] == ["For London"]
    assert [one["title"] for one in items(house)] == ["For London"]


def test_an_edition_keeps_its_id_when_it_is_corrected(house: House, paper: Paper) -> None:
    went_out(paper, TODAY, "Wrong")
    before = (*entries(house), *items(house))
    went_out(paper, TODAY, "Right", number=1)
    after = (*entries(house), *items(house))
    assert [one["title"] for one in before + after] == ["Wrong", "Wrong", "Right", "Right"]
    assert {one["id"] for one in before + after} == {before[0].id}
    assert parsedate_to_datetime(after[0].published) == MOMENT + timedelta(minutes=90)


def test_a_feed_ends_after_twenty_editions(house: House, paper: Paper) -> None:
    for days in range(30):
        went_out(paper, TODAY - timedelta(days))
    for found in (entries(house), entries(house, EVERY), items(house)):
        assert len(found) == 20
        assert found[0]["title"] == "The news of 2026-03-03"


@pytest.mark.parametrize("path", FEEDS)
def test_what_has_not_gone_out_is_in_no_feed(house: House, paper: Paper, path: str) -> None:
    for day, state in enumerate(("planned", "drafted", "approved", "skipped", "cancelled"), 1):
        went_out(paper, date(2026, 3, day), "Secret headline", state=state)
    assert "Secret" not in get(house, path).text
    assert as_we_read_it(house, path).stories == ()


@pytest.mark.parametrize("path", FEEDS)
def test_a_withdrawn_story_is_in_no_feed(house: House, paper: Paper, path: str) -> None:
    bridge, snow = paper.story("Bridge closes", "Harbor Gazette"), paper.story("Snow on the pass", "Inland Mirror")
    newsroom.send(house, paper.draft())
    house.work()
    assert "Snow" in get(house, path).text
    with house.app.app_context():
        releasing.withdraw(snow, "", house.now, COMMAND)
    assert "Snow" not in get(house, path).text
    assert [story.title for story in as_we_read_it(house, path).stories] == ["Bridge closes"]
    with house.app.app_context():
        releasing.withdraw(bridge, "", house.now, COMMAND)
    assert as_we_read_it(house, path).stories == ()


def test_a_feed_of_nothing_is_well_formed(house: House) -> None:
    assert entries(house, EVERY) == []
    newsroom.found(house)
    assert entries(house, EVERY) == entries(house, RSS) == items(house) == []


HOSTILE = (
    "]]> <script>alert(1)</script>",
    "&amp; &lt;b&gt; \"quoted\" 'too'",
    "nul\x00 bell\x07 escape\x1b vertical\x0b delete\x7f next\x85line",
    "noncharacter\ufffe and \uffff, private \ue000",
    "over\u202eride, isolate\u2066d, bom\ufeff",
    "line\nfeed\r\ncarriage\ttab\u2028separator",
    "\U0001f30a\U0001f468\u200d\U0001f469\u200d\U0001f467 e\u0301 \u65e5\u672c \u05e9\u05dc\u05d5\u05dd",
    "<!-- --> <![CDATA[ <?xml ?> <!DOCTYPE x [<!ENTITY a 'b'>]> &a;",
)


@pytest.mark.parametrize("words", HOSTILE)
def test_no_headline_breaks_a_feed(house: House, paper: Paper, words: str) -> None:
    other = {"story_id": None, "outlet": words, "title": words, "url": "https://ridge.example/?a=1&b=2"}
    told = {
        "headline": words,
        "summary": words,
        "outlet": words,
        "url": "https://outlet.example/?a=1&b=%22\"'<>",
        "also_covered": [other],
        "outlets": 2,
    }
    went_out(paper, TODAY, items=[told], intro=words, preheader=words)
    etree.fromstring(get(house, RSS).data, etree.XMLParser(resolve_entities=False))
    (entry,), (item,) = entries(house), items(house)
    kept = " ".join("".join(c if c.isprintable() or c in "\u200d" else " " for c in words).split())
    for title in (item["title"], html.fromstring(f"<p>{item['content_html']}").xpath("//strong")[0].text_content()):
        assert "".join(title.split()) == "".join(kept.split())
        assert title.isprintable() or "\u200d" in title
    read = [as_we_read_it(house, path).stories[0] for path in (RSS, JSON)]
    assert read[0].title == read[1].title
    for content in (entry.summary, item["content_html"]):
        assert "<script" not in content
        assert not html.fromstring(content).xpath("//script")
        links = html.fromstring(content).xpath("//li//a/@href")
        assert [link.partition("?")[0] for link in links] == ["https://outlet.example/", "https://ridge.example/"]


@pytest.mark.parametrize("path", FEEDS)
def test_addresses_are_whole_and_of_this_site_whatever_name_it_was_called_by(
    house: House, paper: Paper, path: str
) -> None:
    illustrated(paper, (1600, 900))
    answer = house.browser.get(path, base_url="http://evil.example:8080")
    assert "evil.example" not in answer.text
    assert SITE + HERE in answer.text
    assert 'href=\\"/' not in answer.text
    assert "src=&#34;/" not in answer.text


def test_pages_name_their_feeds(house: House, paper: Paper) -> None:
    went_out(paper, TODAY)
    for path in (HERE, LIST, "/editions/morning-post/2026-03/"):
        named = html.fromstring(get(house, path).text).xpath("//link[@rel='alternate']")
        assert {(one.get("type"), one.get("href")) for one in named} == {
            ("application/rss+xml", RSS),
            ("application/feed+json", JSON),
        }
        for one in named:
            assert get(house, one.get("href")).headers["Content-Type"].startswith(one.get("type"))
    newsroom.found(house, "evening-post")
    named = html.fromstring(get(house, "/editions/").text).xpath("//link[@rel='alternate']/@href")
    assert named == [EVERY]


def test_a_feed_that_has_not_changed_is_not_sent_again(house: House, paper: Paper) -> None:
    went_out(paper, TODAY)
    for path in FEEDS:
        tag = get(house, path).headers["ETag"]
        assert get(house, path, If_None_Match=tag).status_code == 304
        assert get(house, path, If_None_Match=f"W/{tag}").status_code == 304
        assert get(house, path, If_None_Match='"another"').status_code == 200
    tags = {path: get(house, path).headers["ETag"] for path in FEEDS}
    went_out(paper, TODAY + timedelta(1))
    for path, tag in tags.items():
        assert get(house, path, If_None_Match=tag).status_code == 200


def test_special_editions_are_among_the_others_each_with_its_own_address(house: House, paper: Paper) -> None:
    went_out(paper, TODAY - timedelta(1), "Yesterday")
    went_out(paper, TODAY, "The daily news")
    went_out(paper, TODAY, "Volcano wakes", number=1, special=True)
    for path in FEEDS:
        told = items(house, path) if path == JSON else entries(house, path)
        assert [one["title"] for one in told] == ["Volcano wakes", "The daily news", "Yesterday"]
        assert len({one["id"] for one in told}) == 3
    assert [one["url"] for one in items(house)][:2] == [f"{SITE}{HERE}/special-1", SITE + HERE]
