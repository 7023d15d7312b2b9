"""Past editions on pages: what is there for everybody, what is not, and how the pages carry it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, time, timedelta
from io import BytesIO

import pytest
import sqlalchemy as sa
from lxml import html
from PIL import Image
from sqlalchemy import event
from werkzeug.test import TestResponse

from newsletter.delivery import releasing
from newsletter.editions import publishing
from newsletter.editions.models import Edition, Revision
from newsletter.editions.rendering import archive_path
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db, transaction
from newsletter.newsletters import settings
from newsletter.newsletters.models import newsletter
from newsletter.newsletters.settings import SettingInvalid
from newsletter.stories import marking
from newsletter.stories.models import Story
from newsletter.stories.pictures import the_pictures
from newsletter.subscribers.models import SignUpRequest
from tests.conftest import House
from tests.integration.delivery import during_the_first_mail
from tests.support import newsroom
from tests.support.newsroom import Paper
from tests.support.past import went_out

ANN = "ann@example.org"
SITE = "https://news.example.org"
TODAY = date(2026, 3, 3)
HERE = "/editions/morning-post/2026-03-03"
LIST = "/editions/morning-post/"
BRIDGE, REPAIRS, SNOW = "Harbor bridge closes for repairs", "Repairs close the harbor bridge", "Snow on the pass"
GONE = 404


@pytest.fixture
def paper(house: House) -> Paper:
    return newsroom.found(house, items_at_least="1")


def get(house: House, path: str, **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return house.browser.get(path, base_url=SITE, headers=named)


def opened(house: House, path: str) -> html.HtmlElement:
    answer = get(house, path)
    assert answer.status_code == 200, path
    return html.fromstring(answer.text)


def texts(root: html.HtmlElement, path: str) -> list[str]:
    return [" ".join(one.text_content().split()) for one in root.xpath(path)]


def headlines(root: html.HtmlElement) -> list[str]:
    return texts(root, "//article/descendant::*[self::h2 or self::h3]")


def listed(house: House, path: str = LIST) -> list[str]:
    """The titles on a list of editions."""
    return texts(opened(house, path), "//ol/li/div/a")


def content_of(root: html.HtmlElement, name: str) -> str | None:
    """What a meta tag says."""
    found = root.xpath(f"//meta[@name='{name}' or @property='{name}']/@content")
    return str(found[0]) if found else None


def told_by_outlets(paper: Paper) -> tuple[int, list[int]]:
    """An edition of two events, one of them told by two outlets, that went out; its id and its stories'."""
    outlets = ("Harbor Gazette", "Ridge Courier", "Inland Mirror")
    stories = [paper.story(title, outlet) for title, outlet in zip((BRIDGE, REPAIRS, SNOW), outlets, strict=True)]
    edition_id = paper.draft()
    newsroom.send(paper.house, edition_id)
    return edition_id, stories


def withdraw(house: House, *story_ids: int) -> None:
    with house.app.app_context():
        for story_id in story_ids:
            releasing.withdraw(story_id, "the outlet asked us to", house.now, COMMAND)


def set_(paper: Paper, **values: str) -> None:
    with paper.house.app.app_context():
        settings.change(paper.slug, paper.house.now, COMMAND, **values)


# What is there


def test_an_edition_that_goes_out_can_be_read_by_everybody(either_house: House) -> None:
    paper, edition_id = newsroom.sending(either_house)
    page = opened(either_house, HERE)
    assert texts(page, "//h1") == ["Tuesday, 3 March 2026"]
    assert sorted(headlines(page)) == sorted(newsroom.SUBJECTS)
    assert page.xpath("//article//a/@href")[0].startswith(f"https://{paper.id}.example/")
    assert page.xpath("//link[@rel='canonical']/@href") == [SITE + HERE]
    with either_house.app.app_context():
        went = db.session.get_one(Edition, edition_id)
        assert archive_path(went) == HERE
        assert listed(either_house) == [went.revisions[-1].subject]


def test_nothing_is_there_before_it_goes_out(house: House, paper: Paper) -> None:
    paper.tells(*newsroom.SUBJECTS)

    def there() -> tuple[int, list[str]]:
        return get(house, HERE).status_code, listed(house)

    nothing = (GONE, [])
    edition_id = paper.draft()
    assert there() == nothing
    with house.app.app_context():
        publishing.hold(edition_id, "a doubt", house.now, COMMAND)
    assert there() == nothing
    with house.app.app_context():
        publishing.resume(edition_id, house.now, COMMAND)
        releasing.approve(edition_id, house.now, COMMAND)
    assert there() == nothing
    newsroom.send(house, edition_id)
    assert there()[0] == 200
    house.work()
    assert there()[0] == 200


