from __future__ import annotations

import re
from datetime import date, timedelta
from urllib.parse import urlsplit

import pytest

from newsletter.delivery import releasing
from newsletter.editions import adding, publishing, rendering
from newsletter.editions.models import Edition, Item, edition
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db, transaction
from newsletter.newsletters import settings
from newsletter.newsletters.models import Slot, newsletter
from newsletter.newsletters.settings import NewNewsletter
from newsletter.stories.models import NewsletterSource, Source, Story
from tests.conftest import House
from tests.support.newsroom import Paper, found, sending
from tests.support.past import went_out
from tests.support.pseudo import LONG_LATIN, speaking

HOSTILE = 'Mayor <script>alert("x")</script> & "friends"'


def drafted(house: House, *titles: str) -> Edition:
    new = NewNewsletter("post", "Morning Post", "post@example.org")
    published = settings.add(new, house.now, COMMAND, items_at_least="1")
    with transaction() as session:
        source = Source(url="https://a.example/feed", outlet="Bay Herald", next_poll_at=house.now, created_at=house.now)
        session.add(source)
        session.flush()
        session.add(NewsletterSource(newsletter_id=published.id, source_id=source.id))
        for number, title in enumerate(titles):
            session.add(
                Story(
                    source_id=source.id,
                    identity=f"{number:064x}",
                    page=f"{number:064x}",
                    url=f"https://a.example/{number}",
                    title=title,
                    published_at=house.now - timedelta(hours=number),
                    first_seen_at=house.now,
                    updated_at=house.now,
                )
            )
    return publishing.compose(newsletter(None).default_slot, house.now.date(), house.now, COMMAND)


def test_a_hostile_headline_stays_text_everywhere(house: House) -> None:
    with house.app.app_context():
        revision = drafted(house, HOSTILE).revision
        assert revision is not None
        parts = rendering.render(revision)
    assert "<script>" not in parts.html
    assert "&lt;script&gt;" in parts.html
    assert HOSTILE in parts.text


def test_no_story_can_hold_another_readers_mark(house: House) -> None:
    with house.app.app_context():
        revision = drafted(house, "xmarkeraddressx").revision
        assert revision is not None
        first, second = rendering.render(revision), rendering.render(revision)
    assert first.marker != second.marker
    assert first.marker not in "xmarkeraddressx"


def test_what_was_approved_is_shown_and_sent_whatever_happens_to_the_story(house: House) -> None:
    with house.app.app_context():
        sealed = releasing.approve(drafted(house, "A first headline").id, house.now, COMMAND).revision
        assert sealed is not None
        before = rendering.parts_of(sealed)
        with transaction() as session:
            session.query(Story).update({"title": "Another headline"})
            edition(sealed.edition_id).newsletter.name = "Another name"
        after = edition(sealed.edition_id).revision
        assert after is not None
        assert rendering.parts_of(after) == before


def test_the_date_is_written_in_the_language_of_our_words(house: House) -> None:
    with house.app.app_context():
        revision = drafted(house, "A headline").revision
        assert revision is not None
        written = {language: rendering.render(revision, language) for language in ("", "de", "ja", "tlh")}
    days = {"": "Tuesday, 3 March 2026", "de": "Dienstag, 3. März 2026", "ja": "2026年3月3日火曜日"}
    for language, parts in written.items():
        assert days.get(language, days[""]) in parts.html
        assert days.get(language, days[""]) in parts.text


@pytest.mark.parametrize(
    ("minutes", "age"),
    [
        (-5, []),
        (59, []),
        (60, ["1 h ago"]),
        (35 * 60, ["35 h ago"]),
        (36 * 60, ["1 day ago"]),
        (60 * 60, ["2 days ago"]),
    ],
)
def test_a_story_says_how_old_it_is_at_the_slot(house: House, minutes: int, age: list[str]) -> None:
    with house.app.app_context():
        made = drafted(house, "A headline")
        assert made.revision is not None
        made.revision.items[0].published_at = made.slot_at - timedelta(minutes=minutes)
        parts = rendering.render(made.revision)
    for part in (parts.html, parts.text):
        assert re.findall(r"-?\d+ \w+ ago", part) == age


def test_a_special_edition_counts_from_when_it_was_made_and_says_what_it_is(house: House) -> None:
    paper = found(house)
    house.clock.at = house.clock.at.replace(hour=22)
    paper.tells("Volcano wakes")
    house.later(hours=2)
    with house.app.app_context():
        slot = db.session.get_one(Slot, paper.slot_id)
        revision = adding.special(slot, date(2026, 3, 3), house.now, COMMAND).revision
        assert revision is not None
        parts = rendering.render(revision)
    for part in (parts.html, parts.text):
        assert "3 h ago" in part
        assert "Special edition" in part
    assert f"{house.links.site_url}/editions/morning-post/2026-03-03/special-1" == link_of(parts)


def test_only_our_words_are_other_ones_in_another_language(house: House) -> None:
    with speaking("de", LONG_LATIN), house.app.app_context():
        revision = drafted(house, "A headline").revision
        assert revision is not None
        english, german = rendering.render(revision, "en"), rendering.render(revision, "de")
    for part in (german.html, german.text):
        assert "A headline" in part
        assert "Thank you for reading" not in part
        assert "View in browser" not in part
    assert "Thank you for reading" in english.text


def link_of(parts: rendering.Parts) -> str:
    """Where both parts lead for a look in the browser."""
    (link,) = re.findall(r"https?://\S+/editions/\S+", parts.text)
    assert f'href="{link}"' in parts.html
    return str(link)


