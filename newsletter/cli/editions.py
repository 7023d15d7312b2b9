"""The digest, from draft to ledger."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from newsletter.cli.root import as_json, fail, in_app, in_newsletter, main, show
from newsletter.delivery import checking, correcting, deciding, ending, releasing, reporting
from newsletter.delivery.counting import Domain
from newsletter.delivery.models import DeliveryState
from newsletter.delivery.reporting import Report, Row
from newsletter.editions import adding, publishing, rendering
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


def of_existing(command: Callable[..., None]) -> Callable[..., None]:
    """The same for one that is there, which may be another than the daily one."""
    what = "0 for the daily edition, 1 and on for its corrections and special ones."
    command = click.option("--number", type=click.IntRange(0), default=0, show_default=True, help=what)(command)
    return of_edition(command)


def _existing(slug: str | None, day: datetime | None, slot_id: int | None, number: int) -> Edition:
    slot, local_date = _which(slug, day, slot_id)
    found = edition_of(slot.id, local_date, number)
    if found is None and number:
        raise EditionUnknown(what=f"with number {number} of {local_date} for {slot.label}")
    if found is None:
        raise EditionUnknown(what=f"of {local_date} for {slot.label} yet; compose it: newsletter edition compose")
    return found


def _named(found: Edition) -> str:
    kind = "correction" if found.corrects_id else str(found.kind)
    number = f", {kind} {found.number}" if found.number else ""
    return f"{found.newsletter.name} of {found.local_date}{number}"


def _at(moment: datetime, found: Edition) -> str:
    return f"{moment.astimezone(ZoneInfo(found.slot.zone)):%H:%M} {found.slot.zone}"


@edition.command("compose")
@of_edition
@in_app
def edition_compose(slug: str | None, day: datetime | None, slot_id: int | None) -> None:
    """Draft an edition from the latest stories."""
    slot, local_date = _which(slug, day, slot_id)
    _print(publishing.compose(slot, local_date, the_clock().now(), COMMAND))


@edition.command("show")
@of_existing
@as_json
@in_app
def edition_show(slug: str | None, day: datetime | None, slot_id: int | None, number: int, json_: bool) -> None:
    """Print an edition's stories, each with the reason it was chosen."""
    found = _existing(slug, day, slot_id, number)
    if json_:
        click.echo(json.dumps(_as_data(found), ensure_ascii=False, default=str))
    else:
        _print(found)


def _as_data(found: Edition) -> dict[str, Any]:
    revision = found.revision
    names = ("position", "story_id", "headline", "summary", "outlet", "url", "section", "also_covered", "reason")
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
    paused = ", paused" if found.paused_at else ""
    goes = f", goes out at {_at(found.send_at, found)}" if found.send_at and not found.frozen_at else ""
    kind = f", {_named(found).rpartition(', ')[2]}" if found.number else ""
    at = _at(found.slot_at, found)
    click.echo(f"{found.newsletter.name}, {found.local_date}{kind}, {at}: {found.state}{held}{paused}{goes}")
    if found.revision is None:
        return
    click.echo(f"Subject: {found.revision.subject}")
    for item in found.revision.items:
        click.echo(f"\n{item.position:>2}. {item.headline}\n    {item.outlet} · {item.reason}")
        if item.also_covered:
            click.echo("    Also covered by " + ", ".join(other["outlet"] for other in item.also_covered))


@edition.command("preview")
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path))
@of_existing
@in_app
def edition_preview(file: Path, slug: str | None, day: datetime | None, slot_id: int | None, number: int) -> None:
    """Write an edition to FILE as a reader would see it: text if FILE ends in .txt, else HTML."""
    found = _existing(slug, day, slot_id, number)
    if found.revision is None:
        raise EditionUnknown(what="with a draft; compose it: newsletter edition compose")
    form = "text" if file.suffix == ".txt" else "html"
    content = rendering.preview(rendering.parts_of(found.revision), found.newsletter, form)
    try:
        file.write_text(content, "utf-8")
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}.")
    click.echo(f"Written to {file}.")