@pytest.mark.parametrize("state", ["planned", "drafted", "approved", "skipped", "cancelled"])
def test_what_did_not_go_out_is_nowhere(house: House, paper: Paper, state: str) -> None:
    went_out(paper, TODAY - timedelta(1), "Yesterday")
    went_out(paper, TODAY, "Secret headline", state=state)
    went_out(paper, TODAY - timedelta(40), "Secret headline", state=state)
    assert get(house, HERE).status_code == GONE
    assert get(house, "/editions/morning-post/2026-01/").status_code == GONE
    for path in ("/", "/editions/", LIST, "/editions/morning-post/2026-03/", "/editions/morning-post/2026-03-02"):
        assert "Secret" not in get(house, path).text, path
    assert texts(opened(house, "/editions/morning-post/2026-03-02"), "//nav/a") == ["All editions"]


def test_no_reader_s_word_is_on_the_page(house: House) -> None:
    newsroom.sending(house, ANN)
    house.work()
    (mail,) = house.inbox.of(ANN)
    assert "/unsubscribe/" in mail.part("plain")
    for path in (HERE, LIST, "/feed.xml", f"{LIST}feed.json"):
        page = get(house, path).text
        assert page
        for word in (ANN, "/unsubscribe/", "/preferences/", "signed up for"):
            assert word not in page, (path, word)


def test_the_last_correction_that_went_out_stands_in_the_editions_place(house: House, paper: Paper) -> None:
    went_out(paper, TODAY, "Wrong")
    assert headlines(opened(house, HERE)) == ["Wrong"]
    went_out(paper, TODAY, "Less wrong", number=1, state="sending")
    went_out(paper, TODAY, "Right", number=2)
    went_out(paper, TODAY, "Not sent", number=3, state="approved")
    assert headlines(opened(house, HERE)) == ["Right"]
    assert listed(house) == ["Right"]
    assert not opened(house, LIST).xpath("//ol//ul")


def test_each_slot_has_its_own_edition_and_the_default_one_the_short_address(house: House, paper: Paper) -> None:
    tokyo = paper.slot("Asia/Tokyo", time(6, 0))
    here = went_out(paper, TODAY, "For London")
    there = went_out(paper, TODAY, "For Tokyo", slot_id=tokyo)
    assert headlines(opened(house, HERE)) == ["For London"]
    page = opened(house, f"/editions/morning-post/{tokyo}/2026-03-03")
    assert headlines(page) == ["For Tokyo"]
    assert texts(page, "//h1") == ["Tuesday, 3 March 2026 · 06:00 Tokyo time"]
    assert page.xpath("//link[@rel='canonical']/@href") == [f"{SITE}/editions/morning-post/{tokyo}/2026-03-03"]
    long = opened(house, f"/editions/morning-post/{paper.slot_id}/2026-03-03")
    assert long.xpath("//link[@rel='canonical']/@href") == [SITE + HERE]
    assert listed(house) == ["For London"]
    assert opened(house, LIST).xpath("//ol//ul//a/@href") == [f"/editions/morning-post/{tokyo}/2026-03-03"]
    with house.app.app_context():
        paths = [archive_path(db.session.get_one(Edition, id)) for id in (here, there)]
    assert paths == [HERE, f"/editions/morning-post/{tokyo}/2026-03-03"]


def test_what_was_sealed_last_is_shown(house: House, paper: Paper) -> None:
    """A story that is taken down while an edition goes out makes another revision; with nothing left, one that is not
    sealed."""
    paper.readers("ann@example.org", "bob@example.org")
    _, stories = told_by_outlets(paper)
    withdraw(house, stories[2])
    assert SNOW not in headlines(opened(house, HERE))
    during_the_first_mail(house.inbox, lambda: withdraw(house, *stories[:2]))
    house.work()
    with house.app.app_context():
        sealed = [
            one.sealed_at is not None for one in db.session.scalars(sa.select(Revision).order_by(Revision.number))
        ]
        assert (sealed[0], sealed[-1]) == (True, False)
        for id in stories:
            marking.restore(id, house.now, COMMAND)
    assert SNOW not in headlines(opened(house, HERE))


