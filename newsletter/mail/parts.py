"""A mail's parts, read so that no mail can hurt: in time that grows with its size, only so deep, and never raising.

The standard library's parser goes as deep as a mail does, and anybody may send us one.
"""

from __future__ import annotations

import binascii
import codecs
import html
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import parseaddr

DEEPEST = 8
MOST_PARTS = 200
LONGEST_HEAD = 64 * 1024
LONGEST_TEXT = 64 * 1024
LONGEST_VALUE = 4000

END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
TYPE = re.compile(r"\s*([\w.+-]+/[\w.+-]+)")
TAG = re.compile(r"<[^<>]*>")
NOT_TEXT = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"}
"""Codecs of Python that no mail is written in."""


@dataclass(frozen=True)
class Part:
    """A mail, or a part of one. `body` is as it was sent; `parts` are those of a multipart. What is a mail of its own
    inside, message/rfc822, is not looked into."""

    head: Message
    body: bytes
    kind: str
    parts: tuple[Part, ...] = ()

    def values(self, name: str) -> list[str]:
        """What stands in the headers of a name, decoded, each on one line."""
        return [_decoded(value) for value in self.head.get_all(name, [])[:20]]

    def value(self, name: str) -> str:
        return next(iter(self.values(name)), "")

    def address(self, name: str) -> str:
        """The first address in a header, or nothing."""
        try:
            return parseaddr(self.value(name)[:1000])[1]
        except Exception:  # its authors' last word on what strangers write is still an IndexError now and then
            return ""

    @property
    def content(self) -> bytes:
        """The body with its transfer encoding undone, as well as can be."""
        encoding = self.value("Content-Transfer-Encoding").strip().lower()
        try:
            if encoding == "base64":
                return binascii.a2b_base64(self.body)
            return quopri.decodestring(self.body) if encoding == "quoted-printable" else self.body
        except (ValueError, binascii.Error):
            return self.body

    @property
    def text(self) -> str:
        """The words of a text part, those of HTML without its tags."""
        words = decoded(self.content[:LONGEST_TEXT], parameter(self.value("Content-Type"), "charset"))
        return html.unescape(TAG.sub(" ", words)) if self.kind == "text/html" else words

    def every(self) -> Iterator[Part]:
        """This part and all below it, in order."""
        yield self
        for part in self.parts:
            yield from part.every()

    def first(self, *kinds: str) -> Part | None:
        return next((part for part in self.every() if part.kind in kinds), None)


def read(octets: bytes) -> Part:
    return _read(octets, 0, [MOST_PARTS], "text/plain")


def _read(octets: bytes, depth: int, left: list[int], otherwise: str) -> Part:
    """`left` counts down how many parts may still be made; `otherwise` is the type of what does not tell it."""
    raw_head, body = _split(octets)
    head = BytesHeaderParser().parsebytes(raw_head[:LONGEST_HEAD])
    content_type = _decoded(head.get("Content-Type", ""))
    found = TYPE.match(content_type)
    kind = found[1].lower() if found else otherwise
    boundary = parameter(content_type, "boundary")
    if not kind.startswith("multipart/") or not boundary or depth >= DEEPEST:
        return Part(head, body, kind)
    inner = "message/rfc822" if kind == "multipart/digest" else "text/plain"
    return Part(head, body, kind, tuple(_inside(body, boundary, depth, left, inner)))


def _split(octets: bytes) -> tuple[bytes, bytes]:
    if octets.startswith((b"\n", b"\r\n")):
        return b"", octets.lstrip(b"\r\n")
    end = END_OF_HEAD.search(octets)
    return (octets[: end.start()], octets[end.end() :]) if end else (octets, b"")


def _inside(body: bytes, boundary: str, depth: int, left: list[int], otherwise: str) -> Iterator[Part]:
    """The last part need not have an end: mails are cut off on their way."""
    line = re.compile(rb"^--" + re.escape(boundary.encode("utf-8", "replace")) + rb"(--)?[ \t]*\r?$", re.MULTILINE)
    start: int | None = None
    for found in line.finditer(body):
        if start is not None and left[0] > 0:
            left[0] -= 1
            yield _read(body[start : found.start()], depth + 1, left, otherwise)
        start = found.end() + 1
        if found[1] or left[0] <= 0:
            return
    if start is not None:
        yield _read(body[start:], depth + 1, left, otherwise)


def parameter(value: str, name: str) -> str:
    """A parameter of a header such as Content-Type; nothing when it is not there."""
    found = re.search(rf'[;\s]{name}\s*=\s*(?:"([^"]*)"|([^\s;"]+))', value, re.IGNORECASE)
    return (found[1] or found[2] or "").strip() if found else ""


def decoded(octets: bytes, charset: str = "") -> str:
    """Octets as words, whatever their charset is called; fit for a database, so without NULs."""
    try:
        name = codecs.lookup(charset or "utf-8").name
        words = octets.decode("utf-8" if name in NOT_TEXT else name, "replace")
    except (LookupError, ValueError):
        words = octets.decode("utf-8", "replace")
    return _clean(words)


def _decoded(value: object) -> str:
    try:
        text = str(value)[:LONGEST_VALUE]
    except Exception:  # a header that is not even text
        return ""
    try:
        pieces = decode_header(text) if "=?" in text else [(text, None)]
        words = "".join(one if isinstance(one, str) else decoded(one, charset or "") for one, charset in pieces)
    except Exception:  # broken encoded words stay as they are written
        words = text
    return " ".join(_clean(words).split())


def _clean(words: str) -> str:
    return words.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