@edition.command("check")
@of_existing
@as_json
@in_app
def edition_check(slug: str | None, day: datetime | None, slot_id: int | None, number: int, json_: bool) -> None:
    """Say what is wrong with an edition, and what to do. The status is 1 when something blocks its approval."""
    rows = [asdict(finding) for finding in checking.findings(_existing(slug, day, slot_id, number), the_clock().now())]
    show(rows, json_, _finding_line, "Nothing is wrong with it.")
    if blocking := [row for row in rows if row["blocking"]]:
        fail(f"It cannot be approved before this is mended; blocking: {len(blocking)}.")


def _finding_line(row: dict[str, Any]) -> str:
    return f"{'Blocks' if row['blocking'] else 'Hint'}: {row['message']}\n    {row['remedy']}"


in_number = click.option("--audience", metavar="N", help="How many readers it goes to, where “check” asks for that.")


@edition.command("approve")
@of_existing
@in_number
@in_app
def edition_approve(
    slug: str | None, day: datetime | None, slot_id: int | None, number: int, audience: str | None
) -> None:
    """Settle an edition's content; it goes out at its slot."""
    edition_id = _existing(slug, day, slot_id, number).id
    found = releasing.approve(edition_id, the_clock().now(), COMMAND, typed_audience=audience)
    click.echo(f"Approved: {_named(found)}.")


@edition.command("send")
@of_existing
@click.option("--late", metavar="DATE", help="The edition's date, typed once more, to send it after its window.")
@in_number
@click.option("--now", "at_once", is_flag=True, help="Do not wait for the cooling-off.")
@in_app
def edition_send(
    slug: str | None,
    day: datetime | None,
    slot_id: int | None,
    number: int,
    late: str | None,
    audience: str | None,
    at_once: bool,
) -> None:
    """Send an edition, which starts when its cooling-off is over; workers, or newsletter deliver, carry it out."""
    now, id = the_clock().now(), _existing(slug, day, slot_id, number).id
    found = releasing.send(id, now, COMMAND, late, typed_audience=audience, at_once=at_once)
    if found.frozen_at is not None or found.send_at is None:
        click.echo(f"{_named(found)} goes to {found.audience} readers.")
        return
    click.echo(f"{_named(found)} goes out at {_at(found.send_at, found)}. To stop it: newsletter edition pull-back")
    if (asleep := releasing.asleep_since(now)) is not None:
        click.echo(
            f"The scheduler gave no sign of life since {asleep:%Y-%m-%d %H:%M} UTC; nothing starts until it runs."
        )


@edition.command("pull-back")
@of_existing
@in_app
def edition_pull_back(slug: str | None, day: datetime | None, slot_id: int | None, number: int) -> None:
    """Take a send back while its cooling-off lasts; the edition is held."""
    found = releasing.pull_back(_existing(slug, day, slot_id, number).id, the_clock().now(), COMMAND)
    click.echo(f"Pulled back and held: {_named(found)}.")


@edition.command("pause")
@of_existing
@in_app
def edition_pause(slug: str | None, day: datetime | None, slot_id: int | None, number: int) -> None:
    """Let nothing more of an edition that is going out begin."""
    found = releasing.pause(_existing(slug, day, slot_id, number).id, the_clock().now(), COMMAND)
    click.echo(f"Paused: {_named(found)}. What has not gone out by {_at(found.finish_by, found)} expires.")


@edition.command("unpause")
@of_existing
@in_app
def edition_unpause(slug: str | None, day: datetime | None, slot_id: int | None, number: int) -> None:
    """Go on after a pause."""
    found = releasing.unpause(_existing(slug, day, slot_id, number).id, the_clock().now(), COMMAND)
    click.echo(f"Goes on: {_named(found)}.")


@edition.command("pull-story")
@click.argument("story", type=int)
@of_existing
@in_app
def edition_pull_story(slug: str | None, day: datetime | None, slot_id: int | None, number: int, story: int) -> None:
    """Take the story with the number STORY out of one edition; what has not gone out goes out without it."""
    found = releasing.pull_story(_existing(slug, day, slot_id, number).id, story, the_clock().now(), COMMAND)
    click.echo(f"Pulled out of {_named(found)}.")


