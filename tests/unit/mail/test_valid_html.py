"""Every mail of ours is valid HTML, in each of its forms and languages, save what Outlook needs.

tests/support/validating.py says by what it is judged, and why by that.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from newsletter.foundation.languages import LANGUAGES
from newsletter.mail.message import fill
from newsletter.mail.templates import folder, render
from tests.support.validating import FOR_OUTLOOK, faults
from tests.unit.mail.test_email_templates import HOSTILE, MARKER, NEWSLETTER, edition, item, others, pictured
from tests.unit.mail.test_reader_mails import MAILS as LETTERS
from tests.unit.mail.test_staff_mails import ALONE, ANSWER, INVITATION, SIGN_IN, TOGETHER, draft

WORDS = {
    "address": "ann@example.org",
    "unsubscribe_url": "https://news.example/unsubscribe/eyJhIjoyfQ.7uYt",
    "preferences_url": "https://news.example/preferences/eyJhIjozfQ.7uYt",
}
BLOCK = {"label": "From us", "text": "The fair & more", "link": "Tickets", "url": "https://fair.example/?a=1&b=2"}
BARE = {"tagline": "", "publisher": "", "postal_address": ""}


def looking(**changed: str) -> dict[str, Any]:
    return edition(newsletter=NEWSLETTER | changed)


def of_outlets(words: str) -> dict[str, Any]:
    """An edition in which each word that somebody else wrote is this one."""
    names = ("headline", "summary", "outlet", "section", "image_alt", "image_credit")
    told = [pictured(n, is_update=True) | dict.fromkeys(names, words) for n in (1, 2, 4)]
    also = [{"outlet": words, "title": words, "url": "https://x.example/?a=1&b=2"}]
    return edition(
        items=[one | {"also_covered": also} for one in told],
        newsletter=NEWSLETTER | dict.fromkeys(("name", "tagline", "publisher", "postal_address"), words),
        block=dict.fromkeys(("label", "text", "link"), words) | {"url": "https://x.example/", "after": 1},
        **dict.fromkeys(("subject", "preheader", "intro"), words),
    )


THIRTY = [
    pictured(number, section=f"Section {number // 4}", also_covered=others(6), more_outlets=4, hours_old=90)
    for number in range(1, 31)
]
EDITIONS: dict[str, dict[str, Any]] = {
    "usual": edition(),
    "thirty stories": edition(items=THIRTY),
    "one story": edition(items=[item(1)]),
    "nothing but a headline": looking(**BARE) | {"items": [item(1, url="", summary="")], "intro": "", "preheader": ""},
    "a story without a page": edition(items=[pictured(1, url=""), pictured(2, url="")]),
    "a picture without words": edition(items=[pictured(1) | {"image_alt": ""}]),
    "updates": edition(items=[item(1, is_update=True), item(2, is_update=True, section="Region")]),
    "a block": edition(block=BLOCK | {"after": 1}),
    "a block without a link": edition(block=BLOCK | {"after": 5, "label": "", "url": ""}),
    "sans-serif": looking(typeface="sans"),
    "a logo": looking(logo_url="https://static.example/logo.png?a=1&b=2"),
    "a correction": edition(edition={"kind": "correction"}),
    "a special one": edition(edition={"kind": "special"}),
    "from right to left": looking(language="ar"),
    "of another language than ours": looking(language="it-CH"),
    "a hostile outlet": of_outlets(HOSTILE),
    "one long word": of_outlets("W" * 300),
}  # fmt: skip
STAFFS = {
    "draft": ("draft", draft()),
    "draft without a way": ("draft", draft(blocked=True, note="looked back 60 hours")),
    "alert": ("alert", ALONE),
    "alerts": ("alerts", TOGETHER),
    "answer": ("answer", ANSWER),
    "a link that signs in": ("staff_link", SIGN_IN),
    "an invitation": ("staff_invitation", INVITATION),
}


def written(name: str, data: dict[str, Any], language: str = "en") -> str:
    """A mail's HTML as a reader gets it."""
    return fill(render(name, language=language, **data).html, MARKER, WORDS)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("which", EDITIONS)
def test_an_edition_is_valid(which: str, language: str) -> None:
    assert faults(written("edition", EDITIONS[which], language)) == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("which", LETTERS)
def test_a_letter_is_valid(which: str, language: str) -> None:
    assert faults(written(*LETTERS[which], language)) == []


@pytest.mark.parametrize("which", STAFFS)
def test_what_staff_get_is_valid(which: str) -> None:
    assert faults(written(*STAFFS[which])) == []


def test_no_mail_is_forgotten_here() -> None:
    named = {"edition", *(name for name, _ in [*LETTERS.values(), *STAFFS.values()])}
    assert {one.parent.name for one in (folder() / "email").glob("*/body.mjml")} == named


BREAKS = {
    "a heading is not closed": ("</h1>", ""),
    "a paragraph closed twice": ("</p>", "</p></p>"),
    "a box in a paragraph": ('<p class="dim"', '<p class="dim"><div></div>'),
    "a cell outside of its row": ("<tr><td", "<td"),
    "an attribute that is none": ('<h1 class="', '<h1 bigness="5" class="'),
    "an attribute that is obsolete": ('<p class="dim"', '<p align="center" class="dim"'),
    "an element that is obsolete": ("<b ", "<center></center><b "),
    "an element that is none": ("<b ", "<mj-text></mj-text><b "),
    "a heading in a link": ("<b ", '<a href="https://x.example/"><h2>x</h2></a><b '),
    "a list of paragraphs": ("<b ", "<ul><p>x</p></ul><b "),
    "a picture without an alternative text": (" alt=", " title="),
    "an id twice": ('<p class="dim"', '<p id="foot" class="dim"'),
    "an address with a space": ('href="https://gazette.example/1?', 'href="https://gazette.example/1 ?'),
    "a language that is none": ('<html lang="en-US"', '<html lang="english"'),
    "no language": ('<html lang="en-US"', "<html"),
    "no title": ("<title>Cranes, ships and a concert hall</title>", ""),
    "a property that is none": ("font:italic", "fnot:italic"),
    "a property that is none among the rules": ("color-scheme: light dark;", "colour-scheme: light dark;"),
    "a quotation mark is missing": ('alt="What picture 1 shows"', 'alt="What picture 1 shows'),
    "a sign that is none": ("from=feed&amp;id", "from=feed&nosuch;id"),
    "a row only Outlook sees is not closed": ("<!--[if mso | IE]></tr></table><![endif]-->", ""),
}


@pytest.mark.parametrize("which", BREAKS)
def test_what_is_broken_is_found(which: str) -> None:
    """Each kind of fault, put into a mail that has none."""
    old, new = BREAKS[which]
    html = written("edition", EDITIONS["usual"])
    assert old in html
    assert faults(html.replace(old, new)) != []


def test_no_more_is_let_through_than_is_needed() -> None:
    mails = [written("edition", data) for data in EDITIONS.values()] + [written(*one) for one in LETTERS.values()]
    shown = re.sub(r"<!--.*?-->", "", "".join(mails), flags=re.DOTALL)
    tags = re.findall(r"<(?:html|table|td)\b[^>]*>", shown)
    for element, names in FOR_OUTLOOK.items():
        used = {name for tag in tags if tag.startswith(f"<{element} ") for name in re.findall(r' ([\w:-]+)="', tag)}
        assert names <= used
