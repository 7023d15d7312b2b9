"""The mails that staff get: the draft of an edition, and what needs a hand."""

from __future__ import annotations

import re
from typing import Any

import pytest

from newsletter.mail.templates import render

NEWSLETTER = {
    "name": "Daily Headlines",
    "postal_address": "The Harbor Gazette, 1 Quay Street, Port Ellery",
    "accent": "#1f4e5f",
    "language": "en",
}
LINK = "https://news.example.org/admin/inbox/{}/WzEyLDAsM10.aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789"
WISHES = "https://news.example.org/admin/me"
WHY = "told by 4 outlets (6.97); first in its feed (1.50); tied by “bridge”, “orrin”, “repair” and others"


def story(position: int, **changed: object) -> dict[str, object]:
    told: dict[str, object] = {
        "position": position,
        "headline": f"Headline number {position} about something that happened at the harbor this very night",
        "url": f"https://gazette.example/{position}",
        "outlet": "Harbor Gazette",
        "section": "Business",
        "outlets": 4,
        "is_update": False,
        "why": WHY,
    }
    return told | changed


def draft(**changed: Any) -> dict[str, Any]:
    return {
        "newsletter": NEWSLETTER,
        "address": "olive@example.org",
        "subject": "Orrin Bridge closes",
        "day_text": "Tuesday, 3 March 2026",
        "slot": "06:00 New York",
        "next_step": "It goes out by itself at 06:00 New York, unless somebody holds it.",
        "note": "",
        "stories": [story(1), story(2, is_update=True), story(3, url="", section="", why="", outlets=1)],
        "findings": [],
        "blocked": False,
        "approve_link": LINK.format("approve"),
        "hold_link": LINK.format("hold"),
        "edit_link": "https://news.example.org/admin/editions/12/edit",
        "wishes_link": WISHES,
    } | changed


ANSWER = {
    "newsletter_name": "Daily Headlines",
    "from_address": "ann@example.org",
    "subject": "Re: Orrin Bridge closes",
    "words": "Thank you.\n\nIs the ferry free?",
    "admin_link": "https://news.example.org/admin/bounces",
}


def alert(message: str) -> dict[str, str]:
    return {
        "message": message,
        "remedy": "Open the edition, look at it, and send or resume it; nothing has been sent, and nothing is lost.",
        "raised_at": "2026-03-03T05:20:00+00:00",
        "admin_link": "https://news.example.org/admin/editions/12",
        "admin_label": "Open the edition",
    }


ALONE = alert("Daily Headlines of 2026-03-03 is held: too few stories.") | {
    "service_name": "Daily Headlines",
    "wishes_link": WISHES,
}
TOGETHER = {
    "service_name": "Daily Headlines",
    "wishes_link": WISHES,
    "admin_link": "https://news.example.org/admin/",
    "alerts": [alert("The relay cannot be used: it did not answer within 30 seconds."), alert("Sources are silent.")],
}
SIGN_IN = {
    "service_name": "Daily Headlines",
    "site": "news.example.org",
    "address": "olive@example.org",
    "link": "https://news.example.org/admin/link/aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789_-aBcDe",
    "until": "3 Mar 2026, 06:20 UTC",
}
INVITATION = SIGN_IN | {
    "link": "https://news.example.org/admin/invitation/aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789_-aBcDe",
    "invited_by": "somebody.with.a.long.name@the-harbor-gazette.example.org",
    "role": "As an editor you make the editions, and help readers.",
}
MAILS = [
    ("staff_link", SIGN_IN),
    ("staff_invitation", INVITATION),
    ("draft", draft()),
    ("alert", ALONE),
    ("alerts", TOGETHER),
    ("answer", ANSWER),
]


@pytest.mark.parametrize(("name", "data"), MAILS)
def test_a_mail_says_the_same_in_both_parts_and_keeps_its_lines_short(name: str, data: dict[str, Any]) -> None:
    mail = render(name, **data)
    for word in ("href", "src"):
        for link in re.findall(rf'{word}="(https://[^"]+/admin/[^"]*)"', mail.html):
            assert link in mail.text
    assert all(len(line) <= 72 or line.strip().startswith("https://") for line in mail.text.splitlines())
    assert "\n\n\n" not in mail.text
    assert '<html lang="en"' in mail.html


def test_a_draft_for_who_does_not_send_offers_no_approval() -> None:
    mail = render("draft", **draft(approve_link=""))
    assert "Approve" not in mail.html + mail.text
    assert LINK.format("hold") in mail.html


def test_a_draft_that_cannot_be_approved_offers_to_edit_it_and_says_why() -> None:
    found = [{"message": "The subject is empty.", "remedy": "Write one.", "blocking": True, "mark": "Must be mended."}]
    mail = render("draft", **draft(blocked=True, findings=found))
    for part in (mail.html, mail.text):
        assert LINK.format("approve") not in part
        assert LINK.format("hold") in part
        assert "/admin/editions/12/edit" in part
        assert "The subject is empty." in part
    assert "MUST BE MENDED. The subject is empty. Write one." in mail.text
    assert "Must be mended." in mail.html


def test_a_draft_in_another_language_says_which_words_are_in_it() -> None:
    mail = render("draft", **draft(newsletter=NEWSLETTER | {"language": "ar"}, subject="الجسر مغلق"))
    assert '<html lang="en"' in mail.html
    assert '<span lang="ar" dir="rtl">الجسر مغلق</span>' in mail.html


def test_a_draft_of_fifty_stories_is_not_cut_off() -> None:
    mail = render("draft", **draft(stories=[story(n, why=WHY * 4) for n in range(1, 51)]))
    assert len(mail.html.encode()) < 100_000


HOSTILE = '<script>alert(1)</script> & "quotes" {{ reader }} <!-- <mj-raw> \\ it\'s\r\nBcc: all@example.org'


@pytest.mark.parametrize("name", ["draft", "alert", "alerts", "staff_invitation"])
def test_hostile_words_stay_words(name: str) -> None:
    found = [{"message": HOSTILE, "remedy": HOSTILE, "blocking": False, "mark": ""}]
    hostile = {
        "draft": draft(
            subject=HOSTILE,
            note=HOSTILE,
            findings=found,
            stories=[story(1, headline=HOSTILE, outlet=HOSTILE, section=HOSTILE, why=HOSTILE, url=HOSTILE)],
        ),
        "alert": ALONE | {"message": HOSTILE, "remedy": HOSTILE},
        "alerts": TOGETHER | {"alerts": [alert(HOSTILE)]},
        "staff_invitation": INVITATION | {"invited_by": HOSTILE, "address": HOSTILE},
        "answer": ANSWER | {"newsletter_name": HOSTILE, "subject": HOSTILE, "words": HOSTILE},
    }[name]
    mail = render(name, **hostile)
    assert "<script" not in mail.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in mail.html
    assert "<script>alert(1)</script>" in mail.text
    assert "\n" not in mail.subject
    assert "\r" not in mail.subject + mail.text
