"""Where a server leads on to: followed, remembered when it is for good, and never inside."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from newsletter.foundation.audit import AuditRecord
from newsletter.foundation.database import db
from newsletter.stories.fetching import REDIRECTS
from newsletter.stories.models import SourceState
from tests.conftest import House
from tests.support.feeds import feed, follow, item, poll, poll_due, source, stories
from tests.support.ports import free_port
from tests.support.raw_outlet import RawOutlet, answer

ONE = item("One", "https://a.example/1")


def leads(status: int, location: str) -> bytes:
    return answer(status=f"{status} Elsewhere", location=location)


def moves(house: House) -> list[tuple[str, str, str]]:
    """What the audit trail has of moves: whose, from where, and to where."""
    with house.app.app_context():
        records = db.session.scalars(sa.select(AuditRecord).where(AuditRecord.action == "source.move"))
        return [(record.actor_name, record.details["before"], record.details["after"]) for record in records]


@pytest.mark.parametrize("status", [301, 308])
def test_a_permanent_redirect_moves_the_source(desk: House, outlet: RawOutlet, status: int) -> None:
    outlet.pages["/old"] = leads(status, "/new")
    outlet.pages["/new"] = feed(ONE)
    source_id = follow(desk, outlet.url("/old"))
    assert poll(desk, source_id).error is None
    assert source(desk, source_id).url == outlet.url("/new")
    assert moves(desk) == [("the service", outlet.url("/old"), outlet.url("/new"))]

    desk.later(hours=1)
    del outlet.pages["/old"]
    assert poll(desk, source_id).error is None
    assert len(outlet.requests) == 3, "the old address is not asked again"
    assert [story.title for story in stories(desk)] == ["One"]


@pytest.mark.parametrize("status", [302, 303, 307])
def test_a_temporary_redirect_is_followed_and_forgotten(desk: House, outlet: RawOutlet, status: int) -> None:
    outlet.pages["/feed"] = leads(status, "/for-now")
    outlet.pages["/for-now"] = feed(ONE)
    source_id = follow(desk, outlet.url("/feed"))
    assert poll(desk, source_id).new == 1
    assert (source(desk, source_id).url, moves(desk)) == (outlet.url("/feed"), [])


@pytest.mark.parametrize(("first", "second", "end"), [(301, 308, "/c"), (301, 302, "/b"), (302, 301, "/a")])
def test_of_several_redirects_the_permanent_ones_before_the_first_temporary_one_count(
    desk: House, outlet: RawOutlet, first: int, second: int, end: str
) -> None:
    outlet.pages |= {"/a": leads(first, "/b"), "/b": leads(second, "/c"), "/c": feed(ONE)}
    source_id = follow(desk, outlet.url("/a"))
    assert poll(desk, source_id).error is None
    assert source(desk, source_id).url == outlet.url(end)


@pytest.mark.parametrize(
    "there",
    [
        answer(b"<html><body>Our new site</body></html>", content_type="text/html"),
        answer(status="404 Not Found"),
        answer(status="500 Internal Server Error"),
    ],
    ids=["a web page", "404", "500"],
)
def test_a_source_does_not_move_to_where_no_feed_is(desk: House, outlet: RawOutlet, there: bytes) -> None:
    outlet.pages |= {"/feed": leads(301, "/"), "/": there}
    source_id = follow(desk, outlet.url("/feed"))
    assert poll(desk, source_id).error
    assert (source(desk, source_id).url, moves(desk)) == (outlet.url("/feed"), [])


def test_two_sources_that_move_to_the_same_address_do_not_end_the_round(either_desk: House, outlet: RawOutlet) -> None:
    desk = either_desk
    outlet.pages["/a"] = outlet.pages["/b"] = leads(301, "/there")
    outlet.pages["/there"] = feed(ONE)
    ids = [follow(desk, outlet.url(path)) for path in ("/a", "/b")]
    assert [one.error for one in poll_due(desk)] == [None, None]
    assert outlet.url("/there") in {source(desk, source_id).url for source_id in ids}
    assert len(moves(desk)) == 1


def test_a_source_does_not_move_to_an_address_that_is_too_long_to_keep(either_desk: House, outlet: RawOutlet) -> None:
    desk, far = either_desk, "/" + "x" * 2100
    outlet.pages |= {"/feed": leads(301, far), far: feed(ONE)}
    source_id = follow(desk, outlet.url("/feed"))
    assert poll(desk, source_id).error is None
    assert source(desk, source_id).url == outlet.url("/feed")


def test_as_many_redirects_as_are_allowed_are_followed_and_one_more_is_not(desk: House, outlet: RawOutlet) -> None:
    outlet.pages |= {f"/{n}": leads(302, f"/{n - 1}") for n in range(1, REDIRECTS + 2)} | {"/0": feed(ONE)}
    assert poll(desk, follow(desk, outlet.url(f"/{REDIRECTS}"))).error is None
    outlet.requests.clear()
    assert "redirects" in (poll(desk, follow(desk, outlet.url(f"/{REDIRECTS + 1}"))).error or "")
    assert len(outlet.requests) == REDIRECTS + 1


@pytest.mark.parametrize("pages", [{"/a": "/a"}, {"/a": "/b", "/b": "/a"}], ids=["to itself", "in a ring"])
def test_a_redirect_that_leads_nowhere_ends(desk: House, outlet: RawOutlet, pages: dict[str, str]) -> None:
    outlet.pages |= {path: leads(301, to) for path, to in pages.items()}
    source_id = follow(desk, outlet.url("/a"))
    assert "redirects" in (poll(desk, source_id).error or "")
    assert source(desk, source_id).url == outlet.url("/a")


OCTAL = "http://0251.0376.0251.0376/"
"""169.254.169.254 as old programs read it; refused before anybody reads it."""

INSIDE = [
    "http://127.0.0.2/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0x0a.1/",
    "http://0/",
    "http://[::1]/",
    "http://[::]/",
    "http://[fe80::1]/",
    "http://[fd00:ec2::254]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::a9fe:a9fe]/",
    "http://[2002:a9fe:a9fe::]/",
]


@pytest.mark.parametrize("inside", INSIDE)
@pytest.mark.parametrize("status", [301, 302])
def test_no_redirect_leads_inside_however_the_address_is_spelled(
    desk: House, outlet: RawOutlet, inside: str, status: int
) -> None:
    outlet.pages["/feed"] = leads(status, inside)
    source_id = follow(desk, outlet.url("/feed"))
    said = poll(desk, source_id).error or ""
    assert "is not a public address" in said
    assert "allow_networks" in said, "and what to do if it is right"
    assert source(desk, source_id).url == outlet.url("/feed")


def test_the_second_of_two_redirects_does_not_lead_inside_either(desk: House, outlet: RawOutlet) -> None:
    outlet.pages |= {"/a": leads(302, "/b"), "/b": leads(302, f"http://127.0.0.2:{free_port()}/")}
    assert "not a public address" in (poll(desk, follow(desk, outlet.url("/a"))).error or "")


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://a.example/", "gopher://a.example/", "mailto:a@b.example", "http://[::1", OCTAL],
)
def test_a_redirect_to_what_is_no_web_address_is_told_in_words(desk: House, outlet: RawOutlet, location: str) -> None:
    outlet.pages["/feed"] = leads(302, location)
    said = poll(desk, follow(desk, outlet.url("/feed"))).error or ""
    assert said.startswith("The connection failed: ")
    assert "no web address" in said


@pytest.mark.parametrize(("status", "state"), [(301, SourceState.GONE), (302, SourceState.FAILING)])
def test_what_is_gone_for_good_is_so_only_where_the_source_itself_is(
    desk: House, outlet: RawOutlet, status: int, state: SourceState
) -> None:
    outlet.pages |= {"/feed": leads(status, "/there"), "/there": answer(status="410 Gone")}
    source_id = follow(desk, outlet.url("/feed"))
    poll(desk, source_id)
    assert source(desk, source_id).state is state
