"""The page of the sources: how each is, in words, those that need a look first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from lxml import html

from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db, transaction
from newsletter.newsletters.models import newsletter
from newsletter.stories import following
from newsletter.stories.following import Use
from newsletter.stories.models import Source, SourceState, Story
from tests.conftest import House
from tests.integration.web import signed_in
from tests.support.newsroom import found

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def desk(either_house: House) -> House:
    found(either_house)
    return either_house


def add(house: House, name: str, use: Use | None = None, **columns: Any) -> int:
    """A source as it stands in the tables."""
    with house.app.app_context():
        url = f"https://{name.lower().replace(' ', '-')}.example/feed"
        added = following.add_source(newsletter(None), url, name, house.now, COMMAND, use=use).id
        with transaction():
            for column, value in columns.items():
                setattr(db.session.get_one(Source, added), column, value)
        return added


def publish(house: House, source_id: int, *hours_ago: float) -> None:
    with house.app.app_context(), transaction() as session:
        for ago in hours_ago:
            key, at = f"{source_id}-{ago}", house.now - timedelta(hours=ago)
            seen = {"published_at": at, "first_seen_at": at, "updated_at": at}
            session.add(Story(source_id=source_id, identity=key, page=key, url="https://a.example", title="x", **seen))


def page(house: House) -> html.HtmlElement:
    answer = signed_in(house).get("/admin/sources")
    assert answer.status_code == 200
    return html.fromstring(answer.text)


def words(element: html.HtmlElement) -> str:
    return " ".join(" ".join(element.itertext()).split()).replace(" .", ".")


def said(house: House) -> dict[str, dict[str, str]]:
    """What the page says of each outlet, by the column's name."""
    return {
        row.findtext("th//strong"): {cell.get("data-label"): words(cell) for cell in row.findall("td")}
        for row in page(house).iterfind(".//tbody/tr")
    }


def test_without_sources_the_page_says_what_to_do(desk: House) -> None:
    text = page(desk).text_content()
    assert "No source yet" in text
    assert "newsletter sources add URL" in text


def test_a_source_that_is_well_is_told_in_few_words(desk: House) -> None:
    it = add(desk, "Bay Herald", Use(2.0, own=True, on_topic=True, section="Coast"), state=SourceState.OK)
    publish(desk, it, 2, 30)
    with desk.app.app_context(), transaction():
        changed = db.session.get_one(Source, it)
        changed.succeeded_at, changed.next_poll_at = desk.now, desk.now + timedelta(minutes=15)
    assert said(desk) == {
        "Bay Herald": {
            "State": "OK",
            "Used by": "Morning Post Weight 2, our own, on topic, Coast",
            "Stories": "0.3 a day 2 in all, the newest 3 Mar 2026, 03:20 UTC",
            "Last answered": "3 Mar 2026, 05:20 UTC Asked again 3 Mar 2026, 05:35 UTC",
        }
    }


def test_trouble_is_told_in_words_with_since_when(desk: House) -> None:
    error = "The server answered 404 Not Found: there is nothing at this address."
    since = desk.now - timedelta(days=1)
    add(desk, "Bay Herald", state=SourceState.FAILING, error=error, failing_since=since)
    gone = "The server says that this feed is gone for good (410)."
    add(desk, "Cape Courier", state=SourceState.GONE, error=gone, failing_since=since)
    rows = said(desk)
    assert rows["Bay Herald"]["State"].startswith(
        f"Failing {error} Since 2 Mar 2026, 05:20 UTC It is asked again by itself."
    )
    assert rows["Cape Courier"]["State"].startswith(
        f"Gone {gone} Since 2 Mar 2026, 05:20 UTC It is not asked any more."
    )
    assert "If the outlet has a new address for it, give it that one." in rows["Cape Courier"]["State"]
    assert rows["Cape Courier"]["Last answered"] == "–"


def test_silence_is_told_with_what_is_usual_for_this_source(desk: House) -> None:
    it = add(desk, "Bay Herald", state=SourceState.SILENT)
    publish(desk, it, 30, 33, 36, 39, 42, 45)
    assert said(desk)["Bay Herald"]["State"] == (
        "Silent No new story since 1 Mar 2026, 23:20 UTC. Unusual for this source: it is seldom silent for 3 hours. "
        "Its feed answers, and nothing new is in it. Look whether the outlet publishes elsewhere now."
    )


def test_a_disabled_source_says_whether_anybody_follows_it(desk: House) -> None:
    one, two = add(desk, "Bay Herald"), add(desk, "Cape Courier")
    with desk.app.app_context():
        following.change(one, None, desk.now, COMMAND, disabled="yes")
        following.unfollow(newsletter(None), two, desk.now, COMMAND)
    rows = said(desk)
    assert rows["Bay Herald"]["State"] == "Disabled It is not asked. Its stories stay."
    assert rows["Cape Courier"]["State"] == "Disabled No newsletter follows it. Its stories stay."
    assert rows["Cape Courier"]["Used by"] == "None"


def test_a_source_that_moved_says_from_where_and_when(desk: House) -> None:
    it = add(desk, "Bay Herald")
    with desk.app.app_context():
        following.move_source(it, "https://new.example/feed", desk.now, COMMAND)
    state = said(desk)["Bay Herald"]["State"]
    assert state == (
        "New It is asked within a minute or so. Moved here on 3 Mar 2026, 05:20 UTC from https://bay-herald.example/feed"
    )


def test_those_that_need_a_look_come_first_and_each_state_is_counted(desk: House) -> None:
    states = (
        SourceState.OK,
        SourceState.FAILING,
        SourceState.DISABLED,
        SourceState.SILENT,
        SourceState.GONE,
        SourceState.FAILING,
    )
    for number, state in enumerate(states):
        add(desk, f"Outlet {number}", state=state)
    assert list(said(desk)) == ["Outlet 1", "Outlet 5", "Outlet 4", "Outlet 3", "Outlet 0", "Outlet 2"]
    assert words(page(desk).find(".//dl")) == "Failing 2 Gone 1 Silent 1 OK 1 Disabled 1"


def test_words_of_strangers_are_text(desk: House) -> None:
    add(desk, "Bay Herald", Use(section=SCRIPT), outlet=SCRIPT, error=SCRIPT, state=SourceState.FAILING)
    text = signed_in(desk).get("/admin/sources").text
    assert SCRIPT not in text
    assert text.count("&lt;script&gt;") == 3
