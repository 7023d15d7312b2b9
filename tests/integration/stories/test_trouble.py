"""Whatever an outlet's server does: an error in plain words on its source, and nothing lost for the others."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from functools import partial
from threading import Event

import brotli
import pytest
import sqlalchemy as sa

from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db
from newsletter.foundation.errors import NewsletterError
from newsletter.newsletters.models import newsletter
from newsletter.stories import collecting, following
from newsletter.stories.models import Source, SourceState
from tests.conftest import BuildHouse, House
from tests.support.feeds import collecting_house, feed, follow, item, poll, poll_due, rss, source, stories
from tests.support.ports import free_port
from tests.support.raw_outlet import Page, RawOutlet, Write, answer

ONE = item("One", "https://a.example/1")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/rss+xml\r\n"
GO_ON = b"<item><title>x</title><link>https://a.example/x</link></item>" * 100


@pytest.fixture
def hasty_desk(build_house: BuildHouse, sqlite_url: str) -> House:
    """A house that waits for no outlet any longer than a second."""
    return collecting_house(build_house, sqlite_url, timeout_seconds=1, max_megabytes=0.2)


def error_of(house: House, outlet: RawOutlet, page: Page) -> str:
    """What is said of a source whose server answers like this."""
    outlet.pages["/feed"] = page
    source_id = follow(house, outlet.url("/feed"))
    collected = poll(house, source_id)
    failing = source(house, source_id)
    assert (failing.state, failing.error) == (SourceState.FAILING, collected.error)
    assert failing.next_poll_at > house.now
    assert failing.error
    assert "\n" not in failing.error
    return failing.error


def without_end(first: bytes) -> tuple[Page, list[int]]:
    """A page that is sent until nobody listens, and how many octets of it were taken."""
    taken = [0]

    def page(_head: bytes, write: Write) -> None:
        write(first)
        while True:
            write(GO_ON)
            taken[0] += len(GO_ON)

    return page, taken


# Answers that are none

STATUSES = {
    "401 Unauthorized": ": it wants a password, so this is no public feed",
    "403 Forbidden": ": it does not let us in",
    "404 Not Found": ": there is nothing at this address",
    "429 Too Many Requests": ": we ask too often, and will ask less",
    "500 Internal Server Error": ": it has a fault of its own, and is asked again",
    "503 Service Unavailable": ": it has a fault of its own, and is asked again",
    "599 Odd": ": it has a fault of its own, and is asked again",
    "206 Partial Content": "",
    "204 No Content": "",
    "302 Found": "",
}


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_is_told_in_plain_words(desk: House, outlet: RawOutlet, status: str) -> None:
    assert error_of(desk, outlet, answer(rss(ONE), status)) == f"The server answered {status}{STATUSES[status]}."


def test_a_status_is_called_by_its_own_name(desk: House, outlet: RawOutlet) -> None:
    said = error_of(desk, outlet, answer(status="404 <b>Buy now</b>"))
    assert said == "The server answered 404 Not Found: there is nothing at this address."


@pytest.mark.parametrize(
    "status", ["500 \udcff\udc80", "500 " + "x" * 5000, "999 ?", "600 Odd", "100 Continue"], ids=ascii
)
def test_a_status_in_strange_words_is_written_down(either_desk: House, outlet: RawOutlet, status: str) -> None:
    assert len(error_of(either_desk, outlet, answer(status=status))) < 200


PAGES: dict[str, tuple[Page, str]] = {
    "a web page": (
        answer(b"<!DOCTYPE html><html><p>Hi</html>", content_type="text/html"),
        "web page; look for the feed",
    ),
    "an error page in XML": (answer(b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>"), "known format"),
    "words": (answer(b"just words", content_type="text/plain"), "known format"),
    "a picture": (answer(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9, content_type="image/png"), "known format"),
    "nothing": (answer(b"", content_type="application/rss+xml"), "the answer is empty"),
    "white space": (answer(b" \r\n\t ", content_type="application/rss+xml"), "the answer is empty"),
    "JSON that is no feed": (answer(b'{"no": "feed"}', content_type="application/json"), "no JSON Feed"),
    "JSON that breaks off": (answer(b'{"items": [', content_type="application/feed+json"), "no JSON Feed"),
    "JSON that goes deep": (answer(b'{"items": ' + b"[" * 50_000, content_type="application/json"), "no JSON Feed"),
    "JSON with a long number": (answer(b'{"items": [{"id": ' + b"9" * 9_000 + b"}]}"), "no JSON Feed"),
    "a body that is too short": (answer(rss(ONE), length=10_000), "broke off in the middle"),
    "two lengths": (HEAD + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde", "no proper HTTP"),
    "no length at all": (HEAD + b"Content-Length: x\r\n\r\n", "no proper HTTP"),
    "broken chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "no proper HTTP"),
    "a head that is too long": (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 2_000_000 + b"\r\n\r\n", "no proper HTTP"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", "hung up without an answer"),
    "hanging up": (lambda head, write: None, "hung up without an answer"),
    "what is not packed": (answer(rss(ONE), content_encoding="gzip"), "packed with gzip"),
    "half of what is packed": (
        answer(brotli.compress(rss(ONE))[:20] + b"x" * 99, content_encoding="br"),
        "packed with br",
    ),
    "what is packed in a way that we did not ask for": (answer(rss(ONE), content_encoding="zstd"), "packed with zstd"),
    "packed twice": (answer(gzip.compress(gzip.compress(rss(ONE))), content_encoding="gzip, gzip"), "packed with gzip"),
}


@pytest.mark.parametrize("what", PAGES)
def test_what_is_no_feed_is_told_in_plain_words(desk: House, outlet: RawOutlet, what: str) -> None:
    page, words = PAGES[what]
    assert words in error_of(desk, outlet, page)


def test_a_web_page_that_names_its_feed_is_told_with_the_address(desk: House, outlet: RawOutlet) -> None:
    page = b"<html><head><link rel='alternate' type='application/rss+xml' href='/feeds/all.xml'></head></html>"
    said = error_of(desk, outlet, answer(page, content_type="text/html"))
    assert f"it is a web page; its feed seems to be {outlet.url('/feeds/all.xml')}" in said


def test_a_server_that_is_not_there_is_told_in_plain_words(desk: House) -> None:
    dead = poll(desk, follow(desk, f"http://127.0.0.1:{free_port()}/feed"))
    assert dead.error == "The connection failed: nobody answers at this address."
    assert "not a public address" in (poll(desk, follow(desk, "http://127.0.0.3/feed")).error or "")
    assert "cannot be reached" in (poll(desk, follow(desk, "http://no-such-host.invalid/feed")).error or "")


# Too much, and too slow


@pytest.mark.parametrize("length", [b"", b"Content-Length: 50000000\r\n", b"Content-Length: 99999999999999999\r\n"])
def test_of_a_feed_of_fifty_megabytes_or_without_an_end_no_more_than_the_cap_is_read(
    desk: House, outlet: RawOutlet, length: bytes
) -> None:
    page, taken = without_end(HEAD + length + b"\r\n" + rss()[:-16])
    assert error_of(desk, outlet, page) == "The answer is larger than 0.2 MB."
    assert taken[0] < 20_000_000, "what the sockets' own buffers hold comes on top of the cap"


def test_an_answer_in_chunks_without_an_end_is_cut_too(desk: House, outlet: RawOutlet) -> None:
    chunk = b"%x\r\n%b\r\n" % (len(GO_ON), GO_ON)

    def page(_head: bytes, write: Write) -> None:
        write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            write(chunk)

    assert error_of(desk, outlet, page) == "The answer is larger than 0.2 MB."


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("br", partial(brotli.compress, quality=4))],
)
def test_a_bomb_is_noticed_before_it_is_unfolded(
    desk: House, outlet: RawOutlet, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    bomb = pack(rss() + b" " * 50_000_000)
    assert len(bomb) < 200_000
    assert error_of(desk, outlet, answer(bomb, content_encoding=encoding)) == "The answer is larger than 0.2 MB."


def silent(_head: bytes, _write: Write) -> None:
    closing.closing.wait(30)


def drip(_head: bytes, write: Write) -> None:
    """An octet every now and then, for ever."""
    write(HEAD + b"\r\n<rss>")
    while not closing.closing.wait(0.05):
        write(b" ")


def drip_head(_head: bytes, write: Write) -> None:
    write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not closing.closing.wait(0.05):
        write(b"a")


def drip_packed(_head: bytes, write: Write) -> None:
    write(HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10])
    while not closing.closing.wait(0.05):
        write(b"\x00\x00\x00\xff\xff")


class closing:  # noqa: N801 - the outlet whose end the slow pages wait for
    closing = Event()


@pytest.mark.parametrize("page", [silent, drip, drip_head, drip_packed])
def test_a_server_that_takes_its_time_is_given_only_so_much_of_ours(
    hasty_desk: House, outlet: RawOutlet, page: Callable[[bytes, Write], None]
) -> None:
    closing.closing = outlet.closing
    assert error_of(hasty_desk, outlet, page) == "The server did not finish within 1 seconds."


def test_redirects_do_not_begin_the_time_anew(hasty_desk: House, outlet: RawOutlet) -> None:
    def page(_head: bytes, write: Write) -> None:
        if not outlet.closing.wait(0.4):
            write(answer(status="302 Found", location="/feed?"))

    outlet.pages["/feed?"] = page
    assert error_of(hasty_desk, outlet, page) == "The server did not finish within 1 seconds."


# All of it in one round


def test_whatever_goes_wrong_is_written_on_its_source_and_the_others_go_on(
    build_house: BuildHouse, either_database: str, outlet: RawOutlet
) -> None:
    desk = collecting_house(build_house, either_database, timeout_seconds=3, max_megabytes=0.2)
    closing.closing = outlet.closing
    endless, _taken = without_end(HEAD + b"\r\n" + rss()[:-16])
    pages = {name: page for name, (page, _words) in PAGES.items()} | {
        "silent": silent,
        "drip": drip,
        "endless": endless,
    }
    ids = []
    for number, page in enumerate(pages.values()):
        outlet.pages[f"/{number}"] = page
        ids.append(follow(desk, outlet.url(f"/{number}")))
    outlet.pages["/good"] = feed(ONE)
    good = follow(desk, outlet.url("/good"))
    collected = {one.source_id: one for one in poll_due(desk)}

    assert set(collected) == {*ids, good}
    assert (collected[good].new, collected[good].error) == (1, None)
    assert [story.title for story in stories(desk)] == ["One"]
    for source_id in ids:
        failing = source(desk, source_id)
        assert (failing.state, failing.error) == (SourceState.FAILING, collected[source_id].error)
        assert (failing.failing_since, failing.failures) == (desk.now, 1)
    assert poll_due(desk) == [], "nobody is asked again at once"


# Afterwards


def test_a_source_that_recovers_forgets_its_trouble(desk: House, outlet: RawOutlet) -> None:
    source_id = follow(desk, outlet.url("/feed"))
    poll(desk, source_id)
    since = source(desk, source_id).failing_since
    desk.later(hours=1)
    poll(desk, source_id)
    failing = source(desk, source_id)
    assert (failing.failures, failing.failing_since) == (2, since)

    outlet.pages["/feed"] = feed(ONE)
    poll(desk, source_id)
    well = source(desk, source_id)
    assert (well.state, well.error, well.failing_since, well.failures) == (SourceState.OK, None, None, 0)


def test_trouble_leaves_the_stories_that_we_have(desk: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = feed(ONE)
    source_id = follow(desk, outlet.url("/feed"))
    poll(desk, source_id)
    for status in ("500 Internal Server Error", "404 Not Found", "410 Gone"):
        outlet.pages["/feed"] = answer(status=status)
        poll(desk, source_id)
        assert [story.title for story in stories(desk)] == ["One"]


def test_a_feed_that_is_gone_for_good_is_not_asked_again(desk: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = answer(b"", "410 Gone")
    source_id = follow(desk, outlet.url("/feed"))
    assert len(poll_due(desk)) == 1
    gone = source(desk, source_id)
    assert gone.state is SourceState.GONE
    assert gone.error == "The server says that this feed is gone for good (410)."
    desk.later(days=30)

    assert poll_due(desk) == []


def test_a_wrong_address_is_told_at_once_when_a_source_is_added(desk: House, outlet: RawOutlet) -> None:
    outlet.pages["/page"] = answer(b"<html></html>", content_type="text/html")
    with desk.app.app_context():
        with pytest.raises(NewsletterError, match="web page"):
            following.add_source(newsletter(None), outlet.url("/page"), None, desk.now, COMMAND, fetcher=desk.fetcher)
        assert db.session.scalars(sa.select(Source)).all() == []


@pytest.mark.parametrize("change", [{"disabled": "yes"}, {"url": "https://b.example/feed"}], ids=str)
def test_what_staff_do_to_a_source_while_it_is_asked_stands(
    desk: House, outlet: RawOutlet, monkeypatch: pytest.MonkeyPatch, change: dict[str, str]
) -> None:
    outlet.pages["/feed"] = feed(ONE, etag='"old"')
    source_id = follow(desk, outlet.url("/feed"))
    answer_to = collecting.answer_to

    def meanwhile(*args: object) -> object:
        found = answer_to(*args)  # type: ignore[arg-type]
        following.change(source_id, None, desk.now, COMMAND, **change)
        return found

    monkeypatch.setattr(collecting, "answer_to", meanwhile)
    poll(desk, source_id)
    after = source(desk, source_id)
    if "url" in change:
        assert (after.url, after.etag, after.next_poll_at) == (change["url"], None, desk.now)
    else:
        assert after.state is SourceState.DISABLED
