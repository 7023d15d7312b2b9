"""The mails as readers get them: whole, readable by anyone, safe against what outlets write, and small enough."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import UndefinedError

from newsletter.mail import message, templates
from newsletter.mail.templates import Rendered, render

MARKER = "k3v9q2"
ADDRESS = message.mark(MARKER, "address")
LEAVE = message.mark(MARKER, "unsubscribe_url")
CONFIRM_LINK = "https://news.example/confirm/eyJhIjoxfQ.aSqL1A.0s3k5mQf8x1vKc2w9bD7uYtRzN4"
PREFERENCES = message.mark(MARKER, "preferences_url")
PREFERENCES_LINK = "https://news.example/preferences/eyJhIjozfQ.7uYtRzN40s3k5mQf8x1vKc2w9bD"
ARCHIVE_LINK = "https://news.example/editions/daily-headlines/2026-11-22"
LEAVE_LINK = "https://news.example/unsubscribe/eyJhIjoyfQ.7uYtRzN40s3k5mQf8x1vKc2w9bD"

NEWSLETTER: dict[str, Any] = {
    "name": "Daily Headlines",
    "tagline": "The coast's news, each story told once",
    "publisher": "The Harbor Gazette",
    "accent": "#9b1c1c",
    "language": "en-US",
    "postal_address": "The Harbor Gazette, 14 Quay Street, Port Ellery 20114",
    "typeface": "serif",
    "logo_url": "",
}

KNOWN_TO_MRML = {
    "mjml", "mj-head", "mj-title", "mj-preview", "mj-breakpoint", "mj-attributes", "mj-all", "mj-class", "mj-style",
    "mj-raw", "mj-body", "mj-wrapper", "mj-section", "mj-column", "mj-text", "mj-button", "mj-image", "mj-spacer",
}  # fmt: skip

HTML = {
    "html", "head", "title", "meta", "style", "body", "div", "table", "tbody", "tr", "td", "h1", "h2", "h3", "p", "a",
    "b", "br", "img", "span",
}  # fmt: skip

PAPER, NIGHT = "#fffefb", "#1b1a18"


def item(number: int, **other: Any) -> dict[str, Any]:
    return {
        "position": number,
        "headline": f"Headline number {number}",
        "summary": f"What happened in story {number}, and why it matters to the people of the coast.",
        "url": f"https://gazette.example/{number}?from=feed&id={number}",
        "outlet": "Harbor Gazette",
        "section": "",
        "image_url": None,
        "image_alt": "",
        "image_credit": "",
        "also_covered": [],
        "more_outlets": 0,
        "is_update": False,
        "hours_old": 5,
        **other,
    }


def pictured(number: int, **other: Any) -> dict[str, Any]:
    return item(
        number,
        image_url=f"https://news.example/pictures/{number}.jpg",
        image_alt=f"What picture {number} shows",
        image_credit=f"Photo: Ann Quay {number}",
        **other,
    )


def others(count: int) -> list[dict[str, str]]:
    return [
        {
            "outlet": f"Outlet {number}",
            "title": f"How outlet {number} tells it",
            "url": f"https://outlet{number}.example/story?a=1&b={number}",
        }
        for number in range(1, count + 1)
    ]


def edition(**other: Any) -> dict[str, Any]:
    items = [
        pictured(1, section="Front page", also_covered=others(3)),
        pictured(2, section="Region", also_covered=others(2)),
        pictured(3, section="Region", also_covered=others(1)),
        pictured(4, section="Sport"),
        item(5),
    ]
    return {
        "newsletter": NEWSLETTER,
        "edition": {"kind": "daily"},
        "block": None,
        "day_text": "Sunday, 22 November 2026",
        "archive_link": ARCHIVE_LINK,
        "subject": "Cranes, ships and a concert hall",
        "preheader": "Also: fourteen ships off Callow Bay",
        "intro": "Good morning.\r\n\r\nThe harbor takes the lead.",
        "items": items,
        "reader": {"address": ADDRESS, "unsubscribe_url": LEAVE, "preferences_url": PREFERENCES},
        **other,
    }


def reads() -> dict[str, Any]:
    """What a mail says to somebody who reads one newsletter."""
    told = {
        "name": "Daily Headlines",
        "time": "06:00",
        "zone": "America/New_York",
        "unsubscribe_link": LEAVE_LINK,
    }
    return {
        "newsletter": NEWSLETTER,
        "address": "ann@example.org",
        "preferences_link": PREFERENCES_LINK,
        "subscriptions": [told],
    }


MAILS: dict[str, dict[str, Any]] = {
    "edition": edition(block={"label": "", "text": "Come to the fair.", "link": "", "url": "", "after": 1}),
    "confirm": {
        "newsletter": NEWSLETTER,
        "address": "ann@example.org",
        "link": CONFIRM_LINK,
        "newsletters": ["Daily Headlines"],
        "requested_at": "2026-11-22T05:24:00+00:00",
        "until": "2026-11-29T05:24:00+00:00",
    },
    "already": reads(),
    "welcome": reads(),
    "alert": {
        "service_name": "Daily Headlines",
        "message": "The edition of Sunday, 22 November 2026 is held: it has 2 stories.",
        "remedy": "Add stories and approve it, or skip it for today. Nothing has been sent.",
        "admin_link": "https://news.example/admin/editions/12",
    },
}


class Page(HTMLParser):
    """A mail's HTML as a mail program sees it: comments, those for Outlook included, are left out."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self._inside: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag != "meta":
            self._inside.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._note_a_break(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._inside.pop() == tag, f"</{tag}> closes something else"

    def _note_a_break(self, tag: str) -> None:
        if tag not in ("a", "b"):
            self.texts.append(("", " "))

    def handle_data(self, data: str) -> None:
        self.texts.append((next(reversed(self._inside), ""), data))

    def every(self, *names: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.tags if tag in names]

    def outline(self) -> list[str]:
        return [tag for tag, _ in self.tags if re.fullmatch(r"h\d", tag)]

    @property
    def links(self) -> list[str]:
        return [attributes["href"] for attributes in self.every("a")]

    @property
    def text(self) -> str:
        return " ".join("".join(text for tag, text in self.texts if tag not in ("style", "title")).split())


def luminance(color: str) -> float:
    """WCAG 2.2's relative luminance."""
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.fixture(params=MAILS, scope="module")
def mail(request: pytest.FixtureRequest) -> tuple[str, Rendered, Page]:
    rendered = render(request.param, **MAILS[request.param])
    return request.param, rendered, Page(rendered.html)


Mail = tuple[str, Rendered, Page]


# Every mail


def test_nothing_of_the_template_is_left(mail: Mail) -> None:
    _, rendered, page = mail
    for part in (rendered.subject, rendered.html, rendered.text):
        assert not re.search(r"</?mj|\{\{|\{%|\{#|\bNone\b|&amp;amp;", part)
    assert {tag for tag, _ in page.tags} <= HTML


def test_the_subject_is_also_the_title(mail: Mail) -> None:
    _, rendered, page = mail
    assert [text for tag, text in page.texts if tag == "title"] == [rendered.subject]
    assert 0 < len(rendered.subject) <= 80


def test_it_says_its_language_and_direction(mail: Mail) -> None:
    name, _, page = mail
    (html,) = page.every("html")
    assert (html["lang"], html["dir"]) == ("en" if name == "alert" else "en-US", "ltr")


def test_there_is_one_h1_and_no_level_is_left_out(mail: Mail) -> None:
    outline = mail[2].outline()
    assert outline.count("h1") == 1
    assert outline[0] == "h1"
    assert all(int(after[1]) <= int(before[1]) + 1 for before, after in pairwise(outline))


def test_tables_are_only_for_layout(mail: Mail) -> None:
    assert all(table.get("role") == "presentation" for table in mail[2].every("table"))


def test_every_picture_has_an_alternative_text(mail: Mail) -> None:
    assert all("alt" in picture for picture in mail[2].every("img"))


def test_nothing_is_fetched_but_pictures(mail: Mail) -> None:
    _, rendered, page = mail
    assert page.every("link", "script", "iframe") == []
    assert not re.search(r"@import|url\(|fonts\.", rendered.html)


def test_it_has_a_dark_look(mail: Mail) -> None:
    _, rendered, page = mail
    assert {"name": "color-scheme", "content": "light dark"} in page.every("meta")
    assert "@media (prefers-color-scheme: dark)" in rendered.html


def test_the_dark_look_and_small_screens_reach_what_they_name(mail: Mail) -> None:
    name, _, page = mail
    used = {one for _, attributes in page.tags for one in attributes.get("class", "").split()}
    styled = set(re.findall(r"\.([a-z]+)\b(?=[^{}]*\{)", "".join(t for tag, t in page.texts if tag == "style")))
    ours = {"paper", "desk", "ink", "txt", "dim", "rule", "bar", "in"}
    assert ours <= used & styled
    if name == "edition":
        assert {"plate", "lead", "thumb", "beside", "tint", "hue", "heavy"} <= used & styled


def test_the_text_carries_every_link(mail: Mail) -> None:
    _, rendered, page = mail
    assert page.links
    assert {link for link in page.links if link not in rendered.text.split()} == set()


def test_the_text_is_plain_and_its_lines_are_short(mail: Mail) -> None:
    text = mail[1].text
    assert "<" not in text
    assert "&amp;" not in text
    assert "\n\n\n\n" not in text
    assert [line for line in text.splitlines() if len(line) > 72 and "://" not in line] == []


@pytest.mark.parametrize("name", MAILS)
def test_missing_data_is_an_error(name: str) -> None:
    for key in MAILS[name]:
        with pytest.raises(UndefinedError):
            render(name, **{other: value for other, value in MAILS[name].items() if other != key})


def test_every_mjml_tag_is_known_to_mrml() -> None:
    sources = [path.read_text() for path in (templates.folder() / "email").rglob("*.mjml")]
    assert {tag for source in sources for tag in re.findall(r"<(mj[a-z-]*)", source)} <= KNOWN_TO_MRML


# The edition


def test_an_edition_shows_all_there_is_to_a_story() -> None:
    rendered = render("edition", **edition())
    page = Page(rendered.html)
    for part in (page.text, rendered.text):
        assert "Sunday, 22 November 2026" in part
        assert "The coast's news, each story told once" in part
        assert "Headline number 1" in part
        assert "What happened in story 1" in part
        assert "5 h ago" in part
    assert "Also covered by Outlet 1, Outlet 2 and Outlet 3" in page.text
    assert "Also covered by Outlet 1 and Outlet 2" in page.text
    assert "- Outlet 3: How outlet 3 tells it\n     https://outlet3.example/story?a=1&b=3\n" in rendered.text
    assert "What picture 1 shows" in [picture["alt"] for picture in page.every("img")]
    assert "https://gazette.example/1?from=feed&id=1" in page.links


def test_the_preheader_comes_first_and_unseen() -> None:
    html = render("edition", **edition()).html
    hidden = html.index('<div style="display:none;')
    assert hidden < html.index("Also: fourteen ships") < html.index("<h1")
    assert "display:none" not in render("edition", **edition(preheader="")).html


def test_an_introduction_keeps_its_paragraphs() -> None:
    rendered = render("edition", **edition())
    assert "Good morning.</p>" in rendered.html
    assert "Good morning.\n\nThe harbor takes the lead.\n" in rendered.text


def test_stories_keep_their_order_and_a_run_of_a_section_has_one_heading() -> None:
    rendered = render("edition", **edition())
    assert Page(rendered.html).outline() == ["h1", "h2", "h3", "h2", "h3", "h3", "h2", "h3", "h2"]
    for part in (rendered.html, rendered.text):
        places = [part.index(f"Headline number {number}") for number in range(1, 6)]
        assert places == sorted(places)
        assert part.count("Region") == 1
    assert [line[:2] for line in rendered.text.splitlines() if "Headline number" in line] == [
        "1.",
        "2.",
        "3.",
        "4.",
        "5.",
    ]


def test_the_lead_has_a_large_picture_and_the_next_two_small_ones_with_their_credits() -> None:
    page = Page(render("edition", **edition()).html)
    assert [picture["width"] for picture in page.every("img")] == ["536", "132", "132"]
    assert [f"Photo: Ann Quay {number}" in page.text for number in (1, 2, 3, 4)] == [True, True, True, False]


def test_a_picture_link_without_words_is_hidden_from_screen_readers() -> None:
    wordless = Page(render("edition", **edition(items=[pictured(1) | {"image_alt": ""}])).html)
    assert [link.get("aria-hidden") for link in wordless.every("a")].count("true") == 1
    assert all("aria-hidden" not in link for link in Page(render("edition", **edition()).html).every("a"))


def test_what_is_empty_leaves_no_trace() -> None:
    bare = NEWSLETTER | {"tagline": "", "publisher": "", "postal_address": ""}
    items = [item(1, summary="", hours_old=0), item(2)]
    rendered = render("edition", **edition(newsletter=bare, items=items, intro="", preheader=""))
    assert "Also covered" not in rendered.html + rendered.text
    assert not re.search(r"<(p|h\d|b|td)[^>]*>\s*</", rendered.html)
    assert "\n\n\n\n" not in rendered.text


def test_the_marks_stand_as_they_are_and_can_be_filled() -> None:
    rendered = render("edition", **edition())
    page = Page(rendered.html)
    assert LEAVE in page.links
    assert f"You get this because {ADDRESS} signed up for Daily Headlines." in page.text
    words = {"address": "ann@example.org", "unsubscribe_url": LEAVE_LINK, "preferences_url": PREFERENCES_LINK}
    for part in (rendered.html, rendered.text):
        filled = message.fill(part, MARKER, words)
        assert MARKER not in filled
        assert "ann@example.org" in filled
        assert LEAVE_LINK in filled


def test_the_way_out_and_the_postal_address_are_at_the_end() -> None:
    rendered = render("edition", **edition())
    page = Page(rendered.html)
    assert page.text.endswith("Leave with one click The Harbor Gazette, 14 Quay Street, Port Ellery 20114")
    assert rendered.text.endswith(
        f"Leave with one click:\n{LEAVE}\n\nThe Harbor Gazette, 14 Quay Street, Port Ellery 20114\n"
    )


HOSTILE = '<script>alert(1)</script> & "quotes" {{ reader }} <!-- <mj-raw> \\ it\'s'


def test_what_outlets_write_stays_text() -> None:
    story = pictured(1) | dict.fromkeys(
        ("headline", "summary", "outlet", "section", "image_alt", "image_credit"), HOSTILE
    )
    story["also_covered"] = [{"outlet": HOSTILE, "title": HOSTILE, "url": 'https://x.example/?"><script>'}]
    words = dict.fromkeys(("subject", "preheader", "intro"), HOSTILE)
    names = NEWSLETTER | dict.fromkeys(("name", "tagline", "publisher", "postal_address"), HOSTILE)
    rendered = render("edition", **edition(items=[story], newsletter=names, **words))
    page = Page(rendered.html)
    assert page.every("script", "mj-raw") == []
    assert "<script" not in rendered.html
    assert page.text.count(HOSTILE) >= 10
    assert [picture["alt"] for picture in page.every("img")] == [HOSTILE]
    assert 'https://x.example/?"><script>' in page.links
    assert rendered.text.count("<script>alert(1)</script>") >= 8
    assert rendered.subject == HOSTILE


def test_spaces_and_backslashes_are_not_turned_into_escapes() -> None:
    """mrml writes attributes with Rust's {:?}."""
    story = pictured(1) | {"image_alt": "5\u00a0km\u00a0of\tC:\\quay", "url": "https://gazette.example/a\\b"}
    html = render("edition", **edition(items=[story], subject="«\u202fLe port\u202f»")).html
    page = Page(html)
    assert [picture["alt"] for picture in page.every("img")] == ["5 km of C:\\quay"]
    assert page.links[:2] == [ARCHIVE_LINK, "https://gazette.example/a\\b"]
    assert "\\u{" not in html


def test_thirty_long_stories_with_five_other_outlets_each_are_not_clipped() -> None:
    """Gmail clips at 102 KB (DESIGN.md §6)."""
    items = [
        pictured(
            number,
            section=f"Section {number // 3}",
            headline="A headline that takes its time to say what has happened & where, and to whom",
            summary=("Nobody on the quay had expected the vote to be unanimous & quick. " * 10)[:600],
            also_covered=[
                other | {"url": f"{other['url']}/2026/11/22/a-path-that-tells-the-headline-again-{number}"}
                for other in others(5)
            ],
        )
        for number in range(1, 31)
    ]
    rendered = render("edition", **edition(items=items))
    assert len(rendered.html.encode()) < 100_000
    assert "\n30. A headline" in rendered.text


@pytest.mark.parametrize("accent", ["#9b1c1c", "#ffe45c", "#000000", "#ffffff", "#00a86b", "#1d4ed8", "#ff00ff"])
def test_any_accent_is_made_readable_by_day_and_at_night(accent: str) -> None:
    html = render("confirm", **MAILS["confirm"] | {"newsletter": NEWSLETTER | {"accent": accent}}).html
    (button,) = re.findall(r'<td[^>]* bgcolor="(#[0-9a-f]{6})" role="presentation"', html)
    (night,) = re.findall(r"\.hue a \{ color: (#[0-9a-f]{6}) !important; \}", html)
    assert contrast(button, "#ffffff") >= 4.5
    assert contrast(button, PAPER) >= 4.5
    assert contrast(night, NIGHT) >= 4.5


def test_a_readable_accent_is_left_as_it_is() -> None:
    assert "border-top:4px solid #9b1c1c" in render("edition", **edition()).html


def test_a_language_that_runs_from_right_to_left_does() -> None:
    html = render("edition", **edition(newsletter=NEWSLETTER | {"language": "ar"})).html
    (root,) = Page(html).every("html")
    assert (root["lang"], root["dir"]) == ("ar", "rtl")
    assert "text-align:left;font" not in html
    assert 'align="left" border' in html  # the small pictures change sides


def test_a_newsletter_may_be_a_row_as_well_as_a_dictionary() -> None:
    assert render("edition", **edition(newsletter=SimpleNamespace(**NEWSLETTER))) == render("edition", **edition())


# The letters


def test_confirming_is_one_button_and_doing_nothing_is_enough_for_everyone_else() -> None:
    rendered = render("confirm", **MAILS["confirm"])
    page = Page(rendered.html)
    assert rendered.subject == "Please confirm: Daily Headlines"
    assert set(page.links) == {CONFIRM_LINK}
    assert "Yes, send me Daily Headlines" in page.text
    for part in (page.text, rendered.text):
        assert "If it was not you, do nothing." in part
        assert "Nothing will be sent." in part
        assert "22 November 2026, 05:24" in part
        assert "ann@example.org" in part
        assert "29 November 2026" in part


def test_who_is_signed_up_already_need_do_nothing_and_may_leave() -> None:
    rendered = render("already", **MAILS["already"])
    assert rendered.subject == "You are signed up already: Daily Headlines"
    assert set(Page(rendered.html).links) == {LEAVE_LINK, PREFERENCES_LINK}
    assert "there is nothing to do" in " ".join(rendered.text.split())


def test_a_welcome_says_when_it_comes_and_how_to_leave() -> None:
    rendered = render("welcome", **MAILS["welcome"])
    for part in (Page(rendered.html).text, rendered.text):
        assert "06:00 New York time" in part
        assert "contacts" in part
        assert LEAVE_LINK in rendered.text


def test_an_alert_says_what_happened_and_what_to_do() -> None:
    long = MAILS["alert"] | {"message": "The relay mail.example:587 cannot be used: " + "it did not answer, " * 9}
    rendered = render("alert", **long)
    assert len(rendered.subject) <= 80
    assert Page(rendered.html).links == ["https://news.example/admin/editions/12"]
    for part in (Page(rendered.html).text, " ".join(rendered.text.split())):
        assert "Nothing has been sent." in part
        assert "The relay mail.example:587 cannot be used" in part


# What an item may be


def test_an_update_says_so_and_outlets_beyond_those_named_are_counted() -> None:
    others = [{"outlet": "Ridge Courier", "title": "Bridge", "url": "https://ridge.example/1"}]
    told = item(1, is_update=True, also_covered=others, more_outlets=4)
    mail = render("edition", **edition(items=[told]))
    assert "Update:</span> " in mail.html
    assert "Update: Headline number 1" in mail.text
    assert " and 4 more" in mail.html
    assert "- and 4 more" in mail.text


def test_a_story_without_a_page_stands_there_without_a_link() -> None:
    mail = render("edition", **edition(items=[item(1, url="", image_url="https://news.example.org/p.jpg")]))
    assert "Headline number 1" in mail.html
    assert 'href=""' not in mail.html
    assert "\n\n\n\n" not in mail.text
