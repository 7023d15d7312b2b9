"""Invented outlets' feeds, served over loopback by a process of its own, each outlet on an address of its own."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from email.utils import format_datetime
from html import escape
from multiprocessing import get_context
from multiprocessing.connection import Connection

from benchmarks.news import Told

HEAD = (
    '<?xml version="1.0" encoding="utf-8"?>\n<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/">\n<channel>'
)
VALIDATOR = 'ETag: "as-it-was"\r\n'
OK = f"HTTP/1.1 200 OK\r\n{VALIDATOR}Content-Type: application/rss+xml\r\nContent-Encoding: gzip\r\nContent-Length: "
UNCHANGED = f"HTTP/1.1 304 Not Modified\r\n{VALIDATOR}\r\n".encode()


def rss(outlet: str, stories: Sequence[Told]) -> bytes:
    items = "".join(map(_item, stories))
    head = f"{HEAD}<title>{outlet}</title><link>https://www.{outlet}/</link><description>All news</description>\n"
    return f"{head}{items}</channel></rss>".encode()


def _item(story: Told) -> str:
    picture = f"https://pictures.{story.outlet}/{story.at:%Y/%m}/{story.id}"
    markup = f'<p>{story.summary}</p><p><a href="{story.url}?utm_source=rss">Read on</a></p>'
    return (
        f"<item><title>{story.title}</title><link>{story.url}?utm_source=rss&amp;utm_medium=feed</link>"
        f'<guid isPermaLink="false">{story.outlet}:{story.id}</guid><pubDate>{format_datetime(story.at)}</pubDate>'
        f"<dc:creator>Ann Writer</dc:creator><category>World</category><category>{story.title.split()[0]}</category>"
        f"<description>{escape(markup)}</description>"
        f'<media:content url="{picture}-1200.jpg" medium="image" type="image/jpeg" width="1200" height="675">'
        f"<media:description>{story.title}</media:description><media:credit>Ann Photographer</media:credit>"
        f'</media:content><media:thumbnail url="{picture}-150.jpg" width="150" height="84"/></item>\n'
    )


@contextmanager
def served(feeds: Sequence[bytes], hosts: Sequence[str]) -> Iterator[list[str]]:
    """The feeds' addresses while they are served, by the hosts in turn. Who has one already is answered 304."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(feeds, hosts, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        with ours:
            sites = [f"http://{host}:{port}" for host, port in zip(hosts, ours.recv(), strict=True)]
        yield [f"{sites[number % len(sites)]}/{number}" for number in range(len(feeds))]
    finally:
        process.terminate()
        process.join()


def _serve(feeds: Sequence[bytes], hosts: Sequence[str], said: Connection) -> None:
    asyncio.run(_listen([_page(feed) for feed in feeds], hosts, said))


def _page(feed: bytes) -> bytes:
    packed = gzip.compress(feed)
    return f"{OK}{len(packed)}\r\n\r\n".encode() + packed


async def _listen(pages: Sequence[bytes], hosts: Sequence[str], said: Connection) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                number = int(head.split(b" ", 2)[1].lstrip(b"/"))
                writer.write(UNCHANGED if b"if-none-match" in head.lower() else pages[number])
                await writer.drain()

    servers = [await asyncio.start_server(answer, host) for host in hosts]
    said.send([server.sockets[0].getsockname()[1] for server in servers])
    await asyncio.Event().wait()
