"""Every command an operator types; no logic of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import date, datetime, time
from functools import update_wrapper
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

import click
from flask import Flask

from newsletter import __version__
from newsletter.delivery import releasing
from newsletter.delivery.models import states_of
from newsletter.editions import publishing, rendering
from newsletter.editions.models import Edition, EditionUnknown, edition_of
from newsletter.foundation import config as config_module
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.clock import the_clock
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.links import the_links
from newsletter.foundation.secrets import the_keys
from newsletter.mail import addresses
from newsletter.newsletters import settings
from newsletter.newsletters.models import newsletter, newsletters
from newsletter.newsletters.settings import NewNewsletter
from newsletter.operations import assembling, measuring, serve
from newsletter.operations.demo import running
from newsletter.staff import signing_in
from newsletter.staff.models import Role
from newsletter.stories import checking, collecting, outlines
from newsletter.stories.collecting import Use
from newsletter.stories.evaluating import Score
from newsletter.stories.fetching import the_fetcher
from newsletter.stories.models import counts_by_source, source, sources, sources_of
from newsletter.stories.outlines import Outline
from newsletter.subscribers import signing_up, suppressing
from newsletter.subscribers.models import SubscriberUnknown, consent_story, subscriber_at

as_json = click.option("--json", "json_", is_flag=True, help="Print JSON, for scripts.")


class Commands(click.Group):
    """Turns expected failures into one line on stderr and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except NewsletterError as error:
            _fail(str(error))


def _fail(line: str) -> NoReturn:
    click.echo(f"newsletter: {line}", err=True)
    sys.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="newsletter")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="NEWSLETTER_CONFIG",
    default="config.toml",
    show_default=True,
    help="The configuration file.",
)
@click.pass_context
def main(ctx: click.Context, config: Path) -> None:
    """Daily Headlines: collect, compose and send a daily newsletter."""
    serve.set_up_logging()
    ctx.obj = config


def in_app(command: Callable[..., None]) -> Callable[..., None]:
    """Run a command in the app of the config, once the app can work."""

    @click.pass_obj
    def wrapped(file: Path, /, *args: Any, **kwargs: Any) -> None:
        app: Flask = assembling.ready(file)
        with app.app_context():
            command(*args, **kwargs)

    return update_wrapper(wrapped, command)


def _show(rows: list[dict[str, Any]], json_: bool, line: Callable[[dict[str, Any]], str], empty: str) -> None:
    if json_:
        click.echo(json.dumps(rows, ensure_ascii=False, default=str))
    for row in rows if not json_ else ():
        click.echo(line(row))
    if not rows and not json_:
        click.echo(empty)


@main.command()
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--dir", "folder", default="var/demo", show_default=True, type=click.Path(file_okay=False, path_type=Path)
)
@click.option("--fresh", is_flag=True, help="Throw an earlier demo away and start over.")
def demo(port: int, folder: Path, fresh: bool) -> None:
    """The whole product with sample outlets and a mailbox viewer; no SMTP account needed."""
    running.run(folder, port, fresh, click.echo)


@main.command("serve")
@click.pass_obj
def serve_(file: Path) -> None:
    """Web, scheduler and worker in one group, for one machine."""
    serve.group(file)


@main.command()
@click.pass_obj
def web(file: Path) -> None:
    """Only the pages."""
    serve.web(file)


@main.command()
@click.pass_obj
def scheduler(file: Path) -> None:
    """Only the scheduler."""
    serve.scheduler(file)


@main.command()
@click.pass_obj
def worker(file: Path) -> None:
    """Only the worker that sends."""
    serve.worker(file)


@main.command()
@click.option("--until-idle", is_flag=True, help="End when nothing is due.")
@click.pass_obj
def deliver(file: Path, until_idle: bool) -> None:
    """Run the worker in the foreground."""
    serve.deliver(file, until_idle)


@main.group()
def db() -> None:
    """The database."""


@db.command("upgrade")
@click.pass_obj
def db_upgrade(file: Path) -> None:
    """Create the tables, or bring them to this program's version; make the keys where there are none."""
    version = assembling.upgrade(config_module.load(file))
    click.echo(f"The database is at version {version}.")


