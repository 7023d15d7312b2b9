"""People who sign in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from newsletter.cli.root import as_json, in_app, main, settings_of, show
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.clock import the_clock
from newsletter.foundation.links import the_links
from newsletter.newsletters.models import newsletter, newsletters
from newsletter.staff import managing, rights, sessions, settings, signing_in
from newsletter.staff.models import Role, Staff, everybody
from newsletter.staff.rights import Grant, Right


@main.group()
def staff() -> None:
    """People who sign in."""


@staff.command("add")
@click.argument("address")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--password", is_flag=True, help="Ask for a password; without it they sign in by links.")
@click.option("--newsletter", "slugs", multiple=True, help="Only for this newsletter; may be given more than once.")
@click.option("--sends/--does-not-send", default=None, help="Whether they let editions go out; editors do by default.")
@in_app
def staff_add(address: str, role: str, password: bool, slugs: tuple[str, ...], sends: bool | None) -> None:
    """Add a person."""
    secret = click.prompt("Password", hide_input=True, confirmation_prompt=True) if password else None
    usual = rights.usual(Role(role))
    ids = frozenset(newsletter(slug).id for slug in slugs) or None
    grant = Grant(usual.role, usual.may_send if sends is None else sends, ids)
    added = signing_in.add(address, Role(role), the_clock().now(), COMMAND, secret, grant)
    click.echo(
        f"{added.address} is on the staff as {added.role}. A link to sign in: newsletter staff link {added.address}"
    )


@staff.command("list")
@as_json
@in_app
def staff_list(json_: bool) -> None:
    """Everybody, with what they may do."""
    seen = sessions.last_seen()
    names = {one.id: one.slug for one in newsletters()}
    rows = [_row(one, names, seen.get(one.id)) for one in everybody()]
    show(rows, json_, _line, "Nobody is on the staff yet. Add somebody: newsletter staff add EMAIL --role owner")


def _row(one: Staff, names: dict[int, str], seen: datetime | None) -> dict[str, Any]:
    ids = one.newsletter_ids
    return {
        "address": one.address,
        "role": one.role.value,
        "sends": rights.may(one, Right.SEND),
        "newsletters": None if ids is None else [names[id] for id in sorted(ids)],
        "second_factor": one.has_second_factor,
        "last_seen": seen.isoformat() if seen else None,
        "disabled": one.disabled_at is not None,
    }


def _line(row: dict[str, Any]) -> str:
    only = "" if row["newsletters"] is None else f", only {', '.join(row['newsletters']) or 'no newsletter'}"
    sends = ", sends" if row["sends"] else ""
    factor = ", second factor" if row["second_factor"] else ""
    return f"{row['address']}: {row['role']}{sends}{only}{factor}{', disabled' if row['disabled'] else ''}"


@staff.command("disable")
@click.argument("address")
@in_app
def staff_disable(address: str) -> None:
    """Sign a person out everywhere, and let them in by nothing any more."""
    person = managing.disable(managing.person_at(address).id, the_clock().now(), COMMAND)
    click.echo(f"{person.address} is disabled. To let them in again: newsletter staff enable {person.address}")


@staff.command("enable")
@click.argument("address")
@in_app
def staff_enable(address: str) -> None:
    """Let a disabled person in again, as before."""
    person = managing.enable(managing.person_at(address).id, the_clock().now(), COMMAND)
    click.echo(f"{person.address} may come in again.")


@staff.command("reset")
@click.argument("address")
@in_app
def staff_reset(address: str) -> None:
    """Take away a person's codes and passkeys, for who has lost them."""
    person = managing.reset_second_factor(managing.person_at(address).id, the_clock().now(), COMMAND)
    click.echo(f"{person.address} has no codes and no passkeys any more, and is signed out everywhere.")


@staff.command("link")
@click.argument("address")
@in_app
def staff_link(address: str) -> None:
    """Print a link that signs a person in once, within a day."""
    click.echo(signing_in.make_link(address, the_clock().now(), COMMAND, the_links()))


@staff.command("set")
@click.argument("address")
@click.argument("pairs", nargs=-1, required=True, metavar="KEY=VALUE …")
@in_app
def staff_set(address: str, pairs: tuple[str, ...]) -> None:
    """Change what a person gets as mail: wants_drafts=yes, wants_alerts=no."""
    person = settings.change(address, the_clock().now(), COMMAND, **settings_of(pairs))
    wanted = [what for what, wants in (("drafts", person.wants_drafts), ("alerts", person.wants_alerts)) if wants]
    click.echo(f"{person.address} gets {' and '.join(wanted) or 'no mail'}.")
