"""Mails as octets: built once, spliced for each reader.

Encoding a mail takes milliseconds and an edition has as many mails as readers, so everything that is the same for all
of them is encoded once. Each reader's own words stand in the content as marks; the quoted-printable text is broken
around a mark, so that any value can be put in without touching a line of the rest.
"""

from __future__ import annotations

import html as html_module
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, quote

from newsletter.foundation.text import one_line
from newsletter.mail.addresses import wire

SOFT_BREAK = b"=\r\n"  # RFC 2045 §6.7, rule 5: disappears when the text is decoded
LINE = 76
LITERAL = {*range(33, 127), ord(" "), ord("\t")} - {ord("=")}
TOKENS = tuple(bytes([octet]) if octet in LITERAL else b"=%02X" % octet for octet in range(256))
PIECE = re.compile(rb"(?s).{1,%d}(?<!=)(?<!=.)" % (LINE - 3))  # as much as fits, no token cut in two
PLAIN = re.compile(rb"[\t -~]*").fullmatch
HARMLESS = re.compile(rb"[-+/:@\w][-+/:@\w.]*").fullmatch
BOUNDARY = "=_daily-headlines"  # "=_" cannot occur in quoted-printable text (RFC 2045 §6.7)


@dataclass(frozen=True)
class Sender:
    """Whom a mail comes from. `reply_to` is where a person's answer goes."""

    name: str
    address: str
    reply_to: str | None = None


@dataclass(frozen=True)
class Letter:
    """What is the same for every reader. Content holds `mark(marker, name)` where a reader's own words go.

    `html` is None for a text-only mail. `headers` are further ones, their values already ASCII.
    """

    sender: Sender
    subject: str
    text: str
    html: str | None
    date: datetime
    marker: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reader:
    """What differs: the address as SMTP takes it, the Message-ID, and the words for the marks.

    `unsubscribe_url` becomes the two headers of RFC 8058; transactional mail has none. `unsubscribe_address` stands
    before it, for readers whose program leaves by mail.
    """

    address: str
    message_id: str
    words: Mapping[str, str] = field(default_factory=dict)
    unsubscribe_url: str | None = None
    unsubscribe_address: str | None = None


def mark(marker: str, name: str) -> str:
    """Where the reader's word `name` goes. `marker` is random, so no story can hold a mark of its own."""
    return f"x{marker}{name}0"


def fill(content: str, marker: str, words: Mapping[str, str], escape: Callable[[str], str] = str) -> str:
    """The content with one reader's words in it, as text: for previews and archive pages."""
    for name, word in words.items():
        content = content.replace(mark(marker, name), escape(word))
    return content


class Message:
    """A letter, encoded and ready to be addressed any number of times."""

    def __init__(self, letter: Letter) -> None:
        body = _body(letter)
        self._pieces = [_head(letter), b"", *(piece if isinstance(piece, bytes) else b"" for piece in body)]
        self._words: dict[Word, list[int]] = {}
        """Where in the pieces each word goes, once escaped: most stand in a mail several times."""
        for index, piece in enumerate(body, 2):
            if not isinstance(piece, bytes):
                self._words.setdefault(piece, []).append(index)

    def to(self, reader: Reader) -> bytes:
        """The whole message for one reader, with CRLF line ends, no line over 76 octets in its body, and none that
        begins with a dot."""
        pieces = self._pieces.copy()
        pieces[1] = _reader_head(reader)
        encoded: dict[str, bytes] = {}
        for (name, escape), places in self._words.items():
            word = escape(reader.words[name])
            if word not in encoded:  # HTML escapes few
                encoded[word] = SOFT_BREAK + _quoted(word) + SOFT_BREAK
            for place in places:
                pieces[place] = encoded[word]
        return b"".join(pieces)


Word = tuple[str, Callable[[str], str]]
"""A reader's word, and how it is escaped where it stands."""

Piece = bytes | Word


