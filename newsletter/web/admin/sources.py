"""Where stories come from, and how it goes."""

from __future__ import annotations

from flask import render_template

from newsletter.newsletters.models import newsletters
from newsletter.stories.models import counts_by_source, sources
from newsletter.web.admin.access import pages, staff_only


@pages.get("/sources", endpoint="sources")
@staff_only
def show_sources() -> str:
    counts = counts_by_source()
    names = {newsletter.id: newsletter.name for newsletter in newsletters()}
    return render_template(
        "admin/sources.html",
        rows=[
            {
                "source": source,
                "stories": counts.get(source.id, 0),
                "newsletters": [(names[use.newsletter_id], use.weight, use.own) for use in source.newsletters],
            }
            for source in sources()
        ],
    )
