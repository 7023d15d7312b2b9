"""The demo's mails, read back from their files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import default
from itertools import islice
from pathlib import Path
from typing import cast

from newsletter.foundation.errors import NotFound

LISTED = 100


class MailUnknown(NotFound):
    """There is no such mail in the demo's mailbox."""


@dataclass(frozen=True)
class Mail:
    """One mail as it left. `name` is its file's, without the ending."""

    name: str
    octets: bytes
    message: EmailMessage

    @property
    def to(self) -> str:
        return str(self.message["To"])

    @property
    def from_(self) -> str:
        return str(self.message["From"])

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def at(self) -> datetime:
        return cast(datetime, self.message["Date"].datetime)

    @property
    def kind(self) -> str:
        return "edition" if self.message["List-ID"] else "note"

    @property
    def source(self) -> str:
        return self.octets.decode("utf-8", "replace")

    @property
    def headers(self) -> str:
        return self.source.replace("\r\n", "\n").partition("\n\n")[0]

    @property
    def html(self) -> str:
        return self._part("html")

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def one_click(self) -> str | None:
        """The address that a mail program posts to for its own unsubscribe button (RFC 8058)."""
        match = re.search(r"<(https?:[^>]+)>", str(self.message["List-Unsubscribe"] or ""))
        return match[1] if match and self.message["List-Unsubscribe-Post"] else None

    def _part(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        return str(part.get_content()) if part is not None else ""


def latest(folder: Path, words: str = "") -> list[Mail]:
    """The newest mails, at most LISTED, the latest first; their headers alone. With words, those that have them in
    their subject or in whom they are to."""
    found = (_headers_of(file) for file in sorted(folder.glob("*.eml"), reverse=True))
    wanted = words.lower()
    return list(islice((one for one in found if wanted in f"{one.subject} {one.to}".lower()), LISTED))


def mail(folder: Path, name: str) -> Mail:
    """Raises MailUnknown."""
    file = folder / f"{name}.eml"
    if not re.fullmatch(r"\d{6,}-[0-9a-f]{16}", name) or not file.exists():
        raise MailUnknown
    return _read(file)


def _headers_of(file: Path) -> Mail:
    octets = file.read_bytes()
    return Mail(file.stem, octets, BytesHeaderParser(policy=default).parsebytes(octets))


def _read(file: Path) -> Mail:
    octets = file.read_bytes()
    return Mail(file.stem, octets, message_from_bytes(octets, policy=default))
