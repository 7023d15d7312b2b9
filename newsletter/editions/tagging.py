"""Tags on the links of a mail, by which a paper's statistics know where a visitor came from. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote_plus

WEB = re.compile(r"https?://", re.IGNORECASE)


def tagged(url: str, tags: str) -> str:
    """A web address with `tags`, such as "utm_source=daily&utm_medium=email", at the end of its query.

    A parameter that the address has already stays as it is and comes no second time; so tagging twice is tagging once.
    Nothing of the address is written anew, and what is no web address is left alone.
    """
    if not WEB.match(url):
        return url
    page, mark, place = url.partition("#")
    before, _, query = page.partition("?")
    there = {_name(pair) for pair in query.split("&")}
    added = "&".join(_missing(tags, there))
    if not added:
        return url
    return f"{before}?{query}{'' if query.endswith('&') or not query else '&'}{added}{mark}{place}"


def _missing(tags: str, there: set[str]) -> Iterator[str]:
    for pair in tags.split("&"):
        if pair and _name(pair) not in there:
            there.add(_name(pair))
            yield pair


def _name(pair: str) -> str:
    return unquote_plus(pair.partition("=")[0])