def _head(letter: Letter) -> bytes:
    head = EmailMessage(policy=SMTP)
    head["Date"] = format_datetime(letter.date)
    for name, value in letter.headers.items():
        head[name] = value
    head["MIME-Version"] = "1.0"
    rest = head.as_bytes().removesuffix(b"\r\n")  # the empty line that would end the head
    return (_from(letter.sender) + _subject(letter.subject)).encode("ascii") + rest


def _subject(text: str) -> str:
    """Folded as encoded words of whole characters; the standard library's policy loses some odd spaces."""
    line = one_line(text)
    encoded = Header(line, None if line.isascii() else "utf-8", header_name="Subject").encode(linesep="\r\n")
    return f"Subject: {encoded}\r\n"


def _from(sender: Sender) -> str:
    """From and Reply-To, folded by us: the standard library folds long names at their commas, and makes two of one.

    Raises ValueError for an address that holds a line break.
    """
    name = one_line(sender.name)
    phrase = f'"{quote(name)}"'
    if not name.isascii():
        phrase = Header(name, "utf-8", header_name="From").encode(linesep="\r\n")
    lines = f"From: {phrase}\r\n <{_plain(sender.address)}>\r\n"
    return lines + (f"Reply-To: {_plain(sender.reply_to)}\r\n" if sender.reply_to else "")


def _plain(address: str) -> str:
    if not address.isprintable():
        raise ValueError(f"{address!r} is no address for a header")
    return wire(address)


def _reader_head(reader: Reader) -> bytes:
    lines = [f"To: {reader.address}", f"Message-ID: <{reader.message_id}>"]
    if reader.unsubscribe_url:
        # RFC 8058 §3.1: both headers, one HTTPS address; and DKIM must cover them.
        by_mail = f"<mailto:{reader.unsubscribe_address}>,\r\n " if reader.unsubscribe_address else ""
        lines.append(f"List-Unsubscribe: {by_mail}<{reader.unsubscribe_url}>")
        lines.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _body(letter: Letter) -> list[Piece]:
    plain = _part("text/plain", letter.text, letter.marker, str)
    if letter.html is None:
        return plain
    opening = f'Content-Type: multipart/alternative; boundary="{BOUNDARY}"\r\n\r\n--{BOUNDARY}\r\n'
    return [
        opening.encode("ascii"),
        *plain,
        f"\r\n--{BOUNDARY}\r\n".encode("ascii"),
        *_part("text/html", letter.html, letter.marker, html_module.escape),
        f"\r\n--{BOUNDARY}--\r\n".encode("ascii"),
    ]


def _part(kind: str, content: str, marker: str, escape: Callable[[str], str]) -> list[Piece]:
    head = f'Content-Type: {kind}; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'
    pieces: list[Piece] = [head.encode("ascii")]
    for index, piece in enumerate(re.split(f"x{re.escape(marker)}([a-z_]+)0", content)):
        pieces.append((piece, escape) if index % 2 else _quoted(piece))
    return pieces


def _quoted(text: str) -> bytes:
    """Quoted-printable (RFC 2045 §6.7) with CRLF line ends, and room for a soft break at the end of every line."""
    if text.isascii() and text.isprintable():
        return _quoted_line(text.encode("ascii"))
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return b"\r\n".join(_quoted_line(line.encode("utf-8")) for line in lines)


def _quoted_line(octets: bytes) -> bytes:
    if len(octets) <= LINE - 3 and HARMLESS(octets):  # most of a reader's words
        return octets
    coded = octets.replace(b"=", b"=3D") if PLAIN(octets) else b"".join([TOKENS[octet] for octet in octets])
    if octets[-1:] in (b" ", b"\t"):  # rule 3: a space at a line's end would be lost on the way
        coded = coded[:-1] + b"=%02X" % octets[-1]
    return SOFT_BREAK.join([_dotless(piece) for piece in PIECE.findall(coded)])


def _dotless(line: bytes) -> bytes:
    """No line of ours begins with a dot, which on the way means something (RFC 5321 §4.5.2, RFC 2049 §3)."""
    return b"=2E" + line[1:] if line.startswith(b".") else line