def test_it_looks_like_the_mail(house: House, paper: Paper) -> None:
    """Nameplate, date, the words of the day, sections below the stories of none, who else covers it."""
    set_(paper, tagline="All that matters", sections="Port, Sport")
    others = [
        {"story_id": None, "outlet": "Ridge Courier", "title": "Bridge shut", "url": "https://ridge.example/1"},
        {"story_id": None, "outlet": "Inland Mirror", "title": "No way over", "url": ""},
    ]
    items = [
        {"headline": BRIDGE, "summary": "Until May.", "also_covered": others, "outlets": 5},
        {"headline": "Cranes arrive", "section": "Port", "is_update": True},
        {"headline": "A word to our readers", "section": "Port", "url": ""},
        {"headline": "Rowers win", "section": "Sport"},
    ]
    went_out(paper, TODAY, items=items, intro="Good morning.\r\n\r\nIt is cold.")
    page = opened(house, HERE)
    assert texts(page, "//header/p") == ["Morning Post", "All that matters"]
    assert texts(page, "//*[@class='past-intro']/p") == ["Good morning.", "It is cold."]
    outline = [(one.tag, " ".join(one.text_content().split())) for one in page.xpath("//main//*[self::h2 or self::h3]")]
    assert outline == [
        ("h2", BRIDGE),
        ("h2", "Port"),
        ("h3", "Update: Cranes arrive"),
        ("h3", "A word to our readers"),
        ("h2", "Sport"),
        ("h3", "Rowers win"),
        ("h2", "Sign Up for Morning Post"),
    ]
    lead = texts(page, "//article[1]/p")
    assert lead[0] == "Until May."
    assert lead[1].startswith("Harbor Gazette · 3 Mar 2026, 01:00")
    assert lead[2] == "Also covered by Ridge Courier, Inland Mirror and 2 more"
    assert page.xpath("//a[text()='Ridge Courier']/@href") == ["https://ridge.example/1"]
    assert not page.xpath("//a[text()='Inland Mirror' or text()='A word to our readers']")


# What was withdrawn


def test_a_withdrawn_story_is_gone_and_nothing_tells_that_it_was_there(house: House, paper: Paper) -> None:
    _, (*_, snow) = told_by_outlets(paper)
    house.work()
    assert SNOW in headlines(opened(house, HERE))
    withdraw(house, snow)
    page = get(house, HERE).text
    assert headlines(html.fromstring(page)) in ([BRIDGE], [REPAIRS])
    for word in ("Snow", "withdrawn", "removed", "Inland Mirror"):
        assert word not in page


@pytest.mark.parametrize("gone", [0, 1])
def test_the_other_outlet_that_told_it_moves_up(house: House, paper: Paper, gone: int) -> None:
    _, stories = told_by_outlets(paper)
    house.work()
    withdraw(house, stories[gone])
    page = get(house, HERE).text
    left, lost = (REPAIRS, BRIDGE) if gone == 0 else (BRIDGE, REPAIRS)
    assert left in headlines(html.fromstring(page))
    assert lost not in page
    assert ("Harbor Gazette", "Ridge Courier")[gone] not in page
    assert "Also covered by" not in page


def test_it_is_known_under_whichever_feed_the_page_came_in(house: House, paper: Paper) -> None:
    _, (*_, snow) = told_by_outlets(paper)
    house.work()
    with house.app.app_context():
        page = db.session.get_one(Story, snow).page
    withdraw(house, paper.story("Snow falls", "Ridge Weather", page=page))
    assert SNOW not in headlines(opened(house, HERE))


def test_what_was_written_of_the_whole_edition_goes_with_it(house: House, paper: Paper) -> None:
    """A subject, a preheader or an intro in a person's words may tell the story that is gone."""
    snow, bridge = paper.story(SNOW, "Inland Mirror"), paper.story(BRIDGE, "Harbor Gazette")
    items = [{"headline": BRIDGE, "story_id": bridge}, {"headline": SNOW, "story_id": snow}]
    words = {"subject": "White morning", "preheader": "White on the pass", "intro": "White is in fashion."}
    went_out(paper, TODAY, items=items, **words)
    assert get(house, HERE).text.count("White") > 3
    withdraw(house, snow)
    for path in (HERE, LIST, "/feed.xml"):
        text = get(house, path).text
        assert "White" not in text, path
        assert BRIDGE in text, path


