"""The TXT record of a DKIM key (RFC 6376 §3.6.1): what it says, and whether it is the one of our private key. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

LONGEST = 10_000


class Fit(StrEnum):
    """`fits`: the record is our key's. `other`: it is another key's. `revoked`: it says that the key must not be
    believed any more. `several`: mailboxes may take any of them. `broken`: nobody can read it."""

    FITS = "fits"
    OTHER = "other"
    REVOKED = "revoked"
    SEVERAL = "several"
    BROKEN = "broken"


@dataclass(frozen=True)
class Judged:
    """`testing`: mailboxes are asked not to trust it yet (t=y)."""

    fit: Fit
    why: str = ""
    testing: bool = False
    tags: dict[str, str] = field(default_factory=dict)


def tags_of(record: str) -> dict[str, str] | None:
    """A tag=value list (RFC 6376 §3.2); None where it is none. Of a tag that stands twice nothing can be believed."""
    tags: dict[str, str] = {}
    for part in record[:LONGEST].strip().removesuffix(";").split(";"):
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name in tags:
            return None
        tags[name] = value.strip()
    return tags


def judge(records: Sequence[str], wanted: str) -> Judged:
    """Whether the TXT records at a key's name are what `wanted`, the record of our own key, says."""
    if len(records) > 1:
        return Judged(Fit.SEVERAL, f"there are {len(records)} records, and mailboxes may take any of them")
    tags = tags_of(records[0])
    if tags is None:
        return Judged(Fit.BROKEN, "it is no list of tags such as “k=rsa; p=…”")
    ours = tags_of(wanted) or {}
    return _judged(tags, ours)


def _judged(tags: dict[str, str], ours: dict[str, str]) -> Judged:
    if tags.get("v", "DKIM1") != "DKIM1" or ("v" in tags and next(iter(tags)) != "v"):
        return Judged(Fit.BROKEN, "“v=DKIM1” must stand first, if it stands there", tags=tags)
    if "p" not in tags:
        return Judged(Fit.BROKEN, "it has no “p=”, where the key stands", tags=tags)
    public = _octets(tags["p"])
    if public == b"":
        return Judged(Fit.REVOKED, "its “p=” is empty, which says that the key is not used any more", tags=tags)
    if public is None:
        return Judged(Fit.BROKEN, "its “p=” is no base64; it may have been cut off", tags=tags)
    if "sha256" not in _listed(tags.get("h", "sha256")):
        return Judged(Fit.BROKEN, "its “h=” does not allow sha256, by which mails are signed", tags=tags)
    if not {"*", "email"} & set(_listed(tags.get("s", "*"))):
        return Judged(Fit.BROKEN, "its “s=” does not allow e-mail", tags=tags)
    if tags.get("k", "rsa").lower() != ours.get("k", "rsa") or not _same(public, _octets(ours.get("p", "")) or b""):
        return Judged(Fit.OTHER, "it is the record of another key", tags=tags)
    return Judged(Fit.FITS, testing="y" in _listed(tags.get("t", "")), tags=tags)


def _listed(value: str) -> list[str]:
    return [part.strip().lower() for part in value.split(":")]


def _octets(value: str) -> bytes | None:
    try:
        return base64.b64decode(re.sub(r"\s", "", value), validate=True)
    except (binascii.Error, ValueError):
        return None


def _same(found: bytes, ours: bytes) -> bool:
    """Some write an RSA key without what tells that it is one (RFC 6376 errata 3017): it is then the end of ours."""
    return found == ours or (len(found) > 100 and ours.endswith(found))
