"""SPF (RFC 7208): whether a domain lets an address send its mail. Pure, but for the way to ask that it is given."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from newsletter.mail.answers import NONE, Answer, Heard, Lookup, found

MOST_LOOKUPS = 10
MOST_VOID = 2
MOST_NAMES = 10
"""RFC 7208 §4.6.4: of mechanisms that ask the DNS, of questions without an answer, of hosts behind one mechanism."""

MOST_TERMS = 1000
"""More than fit into one answer of the DNS; nobody has to read on for ever."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

RECORD = re.compile(r"v=spf1(?: .*)?", re.IGNORECASE | re.DOTALL)
TERM = re.compile(r"(?P<sign>[+\-~?]?)(?P<name>[a-z][a-z0-9]*)(?::(?P<spec>[^/\s]+))?(?P<cidr>/.*)?", re.IGNORECASE)
MODIFIER = re.compile(r"(?P<name>[a-z][a-z0-9_.-]*)=(?P<value>.*)", re.IGNORECASE)
MACRO = re.compile(r"%(?:%|_|-|\{(?P<letter>[a-z])(?P<digits>\d*)(?P<turned>r?)(?P<cut>[.\-+,/_=]*)\})", re.IGNORECASE)
CIDR = re.compile(r"(?:/(?P<four>\d{1,2}))?(?://(?P<six>\d{1,3}))?")


class Verdict(StrEnum):
    """RFC 7208 §2.6; `unknowable` is ours: it depends on what only a mail in hand tells."""

    PASS = "pass"
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    NONE = "none"
    PERMERROR = "permerror"
    TEMPERROR = "temperror"
    UNKNOWABLE = "unknowable"


SIGNS = {"": Verdict.PASS, "+": Verdict.PASS, "-": Verdict.FAIL, "~": Verdict.SOFTFAIL, "?": Verdict.NEUTRAL}


@dataclass(frozen=True)
class Checked:
    """`why` is what is wrong, as a clause; `by` the term that decided; `lookups` how many terms asked the DNS."""

    verdict: Verdict
    why: str = ""
    by: str = ""
    lookups: int = 0


class _Broken(Exception):
    verdict = Verdict.PERMERROR


class _Unanswered(_Broken):
    verdict = Verdict.TEMPERROR


class _Unknowable(_Broken):
    verdict = Verdict.UNKNOWABLE


def records_at(domain: str, lookup: Lookup) -> Answer:
    """The domain's SPF records among its TXT records; there should be exactly one."""
    answer = lookup(domain, "TXT")
    if answer.heard is not Heard.FOUND:
        return answer
    ours = [record for record in answer.records if RECORD.fullmatch(record)]
    return found(*ours) if ours else NONE


def check(domain: str, address: str | None, lookup: Lookup) -> Checked:
    """What the domain says of mail from the address. None is an address that no network holds: with it every term is
    looked at, and `lookups` is what the whole record costs."""
    walk = _Walk(lookup, ipaddress.ip_address(address) if address else None)
    try:
        verdict, by = walk.evaluate(domain)
    except _Broken as error:
        return Checked(error.verdict, str(error), lookups=walk.lookups)
    return Checked(verdict, by=by, lookups=walk.lookups)


