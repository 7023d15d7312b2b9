"""Readers."""

from __future__ import annotations

import json

import click

from newsletter import privacy
from newsletter.cli.root import as_json, fail, in_app, in_newsletter, main, show
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.clock import the_clock
from newsletter.foundation.secrets import the_keys
from newsletter.mail import addresses
from newsletter.newsletters.models import newsletter
from newsletter.subscribers import blocking, signing_up, suppressing
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.models import Subscriber, SubscriberUnknown, consent_story, subscriber_at


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
    person = _person(address)
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


def _person(address: str) -> Subscriber:
    person = subscriber_at(addresses.normalise(addresses.parse(address)))
    if person is None:
        raise SubscriberUnknown(who=address)
    return person


@subscribers.command("suppress")
@click.argument("address")
@click.option("--note", default="", help="Why, for the others.")
@in_app
def subscribers_suppress(address: str, note: str) -> None:
    """Never mail an address again."""
    added = suppressing.suppress(address, note, the_clock().now(), the_keys(), COMMAND)
    click.echo(f"{address} is never mailed again." if added else f"{address} was on the suppression list already.")


@subscribers.command("erase")
@click.argument("address")
@click.option("--yes", is_flag=True, help="Do not ask.")
@in_app
def subscribers_erase(address: str, yes: bool) -> None:
    """Forget a reader. A keyed hash stays, so that no import brings them back."""
    person = _person(address)
    if not yes and not click.confirm(f"Erase {person.address} and all that is stored about them, for ever?"):
        fail("nothing was changed.")
    privacy.erase(person.id, Origin(), the_clock().now(), the_keys(), COMMAND)
    click.echo(f"{address.strip()} is erased, and never mailed unless they sign up again themselves.")


@subscribers.command("block")
@click.argument("address_or_domain")
@click.option("--note", default="", help="Why, for the others.")
@in_app
def subscribers_block(address_or_domain: str, note: str) -> None:
    """Let nobody sign up with an address, or at a domain and all below it. Who reads already goes on reading."""
    added = blocking.block(address_or_domain, note, the_clock().now(), COMMAND)
    click.echo(f"{address_or_domain} is blocked." if added else f"{address_or_domain} was blocked already.")


@subscribers.command("unblock")
@click.argument("address_or_domain")
@in_app
def subscribers_unblock(address_or_domain: str) -> None:
    """Take an address or a domain off the blocklist."""
    if not blocking.unblock(address_or_domain, the_clock().now(), COMMAND):
        fail(f"{address_or_domain} was not blocked.")
    click.echo(f"{address_or_domain} is not blocked any more.")


@subscribers.command("blocked")
@as_json
@in_app
def subscribers_blocked(json_: bool) -> None:
    """The blocklist."""
    rows = [
        {"pattern": one.pattern, "note": one.note, "by": one.by, "since": one.created_at} for one in blocking.blocked()
    ]
    show(rows, json_, lambda row: f"{row['pattern']}  {row['note']}".rstrip(), "Nothing is blocked.")
