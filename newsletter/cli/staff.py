"""People who sign in."""

from __future__ import annotations

import click

from newsletter.cli.root import in_app, main, settings_of
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.clock import the_clock
from newsletter.foundation.links import the_links
from newsletter.staff import settings, signing_in
from newsletter.staff.models import Role


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


@staff.command("set")
@click.argument("address")
@click.argument("pairs", nargs=-1, required=True, metavar="KEY=VALUE …")
@in_app
def staff_set(address: str, pairs: tuple[str, ...]) -> None:
    """Change what a person gets as mail: wants_drafts=yes, wants_alerts=no."""
    person = settings.change(address, the_clock().now(), COMMAND, **settings_of(pairs))
    wanted = [what for what, wants in (("drafts", person.wants_drafts), ("alerts", person.wants_alerts)) if wants]
    click.echo(f"{person.address} gets {' and '.join(wanted) or 'no mail'}.")