@dataclass
class _Walk:
    lookup: Lookup
    address: Address | None
    lookups: int = 0
    void: int = 0
    path: list[str] = field(default_factory=list)

    def evaluate(self, domain: str) -> tuple[Verdict, str]:
        """The verdict and the term that led to it. Raises _Broken."""
        if domain.lower() in self.path:
            raise _Broken(f"{domain} refers to itself")
        record = self._record(domain)
        if record is None:
            return Verdict.NONE, ""
        self.path.append(domain.lower())
        verdict = self._of_terms(record.split()[1:], domain)
        self.path.pop()
        return verdict

    def _record(self, domain: str) -> str | None:
        answer = records_at(domain, self.lookup)
        if answer.failed:
            raise _Unanswered(f"the name server {answer.trouble} when asked for {domain}")
        if len(answer.records) > 1:
            raise _Broken(f"{domain} has {len(answer.records)} SPF records, and there must be one only")
        record = answer.records[0] if answer.records else None
        if record is not None and not record.isascii():
            raise _Broken(f"the record of {domain} has characters in it that are not ASCII")
        return record

    def _of_terms(self, terms: Sequence[str], domain: str) -> tuple[Verdict, str]:
        if len(terms) > MOST_TERMS:
            raise _Broken(f"the record of {domain} has {len(terms):,} terms")
        redirect = ""
        mechanisms = []
        for term in terms:
            if modifier := MODIFIER.fullmatch(term):
                if modifier["name"].lower() == "redirect":
                    redirect = modifier["value"]
            elif TERM.fullmatch(term):
                mechanisms.append(term)
            else:
                raise _Broken(f"“{term[:60]}” in the record of {domain} is no term")
        for term in mechanisms:
            if self._holds(term, domain):
                return SIGNS[_part(term, "sign")], term
        return self._redirected(redirect, domain) if redirect else (Verdict.NEUTRAL, "")

    def _redirected(self, redirect: str, domain: str) -> tuple[Verdict, str]:
        target = self._expanded(redirect, domain)
        self._count()
        verdict, by = self.evaluate(target)
        if verdict is Verdict.NONE:
            raise _Broken(f"{domain} redirects to {target}, which has no SPF record")
        return verdict, by

    def _holds(self, term: str, domain: str) -> bool:
        name = _part(term, "name").lower()
        if name not in ("all", "include", "a", "mx", "ptr", "exists", "ip4", "ip6"):
            raise _Broken(f"“{term[:60]}” in the record of {domain} is no term that SPF knows")
        if name == "all":
            return True
        if name in ("ip4", "ip6"):
            return self._is_in(term, name, domain)
        self._count()
        spec = _part(term, "spec")
        if name in ("include", "exists") and not spec:
            raise _Broken(f"“{term}” in the record of {domain} names no domain")
        try:
            target = self._expanded(spec, domain) if spec else domain
        except _Unknowable:
            if self.address is None:
                return False
            raise
        return bool(getattr(self, f"_{name}")(target, _part(term, "cidr"), domain))

    def _count(self) -> None:
        self.lookups += 1
        if self.lookups > MOST_LOOKUPS:
            raise _Broken(f"it needs more than {MOST_LOOKUPS} lookups, where mailboxes stop")

    def _is_in(self, term: str, name: str, domain: str) -> bool:
        text = term.partition(":")[2]
        kind = ipaddress.IPv4Network if name == "ip4" else ipaddress.IPv6Network
        try:
            network = kind(text, strict=False)
        except ValueError as error:
            raise _Broken(f"“{term[:60]}” in the record of {domain} is no network") from error
        return self.address is not None and self.address in network

    def _include(self, target: str, cidr: str, domain: str) -> bool:
        verdict, _ = self.evaluate(target)
        if verdict is Verdict.NONE:
            raise _Broken(f"{domain} includes {target}, which has no SPF record")
        return verdict is Verdict.PASS

    def _a(self, target: str, cidr: str, domain: str) -> bool:
        return self._among(self._addresses(target), cidr, domain)

    def _mx(self, target: str, cidr: str, domain: str) -> bool:
        hosts = self._asked(target, "MX")
        if len(hosts) > MOST_NAMES:
            raise _Broken(f"{target} has {len(hosts)} mail servers, and SPF looks at {MOST_NAMES} at most")
        return any(self._among(self._addresses(host, counts=False), cidr, domain) for host in hosts if host)

    def _exists(self, target: str, cidr: str, domain: str) -> bool:
        return bool(self._asked(target, "A"))

    def _ptr(self, target: str, cidr: str, domain: str) -> bool:
        if self.address is None:
            return False
        names = self._asked(self.address.reverse_pointer, "PTR")[:MOST_NAMES]
        inside = [name for name in names if f".{name}".endswith(f".{target.lower()}")]
        return any(self._among(self._addresses(name, counts=False), "", domain) for name in inside)

    def _addresses(self, name: str, *, counts: bool = True) -> list[str]:
        if self.address is None:
            return self._asked(name, "A", counts=counts)
        return self._asked(name, "A" if self.address.version == 4 else "AAAA", counts=counts)

    def _asked(self, name: str, kind: str, *, counts: bool = True) -> list[str]:
        answer = self.lookup(name, kind)
        if answer.failed:
            raise _Unanswered(f"the name server {answer.trouble} when asked for {name}")
        if not answer.records and counts:
            self.void += 1
            if self.void > MOST_VOID:
                raise _Broken(f"more than {MOST_VOID} of its names have nothing behind them, {name} among them")
        return list(answer.records)

    def _among(self, addresses: Sequence[str], cidr: str, domain: str) -> bool:
        match = CIDR.fullmatch(cidr)
        four, six = (int(match["four"] or 32), int(match["six"] or 128)) if match else (99, 999)
        if four > 32 or six > 128:
            raise _Broken(f"“{cidr[:20]}” in the record of {domain} is no length of a network")
        if self.address is None:
            return False
        length = four if self.address.version == 4 else six
        return any(self.address in ipaddress.ip_network(f"{one}/{length}", strict=False) for one in addresses)

    def _expanded(self, spec: str, domain: str) -> str:
        """RFC 7208 §7. Raises _Unknowable where it asks for a part of the sender's address before the @."""
        if "%" in MACRO.sub("", spec):
            raise _Broken(f"“{spec[:60]}” in the record of {domain} is no name")
        expanded = MACRO.sub(lambda macro: self._macro(macro, domain), spec)
        while len(expanded) > 253 and "." in expanded:
            expanded = expanded.partition(".")[2]
        return expanded.rstrip(".")

    def _macro(self, macro: re.Match[str], domain: str) -> str:
        letter = (macro["letter"] or "").lower()
        if not letter:
            return {"%%": "%", "%_": " ", "%-": "%20"}[macro[0]]
        if letter in "slh" or (letter in "ipcrt" and self.address is None):
            raise _Unknowable(f"{domain} asks for what is different in each mail ({macro[0]})")
        parts = list(_cut(self._value(letter, domain), macro["cut"] or "."))
        parts = parts[::-1] if macro["turned"] else parts
        last = int(macro["digits"][:4] or 0)
        return ".".join(parts[-last:] if last else parts)

    def _value(self, letter: str, domain: str) -> str:
        if letter == "d":
            return domain
        if letter == "o":
            return self.path[0] if self.path else domain
        if letter == "i" and self.address is not None:
            six = self.address.version == 6
            return ".".join(self.address.exploded.replace(":", "")) if six else str(self.address)
        if letter == "v" and self.address is not None:
            return "in-addr" if self.address.version == 4 else "ip6"
        if letter == "v":
            return "in-addr"
        raise _Unknowable(f"{domain} asks for what is different in each mail (%{{{letter}}})")


def _part(term: str, name: str) -> str:
    match = TERM.fullmatch(term)
    return (match[name] or "") if match else ""


def _cut(text: str, at: str) -> Iterator[str]:
    yield from re.split(f"[{re.escape(at)}]", text)
