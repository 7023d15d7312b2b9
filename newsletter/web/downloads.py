"""Tables to take along: CSV and JSON Lines, told as they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from flask import Response, stream_with_context

from newsletter.foundation.telling import Rows, csv_lines, json_lines


def csv_file(name: str, columns: Sequence[str], batches: Iterable[Rows]) -> Response:
    """A download of that name. No cell of it is a formula; None is an empty one."""
    return _download(name, "text/csv", csv_lines(columns, batches))


def json_file(name: str, columns: Sequence[str], batches: Iterable[Rows]) -> Response:
    """A download of that name: a JSON object in each line, with the columns' names as its keys."""
    return _download(name, "application/jsonl", json_lines(columns, batches))


def _download(name: str, kind: str, lines: Iterator[str]) -> Response:
    disposition = f"attachment; filename={name}"
    return Response(stream_with_context(lines), mimetype=kind, headers={"Content-Disposition": disposition})
