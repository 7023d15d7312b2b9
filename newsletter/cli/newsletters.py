"""What is published."""

from __future__ import annotations

import json
from datetime import datetime, time
from pathlib import Path

import click

from newsletter.cli.root import as_json, in_app, main, settings_of, show
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.clock import the_clock
from newsletter.newsletters import settings
from newsletter.newsletters.models import newsletter, newsletters
from newsletter.newsletters.settings import NewNewsletter
from newsletter.stories import following, gating, outlines


@main.group("newsletters")
def newsletters_() -> None:
    """What is published."""


@newsletters_.command("list")
@as_json
@in_app
def newsletters_list(json_: bool) -> None:
    """List the newsletters with their slots."""
    rows = [
        {"slug": n.slug, "name": n.name, "from": n.from_address, "slots": {s.id: s.label for s in n.slots}}
        for n in newsletters()
    ]
    empty = "No newsletter yet. Make one: newsletter newsletters add SLUG --name NAME --from ADDRESS"
    show(
        rows,
        json_,
        lambda r: f"{r['slug']:<20} {r['name']}, from {r['from']}, {', '.join(r['slots'].values())}",
        empty,
    )


@newsletters_.command("add")
@click.argument("slug")
@click.option("--name", required=True)
@click.option("--from", "from_address", required=True, help="The address it is sent from.")
@click.option("--zone", default="UTC", show_default=True, help="Time zone of the first slot, like Europe/Berlin.")
@click.option("--time", "at", default="06:00", show_default=True, help="Local time of the first slot.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Any setting of newsletters set.")
@click.option("--starter", type=click.Choice(outlines.starters()), help="Begin with a list of feeds.")
@in_app
def newsletters_add(
    slug: str, name: str, from_address: str, zone: str, at: str, pairs: tuple[str, ...], starter: str | None
) -> None:
    """Make a newsletter with one slot."""
    new = NewNewsletter(slug, name, from_address, zone, _time(at))
    made = settings.add(new, the_clock().now(), COMMAND, **settings_of(pairs))
    if starter is None:
        click.echo(f"Made {made.name}. Now its feeds: newsletter sources add URL")
        return
    listed = outlines.starter(starter)
    added = following.import_sources(newsletter(slug), listed, the_clock().now(), COMMAND, on_topic=True)
    click.echo(f"Made {made.name} with {added} feeds. Now: newsletter collect")


def _time(text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - a time of day has no zone
    except ValueError as error:
        raise click.BadParameter("write it like 06:00", param_hint="--time") from error


@newsletters_.command("show")
@click.argument("slug", required=False)
@as_json
@in_app
def newsletters_show(slug: str | None, json_: bool) -> None:
    """Print a newsletter's settings, as newsletters set would change them."""
    shown = newsletter(slug)
    values = {key: settings.as_text(getattr(shown, key)) for key in settings.READERS}
    if json_:
        click.echo(json.dumps(values, ensure_ascii=False))
        return
    for key, value in values.items():
        click.echo(f"{key}={value}")


@newsletters_.command("topic")
@click.argument("slug")
@click.argument("topic", required=False, metavar="[NAME|FILE.toml|none]")
@in_app
def newsletters_topic(slug: str, topic: str | None) -> None:
    """Let only stories about a topic in: one that comes with the product, or one's own words from FILE.toml.

    Without a topic, print the words of the present one, to begin one's own from.
    """
    if topic is None:
        click.echo(gating.words_of(newsletter(slug)).rstrip() or "Everything is let in: there is no topic.")
        return
    changed = gating.set_topic(slug, _topic_text(topic), the_clock().now(), COMMAND)
    taken = gating.topic_of(changed)
    click.echo(f"{changed.name} takes stories {f'of the topic {taken.name}' if taken else 'about everything'}.")


def _topic_text(topic: str) -> str:
    if topic == "none":
        return ""
    if not topic.endswith(".toml"):
        return topic
    try:
        return Path(topic).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{topic} cannot be read: {error}", param_hint="topic") from error


@newsletters_.command("set")
@click.argument("slug")
@click.argument("pairs", nargs=-1, required=True, metavar="KEY=VALUE…")
@in_app
def newsletters_set(slug: str, pairs: tuple[str, ...]) -> None:
    """Change settings of a newsletter."""
    changed = settings.change(slug, the_clock().now(), COMMAND, **settings_of(pairs))
    click.echo(f"Changed {changed.name}.")