def test_an_edition_of_which_nothing_is_left_is_not_there(house: House, paper: Paper) -> None:
    _, stories = told_by_outlets(paper)
    house.work()
    went_out(paper, TODAY - timedelta(1), "Yesterday")
    went_out(paper, TODAY + timedelta(1), "Tomorrow")
    withdraw(house, *stories)
    assert get(house, HERE).status_code == GONE
    assert listed(house) == ["Tomorrow", "Yesterday"]
    between = opened(house, "/editions/morning-post/2026-03-02").xpath("//a[@rel='next']/@href")
    assert between == ["/editions/morning-post/2026-03-04"]


def test_a_story_that_was_withdrawn_by_mistake_comes_back(house: House, paper: Paper) -> None:
    _, (*_, snow) = told_by_outlets(paper)
    house.work()
    before = get(house, HERE).text
    withdraw(house, snow)
    with house.app.app_context():
        marking.restore(snow, house.now, COMMAND)
    assert get(house, HERE).text == before


# Lists


def test_the_last_two_months_are_shown_and_the_others_are_a_link_away(house: House, paper: Paper) -> None:
    for day in ("2025-11-30", "2025-12-01", "2025-12-31", "2026-02-01", "2026-02-28", "2026-03-01"):
        went_out(paper, date.fromisoformat(day))
    page = opened(house, LIST)
    assert texts(page, "//section/h2")[:3] == ["March 2026", "February 2026", "Earlier months"]
    assert listed(house) == ["The news of 2026-03-01", "The news of 2026-02-28", "The news of 2026-02-01"]
    older = page.xpath("//dl//a/@href")
    assert older == ["/editions/morning-post/2025-12/", "/editions/morning-post/2025-11/"]
    assert listed(house, older[0]) == ["The news of 2025-12-31", "The news of 2025-12-01"]
    month = opened(house, older[0])
    assert texts(month, "//nav/a") == ["Earlier November 2025", "All editions", "Later February 2026"]
    assert month.xpath("//link[@rel='canonical']/@href") == [SITE + older[0]]
    assert listed(house, older[0].rstrip("/")) == listed(house, older[0])


def test_an_edition_leads_to_the_one_before_and_the_one_after(house: House, paper: Paper) -> None:
    for day in (1, 2, 5):
        went_out(paper, date(2026, 3, day))
    found = {}
    for day in (1, 2, 5):
        page = opened(house, f"/editions/morning-post/2026-03-0{day}")
        found[day] = [*page.xpath("//a[@rel='prev']/@href"), "·", *page.xpath("//a[@rel='next']/@href")]
    first, second, last = (f"/editions/morning-post/2026-03-0{day}" for day in (1, 2, 5))
    assert found == {1: ["·", second], 2: [first, "·", last], 5: [second, "·"]}


# Special editions


def test_a_special_edition_has_a_page_of_its_own_beside_the_daily_one(house: House, paper: Paper) -> None:
    went_out(paper, TODAY, "The daily news")
    special_id = went_out(paper, TODAY, "Volcano wakes", number=1, special=True)
    assert headlines(opened(house, HERE)) == ["The daily news"]
    page = opened(house, f"{HERE}/special-1")
    assert headlines(page) == ["Volcano wakes"]
    assert texts(page, "//h1") == ["Tuesday, 3 March 2026 · Special edition"]
    assert page.xpath("//link[@rel='canonical']/@href") == [f"{SITE}{HERE}/special-1"]
    assert get(house, f"{HERE}/special-2").status_code == GONE
    with house.app.app_context():
        assert archive_path(db.session.get_one(Edition, special_id)) == f"{HERE}/special-1"


def test_what_corrects_a_special_edition_stands_in_its_place(house: House, paper: Paper) -> None:
    wrong = went_out(paper, TODAY, "Volcano wakse", number=1, special=True)
    right = went_out(paper, TODAY, "Volcano wakes", number=3, special=True, corrects=wrong)
    went_out(paper, TODAY, "Volcano sleeps", number=4, special=True)
    assert headlines(opened(house, f"{HERE}/special-1")) == ["Volcano wakes"]
    assert headlines(opened(house, f"{HERE}/special-4")) == ["Volcano sleeps"]
    assert get(house, f"{HERE}/special-3").status_code == GONE
    with house.app.app_context():
        assert archive_path(db.session.get_one(Edition, right)) == f"{HERE}/special-1"
    last = went_out(paper, TODAY, "Volcano is awake", number=5, special=True, corrects=right)
    assert headlines(opened(house, f"{HERE}/special-1")) == ["Volcano is awake"]
    with house.app.app_context():
        assert archive_path(db.session.get_one(Edition, last)) == f"{HERE}/special-1"


