"""Where stories come from, and how it goes."""

from __future__ import annotations

from collections import Counter

from flask import render_template

from newsletter.newsletters.models import newsletters
from newsletter.stories import health
from newsletter.stories.models import SourceState, sources
from newsletter.web.admin.access import pages, staff_only

WORST_FIRST = (
    SourceState.FAILING,
    SourceState.GONE,
    SourceState.SILENT,
    SourceState.NEW,
    SourceState.OK,
    SourceState.DISABLED,
)


@pages.get("/sources", endpoint="sources")
@staff_only
def show_sources() -> str:
    listed = sorted(sources(), key=lambda source: WORST_FIRST.index(source.state))
    healths = health.of(listed)
    counts = Counter(source.state for source in listed)
    return render_template(
        "admin/sources.html",
        rows=[{"source": source, "health": healths[source.id]} for source in listed],
        counts=[(state, counts[state]) for state in WORST_FIRST if counts[state]],
        names={newsletter.id: newsletter.name for newsletter in newsletters()},
        in_words=health.in_words,
    )
