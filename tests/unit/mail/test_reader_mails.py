"""The single mails to readers: each is whole, kind and safe, whatever the names and addresses in it are made of."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import pytest
from jinja2 import UndefinedError

from newsletter.foundation.languages import LANGUAGES, spoken
from newsletter.mail import templates
from newsletter.mail.templates import Rendered, render

SITE = "https://news.example.org"
CONFIRM = f"{SITE}/confirm/WzE3LDE3NzQ5NDM5MjBd.7uYtRzN40s3k5mQf8x1vKc2w9bD"
CHANGE = f"{SITE}/change/WzE3LDE3NzQ5NDM5MjBd.7uYtRzN40s3k5mQf8x1vKc2w9bD"
PREFERENCES = f"{SITE}/preferences/WzQyLDBd.0s3k5mQf8x1vKc2w9bD7uYtRzN4"
ANN, NEW = "ann@example.org", "ann.new@example.net"

NEWSLETTER: dict[str, Any] = {
    "name": "Daily Headlines",
    "accent": "#9b1c1c",
    "language": "en",
    "postal_address": "The Harbor Gazette, 14 Quay Street, Port Ellery 20114",
    "contact": "desk@example.org",
}


def read(
    number: int, name: str = "Daily Headlines", time: str = "06:00", zone: str = "America/New_York"
) -> dict[str, str]:
    way_out = f"{SITE}/unsubscribe/WzQy{number}LDBd.7uYtRzN40s3k"
    return {"name": name, "time": time, "zone": zone, "unsubscribe_link": way_out}


def asks(*names: str) -> dict[str, Any]:
    return {
        "newsletter": NEWSLETTER,
        "address": ANN,
        "link": CONFIRM,
        "newsletters": list(names),
        "requested_at": "2026-03-03T05:20:00+00:00",
        "until": "2026-03-10T05:20:00+00:00",
    }


def reads(*subscriptions: dict[str, str], **more: str) -> dict[str, Any]:
    return {
        "newsletter": NEWSLETTER,
        "address": ANN,
        "preferences_link": PREFERENCES,
        "subscriptions": list(subscriptions),
        **more,
    }


ONE, TWO = (read(1),), (read(1), read(2, "Defense Briefing", "18:30", "Asia/Tokyo"))
NAMES = ("Daily Headlines", "Defense Briefing")

TO_STRANGERS: dict[str, tuple[str, dict[str, Any]]] = {
    "confirm one": ("confirm", asks("Daily Headlines")),
    "confirm two": ("confirm", asks(*NAMES)),
    "remind one": ("remind", asks("Daily Headlines")),
    "remind two": ("remind", asks(*NAMES)),
    "change": (
        "change",
        {
            "newsletter": NEWSLETTER,
            "address": NEW,
            "link": CHANGE,
            "until": "2026-03-10T05:20:00+00:00",
        },
    ),
}
TO_READERS: dict[str, tuple[str, dict[str, Any]]] = {
    "already one": ("already", reads(*ONE)),
    "already two": ("already", reads(*TWO)),
    "welcome one": ("welcome", reads(*ONE)),
    "welcome two": ("welcome", reads(*TWO)),
    "preferences one": ("preferences", reads(*ONE)),
    "preferences two": ("preferences", reads(*TWO)),
    "preferences none": ("preferences", reads()),
    "changing": ("changing", reads(*ONE, new_address=NEW)),
    "changing two": ("changing", reads(*TWO, new_address=NEW)),
    "changed": ("changed", reads(*ONE, address=NEW, old_address=ANN)),
    "changed none": ("changed", reads(address=NEW, old_address=ANN)),
}
LAST_WORDS: dict[str, tuple[str, dict[str, Any]]] = {
    "moved": ("moved", {"newsletter": NEWSLETTER, "address": ANN, "new_address": NEW}),
}
MAILS = TO_STRANGERS | TO_READERS | LAST_WORDS

TAGS = {
    "html", "head", "title", "meta", "style", "body", "div", "table", "tbody", "tr", "td", "h1", "p", "a", "b", "br",
    "ul", "li",
}  # fmt: skip
EMPTY = {"meta", "br"}
OVERRIDES = re.compile("[\u202a-\u202e\u2066-\u2069]")


class Page(HTMLParser):
    """A mail's HTML as a mail program sees it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.shown: list[str] = []
        self._inside: list[str] = []
        self.feed(html)
        assert self._inside == [], "something is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in EMPTY:
            self._inside.append(tag)
        if tag not in ("a", "b"):
            self.shown.append(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self.shown.append(" ")

    def handle_endtag(self, tag: str) -> None:
        assert self._inside.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if not {"style", "title"} & set(self._inside):
            self.shown.append(data)

    @property
    def links(self) -> list[str]:
        return [attributes["href"] for tag, attributes in self.tags if tag == "a"]

    @property
    def text(self) -> str:
        return " ".join("".join(self.shown).split())


@pytest.fixture(params=MAILS, scope="module")
def mail(request: pytest.FixtureRequest) -> tuple[str, Rendered, Page]:
    name, data = MAILS[request.param]
    rendered = render(name, **data)
    return request.param, rendered, Page(rendered.html)


Mail = tuple[str, Rendered, Page]


def flat(text: str) -> str:
    return " ".join(text.split())


# Every one of them


def test_every_mail_that_a_reader_may_get_is_looked_at_here() -> None:
    folders = {folder.name for folder in (templates.folder() / "email").iterdir() if folder.is_dir()}
    to_staff = {"alert", "alerts", "answer", "draft", "staff_invitation", "staff_link"}
    assert folders - {"_parts", "edition"} - to_staff == {name for name, _ in MAILS.values()}


def test_it_is_whole(mail: Mail) -> None:
    """And holds no tag that the compiler did not know."""
    _, rendered, page = mail
    for part in (rendered.subject, rendered.html, rendered.text):
        assert not re.search(r"</?mj|\{\{|\{%|\{#|\bNone\b|Undefined|&amp;amp;|<built-in", part)
    assert {tag for tag, _ in page.tags} <= TAGS
    assert len(rendered.html.encode()) < 100_000
    assert 0 < len(rendered.subject) <= 80
    assert f"<title>{rendered.subject}</title>" in rendered.html
    assert [tag for tag, _ in page.tags].count("h1") == 1
    assert NEWSLETTER["postal_address"] in page.text
    assert NEWSLETTER["postal_address"] in rendered.text


def test_what_is_listed_before_it_is_opened_is_said_by_us(mail: Mail) -> None:
    _, rendered, _ = mail
    hidden = re.search(r'<div style="display:none[^>]*>([^<]*)</div>', rendered.html)
    assert hidden, "it has a preheader"
    assert 15 <= len(hidden[1].strip()) <= 100


def test_it_has_the_newsletter_s_look_by_day_and_at_night(mail: Mail) -> None:
    _, rendered, _ = mail
    assert "border-top:4px solid #9b1c1c" in rendered.html
    assert "@media (prefers-color-scheme: dark)" in rendered.html
    assert "@media (max-width: 480px)" in rendered.html


def test_every_link_is_ours_and_stands_in_the_text_too(mail: Mail) -> None:
    _, rendered, page = mail
    for link in page.links:
        parts = urlsplit(link)
        assert (parts.scheme, parts.netloc) == ("https", "news.example.org")
        assert link in rendered.text.split()
    in_the_text = {word for word in rendered.text.split() if "://" in word}
    assert in_the_text == set(page.links)


def test_the_text_is_plain_and_its_lines_are_short(mail: Mail) -> None:
    text = mail[1].text
    assert not re.search(r"[<>]|&\w+;", text)
    assert "\n\n\n" not in text
    assert not text.startswith("\n")
    assert text.endswith("\n")
    assert [line for line in text.splitlines() if line != line.rstrip()] == []
    assert [line for line in text.splitlines() if len(line) > 72 and "://" not in line] == []


def test_both_parts_say_why_it_comes(mail: Mail) -> None:
    _, rendered, page = mail
    for part in (page.text, flat(rendered.text)):
        assert "You get this" in part


@pytest.mark.parametrize("which", MAILS)
def test_missing_data_is_an_error(which: str) -> None:
    name, data = MAILS[which]
    for key in data:
        with pytest.raises(UndefinedError):
            render(name, **{other: value for other, value in data.items() if other != key})


# Names and addresses of every kind

SCRIPT = '<script>alert(1)</script> & "quotes" {{ link }} <!-- <mj-raw> \\ it\'s'
TURNED = "Harbor\u202egnp.exe\u2066 News\u2069"
LONG = "The Newsletter Of The Coast And Of All That Happens " * 2 + "Donaudampfschiff"
GLUED = "W" * 120
BIDI = "أخبار اليوم"
HOSTILE = {"script": SCRIPT, "turned": TURNED, "long": LONG, "glued": GLUED, "arabic": BIDI, "emoji": "🗞️ 号外"}


def made_of(words: str, which: str) -> tuple[str, dict[str, Any]]:
    """The mail's data with the words wherever a name or a place stands."""
    name, data = MAILS[which]
    changed = data | {"newsletter": NEWSLETTER | {"name": words, "postal_address": words, "contact": words}}
    if "newsletters" in data:
        changed["newsletters"] = [words for _ in data["newsletters"]]
    if "subscriptions" in data:
        told = dict.fromkeys(("name", "time", "zone"), words)
        changed["subscriptions"] = [one | told for one in data["subscriptions"]]
    for key in ("address", "new_address", "old_address"):
        if key in data:
            changed[key] = words.replace(" ", "") + "@example.org"
    return name, changed


@pytest.mark.parametrize("which", MAILS)
@pytest.mark.parametrize("kind", HOSTILE)
def test_names_and_addresses_are_words_and_nothing_else(which: str, kind: str) -> None:
    words = HOSTILE[kind]
    name, data = made_of(words, which)
    rendered = render(name, **data)
    page = Page(rendered.html)

    assert {tag for tag, _ in page.tags} <= TAGS
    assert "<script" not in rendered.html
    assert set(page.links) == set(Page(render(*MAILS[which][:1], **MAILS[which][1]).html).links)
    assert not any(OVERRIDES.search(part) for part in (rendered.subject, rendered.html, rendered.text))
    assert "\n" not in rendered.subject
    plain = OVERRIDES.sub("", words)
    assert plain in flat(page.text)
    assert flat(plain) in flat(rendered.text)
    assert len(rendered.html.encode()) < 100_000
    unbroken = [line for line in rendered.text.splitlines() if len(line) > 72]
    assert all(max(map(len, line.split())) > 60 for line in unbroken), "only what cannot be broken is longer"


@pytest.mark.parametrize("which", MAILS)
def test_a_line_break_in_a_name_breaks_nothing(which: str) -> None:
    name, data = made_of("Daily\r\n\r\n\nBcc: all@example.org", which)
    rendered = render(name, **data)
    assert "\n" not in rendered.subject
    assert "\n\nBcc" not in rendered.text
    assert "Daily Bcc: all@example.org" in flat(rendered.text)


# What each says


@pytest.mark.parametrize("which", TO_STRANGERS)
def test_who_is_not_confirmed_reads_no_word_that_somebody_typed_but_their_own_address(which: str) -> None:
    """Everything else in the data is a person's on the staff, or ours."""
    name, data = TO_STRANGERS[which]
    staffs, ours = {"newsletter", "newsletters"}, {"link", "requested_at", "until"}
    assert set(data) - staffs - ours == {"address"}
    for words in (render(name, **data).text, Page(render(name, **data).html).text):
        assert "do nothing" in words
        assert "/unsubscribe/" not in words
        assert "/preferences/" not in words


@pytest.mark.parametrize("which", TO_READERS)
def test_who_reads_finds_their_preferences_and_with_one_newsletter_the_way_out(which: str) -> None:
    name, data = TO_READERS[which]
    links = Page(render(name, **data).html).links
    assert PREFERENCES in links
    ways_out = [link for link in links if "/unsubscribe/" in link]
    assert ways_out == ([data["subscriptions"][0]["unsubscribe_link"]] if len(data["subscriptions"]) == 1 else [])


def words_of(which: str) -> tuple[str, str]:
    name, data = MAILS[which]
    rendered = render(name, **data)
    return Page(rendered.html).text, flat(rendered.text)


def test_confirming_says_what_for_until_when_and_that_doing_nothing_is_enough() -> None:
    for part in words_of("confirm one"):
        assert "On 3 March 2026, 05:20 UTC someone, we hope you, asked us to send Daily Headlines to" in part
        assert "If it was not you, do nothing. Nothing will be sent." in part
        assert "works until 10 March 2026." in part
        assert "one reminder is all that follows" in part
    for part in words_of("confirm two"):
        assert all(name in part for name in NAMES)
    assert render(*MAILS["confirm two"][:1], **MAILS["confirm two"][1]).subject == "Please confirm your newsletters"


def test_the_reminder_says_that_it_is_the_only_one_and_that_nothing_comes_without_the_press() -> None:
    for which in ("remind one", "remind two"):
        for part in words_of(which):
            assert "If it was not you, or you have changed your mind, do nothing." in part
            assert "This is the only reminder, and without the press nothing comes." in part
            assert "nothing else follows" in part


def test_the_welcome_says_when_and_that_the_latest_edition_follows() -> None:
    for part in words_of("welcome one"):
        assert "each edition goes out at 06:00 New York time." in part.replace("Each", "each")
        assert "it follows right behind this mail" in part
    for part in words_of("welcome two"):
        assert "Daily Headlines, 06:00 New York time" in part
        assert "Defense Briefing, 18:30 Tokyo time" in part
        assert "it follows right behind this mail" in part


def test_the_old_address_learns_where_to_and_what_to_do_about_it() -> None:
    for which in ("changing", "moved"):
        for part in words_of(which):
            assert NEW in part
            assert "If it was not you" in part
            assert "desk@example.org" in part
    for part in words_of("changing"):
        assert "Nothing has changed yet" in part
    moved = render(*MAILS["moved"][:1], **MAILS["moved"][1])
    assert Page(moved.html).links == [], "what would open the preferences is not for this address any more"
    assert "://" not in moved.text


def test_the_new_address_does_not_learn_the_old_one_before_it_says_yes() -> None:
    assert not any(ANN in part for part in words_of("change"))
    assert all(ANN in part for part in words_of("changed"))


# Languages


@pytest.mark.parametrize("language", [*LANGUAGES, "ar"])
@pytest.mark.parametrize("which", ["confirm one", "welcome two"])
def test_a_single_mail_is_marked_with_the_language_of_its_words(which: str, language: str) -> None:
    """Which are English where we have no others."""
    name, data = MAILS[which]
    rendered = render(name, language=language, **data)
    (root,) = [attributes for tag, attributes in Page(rendered.html).tags if tag == "html"]
    assert (root["lang"], root["dir"]) == (spoken(language), "ltr")


def test_a_newsletter_of_a_country_keeps_it() -> None:
    name, data = MAILS["welcome one"]
    html = render(name, **data | {"newsletter": NEWSLETTER | {"language": "en-GB"}}).html
    assert '<html lang="en-GB"' in html


def test_english_words_in_an_arabic_newsletter_s_mail_run_from_left_to_right() -> None:
    name, data = MAILS["welcome one"]
    html = render(name, **data | {"newsletter": NEWSLETTER | {"language": "ar"}}).html
    assert '<html lang="en" dir="ltr"' in html


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "en"), ("en-US", "en"), ("de-AT", "de"), ("DE", "de"), ("ja", "ja"), ("ar", "en"), ("", "en"), ("x", "en")],
)
def test_everybody_is_spoken_to_in_a_language_that_we_have(language: str, words: str) -> None:
    assert spoken(language) == words