@db.command("check")
@click.pass_obj
def db_check(file: Path) -> None:
    """Say whether the database is ready for this program."""
    assembling.ready(file)
    click.echo("The database is ready.")


@main.group()
def staff() -> None:
    """People who sign in."""


@staff.command("add")
@click.argument("address")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--password", is_flag=True, help="Ask for a password; without it they sign in by links.")
@in_app
def staff_add(address: str, role: str, password: bool) -> None:
    """Add a person."""
    secret = click.prompt("Password", hide_input=True, confirmation_prompt=True) if password else None
    added = signing_in.add(address, Role(role), the_clock().now(), COMMAND, secret)
    click.echo(
        f"{added.address} is on the staff as {added.role}. A link to sign in: newsletter staff link {added.address}"
    )


@staff.command("link")
@click.argument("address")
@in_app
def staff_link(address: str) -> None:
    """Print a link that signs a person in once, within a day."""
    click.echo(signing_in.make_link(address, the_clock().now(), COMMAND, the_links()))


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
    _show(
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
    made = settings.add(new, the_clock().now(), COMMAND, **_settings(pairs))
    if starter is None:
        click.echo(f"Made {made.name}. Now its feeds: newsletter sources add URL")
        return
    listed = outlines.starter(starter)
    added = collecting.import_sources(newsletter(slug), listed, the_clock().now(), COMMAND, on_topic=True)
    click.echo(f"Made {made.name} with {added} feeds. Now: newsletter collect")


def _time(text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - a time of day has no zone
    except ValueError as error:
        raise click.BadParameter("write it like 06:00", param_hint="--time") from error


def _settings(pairs: tuple[str, ...]) -> dict[str, str]:
    split = [pair.partition("=") for pair in pairs]
    for key, equals, _ in split:
        if not equals:
            raise click.UsageError(f"“{key}” is not of the form KEY=VALUE.")
    return {key.strip(): value for key, _, value in split}


@newsletters_.command("set")
@click.argument("slug")
@click.argument("pairs", nargs=-1, required=True, metavar="KEY=VALUE…")
@in_app
def newsletters_set(slug: str, pairs: tuple[str, ...]) -> None:
    """Change settings of a newsletter."""
    changed = settings.change(slug, the_clock().now(), COMMAND, **_settings(pairs))
    click.echo(f"Changed {changed.name}.")


in_newsletter = click.option("--newsletter", "slug", help="Which newsletter; not needed when there is one.")


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

    _show(rows, json_, line, "No source yet. Add one: newsletter sources add URL")


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

    _show(rows, json_, line, "No source is due.")
    if polled and all(one.error for one in polled):
        _fail("no source could be read; the reasons stand above.")


@main.group()
def edition() -> None:
    """The digest: compose, look, send."""


def of_edition(command: Callable[..., None]) -> Callable[..., None]:
    """The options that name an edition: today's of the default slot unless said otherwise."""
    command = click.option("--slot", "slot_id", type=int, help="The slot's number.")(command)
    command = click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="The local date.")(command)
    return in_newsletter(command)


def _which(slug: str | None, day: datetime | None, slot_id: int | None) -> tuple[Any, date]:
    return publishing.find(newsletter(slug), day.date() if day else None, slot_id, the_clock().now())


def _existing(slug: str | None, day: datetime | None, slot_id: int | None) -> Edition:
    slot, local_date = _which(slug, day, slot_id)
    found = edition_of(slot.id, local_date)
    if found is None:
        raise EditionUnknown(what=f"of {local_date} for {slot.label} yet; compose it: newsletter edition compose")
    return found


@edition.command("compose")
@of_edition
@in_app
def edition_compose(slug: str | None, day: datetime | None, slot_id: int | None) -> None:
    """Draft an edition from the latest stories."""
    slot, local_date = _which(slug, day, slot_id)
    _print(publishing.compose(slot, local_date, the_clock().now(), COMMAND))


@edition.command("show")
@of_edition
@as_json
@in_app
def edition_show(slug: str | None, day: datetime | None, slot_id: int | None, json_: bool) -> None:
    """Print an edition's stories, each with the reason it was chosen."""
    found = _existing(slug, day, slot_id)
    if json_:
        click.echo(json.dumps(_as_data(found), ensure_ascii=False, default=str))
    else:
        _print(found)


def _as_data(found: Edition) -> dict[str, Any]:
    revision = found.revision
    names = ("position", "headline", "summary", "outlet", "url", "section", "also_covered", "reason")
    return {
        "id": found.id,
        "newsletter": found.newsletter.slug,
        "slot": found.slot_id,
        "date": found.local_date,
        "state": found.state,
        "held": found.held_reason,
        "subject": revision.subject if revision else None,
        "items": [{name: getattr(item, name) for name in names} for item in revision.items] if revision else [],
    }


def _print(found: Edition) -> None:
    held = f", held: {found.held_reason}" if found.held_at else ""
    at = found.slot_at.astimezone(ZoneInfo(found.slot.zone))
    click.echo(f"{found.newsletter.name}, {found.local_date}, {at:%H:%M} {found.slot.zone}: {found.state}{held}")
    if found.revision is None:
        return
    click.echo(f"Subject: {found.revision.subject}")
    for item in found.revision.items:
        click.echo(f"\n{item.position:>2}. {item.headline}\n    {item.outlet} · {item.reason}")
        if item.also_covered:
            click.echo("    Also covered by " + ", ".join(other["outlet"] for other in item.also_covered))


@edition.command("preview")
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path))
@of_edition
@in_app
def edition_preview(file: Path, slug: str | None, day: datetime | None, slot_id: int | None) -> None:
    """Write an edition to FILE as a reader would see it: text if FILE ends in .txt, else HTML."""
    found = _existing(slug, day, slot_id)
    if found.revision is None:
        raise EditionUnknown(what="with a draft; compose it: newsletter edition compose")
    form = "text" if file.suffix == ".txt" else "html"
    content = rendering.preview(rendering.parts_of(found.revision), found.newsletter, form)
    try:
        file.write_text(content, "utf-8")
    except OSError as error:
        _fail(f"{file} cannot be written: {error.strerror}.")
    click.echo(f"Written to {file}.")


