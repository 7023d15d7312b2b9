from __future__ import annotations

from datetime import timedelta

from newsletter.delivery import releasing
from newsletter.editions import publishing, rendering
from newsletter.editions.models import Edition, edition
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import transaction
from newsletter.newsletters import settings
from newsletter.newsletters.models import newsletter
from newsletter.newsletters.settings import NewNewsletter
from newsletter.stories.models import NewsletterSource, Source, Story
from tests.conftest import House

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
