"""A made-up edition, by which staff see what a look does before they choose it."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace

import sqlalchemy as sa

from newsletter.editions.models import EditionKind
from newsletter.foundation import writing
from newsletter.foundation.languages import spoken
from newsletter.mail import templates
from newsletter.newsletters import calendar
from newsletter.newsletters.models import Newsletter

STORIES = (
    (
        "Harbor bridge closes for the winter",
        "Ferries carry everybody over the sound until March, every twenty minutes, while the old piers are mended.",
        "Harbor Gazette",
        ("Ridge Courier", "Bay Herald"),
    ),
    (
        "School strike ends after nine days",
        "Teachers and the council agree on smaller classes from the autumn on.",
        "Ridge Courier",
        ("Harbor Gazette",),
    ),
    ("A lighthouse finds its keeper", "Eleven people applied. The one who was chosen is nineteen.", "Bay Herald", ()),
)
"""Headline, summary, outlet, and who covers it too."""


def sample(of: Newsletter, now: datetime, **look: str) -> str:
    """The HTML of a mail of the newsletter with another look. Nothing is stored. Raises TemplateBroken."""
    columns = {column.key: getattr(of, column.key) for column in sa.inspect(Newsletter).column_attrs}
    ours = spoken(of.language)
    rendered = templates.render(
        "edition",
        language=ours,
        newsletter=SimpleNamespace(**columns | look),
        edition=SimpleNamespace(kind=EditionKind.DAILY, number=0),
        day_text=writing.day(calendar.local_date_at(now, of.default_slot.zone), ours),
        archive_link="#" if of.has_archive else "",
        subject=STORIES[0][0],
        preheader=STORIES[1][0],
        intro="",
        items=[_item(place, *story) for place, story in enumerate(STORIES, 1)],
        block=None,
        reader=SimpleNamespace(address="reader@example.org", unsubscribe_url="#", preferences_url="#"),
    )
    return rendered.html


def _item(place: int, headline: str, summary: str, outlet: str, others: tuple[str, ...]) -> SimpleNamespace:
    return SimpleNamespace(
        headline=headline,
        summary=summary,
        outlet=outlet,
        section="",
        url="#",
        image_url=None,
        image_alt="",
        image_credit="",
        is_update=False,
        also_covered=[SimpleNamespace(outlet=other, title=headline, url="#") for other in others],
        more_outlets=0,
        hours_old=place,
    )
