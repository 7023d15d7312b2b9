"""Where stories come from, and how it goes."""

from __future__ import annotations

from collections import Counter

from flask import render_template

from newsletter.stories import health
from newsletter.stories.models import Source, SourceState, sources
from newsletter.web.admin.access import me, my_newsletters, pages, staff_only

WORST_FIRST = (
    SourceState.FAILING,
    SourceState.GONE,
    SourceState.SILENT,
    SourceState.NEW,
    SourceState.OK,
    SourceState.DISABLED,
)


def my_sources() -> list[Source]:
    """Those that one's newsletters follow."""
    return [
        one for one in sources() if not me().limited or any(me().sees(use.newsletter_id) for use in one.newsletters)
    ]


@pages.get("/sources", endpoint="sources")
@staff_only
def show_sources() -> str:
    listed = sorted(my_sources(), key=lambda source: WORST_FIRST.index(source.state))
    healths = health.of(listed)
    counts = Counter(source.state for source in listed)
    return render_template(
        "admin/sources.html",
        rows=[{"source": source, "health": healths[source.id]} for source in listed],
        counts=[(state, counts[state]) for state in WORST_FIRST if counts[state]],
        names={newsletter.id: newsletter.name for newsletter in my_newsletters()},
        in_words=health.in_words,
    )
