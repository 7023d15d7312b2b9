"""Mails in other languages than English: no word of ours is forgotten, and each runs in its own direction."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import SMTP
from typing import Any

import pytest
from lxml import html as lxml_html

from newsletter.mail import templates
from newsletter.mail.message import Letter, Message, Reader, Sender
from newsletter.mail.templates import Rendered, render
from tests.catalogues import found
from tests.support.pseudo import ARABIC, KANA, LONG_LATIN, Pseudo, speaking
from tests.unit.mail.test_email_templates import edition, item, others
from tests.unit.mail.test_reader_mails import MAILS, ONE, Page, flat, reads

STORIES = [
    item(1, section="Front page", also_covered=others(3), more_outlets=1, hours_old=1),
    item(2, section="Region", is_update=True, also_covered=others(1), more_outlets=4, hours_old=35),
    item(3, section="Region", also_covered=others(2), hours_old=36),
    item(4, hours_old=72),
]
LETTERS = MAILS | {"welcome in UTC": ("welcome", reads(ONE[0] | {"zone": "Etc/UTC"}))}
EVERY = LETTERS | {
    "edition": ("edition", edition(items=STORIES)),
    "correction": ("edition", edition(items=STORIES, edition={"kind": "correction"})),
    "special": ("edition", edition(items=STORIES, edition={"kind": "special"})),
}

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)

GREEK = str.maketrans("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "αβψδεφγηιξκλμνοπφρστθωςχυζ" * 2)
NO_WORDS = ("language", "accent", "typeface", "kind", "time", "zone", "requested_at", "until")


def in_greek(data: Any, key: str = "") -> Any:
    """What staff and outlets wrote, without one letter of ours."""
    if isinstance(data, dict):
        return {name: in_greek(value, name) for name, value in data.items()}
    if isinstance(data, list):
        return [in_greek(value, key) for value in data]
    if isinstance(data, str) and key not in NO_WORDS and "://" not in data:
        return data.translate(GREEK)
    return data


def mail_of(which: str, words: str, newsletters: str = "") -> Rendered:
    """The mail of a Greek newsroom with our words in one language; its newsletter may be in another."""
    name, data = EVERY[which]
    data = in_greek(data)
    told = data | {"newsletter": data["newsletter"] | {"language": newsletters or words}}
    return render(name, language=words, **told)


def forgotten(words: str) -> list[str]:
    """What is still in English; UTC is called that everywhere."""
    return [word for word in re.findall("[A-Za-z]+", re.sub(r"https?://\S+", "", words)) if word != "UTC"]


@pytest.fixture(scope="module")
def japanese() -> Iterator[Pseudo]:
    with speaking("ja", KANA) as words:
        yield words


@pytest.fixture(scope="module")
def arabic() -> Iterator[Pseudo]:
    with speaking("ar", ARABIC) as words:
        yield words


@pytest.fixture(scope="module")
def german() -> Iterator[Pseudo]:
    with speaking("de", LONG_LATIN) as words:
        yield words


# No word is forgotten


@pytest.mark.parametrize("which", EVERY)
def test_every_word_of_ours_is_translated(japanese: Pseudo, which: str) -> None:
    mail = mail_of(which, "ja")
    page = Page(mail.html)
    attributes = [one.get(name, "") for _, one in page.tags for name in ("alt", "title", "aria-label")]
    for part in (mail.subject, page.text, mail.text, *attributes):
        assert forgotten(part) == []


def test_every_message_of_the_mails_is_in_one_of_these() -> None:
    with speaking("ja", KANA) as words:
        for which in EVERY:
            mail_of(which, "ja")
    here = [one.id for one in found() if any(place.startswith("templates/email/") for place, _ in one.locations)]
    assert len(here) > 50
    assert set(here) - words.asked == set()


def test_what_staff_are_told_stays_english(german: Pseudo) -> None:
    data = {"service_name": "Daily Headlines", "message": "The relay is away.", "remedy": "Wait.", "admin_link": "x"}
    assert render("alert", language="de", **data).text == render("alert", **data).text


# What stands in a sentence of ours

ODD = "100 % <b>Ann & Bob</b> {{ link }} %(address)s %s {address}"


@pytest.mark.parametrize("which", EVERY)
def test_names_of_every_kind_stay_what_they_are_in_a_translated_sentence(japanese: Pseudo, which: str) -> None:
    name, data = EVERY[which]
    odd = {"newsletter": data["newsletter"] | dict.fromkeys(("name", "contact", "publisher", "postal_address"), ODD)}
    if "newsletters" in data:
        odd["newsletters"] = [ODD for _ in data["newsletters"]]
    if "subscriptions" in data:
        odd["subscriptions"] = [one | {"name": ODD} for one in data["subscriptions"]]
    usual, mail = render(name, language="ja", **data), render(name, language="ja", **data | odd)

    page = Page(mail.html)
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in Page(usual.html).tags]
    for kept, before in ((page.text, Page(usual.html).text), (mail.subject, usual.subject)):
        assert kept.count(ODD) >= before.count("Daily Headlines")
    assert ODD in flat(mail.text)
    assert not re.search("&[a-z]+;", mail.text + mail.subject)


def test_outlets_are_listed_as_the_language_does(japanese: Pseudo) -> None:
    """And those that are not named are the last of the list."""
    told = [item(1, also_covered=others(3), more_outlets=2)]
    page = Page(render("edition", language="ja", **edition(items=told)).html)
    assert "Outlet 1、Outlet 2、Outlet 3、2" in page.text


@pytest.mark.parametrize(
    ("language", "asked", "until", "tokyo"),
    [
        ("en", "3 March 2026, 05:20 UTC", "10 March 2026", "Tokyo"),
        ("de", "3. März 2026, 05:20 UTC", "10. März 2026", "Tokio"),
        ("fr", "3 mars 2026, 05:20 UTC", "10 mars 2026", "Tokyo"),
        ("es", "3 de marzo de 2026, 05:20 UTC", "10 de marzo de 2026", "Tokio"),
        ("ja", "2026年3月3日 05:20 UTC", "2026年3月10日", "東京"),
    ],
)
def test_days_and_places_are_written_as_the_language_does(language: str, asked: str, until: str, tokyo: str) -> None:
    name, data = EVERY["confirm one"]
    mail = render(name, language=language, **data)
    for part in (Page(mail.html).text, flat(mail.text)):
        assert asked in part
        assert until in part.replace(asked, "")
    name, data = EVERY["welcome two"]
    mail = render(name, language=language, **data)
    for part in (Page(mail.html).text, flat(mail.text)):
        assert "18:30" in part
        assert tokyo in part


# Directions

ARABIC_LETTER = re.compile("[\u0600-\u06ff]")


def marked(html: str, *, root: bool = False) -> set[tuple[str, str]]:
    """The languages and directions that are said: of the page, or of anything in it that differs."""
    pages = {(one["lang"], one["dir"]) for tag, one in Page(html).tags if tag == "html"}
    return pages if root else {(one["lang"], one["dir"]) for _, one in Page(html).tags if "lang" in one} - pages


@pytest.mark.parametrize("which", EVERY)
def test_a_mail_in_a_language_from_the_right_runs_from_there(arabic: Pseudo, which: str) -> None:
    mail = mail_of(which, "ar")
    assert marked(mail.html, root=True) == {("ar", "rtl")}
    assert marked(mail.html) == set()
    assert "text-align:right" in mail.html
    assert not re.search(r"text-align:left;(?!direction)|direction:ltr|padding-left:22px", mail.html)
    for part in (Page(mail.html).text, mail.text):
        assert ARABIC_LETTER.search(part)
        assert forgotten(part) == []


@pytest.mark.parametrize(
    ("newsletters", "words", "page", "ours"),
    [
        ("en", "ar", ("en", "ltr"), {("ar", "rtl")}),
        ("ar", "en", ("ar", "rtl"), {("en", "ltr")}),
        ("he", "ar", ("he", "rtl"), {("ar", "rtl")}),
        ("ar-EG", "ar", ("ar-EG", "rtl"), set()),
        ("en-US", "en", ("en-US", "ltr"), set()),
        ("EN", "en", ("EN", "ltr"), set()),
    ],
)
def test_an_edition_runs_as_its_stories_do(
    arabic: Pseudo, newsletters: str, words: str, page: tuple[str, str], ours: set[tuple[str, str]]
) -> None:
    html = mail_of("edition", words, newsletters).html
    assert marked(html, root=True) == {page}
    assert marked(html) == ours


@pytest.mark.parametrize(
    ("newsletters", "words", "page", "theirs"),
    [
        ("en", "ar", ("ar", "rtl"), {("en", "ltr")}),
        ("ar", "en", ("en", "ltr"), {("ar", "rtl")}),
        ("ar-EG", "ar", ("ar-EG", "rtl"), set()),
        ("EN", "en", ("EN", "ltr"), set()),
    ],
)
@pytest.mark.parametrize("which", LETTERS)
def test_a_letter_runs_as_our_words_do(
    arabic: Pseudo, which: str, newsletters: str, words: str, page: tuple[str, str], theirs: set[tuple[str, str]]
) -> None:
    html = mail_of(which, words, newsletters).html
    assert marked(html, root=True) == {page}
    assert marked(html) == theirs


def said(html: str) -> list[tuple[str, str]]:
    """Every run of words of the page with the language that it is said to be in."""
    runs = lxml_html.fromstring(html).xpath("//body//text()[normalize-space()]")
    inside = [run.getparent().getparent() if run.is_tail else run.getparent() for run in runs]
    nearest = "ancestor-or-self::*[@lang][1]/@lang"
    return [(one.xpath(nearest)[0], str(run)) for one, run in zip(inside, runs, strict=True)]


def test_in_an_edition_each_word_of_ours_is_marked_and_none_of_the_stories(arabic: Pseudo) -> None:
    runs = said(mail_of("edition", "ar", "el").html)
    ours = [language for language, words in runs if ARABIC_LETTER.search(words)]
    told = [in_greek(story[part]) for story in STORIES for part in ("headline", "summary")]
    assert len(ours) > 10
    assert set(ours) == {"ar"}
    assert sorted(words for language, words in runs if language == "el" and words in told) == sorted(told)


# Lines


@pytest.mark.parametrize("which", EVERY)
def test_longer_words_are_wrapped_too(german: Pseudo, which: str) -> None:
    name, data = EVERY[which]
    text = render(name, language="de", **data).text
    assert [line for line in text.splitlines() if len(line) > 72 and "://" not in line] == []
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


@pytest.mark.parametrize("which", EVERY)
def test_what_has_no_spaces_arrives_as_it_was_written(japanese: Pseudo, which: str) -> None:
    """A paragraph is one line, which only the encoding breaks on the way: no word of it, and no address."""
    name, data = EVERY[which]
    mail = render(name, language="ja", **data)
    letter = Letter(Sender("号外", "news@example.org"), mail.subject, mail.text, None, NOON, marker="q7z")
    octets = Message(letter).to(Reader("ann@example.org", "1@example.org"))

    assert max(map(len, octets.partition(b"\r\n\r\n")[2].split(b"\r\n"))) <= 76
    arrived = message_from_bytes(octets, policy=SMTP)
    assert arrived.get_content().replace("\r\n", "\n") == mail.text
    assert arrived["Subject"] == mail.subject
    addresses = {value for key, value in data.items() if key.endswith("address")}
    assert all(any(address in line for line in mail.text.splitlines()) for address in addresses)


def test_a_space_at_which_no_line_may_be_broken_stays(japanese: Pseudo) -> None:
    source = '{% from "_parts/wrapped.txt" import wrapped %}{{ wrapped(words) }}'
    words = "Est-ce  bien\u00a0vous\u202f? " * 9
    lines = templates._environment("ja").from_string(source).render(words=words).splitlines()
    assert len(lines) > 1
    assert max(map(len, lines)) <= 72
    assert "\n".join(lines).count("bien\u00a0vous\u202f?") == 9