@edition.command("cancel")
@of_existing
@click.option("--reason", default="", help="Why, for the others.")
@in_app
def edition_cancel(slug: str | None, day: datetime | None, slot_id: int | None, number: int, reason: str) -> None:
    """Send no edition, or nothing more of one that is going out."""
    found = ending.cancel(_existing(slug, day, slot_id, number).id, reason, the_clock().now(), COMMAND)
    click.echo(f"Cancelled: {_named(found)} is {found.state}.")


@edition.command("skip")
@of_edition
@click.option("--reason", default="", help="Why, for the others.")
@in_app
def edition_skip(slug: str | None, day: datetime | None, slot_id: int | None, reason: str) -> None:
    """Leave a day of a slot out beforehand."""
    slot, local_date = _which(slug, day, slot_id)
    found = ending.skip(slot, local_date, reason, the_clock().now(), COMMAND)
    click.echo(f"Left out: {_named(found)}.")


@edition.command("correct")
@of_existing
@click.option("--revision", type=int, help="The number of the revision that was wrong; the last one received.")
@in_app
def edition_correct(
    slug: str | None, day: datetime | None, slot_id: int | None, number: int, revision: int | None
) -> None:
    """Draft a correction, to those who received what was wrong; put it right, and send it with its --number."""
    found = _existing(slug, day, slot_id, number)
    known = {one.number: one.id for one in found.revisions}
    if revision is not None and revision not in known:
        raise EditionUnknown(what=f"with a revision {revision}; there are {', '.join(map(str, known)) or 'none'}")
    _print(correcting.prepare(found.id, known[revision] if revision else None, the_clock().now(), COMMAND))


@edition.command("special")
@of_edition
@click.option("--subject", default="", help="Empty for the headline of its first story.")
@click.option("--story", "stories", type=int, multiple=True, help="A story by its number, once for each.")
@in_app
def edition_special(
    slug: str | None, day: datetime | None, slot_id: int | None, subject: str, stories: tuple[int, ...]
) -> None:
    """Draft an edition besides the daily one, to be sent with its --number."""
    slot, local_date = _which(slug, day, slot_id)
    _print(adding.special(slot, local_date, the_clock().now(), COMMAND, subject, stories))


@edition.command("hold")
@of_existing
@click.option("--reason", default="", help="Why, for the others.")
@in_app
def edition_hold(slug: str | None, day: datetime | None, slot_id: int | None, number: int, reason: str) -> None:
    """Stop an edition from going out until it is resumed."""
    found = publishing.hold(_existing(slug, day, slot_id, number).id, reason, the_clock().now(), COMMAND)
    click.echo(f"Held: {_named(found)}.")


@edition.command("resume")
@of_existing
@in_app
def edition_resume(slug: str | None, day: datetime | None, slot_id: int | None, number: int) -> None:
    """Take a hold away."""
    found = publishing.resume(_existing(slug, day, slot_id, number).id, the_clock().now(), COMMAND)
    click.echo(f"Resumed: {_named(found)}.")


@edition.command("report")
@of_existing
@as_json
@in_app
def edition_report(slug: str | None, day: datetime | None, slot_id: int | None, number: int, json_: bool) -> None:
    """Where the copies of an edition are: states, which add up to its audience, rate, domains, and what servers said.

    A million copies take some seconds to count.
    """
    found = _existing(slug, day, slot_id, number)
    report = reporting.report(found, the_clock().now(), afresh=True)
    if json_:
        click.echo(json.dumps(_report_data(found, report), ensure_ascii=False, default=str))
    else:
        _print_report(found, report)


def _report_data(found: Edition, report: Report) -> dict[str, Any]:
    figures = asdict(report.counted) if report.counted else {}
    return {
        "state": found.state,
        "audience": found.audience,
        "deliveries": figures.get("states", {}),
        "skipped": figures.get("skips", {}),
        "welcome_copies": report.welcome,
        "uncertain_undecided": report.undecided,
        "per_second": report.outlook.rate,
        "over_at": report.outlook.over_at,
        "why": report.outlook.why,
        "domains": figures.get("domains", []),
        "replies": figures.get("reasons", []),
    }


