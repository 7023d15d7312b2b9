"""Readers in and out, and who must not be mailed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from newsletter.cli.root import as_json, fail, in_app, in_newsletter, settings_of
from newsletter.cli.subscribers import subscribers
from newsletter.foundation import leases
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.clock import the_clock
from newsletter.foundation.secrets import the_keys
from newsletter.foundation.telling import csv_lines, json_lines
from newsletter.newsletters.models import newsletter, newsletters
from newsletter.subscribers import exporting, import_runs, importing, segmenting, transfer, uploading
from newsletter.subscribers.columns import Meaning, chosen
from newsletter.subscribers.exporting import Whom
from newsletter.subscribers.import_models import SAID, Import, ImportMode, Outcome, an_import
from newsletter.subscribers.importing import Wish
from newsletter.subscribers.segments import InState, ReaderState

BAR = 30


@subscribers.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@in_newsletter
@click.option("--slot", type=int, help="The slot of rows that name none; else the newsletter's usual one.")
@click.option("--column", "named", multiple=True, metavar="MEANING=NAME", help="Where what stands, if not as guessed.")
@click.option("--source", help="Where they agreed, of rows that do not say it; else the file's name.")
@click.option("--confirmed", is_flag=True, help="They have confirmed elsewhere; else each is asked by mail.")
@click.option("--proof", default="", help="How that can be proved. Kept with each of them.")
@click.option("--suppressions", is_flag=True, help="The file says who must not be mailed.")
@click.option(
    "--reason", type=click.Choice([*transfer.SAID]), help="Of --suppressions: why, of rows that do not say it."
)
@click.option("--dry-run", "dry", is_flag=True, help="Only say what would be done.")
@as_json
@in_app
def subscribers_import(
    file: Path,
    slug: str | None,
    slot: int | None,
    named: tuple[str, ...],
    source: str | None,
    confirmed: bool,
    proof: str,
    suppressions: bool,
    reason: str | None,
    dry: bool,
    json_: bool,
) -> None:
    """Bring readers along from a table; or, with --suppressions, who left, bounced or complained where you come from.

    Nobody who left, bounced, complained or was erased comes back. What the first row calls its columns says where what
    stands; MEANING is one of address, state, slot, language, date, source, ip.

    With --suppressions it lifts nothing and mails nobody. The same file again changes nothing more.
    """
    if suppressions:
        _suppress(file, reason, dry, json_)
        return
    id, holder = _uploaded(file, slug), leases.holder_here()
    try:
        mode = ImportMode.CONFIRMED if confirmed else ImportMode.ASK
        wish = Wish(_columns(an_import(id), settings_of(named)), source or file.name, mode, proof, slot)
        importing.check(id, wish, the_clock().now(), COMMAND, holder)
        _work(id, holder)
        if not dry:
            importing.start(id, the_clock().now(), COMMAND, holder)
            _work(id, holder)
        done = _counts(id)
    except BaseException as error:
        _stop(id, error)
        raise
    if dry:
        uploading.throw_away(id)
    _tell(id, done, mode, dry=dry, json_=json_)


def _uploaded(file: Path, slug: str | None) -> int:
    with file.open("rb") as octets:
        return uploading.keep(octets, file.name, newsletter(slug), the_clock().now(), COMMAND)


def _columns(one: Import, named: dict[str, str]) -> dict[Meaning, int]:
    columns = chosen(one.columns)
    titles = uploading.look(one).table.titles
    for meaning, name in named.items():
        if meaning not in list(Meaning):
            raise click.UsageError(f"“{meaning}” is no meaning of a column; use {', '.join(Meaning)}.")
        if name and name not in titles:
            fail(f"there is no column “{name}” among {', '.join(titles)}. Nothing was changed.")
        columns = {what: at for what, at in columns.items() if what != meaning}
        if name:
            columns[Meaning(meaning)] = titles.index(name)
    return columns


def _work(id: int, holder: str) -> None:
    """Whoever is killed here leaves it to the scheduler, which goes on when our lease has run out."""
    import_runs.work(id, holder, the_clock(), the_keys(), progress=_bar)
    if sys.stderr.isatty():
        click.echo(f"\r{' ' * (BAR + 40)}\r", nl=False, err=True)


def _bar(one: Import) -> None:
    if sys.stderr.isatty():
        full = round(BAR * one.share)
        what = "trying" if not one.started_at else "taking"
        bar = f"{what} [{'#' * full}{'.' * (BAR - full)}] {one.share:4.0%} {one.rows} rows"
        click.echo(f"\r{bar} ", nl=False, err=True)


def _stop(id: int, error: BaseException) -> None:
    """What was taken stays; the same file again takes the rest."""
    with suppress(Exception):
        counts = _counts(id) if an_import(id).started_at else {}
        importing.cancel(id, the_clock().now(), COMMAND)
        if isinstance(error, KeyboardInterrupt):
            taken = counts.get(Outcome.TAKEN, 0)
            click.echo(f"\nStopped. {taken} were taken and stay; the same file again takes the rest.", err=True)


def _counts(id: int) -> dict[Outcome, int]:
    one = an_import(id)
    return {outcome: one.count(outcome) for outcome in Outcome if one.count(outcome)}


def _tell(id: int, counts: dict[Outcome, int], mode: ImportMode, *, dry: bool, json_: bool) -> None:
    if json_:
        told: dict[str, object] = {"import": None if dry else id, "dry_run": dry, "mode": mode}
        click.echo(json.dumps(told | {"rows": sum(counts.values()), "counts": counts}))
        return
    said = SAID | ({Outcome.TAKEN: "asked by mail"} if mode is ImportMode.ASK else {})
    for outcome, count in counts.items():
        click.echo(f"{count:>10}  {said[outcome]}")
    click.echo(f"{sum(counts.values()):>10}  rows{', of which nobody was taken: it was only tried' if dry else ''}")
    if not dry and mode is ImportMode.ASK and not an_import(id).ended_at:
        click.echo(
            f"The scheduler asks the others, at most {an_import(id).an_hour} an hour (/admin/subscribers/import/{id})."
        )


def _suppress(file: Path, reason: str | None, dry: bool, json_: bool) -> None:
    now, keys, otherwise = the_clock().now(), the_keys(), transfer.SAID[reason] if reason else None
    done = transfer.import_suppressions(
        file, now, keys, COMMAND, otherwise=otherwise, dry=dry, report=_refused, progress=_progress
    )
    if json_:
        click.echo(json.dumps(asdict(done) | {"dry_run": dry}))
        return
    parts = [f"{count} {reason.replace('_', ' ')}" for reason, count in done.added.items() if count]
    click.echo(f"{'Would be suppressed' if dry else 'Suppressed'}: {', '.join(parts) or 'nobody more'}.")
    click.echo(
        f"Of {done.rows} rows, {done.known} were known, {done.later} are of people who confirmed here since, "
        f"{done.harmless} say nothing against mailing, and {done.faults} could not be taken."
    )


def _refused(fault: transfer.Fault) -> None:
    click.echo(f"line {fault.line}: {fault.problem}", err=True)


def _progress(rows: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{rows} rows ", nl=False, err=True)


@subscribers.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--newsletter", "slugs", multiple=True, help="Only its readers; may be said several times.")
@click.option("--state", type=click.Choice([one.value for one in ReaderState]), help="Only who stands there so now.")
@click.option("--segment", help="Only who is in the segment of that name.")
@as_json
@in_app
def subscribers_export(file: Path, slugs: tuple[str, ...], state: str | None, segment: str | None, json_: bool) -> None:
    """Write readers to FILE.csv or FILE.jsonl, with the proof of their consent."""
    tell = {".csv": csv_lines, ".jsonl": json_lines}.get(file.suffix.lower())
    if tell is None:
        raise click.UsageError("The file's name says its form: it ends in .csv or .jsonl.")
    wanted = [newsletter(slug) for slug in slugs] or newsletters()
    of_segment = () if segment is None else segmenting.conditions_of(segmenting.named(segment))
    in_state = (InState(ReaderState(state)),) if state else ()
    whom = Whom([one.id for one in wanted], (*of_segment, *in_state))
    batches = _Counted(exporting.export(whom, the_clock().now(), COMMAND, newsletters=[one.slug for one in wanted]))
    beside = file.with_name(f"{file.name}.part")
    try:
        with beside.open("w", encoding="utf-8", newline="") as out:
            beside.chmod(0o600)  # it is full of addresses
            out.writelines(tell(exporting.COLUMNS, batches))
        beside.replace(file)
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror or error}. Nothing was left behind.")
    finally:
        with suppress(OSError):
            beside.unlink()
    if json_:
        click.echo(json.dumps({"file": str(file), "rows": batches.rows}))
    else:
        click.echo(f"{batches.rows} readers are in {file}.")


class _Counted:
    """Batches as they go by."""

    def __init__(self, batches: Iterator[list[tuple[Any, ...]]]) -> None:
        self._batches = batches
        self.rows = 0

    def __iter__(self) -> Iterator[list[tuple[Any, ...]]]:
        for batch in self._batches:
            yield batch
            self.rows += len(batch)
            _progress(self.rows)
