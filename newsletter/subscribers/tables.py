"""Tables as people have them, in octets: CSV by any separator and in any character set, row after row: pure.

A row knows at which octet it begins, so that reading can go on there another day and in another process.
"""

from __future__ import annotations

import csv
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
LONGEST_CELL = 10_000
LONGEST_LINE = 1 << 20
"""Octets. A longer one is no line of a table, and is passed over whole."""

LINES_AT_MOST = 50
"""Of one row, whose cells may have several."""

UTF8, WESTERN, LATIN = "utf-8", "cp1252", "latin-1"
CHARSETS = {
    UTF8: "Unicode (UTF-8)",
    "utf-16-le": "Unicode (UTF-16, as Excel’s “Unicode text”)",
    "utf-16-be": "Unicode (UTF-16, big-endian)",
    WESTERN: "Western European (Windows-1252)",
    LATIN: "Western European (ISO 8859-1)",
    "mac-roman": "Western European (Mac OS)",
    "cp1250": "Central European (Windows-1250)",
    "iso8859-2": "Central European (ISO 8859-2)",
    "cp1251": "Cyrillic (Windows-1251)",
    "koi8-r": "Cyrillic (KOI8-R)",
    "cp1253": "Greek (Windows-1253)",
    "cp1254": "Turkish (Windows-1254)",
    "cp1255": "Hebrew (Windows-1255)",
    "cp1256": "Arabic (Windows-1256)",
    "cp1257": "Baltic (Windows-1257)",
    "cp932": "Japanese (Shift JIS)",
    "euc-jp": "Japanese (EUC-JP)",
    "gb18030": "Chinese (GB 18030)",
    "big5": "Chinese (Big5)",
    "cp949": "Korean (Windows-949)",
}
"""Which a person can say. In all but UTF-16 the octets of a line's end stand for nothing else."""

WIDE = ("utf-16-le", "utf-16-be")
OTHER_FILES = {
    b"PK\x03\x04": "it is a spreadsheet or an archive; open it and save it as CSV",
    b"\xd0\xcf\x11\xe0": "it is an Excel workbook; open it and save it as CSV",
    b"%PDF": "it is a PDF; a table is wanted, saved as CSV",
    b"\x1f\x8b": "it is compressed; unpack it first",
    b"{\\rtf": "it is a text document; a table is wanted, saved as CSV",
    b"SQLite format 3": "it is a database; a table is wanted, saved as CSV",
}
"""How files begin that people take for tables, with what to do."""

NO_TEXT = "it is no text; save it as CSV"
EMPTY = "there is nothing in it"
NULS_AT_MOST = 1 / 1000
"""Of a text's octets; a few are a slip of some program's, many are no text."""


class NoTable(ValueError):
    """Says what is wrong with the file."""


@dataclass(frozen=True)
class Shape:
    """How a file is written."""

    charset: str = UTF8
    separator: str = ","


class Place(NamedTuple):
    """Before an octet and a line of a file; lines are counted from 1."""

    octet: int = 0
    line: int = 1


BEGINNING = Place()


class Row(NamedTuple):
    """`line` and `octet` are where it begins, `after` is where the next one does. `problem` says why it is no row."""

    cells: Sequence[str]
    line: int
    octet: int
    after: Place
    problem: str = ""


class Charset:
    """Finds out what a file is written in, as its octets come by: all of them, for it may go wrong in its last line."""

    def __init__(self) -> None:
        self._first = b""
        self._octets = self._nuls = 0
        self._marked = ""
        self._decoder = getincrementaldecoder("utf-8")()
        self._is_utf8 = True
        self._undefined = False

    def look(self, octets: bytes) -> None:
        """Raises NoTable as soon as it is seen that it is none."""
        if not self._octets:
            self._first = octets[:4096]
            self._begin(octets)
        self._octets += len(octets)
        if self._marked in WIDE:
            return
        self._nuls += octets.count(0)
        if self._nuls > 2 + self._octets * NULS_AT_MOST:
            raise NoTable(NO_TEXT)
        self._undefined = self._undefined or any(octet in octets for octet in UNDEFINED)
        self._decode(octets)

    def _begin(self, octets: bytes) -> None:
        for magic, why in OTHER_FILES.items():
            if octets.startswith(magic):
                raise NoTable(why)
        marks = {BOM_UTF16_LE: "utf-16-le", BOM_UTF16_BE: "utf-16-be", BOM_UTF8: UTF8}
        self._marked = next((name for mark, name in marks.items() if octets.startswith(mark)), "")
        if not self._marked and len(self._first) >= 4:
            self._marked = _wide(self._first)

    def _decode(self, octets: bytes, *, final: bool = False) -> None:
        if not self._is_utf8:
            return
        try:
            self._decoder.decode(octets, final=final)
        except UnicodeDecodeError:
            self._is_utf8 = False

    def found(self) -> str:
        """Raises NoTable for an empty file."""
        if not self._octets or not self._first.lstrip(BOM_UTF8).strip():
            raise NoTable(EMPTY)
        if self._marked in WIDE:
            return self._marked
        self._decode(b"", final=True)
        if self._is_utf8:
            return UTF8
        return LATIN if self._undefined else WESTERN


UNDEFINED = b"\x81\x8d\x8f\x90\x9d"
"""Octets that Windows-1252 does not know."""


def _wide(first: bytes) -> str:
    """UTF-16 without its mark: every other octet of Latin letters is a NUL."""
    even, odd = first[::2].count(0), first[1::2].count(0)
    half = len(first) // 2
    if odd > half // 2 and even * 10 < odd:
        return "utf-16-le"
    return "utf-16-be" if even > half // 2 and odd * 10 < even else ""


