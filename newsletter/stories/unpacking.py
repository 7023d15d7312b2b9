"""Compressed answers, unpacked in pieces of bounded size, so that a bomb is noticed before it goes off."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

import brotli

from newsletter.foundation.errors import NewsletterError

PIECE = 65536


class PackingBroken(NewsletterError):
    """The answer says that it is packed with {encoding}, and cannot be unpacked."""


class Unpacker(Protocol):
    def unpack(self, chunk: bytes) -> Iterator[bytes]:
        """What the chunk holds, in pieces of 64 KiB or little more. Raises PackingBroken."""
        ...


class Plain:
    def unpack(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk


class Zlib:
    """gzip or deflate, whichever it turns out to be."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._zlib = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)

    def unpack(self, chunk: bytes) -> Iterator[bytes]:
        try:
            while chunk and not self._zlib.eof:
                yield self._zlib.decompress(chunk, PIECE)
                chunk = self._zlib.unconsumed_tail
        except zlib.error as error:
            raise PackingBroken(encoding=self._encoding) from error


class Brotli:
    def __init__(self) -> None:
        self._brotli = brotli.Decompressor()

    def unpack(self, chunk: bytes) -> Iterator[bytes]:
        try:
            yield self._brotli.process(chunk, output_buffer_limit=PIECE)
            while not self._brotli.can_accept_more_data():
                yield self._brotli.process(b"", output_buffer_limit=PIECE)
        except brotli.error as error:
            raise PackingBroken(encoding="br") from error


def unpacker(encoding: str) -> Unpacker:
    """For the value of Content-Encoding. Raises PackingBroken for one that was not asked for."""
    match encoding.strip().lower():
        case "" | "identity":
            return Plain()
        case "gzip" | "x-gzip" | "deflate":
            return Zlib(encoding)
        case "br":
            return Brotli()
    raise PackingBroken(encoding=encoding)


ACCEPTED = "gzip, deflate, br"