def link_in(house: House, edition_id: int) -> str:
    with house.app.app_context():
        revision = db.session.get_one(Edition, edition_id).revision
        assert revision is not None
        return link_of(rendering.parts_of(revision))


def test_a_mail_leads_to_its_page_which_stands_there_once_the_edition_goes_out(house: House) -> None:
    paper, edition_id = sending(house)
    link = link_in(house, edition_id)
    assert link == f"{house.links.site_url}/editions/{paper.slug}/2026-03-03"
    assert "Harbor bridge closes" in house.browser.get(urlsplit(link).path).text


def test_before_that_and_for_other_slots_too_the_address_is_the_one_that_it_will_have(house: House) -> None:
    paper = found(house)
    paper.tells("Harbor bridge closes", "New school opens")
    path = urlsplit(link_in(house, paper.draft())).path
    assert house.browser.get(path).status_code == 404
    elsewhere = Paper(house, paper.id, paper.slug, paper.slot("Asia/Tokyo", house.now.time()))
    other = went_out(elsewhere, house.now.date(), "For Tokyo")
    page = house.browser.get(urlsplit(link_in(house, other)).path)
    assert "For Tokyo" in page.text


def test_a_correction_leads_to_the_page_that_it_stands_on(house: House) -> None:
    paper = found(house)
    wrong = went_out(paper, house.now.date(), "Wrong")
    right = went_out(paper, house.now.date(), "Right", number=1)
    assert link_in(house, wrong) == link_in(house, right)
    assert "Right" in house.browser.get(urlsplit(link_in(house, right)).path).text


# The look and the additions of a newsletter


def rendered(house: House, *titles: str, **settings_: object) -> rendering.Parts:
    """The mail of a draft of a newsletter that is set so."""
    with house.app.app_context():
        made = drafted(house, *(titles or ("A first headline", "A second one")))
        with transaction():
            for name, value in settings_.items():
                setattr(edition(made.id).newsletter, name, value)
        publishing.compose(newsletter(None).default_slot, house.now.date(), house.now, COMMAND)
        revision = edition(made.id).revision
        assert revision is not None
        return rendering.render(revision)


BLOCK = {"block_label": "From our house", "block_text": "Come to <the> fair", "block_link": "Tickets"}


@pytest.mark.parametrize(("after", "stands"), [(1, "between"), (2, "behind"), (9, "behind"), (0, "between")])
def test_the_block_stands_where_it_is_wanted_and_never_vanishes(house: House, after: int, stands: str) -> None:
    parts = rendered(house, **BLOCK, block_url="https://fair.example/", block_after=after)
    for part, words in ((parts.html, "Come to &lt;the&gt; fair"), (parts.text, "Come to <the> fair")):
        places = [part.rindex("A first headline"), part.index(words), part.rindex("A second one")]
        assert sorted(places) == (places if stands == "between" else [places[0], places[2], places[1]])
        assert "From our house" in part
        assert "https://fair.example/" in part


def test_without_a_text_there_is_no_block(house: House) -> None:
    parts = rendered(house, block_label="From our house")
    assert "From our house" not in parts.html + parts.text


def test_links_to_stories_carry_the_tags_and_our_own_do_not(house: House) -> None:
    parts = rendered(house, link_tags="utm_source=daily&utm_medium=email", **BLOCK, block_url="https://fair.example/")
    assert "https://a.example/0?utm_source=daily&amp;utm_medium=email" in parts.html
    assert "https://a.example/0?utm_source=daily&utm_medium=email" in parts.text
    assert "https://fair.example/?utm_source=daily&utm_medium=email" in parts.text
    assert parts.text.count("utm_source") == 3
    assert re.search(r"https://news\.example\.org/editions/\S+", parts.text)


def test_a_sans_serif_newsletter_has_no_serif_in_it(house: House) -> None:
    assert "Georgia" not in rendered(house, typeface="sans").html


def test_a_logo_stands_for_the_name_and_says_it_where_pictures_are_off(house: House) -> None:
    html = rendered(house, logo_url="https://static.example/logo.png").html
    logo = re.search(r'<h1[^>]*><img src="https://static.example/logo.png" alt="Morning Post"', html)
    assert logo


def test_a_mail_that_would_be_cut_off_names_fewer_who_cover_it_too(house: House) -> None:
    """Thirty long stories with as many others as there may be."""
    with house.app.app_context():
        revision = drafted(house, "A headline").revision
        assert revision is not None
        others = [
            {
                "story_id": None,
                "outlet": f"Outlet {n} of the coast",
                "title": "A title " * 12,
                "url": "https://a.example/" + "p" * 300,
            }
            for n in range(6)
        ]
        first = revision.items[0]
        with transaction():
            revision.items += [
                Item(
                    position=position,
                    headline=f"Headline {position} " + "of the coast " * 8,
                    summary="A long summary of it. " * 14,
                    url="https://a.example/" + "s" * 200 + str(position),
                    outlet="Bay Herald",
                    outlets=12,
                    also_covered=others,
                    published_at=first.published_at,
                )
                for position in range(2, 31)
            ]
        parts = rendering.render(revision)
    assert len(parts.html.encode()) <= rendering.LARGEST
    assert all(f"Headline {position} " in parts.html for position in range(2, 31)), "no story is dropped"
    assert re.search(r"and (8|10|11) more", parts.html)