def separator(text: str) -> str:
    """What its cells are separated by, as its first lines show. Excel's own “sep=;” has the last word."""
    lines = [line for line in text.lstrip("\ufeff").splitlines() if line.strip()][:10]
    if not lines:
        return ","
    if said := SAID.fullmatch(lines[0].strip("\r\n")):
        return said[1]
    unquoted = [QUOTED.sub("", line) for line in lines]
    counts = {one: [line.count(one) for line in unquoted] for one in SEPARATORS}
    return max(SEPARATORS, key=lambda one: (counts[one][0] > 0, min(counts[one]), counts[one][0]))


SAID = re.compile("sep=([,;\t|])", re.IGNORECASE)
QUOTED = re.compile('"[^"]*"')


def rows(pieces: Iterable[bytes], shape: Shape, at: Place = BEGINNING) -> Iterator[Row]:
    """A file's rows without the empty ones; `pieces` are its octets from `at` on, which is where a row begins.

    A quotation mark that never closes costs its own line, and not those below it.
    """
    csv.field_size_limit(LONGEST_CELL)
    lines = _Lines(pieces, shape.charset, at)
    table = csv.reader(lines, delimiter=shape.separator)
    while True:
        octet, line, problem = lines.octet, lines.line, ""
        lines.taken.clear()
        cells: Sequence[str] = ()
        try:
            cells = next(table)
        except csv.Error as error:
            problem = f"it is no line of a table ({error})"
        except StopIteration:
            return
        if lines.overlong:
            problem, lines.overlong = "it is longer than a line of a table can be", False
        elif lines.ended and lines.is_open:
            problem = "its quotation mark never closes"
        if problem:
            lines.take_back_all_but_one()
            yield Row((), line, octet, Place(lines.octet, lines.line), problem)
        elif "".join(cells).strip() and (octet or not _says_separator(cells)):
            yield Row(cells, line, octet, Place(lines.octet, lines.line))


def _says_separator(cells: Sequence[str]) -> bool:
    return cells[0].lower().startswith("sep=") and not any(cells[1:])


class _Lines:
    """The lines of a file, one after the other, and where the next one begins. One that is too long is empty, and
    `overlong`. `taken` are those of the row that is being read, each with its size."""

    def __init__(self, pieces: Iterable[bytes], charset: str, at: Place) -> None:
        self.octet, self.line = at
        self.overlong = self.ended = False
        self.taken: list[tuple[str, int]] = []
        self._back: deque[tuple[str, int]] = deque()
        self._cut = (_wide_lines if charset in WIDE else _lines)(pieces, charset, self.octet == 0)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self.taken) == LINES_AT_MOST:
            raise csv.Error(f"it would be longer than {LINES_AT_MOST} lines")
        try:
            taken = self._back.popleft() if self._back else next(self._cut)
        except StopIteration:
            self.ended = True
            raise
        self.taken.append(taken)
        text, size = taken
        self.octet += size
        self.line += 1
        if size > LONGEST_LINE:
            self.overlong = True
        return text

    @property
    def is_open(self) -> bool:
        """Whether what was taken for a row has a quotation mark without its second."""
        return len(self.taken) > 1 and sum(text.count('"') for text, _ in self.taken) % 2 == 1

    def take_back_all_but_one(self) -> None:
        """What was taken for a row's further lines is read anew."""
        back = self.taken[1:]
        self._back.extendleft(reversed(back))
        self.octet -= sum(size for _, size in back)
        self.line -= len(back)
        self.ended = False


def _lines(pieces: Iterable[bytes], charset: str, from_the_top: bool) -> Iterator[tuple[str, int]]:
    for line, size in _cut(pieces):
        text = line.decode(charset, "replace")
        if from_the_top:
            text, from_the_top = text.removeprefix("\ufeff"), False
        yield text, size


def _wide_lines(pieces: Iterable[bytes], charset: str, from_the_top: bool) -> Iterator[tuple[str, int]]:
    """UTF-16 is cut as UTF-8, because in its own octets the end of a line may be half of two letters."""
    decoder = getincrementaldecoder(charset)("replace")
    for line, size in _cut(decoder.decode(piece).encode("utf-8", "replace") for piece in pieces):
        text = line.decode("utf-8", "replace")
        wide = len(text.encode(charset)) if size <= LONGEST_LINE else size * 2
        if from_the_top:
            text, from_the_top = text.removeprefix("\ufeff"), False
        yield text, wide


def _cut(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """Each line with its end, and its size; of one that is too long only its end and its size."""
    rest, too_long = b"", 0
    for piece in pieces:
        lines = (rest + piece).splitlines(keepends=True)
        rest = b""
        if lines and not lines[-1].endswith(b"\n"):  # the next piece may go on with it, or with the \n of its \r\n
            rest = lines.pop()
        for line in lines:
            size, too_long = too_long + len(line), 0
            yield (line, size) if size <= LONGEST_LINE else (b"\n", size)
        if too_long or len(rest) > LONGEST_LINE:
            too_long, rest = too_long + len(rest), b""
    if rest or too_long:
        size = too_long + len(rest)
        yield (rest, size) if size <= LONGEST_LINE else (b"\n", size)


def word(cell: str) -> str:
    """A name of a column as it is compared: in small letters, and with spaces for what joins its words."""
    return " ".join(re.split(r"[\s_\-./:]+", cell.strip().lower())).strip()


def named(names: Sequence[str], wanted: Iterable[str]) -> int | None:
    """Where the first of the wanted names stands."""
    return next((names.index(name) for name in wanted if name in names), None)


def cell(cells: Sequence[str], column: int | None) -> str:
    """Empty where a row is too short."""
    return cells[column].strip() if column is not None and column < len(cells) else ""