def test_special_editions_are_listed_with_their_day_and_alone_where_there_is_no_other(
    house: House, paper: Paper
) -> None:
    went_out(paper, TODAY, "The daily news")
    went_out(paper, TODAY, "Volcano wakes", number=1, special=True)
    went_out(paper, TODAY - timedelta(days=40), "Storm ahead", number=1, special=True)
    went_out(paper, TODAY, "A draft", number=2, special=True, state="drafted")
    page = opened(house, LIST)
    assert listed(house) == ["The daily news", "Storm ahead"]
    assert texts(page, "//ul[@class='past-others']/li") == ["Special edition: Volcano wakes"]
    assert page.xpath("//ul[@class='past-others']//a/@href") == [f"{HERE}/special-1"]
    assert texts(page, "//ol/li/div/p[@class='quiet'][1]")[-1:] == ["Special edition"]


def test_a_slot_of_its_own_has_its_own_special_editions(house: House, paper: Paper) -> None:
    tokyo = paper.slot("Asia/Tokyo", time(6))
    went_out(paper, TODAY, "For Tokyo", number=1, special=True, slot_id=tokyo)
    assert headlines(opened(house, f"/editions/morning-post/{tokyo}/2026-03-03/special-1")) == ["For Tokyo"]
    assert get(house, f"{HERE}/special-1").status_code == GONE


@pytest.mark.parametrize(
    "end", ["special-0", "special--1", "special-01x", "special-", "special-99999999999", "special"]
)
def test_a_special_edition_that_is_none_gets_a_kind_page(house: House, paper: Paper, end: str) -> None:
    went_out(paper, TODAY, "Volcano wakes", number=1, special=True)
    assert get(house, f"{HERE}/{end}").status_code == GONE


def test_with_several_newsletters_the_ones_with_past_editions_are_named(house: House, paper: Paper) -> None:
    evening = newsroom.found(house, "evening-post")
    newsroom.found(house, "sunday-post")
    went_out(paper, TODAY, "For the morning")
    tokyo = evening.slot("Asia/Tokyo", time(18, 0))
    went_out(evening, TODAY, "For the evening", slot_id=tokyo)
    page = opened(house, "/editions/")
    assert texts(page, "//main//h2") == ["Morning Post", "Evening Post"]
    assert page.xpath("//main//li//a/@href") == [
        LIST,
        HERE,
        "/editions/evening-post/",
        f"/editions/evening-post/{tokyo}/2026-03-03",
    ]


def test_the_only_newsletter_s_list_is_the_archive_s_first_page(house: House, paper: Paper) -> None:
    went_out(paper, TODAY)
    assert get(house, "/editions/").data == get(house, LIST).data
    assert opened(house, "/editions/").xpath("//link[@rel='canonical']/@href") == [SITE + LIST]


def test_an_archive_that_has_nothing_yet_says_so(house: House) -> None:
    assert "Nothing has gone out yet" in get(house, "/editions/").text
    newsroom.found(house)
    assert "Nothing has gone out yet" in get(house, "/editions/").text
    newsroom.found(house, "evening-post")
    assert "Nothing has gone out yet" in get(house, "/editions/").text
    assert "Nothing has gone out yet" in get(house, "/editions/evening-post/").text


def test_other_pages_lead_to_it(house: House, paper: Paper) -> None:
    assert opened(house, "/").xpath("//footer/p/a/@href") == [LIST]
    newsroom.found(house, "evening-post")
    assert opened(house, "/").xpath("//footer/p/a/@href") == ["/editions/"]


# What the pages carry


def test_a_page_says_what_it_is_to_those_who_share_it(house: House, paper: Paper) -> None:
    went_out(paper, TODAY, BRIDGE, SNOW, "Ferry gets a hull")
    page = opened(house, HERE)
    said = {name: content_of(page, f"og:{name}") for name in ("type", "title", "url", "site_name", "description")}
    assert said == {
        "type": "article",
        "title": BRIDGE,
        "url": SITE + HERE,
        "site_name": "Morning Post",
        "description": f"{SNOW} · Ferry gets a hull",
    }
    assert content_of(page, "og:image") is None
    assert content_of(page, "description") == said["description"]
    assert content_of(page, "article:published_time") == "2026-03-03T06:00:00+00:00"
    assert texts(page, "//title") == [f"{BRIDGE}: Morning Post, Tuesday, 3 March 2026"]


def jpeg(width: int, height: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (width, height), "teal").save(buffer, "JPEG")
    return buffer.getvalue()


