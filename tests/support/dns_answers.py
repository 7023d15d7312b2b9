"""The DNS as a table, for what is pure but for the way to ask."""

from __future__ import annotations

from dataclasses import dataclass, field

from newsletter.mail.answers import NO_NAME, NONE, Answer, failed, found


@dataclass
class Table:
    """`failing` are names whose server says nothing; `asked` is what was looked up, in order."""

    records: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, name: str, kind: str) -> Answer:
        self.asked.append((name, kind))
        if name in self.failing:
            return failed("did not answer in time")
        if values := self.records.get((name, kind)):
            return found(*values)
        return NONE if any(known == name for known, _ in self.records) else NO_NAME


def table(texts: dict[str, str | tuple[str, ...]], **others: tuple[str, ...]) -> Table:
    """TXT records by name; others as A__mail_example_org=("192.0.2.1",)."""
    records = {(name, "TXT"): (text,) if isinstance(text, str) else text for name, text in texts.items()}
    for name, values in others.items():
        kind, _, host = name.partition("__")
        records[host.replace("_", "."), kind] = values
    return Table(records)
