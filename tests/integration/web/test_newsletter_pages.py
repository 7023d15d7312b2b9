"""What is beside a newsletter's settings: making one, what readers agree to, its look, and what the DNS says of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from newsletter.editions import rendering, sampling
from newsletter.editions.models import Revision
from newsletter.foundation.audit import AuditRecord
from newsletter.foundation.config import DkimConfig, DoctorConfig, MailConfig, MailTransport, the_config
from newsletter.foundation.database import db
from newsletter.mail import signing
from newsletter.newsletters import senders
from newsletter.newsletters.models import newsletter, newsletters
from newsletter.stories.models import sources_of
from tests.conftest import BuildHouse, House
from tests.integration.subscribers import asked, became_reader, everything, story_of
from tests.integration.web import Desk, signed_in
from tests.support import newsroom
from tests.support.forms import Sheet, open_page, words
from tests.support.name_server import NameServer, running_name_server
from tests.support.past import went_out

SLUG = "morning-post"
ONE = f"/admin/newsletters/{SLUG}"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def desk(house: House) -> Desk:
    newsroom.found(house)
    return signed_in(house)


def records(house: House, action: str) -> list[Any]:
    with house.app.app_context():
        return [one.details for one in db.session.scalars(sa.select(AuditRecord).where(AuditRecord.action == action))]


# Making one

NEW = {
    "name": "Evening Post",
    "slug": "evening-post",
    "from_address": "evening@example.org",
    "time": "18:30",
    "zone": "Europe/Berlin",
}


def make(desk: Desk, **typed: str) -> Sheet:
    return open_page(desk, "/admin/new-newsletter").after("Make it", **NEW | typed)


def test_an_owner_makes_a_newsletter_on_a_page(house: House) -> None:
    made = make(signed_in(house))
    assert "Evening Post is made. Look through its settings, and give it sources." in made.words
    with house.app.app_context():
        one = newsletter("evening-post")
        assert (one.name, one.from_address, one.default_slot.label) == (
            "Evening Post",
            "evening@example.org",
            "18:30 Berlin",
        )
        assert one.sign_up_text.by == "owner0@example.org"
    assert len(records(house, "newsletter.add")) == 1


def test_it_may_begin_with_a_list_of_sources(house: House) -> None:
    make(signed_in(house), starter="defense")
    with house.app.app_context():
        assert len(sources_of(1)) > 5


@pytest.mark.parametrize(
    ("field", "text", "problem"),
    [
        ("slug", "Evening Post", "use small letters, digits and single hyphens, at most 60"),
        ("slug", "", "use small letters"),
        ("slug", SLUG, "There is a newsletter “morning-post” already."),
        ("name", "", "write 1 to 120 characters on one line"),
        ("from_address", "nobody", "is not an e-mail address"),
        ("time", "25:00", "write it like 06:00"),
        ("zone", "Mars", "“Mars” is no time zone"),
    ],
)
def test_what_is_wrong_with_a_new_one_stands_beside_its_field(
    house: House, desk: Desk, field: str, text: str, problem: str
) -> None:
    before = everything(house)
    again = make(desk, **{field: text})
    assert again.status == 422
    assert again.wrong().keys() == {field}
    assert problem in again.wrong()[field]
    kept = again.fields("Make it")
    assert {key: kept[key] for key in NEW if key != field} == {key: NEW[key] for key in NEW if key != field}
    assert everything(house) == before


# What readers agree to


def test_other_words_are_a_new_version_and_the_old_ones_stay(house: House, desk: Desk) -> None:
    became_reader(house)
    waiting = asked(house, "bob@example.org")
    page = open_page(desk, f"{ONE}/texts")
    saved = page.after("Save as version 2", text="  Yes, send it\r\n each day. ")
    assert "Version 2 is what readers agree to from now on." in saved.words
    with house.app.app_context():
        texts = [(one.version, one.text, one.by) for one in newsletter(SLUG).sign_up_texts]
    assert texts[1] == (2, "Yes, send it each day.", "owner0@example.org")
    assert texts[0][1].startswith("Yes, send me Morning Post by e-mail.")
    assert "Yes, send it each day." in house.browser.get("/subscribe").text
    house.browser.post(waiting)
    (event,) = [one for one in story_of(house, "bob@example.org") if one.kind == "confirmed"]
    assert event.sign_up_text is not None
    assert event.sign_up_text.version == 1, "what they read then"
    (said,) = records(house, "newsletter.sign-up-text")
    assert said["before"] == f"1: {texts[0][1]}"
    assert said["after"] == "2: Yes, send it each day."


def test_the_history_says_who_wrote_what_when_and_counts_who_agreed(house: House, desk: Desk) -> None:
    became_reader(house)
    open_page(desk, f"{ONE}/texts").press("Save as version 2", text="Other words.")
    became_reader(house, "bob@example.org")
    became_reader(house, "eva@example.org")
    page = open_page(desk, f"{ONE}/texts")
    assert "with these words" not in page.words
    counted = open_page(desk, page.links()["Count who agreed to each"])
    newest, oldest = map(words, counted.root.xpath("//ol[@class='events']/li"))
    assert newest.startswith("Version 2 3 Mar 2026, 05:36 UTC, by owner0@example.org, in use")
    assert newest.endswith("2 confirmations with these words")
    assert oldest.endswith("1 confirmation with these words")


def test_the_same_words_are_no_new_version_and_empty_ones_are_none(house: House, desk: Desk) -> None:
    page = open_page(desk, f"{ONE}/texts")
    before = everything(house)
    assert "The words are the same, so nothing was saved." in page.after("Save as version 2").words
    for wrong in ("", " \r\n ", "x" * 601):
        again = page.after("Save as version 2", text=wrong)
        assert (again.status, again.wrong()["text"]) == (422, "write 1 to 600 characters")
    assert everything(house) == before


def test_of_two_who_write_at_once_the_second_sees_the_first(house: House, desk: Desk) -> None:
    mine = open_page(desk, f"{ONE}/texts")
    open_page(desk, f"{ONE}/texts").press("Save as version 2", text="By them.")
    again = mine.after("Save as version 2", text=f"By me. {SCRIPT}")
    assert again.status == 409
    assert "Version 2 is in use now, by owner0@example.org: “By them.”" in again.words
    assert again.fields("Save as version 3")["text"].strip() == f"By me. {SCRIPT}"
    assert "Version 3 is what readers agree to" in again.after("Save as version 3").words
    assert SCRIPT not in desk.get(f"{ONE}/texts").text


# The look


def test_the_preview_shows_what_is_typed_and_stores_nothing(house: House, desk: Desk) -> None:
    before = everything(house)
    page = open_page(desk, f"{ONE}/look").after(
        "Show it without saving", accent="#123456", typeface="sans", logo_url="https://cdn.example.org/l.png"
    )
    assert page.status == 200
    mail, box = (one.get("src") for one in page.root.iter("iframe"))
    html = desk.get(mail).text
    assert 'src="https://cdn.example.org/l.png"' in html
    assert "#123456" in html
    sheet = next(
        one.get("href") for one in open_page(desk, box).root.iter("link") if "look/sheet" in one.get("href", "")
    )
    assert desk.get(sheet).text == ":root { --accent: #123456; }\n"
    assert everything(house) == before
    assert page.fields("Save")["accent"] == "#123456"
    assert "“#9b1c1c” → “#123456”" in page.after("Save").words


def test_what_cannot_be_shown_is_shown_as_it_is_stored(house: House, desk: Desk) -> None:
    hostile = "?accent=%23fff;}*{&typeface=comic&logo_url=javascript:alert(1)"
    assert "alert" not in desk.get(f"{ONE}/look/mail{hostile}").text
    assert desk.get(f"{ONE}/look/sheet.css{hostile}").text == ":root { --accent: #9b1c1c; }\n"
    fragment = desk.get(f"{ONE}/look/preview{hostile}").text
    assert "javascript" not in fragment
    assert "comic" not in fragment


def test_previews_are_framed_by_us_alone_and_run_nothing(house: House, desk: Desk) -> None:
    mail, box = (desk.get(f"{ONE}/look/{part}").headers["Content-Security-Policy"] for part in ("mail", "box"))
    assert "frame-ancestors 'self'" in mail
    assert "script-src" not in mail
    assert "frame-ancestors 'self'" in box


# The sender


@pytest.fixture
def dns() -> Iterator[NameServer]:
    with running_name_server() as server:
        server.empty.add("example.org")
        yield server


@pytest.fixture
def asking(build_house: BuildHouse, sqlite_url: str, dns: NameServer, tmp_path: Path) -> House:
    """A house with a key, that asks name servers."""
    file = tmp_path / "dkim.pem"
    signing.generate(file, ed25519=True)
    key = DkimConfig(domain="example.org", selector="news", key_file=file)
    house = build_house(
        sqlite_url, mail=MailConfig(dkim=(key,)), doctor=DoctorConfig(resolvers=(dns.address,), watch_senders=True)
    )
    newsroom.found(house)
    return house


def told(desk: Desk, query: str = "") -> dict[str, str]:
    page = open_page(desk, f"{ONE}/sender/records{query}")
    rows = page.root.xpath("//div[@id='sender-records']//tbody/tr")
    return {row.find("th").text.strip(): words(row[1]) for row in rows}


def test_the_state_of_each_record_is_told(asking: House, dns: NameServer) -> None:
    desk = signed_in(asking)
    with asking.app.app_context():
        (key,) = senders.keys_of(the_config())
    dns.says("example.org", "v=spf1 ip4:192.0.2.25 -all")
    dns.says("news._domainkey.example.org", key.record)
    assert told(desk) == {"SPF": "There", "DKIM": "There", "DMARC": "Missing"}


def test_answers_are_kept_for_a_while_and_asked_for_again_on_a_word(asking: House, dns: NameServer) -> None:
    desk = signed_in(asking)
    told(desk)
    there = len(dns.asked)
    assert there > 0
    dns.says("_dmarc.example.org", "v=DMARC1; p=none")
    assert told(desk)["DMARC"] == "Missing"
    assert len(dns.asked) == there
    assert told(desk, "?afresh=yes")["DMARC"] == "There"
    asking.later(minutes=11)
    before = len(dns.asked)
    told(desk)
    assert len(dns.asked) > before


def test_what_nobody_answers_is_not_known_and_asked_again(asking: House, dns: NameServer) -> None:
    desk = signed_in(asking)
    dns.troubled = {"example.org", "_dmarc.example.org", "news._domainkey.example.org"}
    assert told(desk) == {"SPF": "Unknown", "DKIM": "Unknown", "DMARC": "Unknown"}
    dns.troubled = set()
    assert told(desk)["DMARC"] == "Missing"


def test_who_waits_for_a_page_waits_only_so_long(
    asking: House, dns: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(senders, "PATIENCE", -1.0)
    assert set(told(signed_in(asking)).values()) == {"Unknown"}
    assert dns.asked == []


def test_the_page_itself_waits_for_no_name_server(asking: House, dns: NameServer) -> None:
    desk = signed_in(asking)
    page = open_page(desk, f"{ONE}/sender")
    assert dns.asked == []
    assert page.find("sender-records").get("hx-get") == f"{ONE}/sender/records"
    assert page.links()["Ask the name servers"] == f"{ONE}/sender/records"
    fragment = desk.get(f"{ONE}/sender/records", headers={"HX-Request": "true"}).text
    assert "<html" not in fragment
    assert "Missing" in fragment


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "Not known: this installation is set not to ask name servers"),
        ({"mail": MailConfig(transport=MailTransport.FOLDER)}, "Not known: mails go to a folder here"),
    ],
)
def test_where_nobody_is_asked_nothing_is_claimed(
    build_house: BuildHouse, sqlite_url: str, settings: dict[str, object], said: str
) -> None:
    house = build_house(sqlite_url, **settings)
    newsroom.found(house)
    assert said in open_page(signed_in(house), f"{ONE}/sender/records").words


# What it does for readers


def test_a_word_of_welcome_stands_in_the_mail_that_welcomes(house: House, desk: Desk) -> None:
    open_page(desk, f"{ONE}/words").press("Save", welcome_text=f"Good to have you. {SCRIPT}")
    became_reader(house)
    mail = next(one for one in house.inbox.of("ann@example.org") if "Welcome" in one.subject)
    assert f"Good to have you. {SCRIPT}" in " ".join(mail.part("plain").split())
    assert "&lt;script&gt;" in mail.part("html")
    assert SCRIPT not in mail.part("html")


def test_a_closed_archive_is_nowhere(house: House, desk: Desk) -> None:
    paper = newsroom.Paper(house, 1, SLUG, 1)
    went_out(paper, house.now.date())
    pages = [f"/editions/{SLUG}/", f"/editions/{SLUG}/2026-03/", f"/editions/{SLUG}/2026-03-03"]
    feeds = [f"/editions/{SLUG}/feed.xml", f"/editions/{SLUG}/feed.json"]
    assert [house.browser.get(path).status_code for path in pages + feeds] == [200] * 5
    assert "/editions/" in house.browser.get("/").text
    open_page(desk, f"{ONE}/site").press("Save", has_archive="no")
    assert [house.browser.get(path).status_code for path in pages + feeds] == [404] * 5
    for path in ("/", "/subscribe", "/editions/", "/feed.xml"):
        answer = house.browser.get(path)
        assert answer.status_code == 200, path
        assert f"/editions/{SLUG}" not in answer.text, path
    with house.app.app_context():
        sealed = db.session.scalars(sa.select(Revision)).first()
        assert sealed is not None
        parts = rendering.render(sealed)
        mails = [sampling.sample(newsletters()[0], house.now), parts.html, parts.text]
    assert [mail for mail in mails if "View in browser" in mail or "/editions/" in mail] == []