def illustrated(paper: Paper, *sizes: tuple[int, int]) -> list[str]:
    """An edition whose stories have pictures of these sizes; their names."""
    with paper.house.app.app_context():
        names = [the_pictures().keep(jpeg(*size)) for size in sizes]
    items = [
        {
            "headline": f"Story {n}",
            "image_url": f"https://outlet.example/{n}.jpg",
            "image_alt": f"A ship {n}",
            "image_credit": f"Photo: {n}",
            "picture": name,
        }
        for n, name in enumerate(names, 1)
    ]
    went_out(paper, TODAY, items=items)
    return names


def test_our_own_pictures_come_with_their_sizes_so_that_nothing_shifts(house: House, paper: Paper) -> None:
    first, second, *_ = illustrated(paper, (1600, 900), (700, 700), (640, 400), (640, 480))
    page = opened(house, HERE)
    lead, beside, third = page.xpath("//article//img")
    assert dict(lead.attrib) == {
        "src": f"/pictures/{first}-1200.jpg",
        "srcset": f"/pictures/{first}-600.jpg 600w, /pictures/{first}-1200.jpg 1200w",
        "sizes": lead.get("sizes"),
        "alt": "A ship 1",
        "width": "1200",
        "height": "675",
        "loading": "eager",
        "decoding": "async",
    }
    assert [beside.get(name) for name in ("src", "srcset", "width", "height", "loading")] == [
        f"/pictures/{second}-600.jpg",
        None,
        "600",
        "600",
        "lazy",
    ]
    assert third.get("height") == "375"
    assert "Photo: 1" in page.text_content()
    assert "Photo: 4" not in page.text_content()
    assert content_of(page, "og:image") == f"{SITE}/pictures/{first}-1200.jpg"
    assert (content_of(page, "og:image:width"), content_of(page, "og:image:alt")) == ("1200", "A ship 1")
    with get(house, lead.get("src")) as answer:
        assert answer.status_code == 200


def test_pictures_are_those_that_the_newsletter_shows(house: House, paper: Paper) -> None:
    illustrated(paper, (1600, 900))
    set_(paper, pictures="link")
    (linked,) = opened(house, HERE).xpath("//article//img")
    assert linked.get("src") == "https://outlet.example/1.jpg"
    assert content_of(opened(house, HERE), "og:image") == "https://outlet.example/1.jpg"
    set_(paper, pictures="none")
    assert not opened(house, HERE).xpath("//article//img")
    assert content_of(opened(house, HERE), "og:image") is None


def test_a_picture_whose_file_is_lost_leaves_no_hole(house: House, paper: Paper) -> None:
    (name,) = illustrated(paper, (1600, 900))
    with house.app.app_context():
        for file in the_pictures().folder.glob(f"{name}-*"):
            file.unlink()
    assert not opened(house, HERE).xpath("//article//img | //article//figure")


def test_search_engines_are_asked_to_stay_away_where_the_newsletter_says_so(house: House, paper: Paper) -> None:
    went_out(paper, TODAY)
    pages = [HERE, LIST, "/editions/", "/editions/morning-post/2026-03/"]
    feeds = ["/feed.xml", f"{LIST}feed.xml", f"{LIST}feed.json"]

    def asked() -> set[tuple[str | None, str | None]]:
        robots = {
            (get(house, path).headers.get("X-Robots-Tag"), content_of(opened(house, path), "robots")) for path in pages
        }
        return robots | {(get(house, path).headers.get("X-Robots-Tag"), None) for path in feeds}

    assert asked() == {(None, None)}
    set_(paper, noindex="yes")
    assert asked() == {("noindex", "noindex"), ("noindex", None)}
    evening = newsroom.found(house, "evening-post")
    went_out(evening, TODAY)
    assert get(house, "/editions/").headers["X-Robots-Tag"] == "noindex"
    assert get(house, "/editions/evening-post/").headers.get("X-Robots-Tag") is None


def test_the_setting_is_read_as_yes_or_no(house: House, paper: Paper) -> None:
    with house.app.app_context():
        assert settings.as_text(newsletter(paper.slug).noindex) == "no"
    set_(paper, noindex="yes")
    with house.app.app_context():
        assert settings.as_text(newsletter(paper.slug).noindex) == "yes"
        with pytest.raises(SettingInvalid, match="write yes or no"):
            settings.change(paper.slug, house.now, COMMAND, noindex="perhaps")


