"""Tables as people have them are read, whatever they are written in; and what is hostile costs no more than itself."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.mail import addresses
from newsletter.mail.addresses import AddressInvalid
from newsletter.subscribers import columns, tables
from newsletter.subscribers.columns import Meaning
from newsletter.subscribers.tables import CHARSETS, Charset, NoTable, Place, Shape, rows

LINES = 'email{0}name\r\nann@example.org{0}"Ann {0} ""A"" é"\r\n\r\nbob@example.org{0}"B\nob"\ncy@example.org{0}Cy'
CELLS = [
    ["email", "name"],
    ["ann@example.org", 'Ann {0} "A" é'],
    ["bob@example.org", "B\nob"],
    ["cy@example.org", "Cy"],
]


def cut(octets: bytes, size: int) -> list[bytes]:
    return [octets[at : at + size] for at in range(0, len(octets), size)]


def charset_of(octets: bytes, size: int = 1000) -> str:
    found = Charset()
    for piece in cut(octets, size):
        found.look(piece)
    return found.found()


def cells(octets: bytes, size: int = 1 << 20) -> list[list[str]]:
    """As a file without anything said about it is read."""
    charset = charset_of(octets)
    shape = Shape(charset, tables.separator(octets.decode(charset, "replace")))
    return [list(row.cells) for row in rows(cut(octets, size), shape)]


@pytest.mark.parametrize("separator", tables.SEPARATORS)
@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        *(("utf-8", b""), ("utf-8", b"\xef\xbb\xbf"), ("cp1252", b""), ("latin-1", b"")),
        *(("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff"), ("utf-16-le", b""), ("utf-16-be", b"")),
    ],
)
def test_excel_and_others_are_read_without_being_told_how(encoding: str, mark: bytes, separator: str) -> None:
    octets = mark + LINES.format(separator).encode(encoding)
    for size in (1, 3, 1000):
        assert cells(octets, size) == [[cell.format(separator) for cell in row] for row in CELLS]


WORDS = {"cp932": "メール", "euc-jp": "メール", "gb18030": "邮箱", "big5": "電郵", "cp949": "이메일", "koi8-r": "почта"}
WORDS |= {"cp1251": "почта", "cp1253": "Ελλάδα", "cp1254": "İstanbul", "cp1255": "שלום", "cp1256": "مرحبا"}


@pytest.mark.parametrize("charset", CHARSETS)
def test_what_a_person_says_it_is_written_in_is_believed(charset: str) -> None:
    word = WORDS.get(charset, "Zoo")
    octets = f"{word},email\nx,ann@example.org\n".encode(charset)
    found = [row.cells for row in rows([octets], Shape(charset, ","))]
    assert found == [[word, "email"], ["x", "ann@example.org"]]


@pytest.mark.parametrize(
    ("octets", "told"),
    [
        (b"", "nothing in it"),
        (b"\xef\xbb\xbf  \r\n", "nothing in it"),
        (b"PK\x03\x04 and so on", "save it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "Excel workbook; open it and save it as CSV"),
        (b"%PDF-1.7", "PDF"),
        (b"\x1f\x8b\x08", "unpack"),
        (b"\x7fELF\2\1\1\0\0\0\0\0\0\0\0\0", "no text"),
        (b"a@b.example\n" * 1000 + b"\0" * 500, "no text"),
    ],
)
def test_what_is_no_table_is_told_with_what_to_do(octets: bytes, told: str) -> None:
    with pytest.raises(NoTable, match=told):
        charset_of(octets)


def test_a_file_that_goes_wrong_in_its_last_line_is_not_unicode() -> None:
    start = b"ann@example.org;Ann\n" * 5000
    assert charset_of(start) == "utf-8"
    assert charset_of(start + b"jos\xe9@example.org") == "cp1252"
    assert charset_of(start + b"jos\xe9\x81") == "latin-1", "Windows-1252 has no such letter"
    assert charset_of(start + "é".encode()[:1]) == "cp1252", "half a letter"


def test_a_stray_nul_does_not_make_a_text_something_else() -> None:
    octets = b"email,name\n" + b"ann@example.org,A\0nn\n" + b"bob@example.org,Bob\n" * 200
    assert charset_of(octets) == "utf-8"
    assert len(cells(octets)) == 202


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("email;name, first\na@b.example;x\n", ";"),
        ("sep=|\nemail|name\n", "|"),
        ('"name, first";email\n"Doe, Jane";a@b.example', ";"),
        ("email\na@b.example\n", ","),
        ("email\tname\n", "\t"),
        ("", ","),
    ],
)
def test_the_separator_is_found(text: str, separator: str) -> None:
    assert tables.separator(text) == separator


def test_the_line_that_excel_says_its_separator_in_is_no_row() -> None:
    assert cells(b"sep=;\r\nemail;name\r\nann@example.org;Ann\r\n") == [["email", "name"], ["ann@example.org", "Ann"]]


def test_rows_may_be_ragged() -> None:
    assert cells(b"a,b\n1\n1,2,3,4\n") == [["a", "b"], ["1"], ["1", "2", "3", "4"]]
    assert tables.cell(["1"], 3) == ""
    assert tables.cell([" 1 "], 0) == "1"


def problems(octets: bytes) -> list[tuple[int, list[str] | str]]:
    return [(row.line, "problem" if row.problem else list(row.cells)) for row in rows(cut(octets, 1 << 16), Shape())]


def test_a_quotation_mark_that_never_closes_costs_its_own_line_only() -> None:
    many = b"".join(b"r%d@example.org,x\n" % n for n in range(2000))
    found = problems(b'a@example.org,x\n"b@example.org,x\n' + many)
    assert found[:3] == [(1, ["a@example.org", "x"]), (2, "problem"), (3, ["r0@example.org", "x"])]
    assert len(found) == 2002
    assert problems(b'"b@example.org,x\na@example.org,x') == [(1, "problem"), (2, ["a@example.org", "x"])]


def test_a_row_that_would_go_on_for_ever_ends() -> None:
    found = problems(b'a","c\n' * 300)
    ended = 300 - tables.LINES_AT_MOST
    assert found[:ended] == [(line, "problem") for line in range(1, ended + 1)]


def test_a_huge_cell_and_a_huge_line_are_passed_over_and_told() -> None:
    huge = b"x" * (tables.LONGEST_CELL + 1)
    assert problems(b"a,b\n" + huge + b",1\nc,d\n") == [(1, ["a", "b"]), (2, "problem"), (3, ["c", "d"])]
    vast = b"ann@example.org," * (tables.LONGEST_LINE // 10)
    assert problems(b"a,b\n" + vast + b"\nc,d\n") == [(1, ["a", "b"]), (2, "problem"), (3, ["c", "d"])]
    assert problems(vast) == [(1, "problem")]


def test_a_file_without_end_is_read_without_keeping_it() -> None:
    def endless() -> Iterator[bytes]:
        for number in count():
            yield b"reader%d@example.org,x\n" % number * 100

    assert len(list(islice(rows(endless(), Shape()), 100_000))) == 100_000


TEXTS = st.lists(st.lists(st.text('ab"é, ;\n\r\t€あ', max_size=6), min_size=1, max_size=4), max_size=8)


@given(TEXTS, st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]), st.integers(1, 40), st.text('a"\n\r,', max_size=20))
def test_reading_goes_on_from_any_row_as_if_it_had_never_stopped(
    table: list[list[str]], charset: str, size: int, rest: str
) -> None:
    quoted = ("".join(f'"{cell.replace(chr(34), chr(34) * 2)}",' for cell in row) for row in table)
    octets = ("\r\n".join(quoted) + rest).encode(charset)
    whole = list(rows(cut(octets, size), Shape(charset)))
    for at, row in enumerate(whole):
        assert list(rows(cut(octets[row.octet :], size), Shape(charset), Place(row.octet, row.line))) == whole[at:]
    for before, after in pairwise(whole):
        assert before.after.octet <= after.octet


# Columns


@pytest.mark.parametrize(
    ("top", "guessed"),
    [
        ("E-Mail;Vorname;Anmeldedatum;Sprache", {"address": 0, "date": 2, "language": 3}),
        ("Prénom;Adresse e-mail;Langue;Origine", {"address": 1, "language": 2, "source": 3}),
        ("Nombre;Correo electrónico;Fecha de alta", {"address": 1, "date": 2}),
        ("お名前;メールアドレス;登録日", {"address": 1, "date": 2}),
        ("Email Address;OPTIN_TIME;OPTIN_IP;CONFIRM_TIME;LANG", {"address": 0, "date": 3, "ip": 2, "language": 4}),
        ("id;email;subscribed_to_emails;created_at", {"address": 1, "state": 2, "date": 3}),
        ("Address;Email;Status", {"address": 1, "state": 2}),
    ],
)
def test_columns_are_guessed_by_their_names(top: str, guessed: dict[str, int]) -> None:
    found = columns.look([top.split(";")])
    assert (found.has_names, found.guessed) == (True, guessed)


def test_without_names_the_column_of_addresses_is_found() -> None:
    found = columns.look([["1", "ann@example.org"], ["2", "bob@example.org"]])
    assert (found.has_names, found.guessed, found.titles) == (False, {Meaning.ADDRESS: 1}, ("Column 1", "Column 2"))


def test_a_column_called_address_without_one_is_not_taken_for_it() -> None:
    assert columns.look([["Address", "Contact"], ["1 High Street", "ann@example.org"]]).guessed == {Meaning.ADDRESS: 1}


def test_columns_of_one_name_and_of_none_can_be_told_apart() -> None:
    assert columns.look([["email", "", "email", "x"]]).titles == ("email", "Column 2", "email (column 3)", "x")


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2024-05-06", "2024-05-06T00:00:00+00:00"),
        ("2024-05-06T07:08:09+02:00", "2024-05-06T05:08:09+00:00"),
        ("6.5.2024", "2024-05-06T00:00:00+00:00"),
        ("06.05.2024 07:08", "2024-05-06T07:08:00+00:00"),
        ("2024/5/6 07:08:09", "2024-05-06T07:08:09+00:00"),
        ("3/4/2025", None),
        ("31.2.2024", None),
        ("0001-01-01T00:00:00+23:00", None),
        ("soon", None),
    ],
)
def test_dates_are_read_where_they_can_mean_one_day_only(text: str, iso: str | None) -> None:
    found = columns.moment(text)
    assert (found.isoformat() if found else None) == iso


LOCAL, LABEL = st.text("aZ0._+-'!é", max_size=8), st.text("aZ0-é_", max_size=5)


@given(
    LOCAL, st.lists(LABEL, max_size=4), st.sampled_from(["com", "test", "invalid", "local", "x", "xn--p1ai", "arpa"])
)
def test_plain_addresses_are_read_as_all_are(local: str, labels: list[str], ending: str) -> None:
    text = f"{local}@{'.'.join([*labels, ending])}"
    try:
        address = addresses.parse(text)
    except AddressInvalid:
        with pytest.raises(AddressInvalid):
            addresses.read(text)
    else:
        assert addresses.read(text) == (address, addresses.normalise(address))
