"""Tables as they are told to others: CSV and JSON Lines, a batch after the other."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence

from newsletter.foundation.text import cell

Rows = Iterable[Sequence[object]]


def csv_lines(columns: Sequence[str], batches: Iterable[Rows]) -> Iterator[str]:
    """No cell is a formula; None is an empty one."""
    yield _csv([columns])
    yield from map(_csv, batches)


def _csv(rows: Rows) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([cell("" if one is None else str(one)) for one in row] for row in rows)
    return out.getvalue()


def json_lines(columns: Sequence[str], batches: Iterable[Rows]) -> Iterator[str]:
    """An object in each line, with the columns' names as its keys."""
    for rows in batches:
        yield "".join(f"{json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False)}\n" for row in rows)