def test_a_sign_up_box_stands_at_the_end_of_each_page(house: House, paper: Paper) -> None:
    """It works from a page that was kept for days, because it does not say when it was shown."""
    went_out(paper, TODAY)
    for path in (HERE, LIST, "/editions/morning-post/2026-03/"):
        (form,) = opened(house, path).forms
        house.later(days=3)
        fields = dict(form.form_values()) | {"email": f"reader-of-{len(path)}@example.org"}
        answer = house.browser.post(form.action, base_url=SITE, data=fields)
        assert (answer.status_code, path) == (200, path)
    with house.app.app_context():
        asked = db.session.scalars(sa.select(SignUpRequest.page_url).order_by(SignUpRequest.id)).all()
    assert asked == [SITE + HERE, SITE + LIST, f"{SITE}/editions/morning-post/2026-03/"]


def test_a_page_may_be_kept_for_a_while_and_is_asked_for_again_only_if_it_has_changed(
    house: House, paper: Paper
) -> None:
    _, (*_, snow) = told_by_outlets(paper)
    of_a_language, of_all = "public, max-age=0, s-maxage=300", "public, max-age=300"
    kept = dict.fromkeys((HERE, LIST, "/editions/", "/editions/morning-post/2026-03/"), of_a_language)
    kept |= {"/feed.xml": of_all, f"{LIST}feed.json": of_all}
    for path, how in kept.items():
        first = get(house, path)
        assert first.headers["Cache-Control"] == how, path
        assert "Set-Cookie" not in first.headers, path
        house.later(minutes=7)
        again = get(house, path, If_None_Match=first.headers["ETag"])
        assert (again.status_code, again.data) == (304, b""), path
        assert again.headers["Cache-Control"] == how, path
    before = get(house, HERE)
    withdraw(house, snow)
    after = get(house, HERE, If_None_Match=before.headers["ETag"])
    assert (after.status_code, SNOW in after.text) == (200, False)


def test_asking_for_the_head_tells_the_same_without_the_page(house: House, paper: Paper) -> None:
    went_out(paper, TODAY)
    for path in (HERE, LIST, "/editions/", "/feed.xml", f"{LIST}feed.json", "/editions/morning-post/2020-01-01"):
        full, head = get(house, path), house.browser.head(path, base_url=SITE)
        assert (head.status_code, head.data) == (full.status_code, b""), path
        for name in ("ETag", "Content-Type", "Content-Length", "Cache-Control"):
            assert head.headers.get(name) == full.headers.get(name), (path, name)


def test_a_page_carries_no_styles_and_scripts_of_its_own(house: House, paper: Paper) -> None:
    illustrated(paper, (1600, 900), (640, 480))
    for path in (HERE, LIST, "/editions/morning-post/2026-03/"):
        page = opened(house, path)
        assert not page.xpath("//@style | //style | //script[not(@src)] | //@*[starts-with(name(), 'on')]"), path
        assert len(get(house, path).data) < 60_000


# Ten years


@contextmanager
def questions(house: House) -> Iterator[list[str]]:
    """The plans of all that is asked of the table of editions meanwhile, on SQLite."""
    plans: list[str] = []

    def look(_connection: object, cursor: sa.CursorResult[object], statement: str, words: object, *_: object) -> None:
        if statement.startswith("SELECT") and "editions" in statement:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", words)  # type: ignore[attr-defined]
            plans.append("; ".join(row[-1] for row in cursor.fetchall()))

    with house.app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", look)
    yield plans
    event.remove(engine, "before_cursor_execute", look)


def test_an_archive_of_ten_years_is_read_by_its_index_and_in_bounds(house: House, paper: Paper) -> None:
    went_out(paper, TODAY)
    template = "INSERT INTO {0} ({1}) SELECT {2} FROM {0}, days"
    with house.app.app_context(), transaction() as session:
        days = "WITH RECURSIVE days(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM days WHERE n < 3650) "
        for table, changed in {
            "editions": {"id": "n + 1", "local_date": "date('2026-03-03', -n || ' days')"},
            "revisions": {"id": "n + 1", "edition_id": "n + 1"},
            "items": {"id": "n + 1", "revision_id": "n + 1"},
        }.items():
            names = [column["name"] for column in sa.inspect(db.engine).get_columns(table)]
            chosen = ", ".join(changed.get(name, f"{table}.{name}") for name in names)
            session.execute(sa.text(days + template.format(table, ", ".join(names), chosen)))
    pages = (LIST, "/editions/morning-post/2019-07/", "/editions/morning-post/2019-07-15", "/feed.xml", "/editions/")
    for path in pages:
        with questions(house) as plans:
            answer = get(house, path)
        assert answer.status_code == 200, path
        assert len(plans) <= 12, (path, plans)
        assert plans, path
        assert not [plan for plan in plans if re.search(r"SCAN (?!json)", plan)], (path, plans)
        assert len(answer.data) < 60_000, path
    assert len(listed(house, "/editions/morning-post/2019-07/")) == 31
    assert len(opened(house, LIST).xpath("//dl//a")) == 119