def _print_report(found: Edition, report: Report) -> None:
    click.echo(f"{_named(found)} is {found.state}, audience {found.audience or 0}")
    if report.counted is None:
        return
    for state, count in report.counted.states.items():
        click.echo(f"  {state:<10} {count:>9}")
        if state is DeliveryState.SKIPPED:
            for reason, skipped in report.counted.skips.items():
                click.echo(f"    {reason:<10} {skipped:>7}")
    if report.welcome:
        copies = ", ".join(f"{count} {state}" for state, count in report.welcome.items())
        click.echo(f"  besides, welcome copies: {copies}")
    _print_outlook(found, report)
    _print_domains("The slowest domains, where copies were put off:", report.slowest)
    _print_domains("Domains that refused copies:", report.refusing)
    _print_domains("The largest domains:", report.largest)
    if report.counted.reasons:
        click.echo("What servers said:")
    for one in report.counted.reasons[:20]:
        click.echo(f"  {one.count:>9} {one.state:<10} {one.gist or '(nothing)'}")
    if report.undecided:
        click.echo(f"Uncertain, and for you to decide: {report.undecided}. See: newsletter edition uncertain")


def _print_outlook(found: Edition, report: Report) -> None:
    if report.outlook.rate is not None and report.outlook.over_at is not None:
        click.echo(f"{report.outlook.rate:,.1f} a second; over at about {_at(report.outlook.over_at, found)}.")
    if report.outlook.why:
        click.echo(report.outlook.why)


def _print_domains(title: str, domains: list[Domain]) -> None:
    if not domains:
        return
    click.echo(f"{title}\n  {'copies':>9} {'accepted':>9} {'deferred':>9} {'refused':>9} {'uncertain':>9}")
    for one in domains:
        figures = (one.copies, one.accepted, one.deferred, one.refused, one.uncertain)
        click.echo(f"  {' '.join(f'{figure:>9}' for figure in figures)}  {one.name or 'erased readers'}")


@edition.command("uncertain")
@of_existing
@click.option("--resend", "act", flag_value="resend", help="Send them all again; a reader may get two.")
@click.option("--leave", "act", flag_value="leave", help="Leave them all as they are; a reader may have none.")
@click.option("--count", metavar="N", help="Their number, typed where they are more than 100.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@in_app
def edition_uncertain(
    slug: str | None,
    day: datetime | None,
    slot_id: int | None,
    number: int,
    act: str | None,
    count: str | None,
    yes: bool,
    json_: bool,
) -> None:
    """List the copies of which nobody can know whether their readers have them, or decide about them all."""
    found = _existing(slug, day, slot_id, number)
    if act is None:
        rows = [_doubt(row) for row in reporting.undecided(found)]
        show(rows, json_, _doubt_line, "No copy is uncertain, or all of them are decided about.")
        return
    if not yes and count is None:
        count = _confirmed(found, act)
    decide = deciding.resend_all if act == "resend" else deciding.leave_all
    decided = decide(found.id, the_clock().now(), COMMAND, count)
    click.echo(f"{'To go again' if act == 'resend' else 'Left as they are'}: {decided.done}")
    if decided.not_done:
        click.echo(f"They stay uncertain: {decided.why_not}")


def _confirmed(found: Edition, act: str) -> str | None:
    """What was typed where a number is asked for. Ends the command when nobody agrees."""
    waiting = sum(1 for _ in reporting.undecided(found))
    price = "Who has one already gets two." if act == "resend" else "Who has none gets none."
    ask = f"{act.capitalize()} {waiting} uncertain copies of {_named(found)}? {price}"
    if waiting > deciding.TYPED_ABOVE:
        return str(click.prompt(f"{ask} Type their number", err=True))
    if not click.confirm(ask, err=True):
        fail("nothing was changed.")
    return None


def _doubt(row: Row) -> dict[str, Any]:
    return {"delivery": row.id, "address": row.address, "last_reply": row.last_reply, "since": row.updated_at}


def _doubt_line(row: dict[str, Any]) -> str:
    return f"{row['address'] or 'erased'}  {row['last_reply'] or 'no answer'}  since {row['since']:%Y-%m-%d %H:%M} UTC"
