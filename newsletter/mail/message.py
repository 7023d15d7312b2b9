"""Mails as octets: built once, spliced for each reader.

Encoding a mail takes milliseconds and an edition has as many mails as readers, so everything that is the same for all
of them is encoded once. Each reader's own words stand in the content as marks; the quoted-printable text is broken
around a mark, so that any value can be put in without touching a line of the rest.
"""

from __future__ import annotations

import html as html_module
import quopri
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

SOFT_BREAK = b"=\r\n"  # RFC 2045 §6.7, rule 5: disappears when the text is decoded
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

    `unsubscribe_url` becomes the two headers of RFC 8058; transactional mail has none.
    """

    address: str
    message_id: str
    words: Mapping[str, str] = field(default_factory=dict)
    unsubscribe_url: str | None = None


def mark(marker: str, name: str) -> str:
    """Where the reader's word `name` goes. `marker` is random, so no story can hold a mark of its own."""
    return f"x{marker}{name}x"


def fill(content: str, marker: str, words: Mapping[str, str], escape: Callable[[str], str] = str) -> str:
    """The content with one reader's words in it, as text: for previews and archive pages."""
    for name, word in words.items():
        content = content.replace(mark(marker, name), escape(word))
    return content


class Message:
    """A letter, encoded and ready to be addressed any number of times."""

    def __init__(self, letter: Letter) -> None:
        self._head = _head(letter)
        self._body = [piece if isinstance(piece, bytes) else (piece[0], piece[1]) for piece in _body(letter)]

    def to(self, reader: Reader) -> bytes:
        """The whole message for one reader, with CRLF line ends and no line over 76 octets in its body."""
        pieces = [self._head, _reader_head(reader)]
        for piece in self._body:
            if isinstance(piece, bytes):
                pieces.append(piece)
            else:
                name, escape = piece
                pieces += (SOFT_BREAK, _quoted(escape(reader.words[name])), SOFT_BREAK)
        return b"".join(pieces)


Piece = bytes | tuple[str, Callable[[str], str]]


def _head(letter: Letter) -> bytes:
    head = EmailMessage(policy=SMTP)
    head["From"] = _mailbox(letter.sender)
    if letter.sender.reply_to:
        head["Reply-To"] = letter.sender.reply_to
    head["Subject"] = letter.subject
    head["Date"] = format_datetime(letter.date)
    for name, value in letter.headers.items():
        head[name] = value
    head["MIME-Version"] = "1.0"
    return head.as_bytes().removesuffix(b"\r\n")  # the empty line that would end the head


def _mailbox(sender: Sender) -> Address:
    return Address(sender.name, addr_spec=sender.address)


def _reader_head(reader: Reader) -> bytes:
    lines = [f"To: {reader.address}", f"Message-ID: <{reader.message_id}>"]
    if reader.unsubscribe_url:
        # RFC 8058 §3.1: both headers, one HTTPS address; and DKIM must cover them.
        lines.append(f"List-Unsubscribe: <{reader.unsubscribe_url}>")
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
    for index, piece in enumerate(re.split(f"x{re.escape(marker)}([a-z_]+)x", content)):
        pieces.append((piece, escape) if index % 2 else _quoted(piece))
    return pieces


def _quoted(text: str) -> bytes:
    """Quoted-printable with CRLF line ends. A piece that ends in a space or tab has it encoded (rule 3)."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return quopri.encodestring(lines.encode("utf-8")).replace(b"\n", b"\r\n")