@edition.command("approve")
@of_edition
@in_app
def edition_approve(slug: str | None, day: datetime | None, slot_id: int | None) -> None:
    """Settle an edition's content; it goes out at its slot."""
    found = releasing.approve(_existing(slug, day, slot_id).id, the_clock().now(), COMMAND)
    click.echo(f"Approved: {found.newsletter.name} of {found.local_date}.")


@edition.command("send")
@of_edition
@click.option("--late", metavar="DATE", help="The edition's date, typed once more, to send it after its window.")
@in_app
def edition_send(slug: str | None, day: datetime | None, slot_id: int | None, late: str | None) -> None:
    """Send an edition now; workers, or newsletter deliver, carry it out."""
    found = releasing.send(_existing(slug, day, slot_id).id, the_clock().now(), COMMAND, late)
    click.echo(f"{found.newsletter.name} of {found.local_date} goes to {found.audience} readers.")


@edition.command("hold")
@of_edition
@click.option("--reason", default="", help="Why, for the others.")
@in_app
def edition_hold(slug: str | None, day: datetime | None, slot_id: int | None, reason: str) -> None:
    """Stop an edition from going out until it is resumed."""
    found = publishing.hold(_existing(slug, day, slot_id).id, reason, the_clock().now(), COMMAND)
    click.echo(f"Held: {found.newsletter.name} of {found.local_date}.")


@edition.command("resume")
@of_edition
@in_app
def edition_resume(slug: str | None, day: datetime | None, slot_id: int | None) -> None:
    """Take a hold away."""
    found = publishing.resume(_existing(slug, day, slot_id).id, the_clock().now(), COMMAND)
    click.echo(f"Resumed: {found.newsletter.name} of {found.local_date}.")


@edition.command("report")
@of_edition
@as_json
@in_app
def edition_report(slug: str | None, day: datetime | None, slot_id: int | None, json_: bool) -> None:
    """How many deliveries of an edition are in each state; together they are its audience."""
    found = _existing(slug, day, slot_id)
    states = {state.value: count for state, count in states_of(found.id).items()}
    if json_:
        click.echo(json.dumps({"state": found.state, "audience": found.audience, "deliveries": states}))
        return
    click.echo(f"{found.newsletter.name} of {found.local_date} is {found.state}, audience {found.audience or 0}")
    for state, count in states.items():
        click.echo(f"  {state:<10} {count:>9}")


