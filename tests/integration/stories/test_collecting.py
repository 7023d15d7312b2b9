"""Collecting from outlets as they are: slow, gone, broken, hostile; and never a story twice."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape
from pathlib import Path
from threading import Barrier, Thread

import pytest
import sqlalchemy as sa

from newsletter.foundation.audit import COMMAND
from newsletter.foundation.config import FetchingConfig
from newsletter.foundation.database import db
from newsletter.newsletters.models import newsletter
from newsletter.stories import asking, collecting
from newsletter.stories.collecting import Collected
from newsletter.stories.fetching import HttpFetcher
from newsletter.stories.models import Source, SourceState, Story
from tests.conftest import BuildHouse, House
from tests.support.newsroom import found
from tests.support.ports import free_port
from tests.support.raw_outlet import Page, RawOutlet, Write, answer, running_outlet

CAPTURES = Path(__file__).parents[4] / "shared" / "data" / "feeds"
LONG_AGO = "Sat, 28 Feb 2026 08:00:00 GMT"


@pytest.fixture
def outlet() -> Iterator[RawOutlet]:
    with running_outlet() as outlet:
        yield outlet


@pytest.fixture
def house(build_house: BuildHouse, sqlite_url: str) -> House:
    """A house with little patience."""
    return impatient(build_house, sqlite_url)


@pytest.fixture
def either_house(build_house: BuildHouse, either_database: str) -> House:
    return impatient(build_house, either_database)


def impatient(build_house: BuildHouse, url: str) -> House:
    config = FetchingConfig(allow_networks=("127.0.0.1/32",), timeout_seconds=0.6, max_megabytes=0.2)
    house = build_house(url, fetching=config)
    found(house)
    return house


def rss(*items: str, title: str = "Bay Herald") -> bytes:
    return (
        '<?xml version="1.0" encoding="utf-8"?><rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<channel><title>{title}</title>{''.join(items)}</channel></rss>"
    ).encode()


def item(title: str, link: str, summary: str = "All about it.", date: str | None = LONG_AGO, guid: str = "") -> str:
    return (
        f"<item><title>{title}</title><link>{link}</link><description>{summary}</description>"
        + (f"<pubDate>{date}</pubDate>" if date is not None else "")
        + (f"<guid isPermaLink='false'>{guid}</guid>" if guid else "")
        + "</item>"
    )


def feed(*items: str, **headers: str) -> bytes:
    return answer(rss(*items), content_type="application/rss+xml", **headers)


def follow(house: House, url: str) -> int:
    """Let the newsletter collect a feed that was not looked at yet; its id."""
    with house.app.app_context():
        return collecting.add_source(newsletter(None), url, "Bay Herald", house.now, COMMAND).id


def poll(house: House, source_id: int) -> Collected:
    with house.app.app_context():
        return collecting.collect(source_id, house.now, house.fetcher)


def poll_due(house: House) -> list[Collected]:
    with house.app.app_context():
        return collecting.collect_due(house.now, house.fetcher)


def source(house: House, source_id: int) -> Source:
    with house.app.app_context():
        found = db.session.get_one(Source, source_id)
        db.session.expunge(found)
        return found


def stories(house: House) -> list[Story]:
    with house.app.app_context():
        every = list(db.session.scalars(sa.select(Story).order_by(Story.position, Story.id)))
        db.session.expunge_all()
        return every


# The same story is one story


def test_collecting_twice_doubles_nothing(either_house: House, outlet: RawOutlet) -> None:
    house = either_house
    outlet.pages["/feed"] = feed(item("One", "https://a.example/1"), item("Two", "https://a.example/2"))
    source_id = follow(house, outlet.url("/feed"))

    first = poll(house, source_id)
    again = poll(house, source_id)
    assert (first.new, first.updated, first.error) == (2, 0, None)
    assert (again.new, again.updated, again.error) == (0, 0, None)
    assert [story.title for story in stories(house)] == ["One", "Two"]
    assert source(house, source_id).state is SourceState.OK


def test_a_changed_title_updates_the_story_and_keeps_its_first_date(house: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = feed(item("Fire", "https://a.example/1", guid="1"))
    source_id = follow(house, outlet.url("/feed"))
    poll(house, source_id)
    house.later(hours=3)
    touched = format_datetime(house.now)
    outlet.pages["/feed"] = feed(item("Fire is out", "https://a.example/1", "New words.", date=touched, guid="1"))

    assert poll(house, source_id).updated == 1
    (story,) = stories(house)
    assert (story.title, story.summary) == ("Fire is out", "New words.")
    assert story.published_at == datetime(2026, 2, 28, 8, tzinfo=UTC)
    assert story.updated_at == house.now


def test_an_item_that_stands_twice_in_a_feed_is_one_story(house: House, outlet: RawOutlet) -> None:
    double = item("One", "https://a.example/1", guid="1")
    outlet.pages["/feed"] = feed(double, double, item("One again", "https://a.example/1", guid="1"))

    assert poll(house, follow(house, outlet.url("/feed"))).new == 1


def test_the_same_address_from_two_outlets_is_two_stories(house: House, outlet: RawOutlet) -> None:
    """They are one event; that is for the grouping to say."""
    outlet.pages["/a"] = outlet.pages["/b"] = feed(item("One", "https://wire.example/1"))
    for path in ("/a", "/b"):
        poll(house, follow(house, outlet.url(path)))

    assert len(stories(house)) == 2


def test_a_story_that_left_the_feed_stays(house: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = feed(item("One", "https://a.example/1"))
    source_id = follow(house, outlet.url("/feed"))
    poll(house, source_id)
    outlet.pages["/feed"] = feed(item("Two", "https://a.example/2"))
    poll(house, source_id)

    assert {story.title for story in stories(house)} == {"One", "Two"}


def test_two_who_collect_the_same_source_at_once_keep_each_story_once(
    either_house: House, outlet: RawOutlet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheduler, and somebody who types newsletter collect."""
    house = either_house
    outlet.pages["/feed"] = feed(*[item(f"Story {n}", f"https://a.example/{n}") for n in range(30)])
    source_id = follow(house, outlet.url("/feed"))
    both, answer_to = Barrier(2), asking.answer_to

    def together(*args: object) -> asking.Answer:
        found = answer_to(*args)  # type: ignore[arg-type]
        both.wait(20)
        return found

    monkeypatch.setattr(collecting, "answer_to", together)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            poll(house, source_id)
        except BaseException as error:  # handed to the test
            raised.append(error)

    threads = [Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert raised == []
    assert len(stories(house)) == 30


# Polite asking


def test_a_feed_that_has_not_changed_is_not_sent_again(house: House, outlet: RawOutlet) -> None:
    def page(head: bytes, write: Write) -> None:
        if b'if-none-match: "v1"' in head.lower():
            write(answer(status="304 Not Modified", etag='"v1"'))
        else:
            write(feed(item("One", "https://a.example/1"), etag='"v1"', last_modified=LONG_AGO))

    outlet.pages["/feed"] = page
    source_id = follow(house, outlet.url("/feed"))
    poll(house, source_id)
    for _ in range(2):
        house.later(hours=1)
        assert poll(house, source_id) == Collected(source_id, "Bay Herald", 0, 0, None)

    assert [b"if-none-match" in head.lower() for head in outlet.requests] == [False, True, True]
    assert source(house, source_id).state is SourceState.OK
    assert source(house, source_id).succeeded_at == house.now
    assert len(stories(house)) == 1


def test_a_moved_source_is_asked_without_the_old_one_s_validators(house: House, outlet: RawOutlet) -> None:
    outlet.pages["/old"] = feed(item("One", "https://a.example/1"), etag='"old"')
    outlet.pages["/new"] = feed(item("One", "https://a.example/1"))
    source_id = follow(house, outlet.url("/old"))
    poll(house, source_id)
    with house.app.app_context():
        collecting.move_source(source_id, outlet.url("/new"), house.now, COMMAND)
    (collected,) = poll_due(house)

    assert (collected.new, collected.error) == (0, None), "its stories are known already"
    assert b"if-none-match" not in outlet.requests[-1].lower()


def test_a_source_is_not_asked_before_its_time(house: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = feed(item("One", "https://a.example/1"))
    follow(house, outlet.url("/feed"))

    assert [len(poll_due(house)) for _ in range(3)] == [1, 0, 0]


def test_a_feed_s_redirect_is_followed_and_relative_links_are_its_own(house: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = answer(status="302 Found", location="/there/feed")
    outlet.pages["/there/feed"] = feed(item("One", "story.html"))
    poll(house, follow(house, outlet.url("/feed")))

    assert [story.url for story in stories(house)] == [outlet.url("/there/story.html")]


def test_two_sources_that_move_to_the_same_address_do_not_end_the_round(either_house: House, outlet: RawOutlet) -> None:
    house = either_house
    outlet.pages["/a"] = outlet.pages["/b"] = answer(status="301 Moved", location="/there")
    outlet.pages["/there"] = feed(item("One", "https://a.example/1"))
    for path in ("/a", "/b"):
        follow(house, outlet.url(path))
    assert [one.error for one in poll_due(house)] == [None, None]


def test_a_source_does_not_move_inside_by_a_permanent_redirect(house: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = answer(status="301 Moved", location="http://169.254.169.254/latest/")
    source_id = follow(house, outlet.url("/feed"))
    poll(house, source_id)
    assert source(house, source_id).url == outlet.url("/feed")


# What goes wrong at an outlet


def drip(_head: bytes, write: Write) -> None:
    """An octet every now and then, for ever."""
    write(b"HTTP/1.1 200 OK\r\nContent-Type: application/rss+xml\r\n\r\n<rss>")
    while not waiting.closing.wait(0.05):
        write(b" ")


def drip_head(_head: bytes, write: Write) -> None:
    write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not waiting.closing.wait(0.05):
        write(b"a")


def silent(_head: bytes, _write: Write) -> None:
    waiting.closing.wait(30)


class waiting:  # noqa: N801 - the outlet whose end the slow pages wait for
    closing = RawOutlet("").closing


TROUBLE: list[tuple[str, Page, str]] = [
    ("404", answer(b"no", "404 Not Found"), "404 Not Found"),
    ("500", answer(b"no", "500 Internal Server Error"), "500"),
    ("403", answer(b"no", "403 Forbidden"), "403"),
    ("206", answer(b"half", "206 Partial Content"), "206"),
    ("html", answer(b"<!DOCTYPE html><html><body>Hello</body></html>", content_type="text/html"), "web page"),
    ("text", answer(b"just words", content_type="text/plain"), "no feed"),
    ("empty", answer(b"", content_type="application/rss+xml"), "empty"),
    ("json", answer(b'{"no": "feed"}', content_type="application/json"), "JSON Feed"),
    ("broken json", answer(b'{"items": [', content_type="application/feed+json"), "JSON Feed"),
    ("deep json", answer(b'{"items": ' + b"[" * 50_000, content_type="application/json"), "JSON Feed"),
    ("long number", answer(b'{"items": [{"id": ' + b"9" * 9_000 + b"}]}"), "JSON Feed"),
    ("large", answer(rss() + b" " * 300_000), "larger than"),
    ("bomb", answer(gzip.compress(rss() + b" " * 20_000_000), content_encoding="gzip"), "larger than"),
    ("bomb in a bomb", answer(gzip.compress(gzip.compress(b" " * 20_000_000)), content_encoding="gzip, gzip"), ""),
    ("no gzip", answer(b"plain", content_encoding="gzip"), ""),
    ("loop", answer(status="302 Found", location="/loop"), "redirects"),
    ("inside", answer(status="302 Found", location="http://169.254.169.254/"), "not a public address"),
    ("nowhere", answer(status="302 Found", location="http://[::1"), ""),
    ("a file", answer(status="302 Found", location="file:///etc/passwd"), ""),
    ("short", answer(rss(), length=10_000), ""),
    ("no HTTP", b"SSH-2.0-OpenSSH_9.2\r\n", ""),
    ("hangs up", lambda head, write: None, ""),
    ("silent", silent, "within 0.6 seconds"),
    ("drip", drip, "within 0.6 seconds"),
    ("drip of a head", drip_head, "within 0.6 seconds"),
]


def test_whatever_goes_wrong_is_written_on_its_source_and_the_others_go_on(house: House, outlet: RawOutlet) -> None:
    waiting.closing = outlet.closing
    ids = {}
    for name, page, _words in TROUBLE:
        path = f"/{name.replace(' ', '-')}"
        outlet.pages[path] = page
        ids[name] = follow(house, outlet.url(path))
    ids["refused"] = follow(house, f"http://127.0.0.1:{free_port()}/feed")
    ids["port"] = follow(house, "http://127.0.0.3/feed")
    outlet.pages["/good"] = feed(item("One", "https://a.example/1"))
    good = follow(house, outlet.url("/good"))
    collected = {one.source_id: one for one in poll_due(house)}

    assert set(collected) == {*ids.values(), good}
    assert (collected[good].new, collected[good].error) == (1, None)
    words = {name: said for name, _, said in TROUBLE} | {"refused": "connection", "port": "not a public address"}
    failing = {name: source(house, source_id) for name, source_id in ids.items()}
    assert {name: one.state for name, one in failing.items()} == dict.fromkeys(ids, SourceState.FAILING)
    assert {name: one.error for name, one in failing.items() if words[name] not in (one.error or "")} == {}
    for one in failing.values():
        assert one.error == collected[one.id].error
        assert one.error
        assert "\n" not in one.error
        assert (one.failing_since, one.failures) == (house.now, 1)
        assert one.next_poll_at > house.now


def test_a_source_that_recovers_forgets_its_trouble(house: House, outlet: RawOutlet) -> None:
    source_id = follow(house, outlet.url("/feed"))
    poll(house, source_id)
    since = source(house, source_id).failing_since
    house.later(hours=1)
    poll(house, source_id)
    failing = source(house, source_id)
    assert (failing.failures, failing.failing_since) == (2, since)

    outlet.pages["/feed"] = feed(item("One", "https://a.example/1"))
    poll(house, source_id)
    well = source(house, source_id)
    assert (well.state, well.error, well.failing_since, well.failures) == (SourceState.OK, None, None, 0)


def test_a_source_that_goes_on_failing_is_asked_less_and_less_and_never_given_up(
    house: House, outlet: RawOutlet
) -> None:
    source_id = follow(house, outlet.url("/feed"))
    waits = []
    for _ in range(12):
        poll(house, source_id)
        waits.append(source(house, source_id).next_poll_at - house.now)
        house.clock.at += waits[-1]

    assert waits == sorted(waits)
    assert waits[0] <= timedelta(minutes=15)
    assert timedelta(hours=6) <= waits[-1] <= timedelta(days=1)


def test_a_feed_that_is_gone_for_good_is_not_asked_again(house: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = answer(b"", "410 Gone")
    source_id = follow(house, outlet.url("/feed"))
    assert len(poll_due(house)) == 1
    gone = source(house, source_id)
    assert gone.state is SourceState.GONE
    assert "gone" in (gone.error or "")
    house.later(days=30)

    assert poll_due(house) == []


def test_a_server_that_asks_to_be_left_alone_is_left_alone(house: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = answer(b"", "429 Too Many Requests", retry_after="7200")
    source_id = follow(house, outlet.url("/feed"))
    poll(house, source_id)

    assert source(house, source_id).next_poll_at == house.now + timedelta(hours=2)


def test_retry_after_that_is_nonsense_is_ignored(house: House, outlet: RawOutlet) -> None:
    for number, nonsense in enumerate(("soon", "-5", "99999999999999999999", "Mon, 99 Foo 2026", "²", "")):
        outlet.pages[f"/{number}"] = answer(status="503 Busy", retry_after=nonsense)
        follow(house, outlet.url(f"/{number}"))
    assert all("503" in (one.error or "") for one in poll_due(house))


def test_a_wrong_address_is_told_at_once_when_a_source_is_added(house: House, outlet: RawOutlet) -> None:
    outlet.pages["/page"] = answer(b"<html></html>", content_type="text/html")
    with house.app.app_context():
        with pytest.raises(collecting.NewsletterError, match="web page"):
            collecting.add_source(
                newsletter(None), outlet.url("/page"), None, house.now, COMMAND, fetcher=house.fetcher
            )
        assert db.session.scalars(sa.select(Source)).all() == []


# What stands in feeds


def test_a_date_with_a_zone_is_the_moment_that_it_names(house: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = feed(
        item("Rfc", "https://a.example/1", date="Tue, 03 Mar 2026 09:00:00 +0530"),
        item("Summer", "https://a.example/2", date="Mon, 02 Mar 2026 22:30:00 EST"),
    )
    poll(house, follow(house, outlet.url("/feed")))

    assert {story.published_at for story in stories(house)} == {datetime(2026, 3, 3, 3, 30, tzinfo=UTC)}


def test_no_markup_of_an_outlet_reaches_a_title_or_a_summary(house: House, outlet: RawOutlet) -> None:
    hostile = (
        "<script>alert(1)</script><p onclick='x()'>One<br>two</p><style>p{}</style>"
        "<img src=x onerror=alert(1)> &amp;lt;b&amp;gt; <!-- secret --> \u202eevil\u0007 <iframe src='//x'></iframe>"
    )
    outlet.pages["/feed"] = feed(
        item(escape(hostile), "https://a.example/1", escape(hostile)),
        item("<![CDATA[" + hostile + "]]>", "https://a.example/2", "<![CDATA[" + hostile + "]]>"),
    )
    assert poll(house, follow(house, outlet.url("/feed"))).error is None

    for story in stories(house):
        for text in (story.title, story.summary):
            assert "One two" in text
            for part in ("alert", "onerror", "<p", "<img", "secret", "iframe", "\u202e", "\u0007", "\n"):
                assert part not in text, part


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "mailto:a@b.example", "ftp://a.example/"])
def test_an_item_that_leads_to_no_web_page_is_left_out(house: House, outlet: RawOutlet, link: str) -> None:
    outlet.pages["/feed"] = feed(item("No", link))
    collected = poll(house, follow(house, outlet.url("/feed")))

    assert (collected.new, collected.error) == (0, None)


def test_what_is_longer_than_its_column_is_shortened(either_house: House, outlet: RawOutlet) -> None:
    house = either_house
    many = 3000
    outlet.pages["/feed"] = answer(
        rss(
            f"<item><title>{'t' * many}</title><link>https://a.example/1</link><description>{'s ' * many}</description>"
            f"<dc:creator>{'a' * many}</dc:creator><category>{'c' * many}</category></item>",
            item("Long way", f"https://a.example/{'l' * many}"),
            title="o" * many,
        ),
        etag=f'"{"e" * many}"',
        last_modified="m" * many,
    )
    collected = poll(house, follow(house, outlet.url("/feed")))

    assert (collected.new, collected.error) == (1, None)
    (story,) = stories(house)
    assert (len(story.title), len(story.author), len(story.section)) == (500, 200, 100)
    assert len(story.summary) <= 600


def test_a_json_feed_with_values_of_every_wrong_kind_gives_what_is_right_in_it(
    either_house: House, outlet: RawOutlet
) -> None:
    house = either_house
    wrong = [None, 1, "text", [], {}, {"url": 1, "title": []}, {"url": "https://a.example/x", "title": {"a": 1}}]
    good = {
        "id": 7,
        "url": "https://a.example/good",
        "title": "Good",
        "tags": [1, None, "politics"],
        "authors": [None, {"name": 3}, {"name": "Ann"}],
        "date_published": 20260303,
        "image": ["no"],
    }
    body = json.dumps({"version": "https://jsonfeed.org/version/1.1", "title": ["x"], "items": [*wrong, good]})
    outlet.pages["/feed"] = answer(body.encode(), content_type="application/feed+json")
    collected = poll(house, follow(house, outlet.url("/feed")))

    assert (collected.new, collected.error) == (1, None)
    (story,) = stories(house)
    assert (story.title, story.tags, story.author) == ("Good", ["politics"], "3, Ann")


# Captures of real feeds


@pytest.mark.filterwarnings("default:To avoid breaking existing software:DeprecationWarning")  # feedparser's own
@pytest.mark.skipif(not CAPTURES.is_dir(), reason="the captured feeds lie beside a developer's checkout only")
def test_every_captured_feed_is_read_twice_without_a_fault_and_without_doubles(house: House, outlet: RawOutlet) -> None:
    captures = sorted(file for file in CAPTURES.iterdir() if file.suffix != ".txt")
    with house.app.app_context():
        wide = FetchingConfig(allow_networks=("127.0.0.1/32",), timeout_seconds=20)
        fetcher = HttpFetcher(wide)
        ids = {}
        for file in captures:
            outlet.pages[f"/{file.name}"] = answer(file.read_bytes())
            ids[file.name] = follow(house, outlet.url(f"/{file.name}"))
        first = {one.source_id: one for one in collecting.collect_due(house.now, fetcher)}
        second = [collecting.collect(source_id, house.now, fetcher) for source_id in ids.values()]
        total = db.session.scalar(sa.select(sa.func.count()).select_from(Story))

    assert {name: first[source_id].error for name, source_id in ids.items() if first[source_id].error} == {}
    assert [one for one in second if one.new or one.updated or one.error] == []
    assert total == sum(one.new for one in first.values()) > 100
