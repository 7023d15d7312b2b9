"""What servers' replies say, without whom they say it of: so that a thousand of one kind are one line. Pure."""

from __future__ import annotations

import re

LONGEST = 160

_WITHOUT = (
    (re.compile(r"https?://\S+"), "…"),
    (re.compile(r"<[^<>\s]*>"), "…"),
    (re.compile(r"[^\s<>@:;,()\[\]'\"=]+@[^\s<>@:;,()\[\]'\"]+"), "…"),
    (re.compile(r"\[?\b\d{1,3}(?:\.\d{1,3}){3}\b\]?"), "…"),
    (re.compile(r"\[?(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{1,4}(?![\w:])\]?"), "…"),
    # A word with digits in it is somebody's id; but not the code at the beginning, nor an enhanced one.
    (re.compile(r"(?<![\w.])(?![245]\.\d{1,3}\.\d{1,3}(?![\w.-]))(?=[\w.+/=~-]*\d)[\w.+/=~-]{2,}"), "…"),
    (re.compile(r"(?<![\w.])\d+(?![\w.])"), "…"),
    (re.compile(r"(?:…[\s,;:()\[\]]*){2,}"), "… "),
)

_CODE = re.compile(r"([2-5]\d\d)(?:[ -]+|$)")


def gist(reply: str) -> str:
    """A reply without addresses, numbers and ids, but with its code and its enhanced code (RFC 3463)."""
    text = " ".join(reply.split())
    coded = _CODE.match(text)
    code, rest = (coded[1], text[coded.end() :]) if coded else ("", text)
    for pattern, instead in _WITHOUT:
        rest = pattern.sub(instead, rest)
    whole = f"{code} {rest}".strip()
    return whole if len(whole) <= LONGEST else f"{whole[: LONGEST - 1]}…"
