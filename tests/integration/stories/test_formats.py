"""Every kind of feed, from the outlet's server into the stories."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from newsletter.foundation.config import FetchingConfig
from newsletter.foundation.database import db
from newsletter.stories import collecting
from newsletter.stories.fetching import HttpFetcher
from newsletter.stories.models import Story
from tests.conftest import House
from tests.support.feeds import feed, follow, item, poll, rss, stories
from tests.support.raw_outlet import RawOutlet, answer

CAPTURES = Path(__file__).parents[4] / "shared" / "data" / "feeds"
MONDAY = datetime(2026, 3, 2, 22, 30, tzinfo=UTC)
DATE = "Mon, 02 Mar 2026 22:30:00 GMT"

RSS_090 = """<?xml version="1.0"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://my.netscape.com/rdf/simple/0.9/">
<channel><title>Bay Herald</title><link>https://herald.example/</link></channel>
<item><title>Bridge closes</title><link>https://herald.example/bridge</link></item></rdf:RDF>"""

RSS_091_OF_NETSCAPE = """<?xml version="1.0"?>
<!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN" "http://my.netscape.com/publish/formats/rss-0.91.dtd">
<rss version="0.91"><channel><title>Bay Herald</title><item><title>Bridge closes</title>
<link>https://herald.example/bridge</link><description>Until spring.</description></item></channel></rss>"""

RSS_092 = """<rss version="0.92"><channel><title>Bay Herald</title><item><title>Bridge closes</title>
<link>https://herald.example/bridge</link><description>Until &lt;i&gt;spring&lt;/i&gt;.</description>
<category>Coast</category><enclosure url="https://herald.example/b.jpg" type="image/jpeg" length="9"/>
</item></channel></rss>"""

RSS_10 = f"""<?xml version="1.0"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel rdf:about="https://herald.example/"><title>Bay Herald</title><link>https://herald.example/</link>
<items><rdf:Seq><rdf:li rdf:resource="https://herald.example/bridge"/></rdf:Seq></items></channel>
<item rdf:about="https://herald.example/bridge"><title>Bridge closes</title><link>https://herald.example/bridge</link>
<description>Until spring.</description><dc:creator>Ann Lee</dc:creator><dc:subject>Coast</dc:subject>
<dc:date>{MONDAY.isoformat()}</dc:date></item></rdf:RDF>"""

RSS_20 = f"""<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>Bay Herald</title>
<item><title>Bridge closes</title><link>https://herald.example/bridge</link><description>Until spring.</description>
<dc:creator>Ann Lee</dc:creator><category>Coast</category><category>Roads</category><pubDate>{DATE}</pubDate>
</item></channel></rss>"""

ATOM_03 = """<feed version="0.3" xmlns="http://purl.org/atom/ns#"><title>Bay Herald</title><entry>
<title>Bridge closes</title><link rel="alternate" type="text/html" href="https://herald.example/bridge"/>
<issued>2026-03-02T22:30:00Z</issued><summary>Until spring.</summary><author><name>Ann Lee</name></author>
</entry></feed>"""

ATOM_10 = """<feed xmlns="http://www.w3.org/2005/Atom"><title>Bay Herald</title><entry>
<title type="html">Bridge &lt;b&gt;closes&lt;/b&gt;</title><link href="https://herald.example/bridge"/>
<id>tag:herald.example,2026:bridge</id><updated>2026-03-02T23:30:00+01:00</updated>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>Until spring.</p></div></content>
<author><name>Ann Lee</name><email>ann@herald.example</email></author><author><name>Bo Ek</name></author>
<category term="c-17" label="Coast"/></entry></feed>"""

JSON_1 = json.dumps(
    {
        "version": "https://jsonfeed.org/version/1",
        "title": "Bay Herald",
        "items": [
            {
                "id": "bridge",
                "url": "https://herald.example/bridge",
                "title": "Bridge closes",
                "content_html": "<p>Until <i>spring</i>.</p>",
                "author": {"name": "Ann Lee"},
                "tags": ["Coast"],
                "date_published": "2026-03-02T22:30:00Z",
            }
        ],
    }
)

