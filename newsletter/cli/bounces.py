"""What comes back: bounces, complaints, answers, and mails that want to leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from newsletter.cli.root import as_json, in_app, main, show
from newsletter.delivery import bounces as verbs
from newsletter.delivery import tallying
from newsletter.delivery.bounce_models import Bounce, BounceTally, for_staff, latest, stopped
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.clock import the_clock
from newsletter.foundation.secrets import the_keys
from newsletter.operations import serve


@main.group()
def bounces() -> None:
    """What comes back: bounces, complaints, answers."""


@bounces.command("listen")
@click.pass_obj
def bounces_listen(file: Path) -> None:
    """Be the mail server that a relay hands bounces to, by LMTP or SMTP."""
    serve.listen(file)


@bounces.command("poll")
@in_app
def bounces_poll() -> None:
    """Read the mailbox now. The scheduler does it once a minute."""
    click.echo(f"{verbs.poll(the_clock().now())} mails were read.")


@bounces.command("read")
@click.argument("files", nargs=-1, required=True, type=click.File("rb"))
@click.option("--to", "envelope_to", help="Whom the mail was for, where a pipe knows it.")
@as_json
@in_app
def bounces_read(files: tuple[Any, ...], envelope_to: str | None, json_: bool) -> None:
    """Take in mails from files, or from a pipe with "-". The same mail again changes nothing."""
    taken = [verbs.receive(file.read(), the_clock().now(), envelope_to) for file in files]
    show([_data(one) for one in taken], json_, _line, "")


@bounces.command("list")
@click.option("--all", "all_", is_flag=True, help="Also what needs nobody.")
@as_json
@in_app
def bounces_list(all_: bool, json_: bool) -> None:
    """What needs a person; with --all, the latest of everything."""
    halted = [_tally(one) for one in stopped()]
    rows = [_data(one) for one in (latest() if all_ else for_staff())]
    if json_:
        click.echo(json.dumps({"stopped": halted, "mails": rows}, ensure_ascii=False, default=str))
        return
    for one in halted:
        click.echo(
            f"Edition {one['edition']}: {one['waiting']} of {one['audience']} readers wait to be suppressed. "
            "Suppress them: newsletter bounces release, or not: newsletter bounces leave"
        )
    show(rows, False, _line, "Nothing came back." if all_ else "Nothing needs a person.")


@bounces.command("release")
@click.argument("edition_id", type=int)
@as_json
@in_app
def bounces_release(edition_id: int, json_: bool) -> None:
    """The bounces of an edition are right: suppress all those addresses."""
    count = tallying.release(edition_id, the_clock().now(), the_keys(), COMMAND)
    _say(json_, suppressed=count, line=f"{count} addresses are suppressed.")


@bounces.command("leave")
@click.argument("edition_id", type=int)
@as_json
@in_app
def bounces_leave(edition_id: int, json_: bool) -> None:
    """The bounces of an edition are wrong: leave those addresses alone."""
    count = tallying.leave(edition_id, the_clock().now(), COMMAND)
    _say(json_, left=count, line=f"{count} addresses are left alone.")


@bounces.command("settle")
@click.argument("numbers", nargs=-1, required=True, type=int)
@in_app
def bounces_settle(numbers: tuple[int, ...]) -> None:
    """You have looked at these mails: take them off the list."""
    for number in numbers:
        done = verbs.settle(number, the_clock().now(), COMMAND)
        click.echo(f"{number} is settled." if done else f"{number} needed nobody.")


def _say(json_: bool, line: str, **data: int) -> None:
    click.echo(json.dumps(data) if json_ else line)


def _tally(one: BounceTally) -> dict[str, Any]:
    return {"edition": one.edition_id, "audience": one.audience, "waiting": tallying.waiting(one.edition_id)}


def _data(one: Bounce) -> dict[str, Any]:
    names = ("id", "received_at", "kind", "deed", "status", "address", "sender", "subject", "diagnostic")
    return {name: getattr(one, name) for name in names} | {"edition": one.edition_id, "needs_staff": one.needs_staff}


def _line(row: dict[str, Any]) -> str:
    who = row["address"] or row["sender"] or "–"
    said = " ".join(filter(None, (row["status"], row["diagnostic"] or row["subject"])))
    return f"{row['id']:>6}  {row['received_at']:%Y-%m-%d %H:%M}  {row['kind']} → {row['deed']}  {who}  {said}"[:200]
