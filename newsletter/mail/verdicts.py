"""What a mail server's refusal says of an address: pure.

The codes are those of RFC 3463 and of the IANA registry of enhanced status codes. Only these say that the address
itself is wrong, for good:

- 5.1.1 bad destination mailbox address
- 5.1.3 bad destination mailbox address syntax
- 5.1.6 destination mailbox has moved, and nobody knows where to
- 5.1.10 the domain says that it takes no mail at all (a null MX, RFC 7505)
- 5.2.1 mailbox disabled, not accepting messages

All others pass, or are no fault of the address. Not 5.1.2, bad destination system: a name server that is broken for an
hour says it of everybody, and a domain that is gone for good still bounces in ten days. Nor 5.1.7 and 5.1.8, which are
about the sender, 5.2.2, a full mailbox, 5.2.3, a mail too large for it, 5.4.x, the network, or 5.7.x, their policy.
"""

from __future__ import annotations

import re
from enum import StrEnum

HARD_CODES = frozenset({"5.1.1", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})


class Kind(StrEnum):
    """What came back. `policy`: they do not want this mail, or mail from us, whoever it is for. `automatic`: a
    vacation note, a delay, a receipt, which all are no bounce. `challenge`: a robot that wants a person to answer."""

    HARD = "hard"
    SOFT = "soft"
    POLICY = "policy"
    COMPLAINT = "complaint"
    AUTOMATIC = "automatic"
    CHALLENGE = "challenge"
    UNSUBSCRIBE = "unsubscribe"
    REPLY = "reply"
    UNKNOWN = "unknown"


MILDEST_FIRST = (Kind.AUTOMATIC, Kind.POLICY, Kind.SOFT, Kind.HARD)
BOUNCES = (Kind.HARD, Kind.SOFT, Kind.POLICY)

NO_FAILURE = ("delivered", "relayed", "expanded", "delayed")  # RFC 3464 §2.3.3

CODE = re.compile(r"(?<![\d.])([245]\.[0-7]\.\d{1,3})(?!\d|\.\d)")
LATER = re.compile(r"^\W*(?:smtp\s*;)?\W*4\d\d\b", re.IGNORECASE)
NAMES = re.compile(r"\S*[@.]\S+")
"""Addresses and hosts in what a server says: spamlover@example.org is nobody's policy."""

PASSING = re.compile(
    r"quota|(mail)?box\W+(is\W+)?full|full\W+mailbox|insufficient|storage|at a rate|too many|temporar|try again"
    r"|gr[ea]ylist",
    re.IGNORECASE,
)
POLICY = re.compile(
    r"spam|black\W?list|block\W?list|deny\W?list|\bblocked\b|dnsbl|\brbl\b|reputation|policy|dmarc|\bspf\b|dkim|banned"
    r"|unsolicited|not\W+authori[sz]ed|access\W+denied|relay(ing)?\W+(access\W+)?denied|unable\W+to\W+relay",
    re.IGNORECASE,
)


def code_in(text: str) -> str:
    """The first enhanced status code in a text; nothing when there is none."""
    found = CODE.search(text)
    return found[1] if found else ""


def verdict(action: str, status: str, diagnostic: str) -> Kind:
    """What one recipient's report says, by the fields of RFC 3464; each may be empty.

    What the last server said counts more than the code that a relay made of it: some make 5.1.1 of every 550.
    """
    if action in NO_FAILURE or status.startswith("2."):
        return Kind.AUTOMATIC
    said = code_in(diagnostic) or status
    words = NAMES.sub(" ", diagnostic)
    if said.startswith("5.7.") or (not said.startswith("4.") and POLICY.search(words)):
        return Kind.POLICY
    passing = PASSING.search(words) or LATER.match(diagnostic)
    agreed = status in HARD_CODES or status in ("", "5.0.0")
    return Kind.HARD if said in HARD_CODES and agreed and not passing else Kind.SOFT


def mildest(kinds: list[Kind]) -> Kind:
    return min(kinds, key=MILDEST_FIRST.index)
