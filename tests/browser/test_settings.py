"""The pages of sources and of newsletters' settings in a real browser: nobody is kept out, nothing runs off a phone's
edge, and scripts only make them quicker."""

from __future__ import annotations

from datetime import timedelta

from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db, transaction
from newsletter.newsletters import settings, slots
from newsletter.newsletters.models import newsletter
from newsletter.stories import following
from newsletter.stories.models import Source, SourceState
from tests.conftest import House
from tests.support import newsroom

ONE = "/admin/newsletters/morning-post"
PAGES = {
    "sources": "/admin/sources",
    "source": "/admin/sources/1",
    "source-add": "/admin/sources/add",
    "sources-import": "/admin/sources/import",
    "newsletters": "/admin/newsletters",
    "newsletter-add": "/admin/new-newsletter",
    "newsletter": ONE,
    **{part: f"{ONE}/{part}" for part in ("words", "sender", "look", "selection", "approval", "mail", "site")},
    "slots": f"{ONE}/slots",
    "calendar": f"{ONE}/calendar?month=2026-03",
    "texts": f"{ONE}/texts?count=yes",
    "box": f"{ONE}/box",
}
TROUBLE = "The server answered 404 Not Found: there is nothing at this address."


def furnish(house: House) -> newsroom.Paper:
    """A paper with three sources, of which one is in trouble, a second slot, a closed one, and a date left out."""
    paper = newsroom.found(house, zone="Europe/Berlin", tagline="The day, told once", postal_address="1 Quay Street")
    for title, outlet in (
        ("Harbor bridge closes for the winter", "Harbor Gazette"),
        ("School strike ends after nine days", "Ridge Courier"),
        ("A lighthouse finds its keeper", "Bay Herald"),
    ):
        paper.story(title, outlet)
    paper.readers("ann@example.org", "bob@example.org")
    with house.app.app_context():
        by, now = COMMAND, house.now
        with transaction():
            ill = db.session.get_one(Source, 2)
            ill.state, ill.error, ill.failures = SourceState.FAILING, TROUBLE, 3
            ill.failing_since = ill.polled_at = now - timedelta(days=1)
            db.session.get_one(Source, 1).state = SourceState.OK
            db.session.get_one(Source, 1).succeeded_at = now
        following.silence(newsletter("morning-post"), 3, None, now, by)
        slots.add("morning-post", "America/New_York", slots.read_time("02:30"), now, by)
        settings.skip("morning-post", (now + timedelta(days=5)).date(), now, by)
        settings.write_sign_up_text("morning-post", "Yes, send me the Morning Post each day.", 1, now, by)
    paper.draft()
    return paper
