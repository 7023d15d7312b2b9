"""Readers in and out: an import as it comes from another system, dry and for good, and the export of what it made."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection
from pathlib import Path

from benchmarks import databases, houses
from benchmarks.apart import apart
from benchmarks.figures import Figures
from newsletter.foundation import leases
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.clock import the_clock
from newsletter.foundation.config import Config
from newsletter.foundation.database import insert_into, transaction
from newsletter.foundation.secrets import the_keys
from newsletter.foundation.telling import csv_lines, json_lines
from newsletter.mail.suppression import Suppression, SuppressionReason
from newsletter.newsletters.models import newsletter
from newsletter.subscribers import exporting, import_runs, importing, uploading
from newsletter.subscribers.columns import Meaning
from newsletter.subscribers.exporting import Whom
from newsletter.subscribers.import_models import ImportMode, Outcome, an_import
from newsletter.subscribers.importing import Wish

READERS = 1_000_000
NOTE = (
    "A CSV file of {readers:,} rows with an address, a name, the date of consent and its page; of 100 rows one is no "
    "address, five are on the suppression list, and the others become readers at once (“already confirmed elsewhere”). "
    "`mb` is the most memory that the process had."
)
SUPPRESSED_IN_100 = 5


def measure(readers: int, among: Collection[str] = databases.KINDS) -> Figures:
    figures = Figures(notes=[NOTE.format(readers=readers)])
    for name, url in databases.each(among):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "readers.csv"
            _write(file, readers)
            with url as address, houses.house(address) as config:
                with houses.inside(config):
                    houses.fill(0)
                    _suppress(readers)
                _measure(figures, name, config, file, readers)
    return figures


def _measure(figures: Figures, name: str, config: Config, file: Path, readers: int) -> None:
    (id, upload), _ = apart(_upload, config, file)
    figures.add(f"{name}_upload_s", upload)
    for part, work in (("dry_run", _try), ("import", _import)):
        (taken, seconds), mb = apart(work, config, id)
        assert taken == _expected(readers), taken
        _add(figures, f"{name}_{part}", readers, seconds, mb)
    for kind in ("csv", "jsonl"):
        (told, seconds), mb = apart(_export, config, file.with_suffix(f".{kind}"), kind)
        assert told == taken, told
        _add(figures, f"{name}_export_{kind}", taken, seconds, mb)


def _add(figures: Figures, name: str, rows: int, seconds: float, mb: float) -> None:
    figures.add(f"{name}_s", seconds)
    figures.add(f"{name}_rows_per_s", rows / seconds)
    figures.add(f"{name}_mb", mb)


def _expected(readers: int) -> int:
    return sum(not _is_problem(number) and not _is_suppressed(number) for number in range(readers))


def _write(file: Path, readers: int) -> None:
    with file.open("w", encoding="utf-8") as out:
        out.write("Email,Name,Consent date,Consent page\n")
        for number in range(readers):
            address = "nobody" if _is_problem(number) else _address(number)
            out.write(f"{address},Reader {number},2024-05-06,https://www.example.org/sign-up\n")


def _address(number: int) -> str:
    return f"reader{number}@example.org"


def _is_problem(number: int) -> bool:
    return number % 100 == 99


def _is_suppressed(number: int) -> bool:
    return number % 100 < SUPPRESSED_IN_100


def _suppress(readers: int) -> None:
    now, keys = the_clock().now(), the_keys()
    hashes = [keys.address_hash(_address(number)) for number in range(readers) if _is_suppressed(number)]
    told = {"reason": SuppressionReason.LEFT, "note": "", "created_at": now}
    for start in range(0, len(hashes), 1000):
        with transaction() as session:
            session.execute(insert_into(Suppression), [told | {"address_hash": one} for one in hashes[start:][:1000]])


def _upload(config: Config, file: Path) -> tuple[int, float]:
    with houses.inside(config), file.open("rb") as octets:
        began = time.perf_counter()
        id = uploading.keep(octets, file.name, newsletter(None), the_clock().now(), COMMAND)
        return id, time.perf_counter() - began


def _try(config: Config, id: int) -> tuple[int, float]:
    with houses.inside(config):
        columns = an_import(id).columns
        chosen = {meaning: columns[meaning] for meaning in Meaning if meaning in columns}
        wish = Wish(chosen, "the old system", ImportMode.CONFIRMED, "its log of confirmations")
        importing.check(id, wish, the_clock().now(), COMMAND)
        return _worked(id)


def _import(config: Config, id: int) -> tuple[int, float]:
    with houses.inside(config):
        importing.start(id, the_clock().now(), COMMAND)
        return _worked(id)


def _worked(id: int) -> tuple[int, float]:
    began = time.perf_counter()
    import_runs.work(id, leases.holder_here(), the_clock(), the_keys())
    return an_import(id).count(Outcome.TAKEN), time.perf_counter() - began


def _export(config: Config, file: Path, kind: str) -> tuple[int, float]:
    with houses.inside(config), file.open("w", encoding="utf-8") as out:
        began = time.perf_counter()
        whom = Whom([newsletter(None).id])
        batches = exporting.export(whom, the_clock().now(), COMMAND)
        tell = csv_lines if kind == "csv" else json_lines
        lines = 0
        for text in tell(exporting.COLUMNS, batches):
            lines += text.count("\n")
            out.write(text)
        return lines - (kind == "csv"), time.perf_counter() - began
