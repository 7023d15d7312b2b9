"""E-mail addresses: what is one, and when two are the same."""

from __future__ import annotations

import idna
from email_validator import EmailNotValidError, validate_email

from newsletter.foundation.errors import NewsletterError

LONGEST = 254  # RFC 5321 §4.5.3.1.3, without the angle brackets


class AddressInvalid(NewsletterError):
    """“{address}” is not an e-mail address: {problem}"""


def parse(text: str) -> str:
    """The address in `text` as it should be written in mails: trimmed, its domain in lower case.

    No DNS is asked, so a form answers in the same time for every domain. Raises AddressInvalid.
    """
    text = text.strip()
    if "=?" in text:  # RFC 2047 §5 forbids encoded words in addresses; some mail software reads them all the same
        raise AddressInvalid(address=text[:80], problem="it holds an encoded word.")
    if len(text) > LONGEST:
        raise AddressInvalid(address=text[:40] + "…", problem="it is longer than 254 characters.")
    try:
        return validate_email(text, check_deliverability=False, strict=True, allow_smtputf8=False).normalized
    except EmailNotValidError as error:
        raise AddressInvalid(address=text, problem=str(error)) from error


def normalise(address: str) -> str:
    """What tells two addresses apart: case does not, the +tag does (people use it to sort their mail).

    An international domain counts in its ASCII form: case folding would take straße for strasse, which are two.
    """
    return wire(address.strip()).lower()


def without_tag(address: str) -> str:
    """The mailbox behind an address, for counting: ann+news@example.org is ann@example.org."""
    local, _, domain = normalise(address).rpartition("@")
    return f"{local.partition('+')[0] or local}@{domain}"


def wire(address: str) -> str:
    """The address as SMTP and headers take it: an international domain in its ASCII form (RFC 5890)."""
    local, _, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError:
        return address
