"""What the DNS says of a sender's domain: whether mailboxes can tell its mails from forged ones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SenderRecords:
    """What was found when somebody looked."""

    domain: str
    spf: bool
    dkim: bool
    dmarc: bool

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the records that there are not."""
        found = {"SPF": self.spf, "DKIM": self.dkim, "DMARC": self.dmarc}
        return tuple(name for name, there in found.items() if not there)


def records_of(address: str) -> SenderRecords | None:
    """What was found about the domain of a sender's address; None when nobody has looked, and nobody does so yet."""
    return None