FEEDS = {
    "RSS 0.90": (RSS_090, "text/xml", "", "", [], False),
    "RSS 0.91 of Netscape": (RSS_091_OF_NETSCAPE, "text/xml", "Until spring.", "", [], False),
    "RSS 0.91": (RSS_092.replace("0.92", "0.91"), "application/xml", "Until spring.", "", ["Coast"], False),
    "RSS 0.92": (RSS_092, "text/xml", "Until spring.", "", ["Coast"], False),
    "RSS 1.0": (RSS_10, "application/rdf+xml", "Until spring.", "Ann Lee", ["Coast"], True),
    "RSS 2.0": (RSS_20, "application/rss+xml", "Until spring.", "Ann Lee", ["Coast", "Roads"], True),
    "Atom 0.3": (ATOM_03, "application/atom+xml", "Until spring.", "Ann Lee", [], True),
    "Atom 1.0": (ATOM_10, "application/atom+xml", "Until spring.", "Ann Lee, Bo Ek", ["Coast"], True),
    "JSON Feed": (JSON_1, "application/feed+json", "Until spring.", "Ann Lee", ["Coast"], True),
    "JSON Feed called text": (JSON_1, "text/plain", "Until spring.", "Ann Lee", ["Coast"], True),
    "without a type": (RSS_20, "", "Until spring.", "Ann Lee", ["Coast", "Roads"], True),
}


@pytest.mark.parametrize("kind", FEEDS)
def test_a_feed_of_any_kind_becomes_stories(desk: House, outlet: RawOutlet, kind: str) -> None:
    text, content_type, summary, author, tags, dated = FEEDS[kind]
    outlet.pages["/feed"] = answer(text.encode(), **{"content_type": content_type} if content_type else {})
    assert poll(desk, follow(desk, outlet.url("/feed"))).error is None

    (story,) = stories(desk)
    assert (story.title, story.url) == ("Bridge closes", "https://herald.example/bridge")
    assert (story.summary, story.author, story.tags) == (summary, author, tags)
    assert story.section == (tags[0] if tags else "")
    assert (story.published_at, story.date_note is None) == ((MONDAY, True) if dated else (desk.now, False))


