"""A source's own page, adding sources after a look, and lists of them in and out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import sqlalchemy as sa
from lxml import html

from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.config import FetchingConfig
from newsletter.foundation.database import db, transaction
from newsletter.newsletters.models import newsletter
from newsletter.staff.models import Role
from newsletter.staff.rights import Grant
from newsletter.stories import following, outlines
from newsletter.stories.models import NewsletterSource, Source, SourceState, sources, sources_of
from tests.conftest import BuildHouse, House
from tests.integration.subscribers import SITE, everything
from tests.integration.web import Desk, signed_in
from tests.support import newsroom
from tests.support.feeds import collecting_house, feed, follow, item
from tests.support.forms import Sheet, open_page, words
from tests.support.raw_outlet import RawOutlet, answer, running_outlet

SLUG = "morning-post"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def outlet() -> Iterator[RawOutlet]:
    with running_outlet() as outlet:
        yield outlet


@pytest.fixture
def house(build_house: BuildHouse, sqlite_url: str) -> House:
    return collecting_house(build_house, sqlite_url, max_megabytes=0.2, timeout_seconds=2)


@pytest.fixture
def desk(house: House) -> Desk:
    return signed_in(house, Role.EDITOR)


def editor_of(house: House, slug: str) -> Desk:
    with house.app.app_context():
        ids = frozenset({newsletter(slug).id})
    return signed_in(house, Role.EDITOR, grant=Grant(Role.EDITOR, newsletter_ids=ids))


def use_of(house: House, source_id: int = 1, newsletter_id: int = 1) -> NewsletterSource:
    """To look at and not to change."""
    with house.app.app_context():
        found = db.session.get_one(NewsletterSource, (newsletter_id, source_id))
        db.session.expunge_all()
        return found


def listed(house: House) -> list[str]:
    with house.app.app_context():
        return [one.url for one in sources()]


def recorded(house: House) -> list[tuple[str, Any]]:
    with house.app.app_context():
        query = sa.select(AuditRecord).where(AuditRecord.action.startswith("source.")).order_by(AuditRecord.id)
        return [(one.action, one.details) for one in db.session.scalars(query)]


def items(house: House, count: int) -> list[str]:
    return [
        item(f"Story {n}", f"https://a.example/{n}", date=format_datetime(house.now - timedelta(hours=n)))
        for n in range(1, count + 1)
    ]


# One source


def test_its_page_shows_what_it_told_last_and_how_it_is(house: House, desk: Desk, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = feed(*items(house, 25))
    number = follow(house, outlet.url("/feed"))
    page = open_page(desk, f"/admin/sources/{number}").after("Ask it now")
    assert "Bay Herald answered: 25 new stories, 0 that changed." in page.words
    titles = [words(one) for one in page.root.xpath("//section[@aria-labelledby='stories']//tbody//th")]
    assert titles == [f"Story {n}" for n in range(1, 21)]
    assert "Stories a day, last week 3.6" in page.words.replace("week3.6", "week 3.6")


def test_an_outlet_that_was_asked_just_now_is_left_alone(house: House, desk: Desk, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = feed(*items(house, 1))
    number = follow(house, outlet.url("/feed"))
    open_page(desk, f"/admin/sources/{number}").press("Ask it now")
    again = open_page(desk, f"/admin/sources/{number}").after("Ask it now")
    assert "Bay Herald was asked less than a minute ago. Nothing was asked again" in again.words
    house.later(minutes=1)
    assert "0 new stories" in again.after("Ask it now").words
    assert len(outlet.requests) == 2


def test_what_goes_wrong_is_told_and_stands_on_its_page(house: House, desk: Desk, outlet: RawOutlet) -> None:
    number = follow(house, outlet.url("/nothing"))
    page = open_page(desk, f"/admin/sources/{number}").after("Ask it now")
    assert "The server answered 404 Not Found: there is nothing at this address." in page.words
    assert "1 try in a row" in page.words
    assert "open its address in a browser" in page.words, "and what to do"


def test_a_server_that_never_ends_is_given_up(house: House, desk: Desk, outlet: RawOutlet) -> None:
    def drip(_head: bytes, write: Any) -> None:
        write(b"HTTP/1.1 200 OK\r\nContent-Type: application/rss+xml\r\n\r\n<rss>")
        while not outlet.closing.wait(0.05):
            write(b" ")

    outlet.pages["/feed"] = drip
    number = follow(house, outlet.url("/feed"))
    page = open_page(desk, f"/admin/sources/{number}").after("Ask it now")
    assert "The server did not finish within 2 seconds." in page.words


def test_how_a_newsletter_uses_it_is_changed_and_recorded(house: House, desk: Desk) -> None:
    number = follow(house, "https://bay.example/feed")
    page = open_page(desk, f"/admin/sources/{number}")
    form = page.root.xpath("//form[contains(@action, '/use')]")[0].get("action")
    desk.post(form, newsletter=SLUG, weight="2.5", section="Coast", own="yes")
    used = use_of(house, number)
    assert (used.weight, used.section, used.own, used.on_topic) == (2.5, "Coast", True, False)
    (action, details) = recorded(house)[-1]
    assert (action, details["newsletter"]) == ("source.change", SLUG)
    assert details["before"] == {"weight": 1.0, "section": "", "own": False}
    assert details["after"] == {"weight": 2.5, "section": "Coast", "own": True}
    assert "weight: 1.0 → 2.5" in open_page(desk, f"/admin/sources/{number}").words


@pytest.mark.parametrize(
    ("field", "text", "problem"),
    [
        ("weight", "0", "write a number from 0.1 to 10"),
        ("weight", "nan", "write a number from 0.1 to 10"),
        ("weight", "heavy", "write a number from 0.1 to 10"),
        ("section", "x" * 101, "write at most 100 characters on one line"),
        ("section", "a\x00b", "write at most 100 characters on one line"),
    ],
)
def test_a_wrong_value_stands_beside_its_field_and_the_rest_is_kept(
    house: House, desk: Desk, field: str, text: str, problem: str
) -> None:
    number = follow(house, "https://bay.example/feed")
    before = everything(house)
    typed = {"weight": "3", "section": "Coast", "on_topic": "yes"} | {field: text}
    raw = desk.post(f"/admin/sources/{number}/use", newsletter=SLUG, **typed)
    assert raw.status_code == 422
    assert problem in raw.text
    other = {"weight": "Coast", "section": "3"}[field]
    assert f'value="{other}"' in raw.text
    assert 'value="yes" checked' in raw.text
    assert everything(house) == before


def test_the_feed_itself_is_changed_for_all(house: House, desk: Desk) -> None:
    number = follow(house, "https://bay.example/feed")
    taken = follow(house, "https://cape.example/feed")
    desk.post(f"/admin/sources/{number}/change", outlet="The Bay", url="https://bay.example/new", page_fetch="yes")
    with house.app.app_context():
        changed = db.session.get_one(Source, number)
        assert (changed.outlet, changed.url, changed.page_fetch) == ("The Bay", "https://bay.example/new", True)
    page = open_page(desk, f"/admin/sources/{number}")
    assert "It moved here on" in page.words
    for url, problem in (
        ("https://cape.example/feed", f"Source {taken} is at https://cape.example/feed already."),
        ("ftp://x", "“ftp://x” is no web address."),
    ):
        refused = desk.post(f"/admin/sources/{number}/change", outlet="The Bay", url=url)
        assert refused.status_code == 422
        assert problem in refused.text
    desk.post(f"/admin/sources/{number}/change", outlet="The Bay", url="https://bay.example/new", disabled="yes")
    with house.app.app_context():
        assert db.session.get_one(Source, number).state is SourceState.DISABLED


def test_it_is_silenced_until_a_date_or_for_good_and_let_in_again(house: House, desk: Desk) -> None:
    number = follow(house, "https://bay.example/feed")
    path = f"/admin/sources/{number}"
    for wrong in ({"until": "2026-03-03"}, {"until": ""}, {"until": "soon"}, {}):
        desk.post(f"{path}/silence", newsletter=SLUG, **wrong)
        assert "It cannot be silenced until then:" in open_page(desk, path).words
    assert not use_of(house, number).silenced
    desk.post(f"{path}/silence", newsletter=SLUG, until="2026-03-10")
    page = open_page(desk, path)
    assert "Its stories enter no drafts of Morning Post before 10 March 2026; drafts that there are stay" in page.words
    assert "Silenced until Tuesday, 10 March 2026." in page.words
    assert "silenced" in open_page(desk, "/admin/sources").words
    page.after("Let it in again")
    desk.post(f"{path}/silence", newsletter=SLUG, until="", for_good="yes")
    assert "Silenced until somebody lets it in again." in open_page(desk, path).words
    assert use_of(house, number).silenced_until is None


def test_taking_it_away_wants_its_name_and_says_what_stays(house: House, desk: Desk) -> None:
    number = follow(house, "https://bay.example/feed")
    page = open_page(desk, f"/admin/sources/{number}")
    assert "No other newsletter follows it, so it is not asked any more." in page.words
    refused = page.after("Take it from Morning Post", outlet_typed="Bay")
    assert "Type Bay Herald to take it away. Nothing was changed." in refused.words
    gone = refused.after("Take it from Morning Post", outlet_typed=" bay herald ")
    assert "Morning Post no longer follows Bay Herald. Its stories and what was sent of them stay." in gone.words
    with house.app.app_context():
        assert sources_of(1) == []
        assert db.session.get_one(Source, number).state is SourceState.DISABLED
    assert "Let Morning Post follow it too" in gone.buttons()
    assert "Morning Post follows it from now on." in gone.after("Let Morning Post follow it too").words


def test_words_of_strangers_are_text_on_its_page(house: House, desk: Desk, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = feed(item("&lt;img src=x onerror=alert(1)&gt;", "https://a.example/1"))
    number = follow(house, outlet.url("/feed"))
    with house.app.app_context(), transaction():
        db.session.get_one(Source, number).outlet = SCRIPT
    open_page(desk, f"/admin/sources/{number}").press("Ask it now")
    with house.app.app_context(), transaction():
        db.session.get_one(Source, number).error = SCRIPT
    text = desk.get(f"/admin/sources/{number}").text
    assert SCRIPT not in text
    assert "<img src=x" not in text


# Who may


def test_a_source_that_several_share_is_itself_changed_only_by_who_works_for_all(house: House) -> None:
    newsroom.found(house, "ridge-courier")
    shared = _shared(house)
    desk = editor_of(house, "ridge-courier")
    page = open_page(desk, f"/admin/sources/{shared}")
    assert "In Ridge Courier" in page.words
    assert "Morning Post" not in page.words
    assert SLUG not in page.words
    before = everything(house)
    assert desk.post(f"/admin/sources/{shared}/change", outlet="Mine", url="https://x.example/").status_code == 403
    for deed in ("use", "silence", "hear", "remove", "follow"):
        answered = desk.post(f"/admin/sources/{shared}/{deed}", newsletter=SLUG, weight="9", for_good="yes")
        assert answered.status_code == 404, deed
    assert everything(house) == before
    assert desk.post(f"/admin/sources/{shared}/use", newsletter="ridge-courier", weight="3").status_code == 303
    assert (use_of(house, shared, 2).weight, use_of(house, shared, 1).weight) == (3.0, 1.0)


def _shared(house: House) -> int:
    with house.app.app_context():
        one = following.add_source(newsletter(SLUG), "https://bay.example/feed", "Bay Herald", house.now, COMMAND)
        url, number = one.url, one.id
        following.add_source(newsletter("ridge-courier"), url, None, house.now, COMMAND)
        return number


def test_who_gave_up_the_last_newsletter_of_theirs_comes_back_to_the_list(house: House) -> None:
    newsroom.found(house, "ridge-courier")
    shared, desk = _shared(house), editor_of(house, "ridge-courier")
    left = desk.post(f"/admin/sources/{shared}/remove", newsletter="ridge-courier", outlet_typed="Bay Herald")
    assert left.headers["Location"].endswith("/admin/sources")
    assert desk.get(f"/admin/sources/{shared}").status_code == 404
    with house.app.app_context():
        assert db.session.get_one(Source, shared).state is not SourceState.DISABLED, "the other one follows it still"


def test_who_limited_adds_what_another_newsletter_has_does_not_change_it_there(house: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = feed(*items(house, 1))
    newsroom.found(house, "ridge-courier")
    there = _followed(house, outlet)
    desk = editor_of(house, "ridge-courier")
    looked = desk.post("/admin/sources/add", newsletter="ridge-courier", url=outlet.url("/feed"), look="yes")
    assert "It is a source already" not in looked.text, "nothing is told of what they do not see"
    desk.post(
        "/admin/sources/add",
        newsletter="ridge-courier",
        url=outlet.url("/feed"),
        weight="1",
        page_fetch="yes",
        outlet="Mine",
        add="yes",
    )
    with house.app.app_context():
        one = db.session.get_one(Source, there)
        assert (one.outlet, one.page_fetch, len(one.newsletters)) == ("Bay Herald", False, 2)


def _followed(house: House, outlet: RawOutlet) -> int:
    with house.app.app_context():
        return following.add_source(newsletter(SLUG), outlet.url("/feed"), "Bay Herald", house.now, COMMAND).id


def test_support_sees_and_changes_nothing(house: House) -> None:
    number, desk = follow(house, "https://bay.example/feed"), signed_in(house, Role.SUPPORT)
    before = everything(house)
    page = open_page(desk, f"/admin/sources/{number}")
    assert page.buttons() == []
    assert "Add a source" not in open_page(desk, "/admin/sources").links()
    for deed in ("change", "use", "poll", "silence", "hear", "remove", "follow"):
        assert desk.post(f"/admin/sources/{number}/{deed}", newsletter=SLUG).status_code == 403
    assert everything(house) == before


# The list


def test_the_list_can_be_narrowed(house: House, desk: Desk) -> None:
    newsroom.found(house, "ridge-courier")
    with house.app.app_context():
        for slug, name in ((SLUG, "Bay Herald"), (SLUG, "Cape Courier"), ("ridge-courier", "Dune Echo")):
            url = f"https://{name.split()[0].lower()}.example/feed"
            following.add_source(newsletter(slug), url, name, house.now, COMMAND)
        with transaction():
            db.session.get_one(Source, 2).state = SourceState.FAILING

    def shown(query: str) -> list[str]:
        rows = open_page(desk, f"/admin/sources?{query}").root.xpath("//tbody/tr/th/a")
        return sorted(map(words, rows))

    assert shown("") == ["Bay Herald", "Cape Courier", "Dune Echo"]
    assert shown("newsletter=ridge-courier") == ["Dune Echo"]
    assert shown("state=failing") == ["Cape Courier"]
    assert shown("q=DUNE+example") == ["Dune Echo"]
    assert shown(f"newsletter={SLUG}&state=new&q=bay") == ["Bay Herald"]
    nothing = open_page(desk, "/admin/sources?q=%00%25_&state=nonsense&newsletter=no-such")
    assert "None is like that" in nothing.words


# Adding one


def look(desk: Desk, url: str) -> Sheet:
    return open_page(desk, "/admin/sources/add").after("Look", url=url)


def test_a_feed_is_shown_first_and_added_then(house: House, desk: Desk, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = feed(*items(house, 3))
    page = look(desk, outlet.url("/feed"))
    assert listed(house) == [], "nothing is added by looking"
    assert "RSS 2.0 with 3 stories" in page.words
    assert "Story 1" in page.words
    assert "No story has a picture" in page.words
    assert page.fields("Add it")["outlet"] == "Bay Herald"
    added = page.after("Add it", weight="2", section="Coast", on_topic="yes")
    assert "Morning Post follows Bay Herald from now on." in added.words
    used = use_of(house)
    assert (used.weight, used.section, used.on_topic, used.own) == (2.0, "Coast", True, False)
    assert recorded(house)[-1][0] == "source.add"


def test_a_page_leads_to_the_feeds_that_it_names(house: House, desk: Desk, outlet: RawOutlet) -> None:
    links = "".join(f'<link rel="alternate" type="application/rss+xml" href="/feed{n}">' for n in (1, 2))
    body = f"<!doctype html><html><head>{links}<link rel=alternate type=text/html href=/x></head></html>"
    outlet.pages["/"] = answer(body.encode(), content_type="text/html")
    outlet.pages["/feed1"] = feed(*items(house, 1))
    page = look(desk, outlet.url("/"))
    assert page.status == 422
    found = page.root.xpath("//section[@aria-labelledby='feeds']//li/span")
    assert list(map(words, found)) == [outlet.url("/feed1"), outlet.url("/feed2")]
    assert "RSS 2.0 with 1 story" in page.after("Look at this one").words


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (answer(b"", "500 Broken"), "The server answered 500"),
        (answer(b"gone", "410 Gone"), "gone for good"),
        (answer(b"<html><body>hello</body></html>", content_type="text/html"), "it is a web page"),
        (answer(b"x" * 300_000, content_type="application/rss+xml"), "The answer is larger than 0.2 MB."),
        (answer(b"\x00\xff" * 100), "What came back is no feed"),
        (b"\x16\x03\x01\x02\x00not http at all\r\n\r\n", "The connection failed"),
        (answer(b"", "302 Found", location="http://169.254.169.254/latest"), "169.254.169.254"),
        (answer(b"", "302 Found", location="file:///etc/passwd"), "The connection failed"),
    ],
)
def test_a_server_that_misbehaves_is_told_beside_the_address(
    house: House, desk: Desk, outlet: RawOutlet, page: bytes, said: str
) -> None:
    outlet.pages["/feed"] = page
    refused = look(desk, outlet.url("/feed"))
    assert refused.status == 422
    assert said in refused.wrong()["url"]
    assert refused.fields("Look")["url"] == outlet.url("/feed"), "what was typed stays"
    assert listed(house) == []


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "http://", "https://x y", "ftp://a.example/feed"])
def test_what_is_no_web_address_is_not_asked(house: House, desk: Desk, url: str) -> None:
    refused = desk.post("/admin/sources/add", newsletter=SLUG, url=url, look="yes")
    assert refused.status_code == 422
    assert listed(house) == []


def test_a_machine_of_our_own_network_is_not_asked(build_house: BuildHouse, sqlite_url: str) -> None:
    house = build_house(sqlite_url, fetching=FetchingConfig())
    newsroom.found(house)
    refused = look(signed_in(house, Role.EDITOR), "http://127.0.0.1:1/feed")
    assert refused.status == 422
    assert listed(house) == []


def test_what_is_followed_already_and_a_wrong_weight_are_told(house: House, desk: Desk, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = feed(*items(house, 1))
    page = look(desk, outlet.url("/feed"))
    wrong = page.after("Add it", weight="99", section="Coast")
    assert wrong.status == 422
    assert "write a number from 0.1 to 10" in wrong.wrong()["weight"]
    assert wrong.fields("Add it")["section"] == "Coast"
    assert "follows Bay Herald" in wrong.after("Add it", weight="1").words
    again = look(desk, outlet.url("/feed"))
    assert "It is a source already: Bay Herald." in again.words
    assert "Morning Post collects" in again.after("Add it").words


# Lists


def upload(desk: Desk, octets: bytes, **fields: str) -> Sheet:
    named = {"csrf_token": desk.token, "newsletter": SLUG} | fields
    texts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{text}\r\n' for key, text in named.items()
    )
    file = '--x\r\nContent-Disposition: form-data; name="file"; filename="feeds.opml"\r\n\r\n'
    came = desk.client.post(
        "/admin/sources/import",
        base_url=SITE,
        data=f"{texts}{file}".encode() + octets + b"\r\n--x--\r\n",  # the client's own way leaves a file open
        content_type="multipart/form-data; boundary=x",
    )
    return Sheet(desk, "/admin/sources/import", came.status_code, html.document_fromstring(came.text or "<p>"))


LIST = b"""<?xml version="1.0"?><opml version="2.0"><body>
<outline text="Coast"><outline text="Bay &lt;Herald&gt;" xmlUrl="https://bay.example/feed"/></outline>
<outline text="Cape Courier" xmlUrl="https://cape.example/feed"/>
<outline text="Broken" xmlUrl="file:///etc/passwd"/><outline text="Empty"/>
</body></opml>"""


def test_a_list_is_shown_first_and_added_then(house: House, desk: Desk) -> None:
    follow(house, "https://cape.example/feed")
    page = upload(desk, LIST)
    assert page.status == 200
    assert listed(house) == ["https://cape.example/feed"]
    assert "1 would be new" in page.words
    assert "1 known already" in page.words
    assert "2 cannot be used" in page.words
    assert "Broken" in page.words
    done = page.after("Add 1 source to Morning Post", on_topic=[])
    assert "Morning Post follows 1 more." in done.words
    with house.app.app_context():
        told = {(use.source.url, use.source.outlet, use.section, use.on_topic) for use in sources_of(1)}
    assert ("https://bay.example/feed", "Bay <Herald>", "Coast", False) in told
    assert recorded(house)[-1] == ("source.import", {"listed": 1, "added": 1})


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(10))


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"", "choose a file first"),
        (b"not xml", "It is no OPML file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(1000), "It is no OPML file"),
        (b"<html><body/></html>", "it has no <opml> with a <body>"),
        (f"<!DOCTYPE opml [{LAUGHS}]><opml><body>&l9;</body></opml>".encode(), "it declares entities"),
        (
            b'<!DOCTYPE opml [<!ENTITY x SYSTEM "file:///etc/passwd">]><opml><body><outline text="&x;"/></body></opml>',
            "it declares entities",
        ),
        (f"<!DOCTYPE opml [{LAUGHS}]><opml><body>&l9;</body></opml>".encode("utf-16"), "it declares entities"),
        (b"<opml><body>" + b"<outline>" * 60_000, "It is no OPML file"),
        (b"<opml><body>" + b" " * 1_000_000 + b"</body></opml>", "it is larger than 1 MB"),
        (
            b"<opml><body>"
            + b"".join(b'<outline xmlUrl="https://a.example/%d"/>' % n for n in range(2_001))
            + b"</body></opml>",
            "it lists 2,001 feeds, and we take 2,000 at a time",
        ),
    ],
)
def test_a_hostile_file_is_refused_in_words(house: House, desk: Desk, octets: bytes, said: str) -> None:
    before = everything(house)
    page = upload(desk, octets)
    assert page.status == 422
    assert said in page.words
    assert "Nothing was added." in page.words
    assert everything(house) == before


def test_what_is_larger_than_any_list_is_not_even_read(house: House, desk: Desk) -> None:
    assert upload(desk, b"x" * 1_200_000).status == 413
    other = {"csrf_token": desk.token, "x": "y" * 400_000}
    assert desk.client.post("/admin/sources/add", base_url=SITE, data=other).status_code == 413, "only there"


def test_a_list_of_thousands_of_letters_fits_through_its_preview(house: House, desk: Desk) -> None:
    many = b"".join(
        b'<outline text="Outlet %d %s" xmlUrl="https://a%d.example/feed"/>' % (n, b"x" * 150, n) for n in range(1_500)
    )
    page = upload(desk, b"<opml><body>" + many + b"</body></opml>")
    assert "Morning Post follows 1,500 more." in page.after("Add 1,500 sources to Morning Post").words


def test_what_was_carried_through_the_preview_is_looked_at_again(house: House, desk: Desk) -> None:
    bad = '<opml><body><outline text="x" xmlUrl="javascript:alert(1)"/></body></opml>'
    desk.post("/admin/sources/import", newsletter=SLUG, feeds=bad, add="yes")
    assert listed(house) == []
    assert desk.post("/admin/sources/import", newsletter=SLUG, feeds="<opml", add="yes").status_code == 422


def test_a_starter_list_goes_the_same_way(house: House, desk: Desk) -> None:
    page = open_page(desk, "/admin/sources/import").after("Look at defense")
    there = len(outlines.starter("defense"))
    assert f"{there} would be new" in page.words
    assert listed(house) == []
    page.press(f"Add {there} sources to Morning Post")
    assert len(listed(house)) == there
    assert use_of(house).on_topic
    assert desk.post("/admin/sources/import", newsletter=SLUG, starter="../../etc/passwd").status_code == 422


def test_what_goes_out_comes_in_again(house: House, desk: Desk) -> None:
    upload(desk, LIST).press("Add 2 sources to Morning Post")
    taken = desk.get("/admin/sources.opml?newsletter=morning-post")
    assert taken.mimetype == "text/x-opml"
    assert re.search(r"attachment; filename=morning-post\.opml", taken.headers["Content-Disposition"])
    found = {(one.url, one.outlet, one.section) for one in outlines.read(taken.data)}
    assert found == {
        ("https://bay.example/feed", "Bay <Herald>", "Coast"),
        ("https://cape.example/feed", "Cape Courier", ""),
    }
    assert "0 would be new" in upload(desk, taken.data).words


def test_a_list_of_another_newsletter_is_not_taken_out_or_in(house: House) -> None:
    newsroom.found(house, "ridge-courier")
    desk = editor_of(house, "ridge-courier")
    assert desk.get("/admin/sources.opml?newsletter=morning-post").status_code == 404
    assert upload(desk, LIST).status == 404
    assert desk.get("/admin/sources/import?newsletter=morning-post").status_code == 404