@main.group()
def subscribers() -> None:
    """Readers."""


@subscribers.command("add")
@click.argument("address")
@in_newsletter
@in_app
def subscribers_add(address: str, slug: str | None) -> None:
    """Send somebody the confirmation mail; they are added when they press its button."""
    signing_up.request_for(newsletter(slug).slug, address, the_clock().now(), the_keys(), COMMAND)
    click.echo(f"{address} gets a mail, and is added when they press its button.")


@subscribers.command("show")
@click.argument("address")
@as_json
@in_app
def subscribers_show(address: str, json_: bool) -> None:
    """What is known about a reader."""
    person = subscriber_at(addresses.normalise(addresses.parse(address)))
    if person is None:
        raise SubscriberUnknown(who=address)
    data = {
        "address": person.address,
        "since": person.created_at,
        "subscriptions": [
            {"newsletter": s.newsletter.slug, "slot": s.slot.label, "state": s.state} for s in person.subscriptions
        ],
        "consent": [
            {"at": e.at, "kind": e.kind, "newsletter": e.newsletter.slug, "by": e.by, "ip": e.ip}
            for e in consent_story(person.address_hash)
        ],
    }
    click.echo(json.dumps(data, ensure_ascii=False, default=str, indent=None if json_ else 2))


@subscribers.command("suppress")
@click.argument("address")
@click.option("--note", default="", help="Why, for the others.")
@in_app
def subscribers_suppress(address: str, note: str) -> None:
    """Never mail an address again."""
    added = suppressing.suppress(address, note, the_clock().now(), the_keys(), COMMAND)
    click.echo(f"{address} is never mailed again." if added else f"{address} was on the suppression list already.")


@main.group()
def stories() -> None:
    """What is chosen from."""


@stories.command("evaluate")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--threshold", default=0.175, show_default=True, help="How alike stories must be to be told as one.")
@click.option("--topic", help="Measure this topic instead, on rows with y.")
@click.option("--split", help="Only the rows of this split.")
@as_json
def stories_evaluate(file: Path, threshold: float, topic: str | None, split: str | None, json_: bool) -> None:
    """Measure grouping, or a topic, on a JSON Lines file of labelled stories; without labels, print the groups."""
    rows = measuring.read(file, split)
    if topic is not None:
        _print_judged(measuring.judge(rows, topic), json_)
    else:
        _print_grouped(measuring.group(rows, threshold), json_)


def _print_judged(judged: measuring.Judged, json_: bool) -> None:
    if json_:
        click.echo(json.dumps(asdict(judged), ensure_ascii=False))
        return
    for title, is_about, words in judged.wrong:
        click.echo(f"{'missed' if is_about else 'wrongly taken'}: {title}  ({', '.join(words) or 'no word'})")
    click.echo(f"{judged.rows} rows, {judged.positive} about it")
    click.echo(_score("topic", judged.score) + "  (95 %: {:.2f} to {:.2f})".format(*judged.interval))


def _print_grouped(grouped: measuring.Grouped, json_: bool) -> None:
    measures = {"pairwise": grouped.pairwise, "B-cubed": grouped.b_cubed}
    known = {name: score for name, score in measures.items() if score is not None}
    if json_:
        rows = [{"words": one.words, "titles": [s.title for s in members]} for one, members in grouped.groups]
        scores = {name: asdict(score) for name, score in known.items()}
        click.echo(json.dumps({"pools": grouped.pools, **scores, "groups": rows}, ensure_ascii=False))
        return
    for one, members in grouped.groups if not known else ():
        click.echo(f"\n{', '.join(one.words) or 'alone'}")
        for story in members:
            click.echo(f"    {story.title}  ({story.outlet or 'unknown outlet'})")
    for name, score in known.items():
        click.echo(_score(name, score))
    if known:
        click.echo(f"the mean over {grouped.pools} pools")


def _score(name: str, score: Score) -> str:
    return f"{name:<9} precision {score.precision:.3f}  recall {score.recall:.3f}  F1 {score.f1:.3f}"
