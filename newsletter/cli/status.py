"""How the whole house stands, at a glance."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime

import click

from newsletter.cli.root import as_json, in_app, main
from newsletter.delivery import standing
from newsletter.delivery.standing import Standing
from newsletter.foundation.clock import the_clock
from newsletter.foundation.text import in_octets


@main.command()
@as_json
@in_app
def status(json_: bool) -> None:
    """Who lives, what waits, what was done last. Nothing is changed; `newsletter doctor` looks deeper."""
    found = standing.standing(the_clock().now())
    if json_:
        click.echo(json.dumps(asdict(found), ensure_ascii=False, default=_json))
    else:
        for name, words in _lines(found):
            click.echo(f"{name:<14}{words}")


def _json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _lines(found: Standing) -> Iterator[tuple[str, str]]:
    place = found.database
    yield "program", f"Daily Headlines {found.version}"
    fits = place.trouble or f"tables at version {place.tables}"
    yield "database", f"{place.kind} {place.version}, {in_octets(place.octets)}, {fits}"
    if found.halted is not None:
        yield "halted", found.halted
    for one in found.processes:
        sign = f"silent since {_moment(one.seen_at)}" if one.silent else "alive"
        yield one.kind, f"{sign}, {one.host} {one.pid}, since {_moment(one.since)}"
    for kind in found.missing:
        yield kind, "none lives"
    for queue in found.queues:
        oldest = f", the oldest since {_moment(queue.since)}" if queue.since else ""
        yield "waiting", f"{queue.what}: {queue.due:,}{oldest}"
    for relay in found.relays:
        yield "relay", f"{relay.name}: {relay.trouble or relay.way}"
    yield "disk", f"{in_octets(found.disk.free)} of {in_octets(found.disk.whole)} free"
    yield "housekeeping", _moment(found.housekeeping.at) if found.housekeeping else "not done yet"
    last = found.backups[0] if found.backups else None
    yield "backup", f"{last.file}, {in_octets(last.octets)}, {_moment(last.at)}" if last else "none is known"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
