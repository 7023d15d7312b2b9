"""People who sign in."""

from __future__ import annotations

import click

from newsletter.cli.root import in_app, main
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.clock import the_clock
from newsletter.foundation.links import the_links
from newsletter.staff import signing_in
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
