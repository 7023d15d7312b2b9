"""Outlets' feeds."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from newsletter.cli.root import as_json, fail, in_app, in_newsletter, main, show
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.clock import the_clock
from newsletter.newsletters.models import newsletter
from newsletter.stories import checking, collecting, outlines
from newsletter.stories.collecting import Use
from newsletter.stories.fetching import the_fetcher
from newsletter.stories.models import counts_by_source, source, sources, sources_of
from newsletter.stories.outlines import Outline


@main.group("sources")
def sources_() -> None:
    """Outlets' feeds."""


@sources_.command("add")
@click.argument("url")
@click.option("--outlet", help="The outlet's name; the feed's own title otherwise.")
@click.option("--weight", default=1.0, show_default=True, type=click.FloatRange(0.1, 10))
@click.option("--own", is_flag=True, help="This is the paper's own feed.")
@in_newsletter
@in_app
def sources_add(url: str, outlet: str | None, weight: float, own: bool, slug: str | None) -> None:
    """Let a newsletter collect a feed."""
    use = Use(weight=weight, own=own)
    added = collecting.add_source(
        newsletter(slug), url, outlet, the_clock().now(), COMMAND, fetcher=the_fetcher(), use=use
    )
    click.echo(f"Added {added.outlet} as source {added.id}.")


@sources_.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@in_newsletter
@in_app
def sources_import(file: Path, slug: str | None) -> None:
    """Let a newsletter collect every feed of an OPML file; nested outlines become sections."""
    listed = outlines.read(file.read_bytes())
    added = collecting.import_sources(newsletter(slug), listed, the_clock().now(), COMMAND)
    click.echo(f"{len(listed)} feeds in {file}; {added} are new.")


@sources_.command("export")
@in_newsletter
@in_app
def sources_export(slug: str | None) -> None:
    """Print a newsletter's feeds as OPML."""
    exported = newsletter(slug)
    uses = sources_of(exported.id)
    listed = [Outline(use.source.url, use.source.outlet, use.section) for use in uses]
    click.echo(outlines.write(exported.name, listed).decode("utf-8"), nl=False)


@sources_.command("check")
@click.argument("url")
@as_json
@in_app
def sources_check(url: str, json_: bool) -> None:
    """Show what would be collected from a feed, and every problem seen. Nothing is stored."""
    found = checking.check(url, the_fetcher(), the_clock().now())
    if json_:
        click.echo(json.dumps(asdict(found), ensure_ascii=False, default=str))
        return
    click.echo(f"{found.title or 'A feed without a title'}: {len(found.stories)} stories at {found.url}")
    for story in found.stories[:10]:
        click.echo(f"{story.position:>4}. {story.title}\n      {story.published_at:%Y-%m-%d %H:%M} UTC  {story.url}")
    for problem in found.problems:
        click.echo(f"Problem: {problem}")


@sources_.command("list")
@as_json
@in_app
def sources_list(json_: bool) -> None:
    """List every source with its state."""
    counts = counts_by_source()
    rows = [
        {
            "id": s.id,
            "outlet": s.outlet,
            "url": s.url,
            "state": s.state,
            "stories": counts.get(s.id, 0),
            "error": s.error,
        }
        for s in sources()
    ]

    def line(row: dict[str, Any]) -> str:
        error = f"  ({row['error']})" if row["error"] else ""
        return f"{row['id']:>4}  {row['state']:<8} {row['stories']:>5} stories  {row['outlet']}  {row['url']}{error}"

    show(rows, json_, line, "No source yet. Add one: newsletter sources add URL")


@main.command()
@click.option("--source", "source_id", type=int, help="Only this source, whether due or not.")
@as_json
@in_app
def collect(source_id: int | None, json_: bool) -> None:
    """Poll the sources that are due."""
    now, fetcher = the_clock().now(), the_fetcher()
    polled = (
        [collecting.collect(source(source_id).id, now, fetcher)]
        if source_id is not None
        else collecting.collect_due(now, fetcher)
    )
    rows = [
        {"source": c.source_id, "outlet": c.outlet, "new": c.new, "updated": c.updated, "error": c.error}
        for c in polled
    ]

    def line(row: dict[str, Any]) -> str:
        return f"{row['outlet']}: {row['error'] or str(row['new']) + ' new, ' + str(row['updated']) + ' updated'}"

    show(rows, json_, line, "No source is due.")
    if polled and all(one.error for one in polled):
        fail("no source could be read; the reasons stand above.")
