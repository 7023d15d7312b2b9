"""Looks at everything, and says what is wrong."""

from __future__ import annotations

import json
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from newsletter.cli.root import as_json, main
from newsletter.operations import doctor as operations
from newsletter.operations.doctor import Finding, Record, Status

WIDTH = 80
INDENT = 24
COLOURS = {Status.OK: "green", Status.WARNING: "yellow", Status.ERROR: "red", Status.UNKNOWN: "cyan"}


@main.command()
@as_json
@click.pass_obj
def doctor(file: Path, json_: bool) -> None:
    """Check config, keys, database, disk, clock, relay, DNS records, site, sources and processes. Nothing is changed.
    The exit status is 1 when something is an error."""
    findings = operations.examine(file)
    if json_:
        click.echo(json.dumps([asdict(one) for one in findings], ensure_ascii=False))
    else:
        for line in _table(findings):
            click.echo(line)
    sys.exit(1 if any(one.status is Status.ERROR for one in findings) else 0)


def _table(findings: Sequence[Finding]) -> Iterator[str]:
    last = ""
    for one in findings:
        yield from _rows(one, "" if one.check == last else one.check)
        last = one.check
    counts = Counter(one.status for one in findings)
    yield ""
    yield ", ".join(f"{counts[status]} {status}" for status in Status if counts[status]) + "."


def _rows(one: Finding, name: str) -> Iterator[str]:
    first, *others = _wrapped(one.message)
    status = click.style(f"{one.status:<11}", fg=COLOURS[one.status])
    yield f"{name:<12} {status}{first}"
    for line in others + (_wrapped(f"→ {one.remedy}", "  ") if one.remedy else []):
        yield f"{'':<{INDENT}}{line}"
    for record in one.records:
        yield from _record(record)


def _record(record: Record) -> Iterator[str]:
    """On lines of its own, from the first column on and never broken, so that it can be copied."""
    yield ""
    yield f"{record.name} {record.type}"
    yield record.value
    yield ""


def _wrapped(text: str, indent: str = "") -> list[str]:
    """Long words, such as paths, are broken too: a table that is wider than the terminal is none. At hyphens nothing is
    broken, since commands and names have them."""
    printable = "".join(sign if sign.isprintable() else "�" for sign in text)
    return textwrap.wrap(printable, WIDTH - INDENT, subsequent_indent=indent, break_on_hyphens=False) or [""]
