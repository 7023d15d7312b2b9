"""Whom a server's certificate convinces, and for how much longer."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import Any

from newsletter.operations.doctor.findings import Finding, Found, counted

SOON_DAYS = 14
"""Whoever renews by itself has done so by then."""


def days_left(certificate: dict[str, Any], now: datetime) -> int | None:
    ends = certificate.get("notAfter")
    if not isinstance(ends, str):
        return None
    return (datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) - now).days


def judged(certificate: dict[str, Any] | None, whose: str, now: datetime, found: Found) -> Finding:
    days = days_left(certificate or {}, now)
    if days is None:
        return found.unknown(f"When the certificate of {whose} ends cannot be seen.")
    words = f"The certificate of {whose} is valid for {counted(max(days, 0), 'more day')}."
    if days < SOON_DAYS:
        return found.warning(words, "Renew it, and see why that does not happen by itself.")
    return found.ok(words)


def fault(error: ssl.SSLError) -> str:
    """What is wrong, as a clause."""
    words = getattr(error, "verify_message", "") or ""
    if "expired" in words:
        return "its certificate has expired"
    if "mismatch" in words or "not valid for" in words:
        return "its certificate is for another name"
    if "not yet valid" in words:
        return "its certificate is not valid yet, or this machine's clock is wrong"
    if words:
        return f"nobody whom this machine trusts vouches for its certificate ({words})"
    return f"no protected connection came about ({error.reason or 'it broke off'})"
