"""The digest, from draft to ledger."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from newsletter.cli.root import as_json, fail, in_app, in_newsletter, main
from newsletter.delivery import releasing
from newsletter.delivery.models import states_of
from newsletter.editions import publishing, rendering
from newsletter.editions.models import Edition, EditionUnknown, edition_of
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.clock import the_clock
from newsletter.newsletters.models import newsletter


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
        fail(f"{file} cannot be written: {error.strerror}.")
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