# What is not there


@pytest.mark.parametrize(
    "day",
    [
        "2026-02-30",
        "2026-13-01",
        "0000-00-00",
        "2026-W10-2",
        "2026-03-3x",
        "２０２６-03-03",
        "2020-01-01",
        "9999-12-31",
        "0001-01-01",
        "..........",
    ],
)
def test_a_date_that_has_no_edition_or_is_none_gets_a_kind_page(house: House, paper: Paper, day: str) -> None:
    went_out(paper, TODAY)
    for path in (f"/editions/morning-post/{day}", f"/editions/morning-post/{paper.slot_id}/{day}"):
        answer = get(house, path)
        assert answer.status_code == GONE, path
        assert "There is no such edition" in answer.text
        assert f'href="{LIST}"' in answer.text
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "month", ["2026-13", "2026-00", "0000-01", "9999-12", "2026-02", "2026-3x", "20260-3", "....-.."]
)
def test_a_month_that_has_no_edition_or_is_none_gets_a_kind_page(house: House, paper: Paper, month: str) -> None:
    went_out(paper, TODAY)
    answer = get(house, f"/editions/morning-post/{month}/")
    assert answer.status_code == GONE
    assert "There is no such edition" in answer.text


def test_an_unknown_newsletter_or_slot_gets_a_kind_page(either_house: House) -> None:
    paper = newsroom.found(either_house)
    other = newsroom.found(either_house, "evening-post")
    went_out(paper, TODAY)
    slots = (other.slot_id, 99, 0, 2**31 - 1, 2**31, 10**30, "-1", "x", "1.0", "%00")
    unknown = ["no-such/", "no-such/2026-03/", "no-such/2026-03-03", "no-such/feed.xml", "no-such/feed.json", "%00/"]
    strange = ["morning-post/2026", "morning-post/feed.atom", "morning-post/1/2/3", "morning-post/1/feed.xml"]
    for path in (*unknown, *strange, *(f"morning-post/{slot}/2026-03-03" for slot in slots)):
        answer = get(either_house, f"/editions/{path}")
        assert answer.status_code == GONE, path
        assert "<h1>" in answer.text, path
        assert "Traceback" not in answer.text


def test_nothing_can_be_sent_to_it(house: House, paper: Paper) -> None:
    went_out(paper, TODAY)
    for path in (HERE, LIST, "/feed.xml"):
        assert house.browser.post(path, base_url=SITE).status_code == 405, path


def test_hostile_words_are_text(house: House, paper: Paper) -> None:
    hostile = "<script>alert(1)</script>\x00\x07\u202e ]]> \"'&amp; \U0001f30a"
    items = [
        {
            "headline": hostile,
            "summary": hostile,
            "outlet": hostile,
            "section": hostile,
            "url": "javascript:alert(1)",
            "image_alt": hostile,
            "image_url": "javascript:alert(2)",
            "also_covered": [{"story_id": None, "outlet": hostile, "title": hostile, "url": "data:text/html,x"}],
        }
    ]
    set_(paper, pictures="link")
    went_out(paper, TODAY, items=items, intro=hostile, preheader=hostile)
    for path in (HERE, LIST, "/editions/morning-post/2026-03/"):
        text = get(house, path).text
        assert "<script>alert" not in text, path
        assert not re.search("[\x00\x07\u202e]", text), path
        page = html.fromstring(text)
        assert all(href.startswith(("/", "http", "#", "?")) for href in page.xpath("//@href")), path
        assert "<script>alert(1)</script> ]]> \"'&amp; \U0001f30a" in page.text_content(), path


def test_an_address_is_made_of_the_site_s_own_and_not_of_the_visitor_s_word(house: House, paper: Paper) -> None:
    went_out(paper, TODAY)
    for path in (HERE, LIST, "/feed.xml", f"{LIST}feed.json", "/editions", "/editions/morning-post"):
        answer = house.browser.get(path, base_url="https://evil.example")
        assert answer.status_code == 200, path
        assert "evil.example" not in answer.text, path