def test_the_text_of_an_article_stands_in_for_a_summary(desk: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = feed(
        item("Both", "https://a.example/1", "The summary.", more="<content:encoded>The text.</content:encoded>"),
        item("Text", "https://a.example/2", "", more="<content:encoded>&lt;p&gt;The text.&lt;/p&gt;</content:encoded>"),
    )
    poll(desk, follow(desk, outlet.url("/feed")))
    assert [story.summary for story in stories(desk)] == ["The summary.", "The text."]


def test_an_author_is_a_name_where_there_is_one(desk: House, outlet: RawOutlet) -> None:
    written = ["ann@a.example (Ann Lee)", "Bo Ek", "news@a.example", ""]
    items = [item(f"{n}", f"https://a.example/{n}", more=f"<author>{who}</author>") for n, who in enumerate(written)]
    outlet.pages["/feed"] = feed(*items)
    poll(desk, follow(desk, outlet.url("/feed")))
    assert [story.author for story in stories(desk)] == ["Ann Lee", "Bo Ek", "news@a.example", ""]


# Pictures


def test_a_picture_comes_with_its_own_description_and_credit(desk: House, outlet: RawOutlet) -> None:
    """Each of several pictures has its own, and neither is taken for the story's title or summary."""
    media = """<media:group><media:title>Not the headline</media:title>
      <media:content url="small.jpg" medium="image" width="140">
        <media:description>Small</media:description>
      </media:content>
      <media:content url="/p/wide.jpg" type="image/jpeg" width="1200">
        <media:description>The bridge in &lt;b&gt;fog&lt;/b&gt;</media:description>
        <media:credit role="photographer">Ann Lee</media:credit><media:credit>Bay Herald</media:credit>
      </media:content>
      <media:content url="film.mp4" type="video/mp4" width="1920"/></media:group>"""
    words = "<title>Bridge closes</title><link>https://a.example/1</link><description>Until spring.</description>"
    outlet.pages["/feed"] = feed(f"<item>{media}{words}</item>")
    poll(desk, follow(desk, outlet.url("/feed")))

    (told,) = stories(desk)
    assert (told.title, told.summary) == ("Bridge closes", "Until spring.")
    assert told.image_url == outlet.url("/p/wide.jpg")
    assert (told.image_alt, told.image_credit) == ("The bridge in fog", "Ann Lee, Bay Herald")


SAID = "<media:description>A ferry</media:description><media:credit>Bo Ek</media:credit>"
IT = 'url="https://a.example/p.jpg"'
PICTURES = {
    "content": f'<media:content {IT} medium="image"/>',
    "content in a group": f"<media:group><media:content {IT}/></media:group>",
    "thumbnail": f"<media:thumbnail {IT}/>",
    "enclosure": f'<enclosure {IT} type="image/jpeg" length="1"/>',
    "enclosure without a type": f"<enclosure {IT}/>",
    "beside a film": f'<enclosure url="https://a.example/f.mp4" type="video/mp4"/><media:thumbnail {IT}/>',
    "main": f'<media:content url="https://a.example/x.jpg" width="9"/><media:content {IT} isDefault="true"/>',
    "not the writer": f'<media:content url="https://0.gravatar.com/avatar/x"/><media:content {IT}/>',
}


@pytest.mark.parametrize("name", PICTURES)
def test_wherever_a_feed_names_a_picture_it_is_found_with_what_is_said_of_it(
    desk: House, outlet: RawOutlet, name: str
) -> None:
    outlet.pages["/feed"] = feed(item("One", "https://a.example/1", more=PICTURES[name] + SAID))
    poll(desk, follow(desk, outlet.url("/feed")))
    (story,) = stories(desk)
    assert (story.image_url, story.image_alt, story.image_credit) == ("https://a.example/p.jpg", "A ferry", "Bo Ek")
    assert story.summary == "All about it."


@pytest.mark.parametrize("group", ["{}", "<media:group>{}</media:group>"])
def test_what_is_said_of_a_picture_is_not_said_of_the_story(desk: House, outlet: RawOutlet, group: str) -> None:
    media = (
        f"<media:content {IT}/><media:title>The picture</media:title>{SAID}<media:keywords>sea, fog</media:keywords>"
    )
    words = "<title>Bridge closes</title><link>https://a.example/1</link>"
    outlet.pages["/feed"] = feed(f"<item>{words}{group.format(media)}<category>Coast</category></item>")
    poll(desk, follow(desk, outlet.url("/feed")))
    (story,) = stories(desk)
    assert (story.title, story.summary, story.tags) == ("Bridge closes", "", ["Coast"])
    assert story.image_alt == "A ferry"


@pytest.mark.parametrize(
    "named",
    [
        "",
        '<enclosure url="https://a.example/talk.mp3" type="audio/mpeg"/>',
        '<enclosure url="https://a.example/talk.mp3"/>',
        '<media:content url="javascript:alert(1)" medium="image"/>',
        '<media:content url="data:image/png;base64,AA" medium="image"/>',
        '<media:content medium="image"/>',
        '<media:content url="https://a.example/f.mp4" medium="video"/>',
    ],
)
def test_what_is_no_picture_is_none(desk: House, outlet: RawOutlet, named: str) -> None:
    outlet.pages["/feed"] = feed(item("One", "https://a.example/1", more=named + SAID))
    poll(desk, follow(desk, outlet.url("/feed")))
    (story,) = stories(desk)
    assert (story.image_url, story.image_alt, story.image_credit) == (None, "", "")


def test_an_atom_enclosure_is_a_picture_and_its_title_describes_it(desk: House, outlet: RawOutlet) -> None:
    link = '<link rel="enclosure" type="image/png" href="p.png" title="A ferry"/><link href="story"/>'
    body = (
        f'<feed xmlns="http://www.w3.org/2005/Atom"><entry xml:base="/north/"><title>One</title>{link}</entry></feed>'
    )
    outlet.pages["/feed"] = answer(body.encode(), content_type="application/atom+xml")
    poll(desk, follow(desk, outlet.url("/feed")))
    (story,) = stories(desk)
    assert (story.url, story.image_url) == (outlet.url("/north/story"), outlet.url("/north/p.png"))
    assert story.image_alt == "A ferry"


@pytest.mark.parametrize(
    ("values", "found", "alt"),
    [
        ({"image": "p.jpg"}, "/p.jpg", ""),
        ({"banner_image": "/b.jpg"}, "/b.jpg", ""),
        ({"attachments": [{"url": "p.jpg", "mime_type": "image/jpeg", "title": "A ferry"}]}, "/p.jpg", "A ferry"),
        (
            {"image": "/p.jpg", "attachments": [{"url": "p.jpg", "mime_type": "image/jpeg", "title": "A ferry"}]},
            "/p.jpg",
            "A ferry",
        ),
        (
            {"image": "p.jpg", "attachments": [{"url": "q.jpg", "mime_type": "image/jpeg", "title": "Other"}]},
            "/p.jpg",
            "",
        ),
        ({"attachments": [{"url": "talk.mp3", "mime_type": "audio/mpeg", "title": "A talk"}]}, None, ""),
        ({"attachments": "none", "image": ["no"]}, None, ""),
    ],
)
def test_a_json_feed_names_a_picture_itself_or_among_what_is_attached(
    desk: House, outlet: RawOutlet, values: dict[str, object], found: str | None, alt: str
) -> None:
    body = json.dumps({"items": [{"id": "1", "url": "https://a.example/1", "title": "One"} | values]})
    outlet.pages["/feed"] = answer(body.encode(), content_type="application/feed+json")
    poll(desk, follow(desk, outlet.url("/feed")))
    (story,) = stories(desk)
    assert story.image_url == (outlet.url(found) if found else None)
    assert story.image_alt == alt


def test_a_picture_that_the_outlet_changes_or_takes_away_is_changed_or_taken_away(
    desk: House, outlet: RawOutlet
) -> None:
    named = '<media:content url="https://a.example/{}.jpg"><media:description>{}</media:description></media:content>'
    source_id = follow(desk, outlet.url("/feed"))
    pictures = []
    for more in (named.format("a", "One"), named.format("a", "One, mended"), named.format("b", "Two"), ""):
        outlet.pages["/feed"] = feed(item("One", "https://a.example/1", more=more))
        poll(desk, source_id)
        pictures.append([(story.image_url, story.image_alt) for story in stories(desk)])
    assert pictures == [
        [("https://a.example/a.jpg", "One")],
        [("https://a.example/a.jpg", "One, mended")],
        [("https://a.example/b.jpg", "Two")],
        [(None, "")],
    ]


# Odd things in otherwise good feeds


def test_a_json_feed_with_values_of_every_wrong_kind_gives_what_is_right_in_it(
    either_desk: House, outlet: RawOutlet
) -> None:
    desk = either_desk
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
    collected = poll(desk, follow(desk, outlet.url("/feed")))

    assert (collected.new, collected.error) == (1, None)
    (story,) = stories(desk)
    assert (story.title, story.tags, story.author) == ("Good", ["politics"], "3, Ann")


def test_relative_links_are_the_feeds_own(desk: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = answer(status="302 Found", location="/there/feed")
    outlet.pages["/there/feed"] = feed(item("One", "story.html"), item("Two", "/two"), item("Three", "//b.example/3"))
    poll(desk, follow(desk, outlet.url("/feed")))
    found = [story.url for story in stories(desk)]
    assert found == [outlet.url("/there/story.html"), outlet.url("/two"), "http://b.example/3"]


@pytest.mark.parametrize(
    "link",
    ["javascript:alert(1)", "data:text/html,x", "mailto:a@b.example", "ftp://a.example/", "", " ", "http://[::1"],
)
def test_an_item_that_leads_to_no_web_page_is_left_out(desk: House, outlet: RawOutlet, link: str) -> None:
    outlet.pages["/feed"] = feed(item("No", link), item("Yes", "https://a.example/1"))
    assert poll(desk, follow(desk, outlet.url("/feed"))).error is None
    assert [story.title for story in stories(desk)] == ["Yes"]


def test_what_is_longer_than_its_column_is_shortened(either_desk: House, outlet: RawOutlet) -> None:
    desk, many = either_desk, 3000
    outlet.pages["/feed"] = answer(
        rss(
            f"<item><title>{'t' * many}</title><link>https://a.example/1</link><description>{'s ' * many}</description>"
            f"<dc:creator>{'a' * many}</dc:creator><category>{'c' * many}</category>"
            f'<media:content url="https://a.example/p.jpg"><media:description>{"d" * many}</media:description>'
            f"<media:credit>{'e' * many}</media:credit></media:content></item>",
            item("Long way", f"https://a.example/{'l' * many}"),
            title="o" * many,
        ),
        etag=f'"{"e" * many}"',
        last_modified="m" * many,
    )
    collected = poll(desk, follow(desk, outlet.url("/feed")))

    assert (collected.new, collected.error) == (1, None)
    (story,) = stories(desk)
    assert (len(story.title), len(story.author), len(story.section), len(story.tags[0])) == (500, 200, 100, 100)
    assert len(story.summary) <= 600
    assert (len(story.image_alt), len(story.image_credit)) == (500, 200)


# Captures of real feeds


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="the captured feeds lie beside a developer's checkout only")
def test_every_captured_feed_is_read_twice_without_a_fault_and_without_doubles(desk: House, outlet: RawOutlet) -> None:
    captures = sorted(file for file in CAPTURES.iterdir() if file.suffix != ".txt")
    with desk.app.app_context():
        fetcher = HttpFetcher(FetchingConfig(allow_networks=("127.0.0.1/32",)))
        ids = {}
        for file in captures:
            outlet.pages[f"/{file.name}"] = answer(file.read_bytes())
            ids[file.name] = follow(desk, outlet.url(f"/{file.name}"))
        first = {one.source_id: one for one in collecting.collect_due(desk.now, fetcher)}
        second = [collecting.collect(source_id, desk.now, fetcher) for source_id in ids.values()]
        total = db.session.scalar(sa.select(sa.func.count()).select_from(Story))

    assert {name: first[source_id].error for name, source_id in ids.items() if first[source_id].error} == {}
    assert [one for one in second if one.new or one.updated or one.error] == []
    assert total == sum(one.new for one in first.values()) > 100
