"""Outlets' feeds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from newsletter.cli.root import as_json, fail, in_app, in_newsletter, main, settings_of, show
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.clock import the_clock
from newsletter.newsletters.models import newsletter, newsletters
from newsletter.stories import checking, collecting, following, health, outlines
from newsletter.stories.fetching import the_fetcher
from newsletter.stories.following import Use
from newsletter.stories.health import Health
from newsletter.stories.models import Source, SourceState, source, sources, sources_of
from newsletter.stories.outlines import Outline


@main.group("sources")
def sources_() -> None:
    """Outlets' feeds."""


@sources_.command("add")
@click.argument("url")
@click.option("--outlet", help="The outlet's name; the feed's own title otherwise.")
@click.option("--weight", default=1.0, show_default=True, type=click.FloatRange(0.1, 10))
@click.option("--own", is_flag=True, help="This is the paper's own feed.")
@click.option("--on-topic", is_flag=True, help="Its stories are about the newsletter's topic, whatever their words.")
@click.option("--section", default="", help="Where its stories go that name no section.")
@click.option("--page-fetch", is_flag=True, help="Stories without a picture get that of their page.")
@in_newsletter
@in_app
def sources_add(
    url: str,
    outlet: str | None,
    weight: float,
    own: bool,
    on_topic: bool,
    section: str,
    page_fetch: bool,
    slug: str | None,
) -> None:
    """Let a newsletter collect a feed."""
    use = Use(weight, own, on_topic, section)
    publication, now = newsletter(slug), the_clock().now()
    added = following.add_source(
        publication, url, outlet, now, COMMAND, fetcher=the_fetcher(), use=use, page_fetch=page_fetch
    )
    click.echo(f"Added {added.outlet} as source {added.id}.")


@sources_.command("set")
@click.argument("id", type=int)
@click.argument("pairs", nargs=-1, required=True, metavar="KEY=VALUE…")
@in_newsletter
@in_app
def sources_set(id: int, pairs: tuple[str, ...], slug: str | None) -> None:
    """Change how a newsletter uses a source (weight, own, on_topic, section), or the source itself for every newsletter
    (outlet, url, page_fetch, disabled). What can be true is set with yes or no."""
    settings = settings_of(pairs)
    whose = newsletter(slug) if slug or following.USE.keys() & settings.keys() else None
    changed = following.change(id, whose, the_clock().now(), COMMAND, **settings)
    click.echo(f"Changed {changed.outlet}.")


@sources_.command("remove")
@click.argument("id", type=int)
@in_newsletter
@in_app
def sources_remove(id: int, slug: str | None) -> None:
    """Let a newsletter collect a source no more. Its stories stay."""
    publication = newsletter(slug)
    name = publication.name
    left = following.unfollow(publication, id, the_clock().now(), COMMAND)
    more = " Nobody does any more, so it is disabled." if left.state is SourceState.DISABLED else ""
    click.echo(f"{name} no longer collects {left.outlet}.{more}")


@sources_.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@in_newsletter
@in_app
def sources_import(file: Path, slug: str | None) -> None:
    """Let a newsletter collect every feed of an OPML file; nested outlines become sections."""
    listed = outlines.read(file.read_bytes())
    added = following.import_sources(newsletter(slug), listed, the_clock().now(), COMMAND)
    click.echo(f"{len(listed)} feeds in {file}; {added} are new.")


@sources_.command("export")
@in_newsletter
@in_app
def sources_export(slug: str | None) -> None:
    """Print a newsletter's feeds as OPML; sections become nested outlines."""
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
@in_newsletter
@as_json
@in_app
def sources_list(slug: str | None, json_: bool) -> None:
    """List the sources, or those of one newsletter, and how they are."""
    used = {use.source_id for use in sources_of(newsletter(slug).id)} if slug else None
    listed = [one for one in sources() if used is None or one.id in used]
    names = {one.id: one.slug for one in newsletters()}
    healths = health.of(listed)
    rows = [_row(one, healths[one.id], names) for one in listed]
    show(rows, json_, _line, "No source yet. Add one: newsletter sources add URL")


def _row(listed: Source, its: Health, names: dict[int, str]) -> dict[str, Any]:
    used = [
        {"newsletter": names[u.newsletter_id]} | {key: getattr(u, key) for key in following.USE}
        for u in listed.newsletters
    ]
    return {
        "id": listed.id,
        "outlet": listed.outlet,
        "url": listed.url,
        "state": listed.state,
        "stories": its.stories,
        "newest": its.newest,
        "error": listed.error,
        "failing_since": listed.failing_since,
        "moved_from": its.moved and its.moved.before,
        "moved_at": its.moved and its.moved.at,
        "page_fetch": listed.page_fetch,
        "newsletters": used,
        "notes": list(_notes(listed, its)),
    }


def _notes(listed: Source, its: Health) -> Iterator[str]:
    """What a person should know of a source."""
    if listed.error and listed.failing_since:
        yield f"{listed.error} Since {listed.failing_since:%Y-%m-%d %H:%M} UTC."
    if its.newest and its.usual_pause is not None:
        usual = health.in_words(its.usual_pause)
        yield f"No new story since {its.newest:%Y-%m-%d %H:%M} UTC, and it is seldom silent for {usual}."
    if its.moved:
        yield f"Moved here from {its.moved.before} on {its.moved.at:%Y-%m-%d}."
    if not listed.newsletters:
        yield "No newsletter collects it."


def _line(row: dict[str, Any]) -> str:
    notes = "".join(f"\n      {note}" for note in row["notes"])
    return f"{row['id']:>4}  {row['state']:<8} {row['stories']:>5} stories  {row['outlet']}  {row['url']}{notes}"


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
