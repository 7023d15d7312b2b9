"""Time zone data, by which it is decided when an edition is due."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from importlib import metadata
from pathlib import Path

import sqlalchemy as sa

from newsletter.foundation.database import db
from newsletter.foundation.errors import NewsletterError
from newsletter.newsletters.models import Slot
from newsletter.operations.doctor.findings import Finding, Found, listed
from newsletter.operations.doctor.patient import Patient

OLD_YEARS = 2
VERSION = re.compile(r"(?P<year>20\d\d)[.a-z]?.*")


def look(patient: Patient, found: Found) -> Iterator[Finding]:
    if unknown := [zone for zone in _zones(patient) if not _is_known(zone)]:
        yield found.error(
            f"This machine does not know the time zone of {listed(unknown)}, so editions there cannot be planned.",
            "Upgrade the package tzdata.",
        )
    yield age(version(), patient.machine.now().date(), found)


def age(there: str | None, today: date, found: Found) -> Finding:
    match = VERSION.fullmatch(there or "")
    if not match:
        return found.unknown("How old the time zone data is cannot be seen.", "Keep the package tzdata up to date.")
    if today.year - int(match["year"]) >= OLD_YEARS:
        return found.warning(
            f"The time zone data is of {there}: countries that changed their clocks since get mails at the old hour.",
            "Upgrade the package tzdata.",
        )
    return found.ok(f"The time zone data is of {there}.")


def version() -> str | None:
    """Of what is really used: the system's, where there is one, and else that of the package."""
    for folder in map(Path, zoneinfo.TZPATH):
        with suppress(OSError):
            first = (folder / "tzdata.zi").read_text("utf-8", "replace").partition("\n")[0]
            if first.startswith("# version "):
                return first.removeprefix("# version ").strip()
        if (folder / "UTC").exists():
            return None
    with suppress(metadata.PackageNotFoundError):
        return metadata.version("tzdata")
    return None


def _zones(patient: Patient) -> list[str]:
    try:
        with patient.database():
            return sorted(db.session.scalars(sa.select(Slot.zone).distinct()))
    except NewsletterError:
        return []


def _is_known(zone: str) -> bool:
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
