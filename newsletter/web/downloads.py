"""Tables to take along: CSV, told as it is read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from flask import Response, stream_with_context

from newsletter.foundation.text import cell

Rows = Iterable[Sequence[object]]


def csv_file(name: str, columns: Sequence[str], batches: Iterable[Rows]) -> Response:
    """A download of that name. No cell of it is a formula; None is an empty one."""
    lines = stream_with_context(_told(columns, batches))
    disposition = f"attachment; filename={name}"
    return Response(lines, mimetype="text/csv", headers={"Content-Disposition": disposition})


def _told(columns: Sequence[str], batches: Iterable[Rows]) -> Iterator[str]:
    yield _text([columns])
    yield from map(_text, batches)


def _text(rows: Rows) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([cell("" if one is None else str(one)) for one in row] for row in rows)
    return out.getvalue()
