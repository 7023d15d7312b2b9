"""Looks at everything that an installation stands on, and says what is wrong and what to do. It changes nothing."""

from newsletter.operations.doctor.examining import examine
from newsletter.operations.doctor.findings import Finding, Record, Status

__all__ = ["Finding", "Record", "Status", "examine"]
