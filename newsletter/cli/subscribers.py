"""Readers."""

from __future__ import annotations

import json

import click

from newsletter.cli.root import as_json, in_app, in_newsletter, main
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.clock import the_clock
from newsletter.foundation.secrets import the_keys
from newsletter.mail import addresses
from newsletter.newsletters.models import newsletter
from newsletter.subscribers import signing_up, suppressing
from newsletter.subscribers.models import SubscriberUnknown, consent_story, subscriber_at


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
