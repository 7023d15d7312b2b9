"""The pattern of a newsletter's subjects: whether it can be used, and what it becomes. Pure."""

from __future__ import annotations

import re

PLACES = ("lead", "name", "date", "count")
"""What may stand in braces: the first story's headline, the newsletter's name, the edition's date, how many stories."""

PLACE = re.compile(r"\{(" + "|".join(PLACES) + r")\}")


def problem_in(pattern: str) -> str | None:
    """What is wrong with a pattern, in a sentence without its stop; None when it can be used."""
    known = ", ".join(f"{{{name}}}" for name in PLACES)
    if unknown := [name for name in re.findall(r"\{([^{}]*)\}", pattern) if name not in PLACES]:
        return f"there is no {{{unknown[0]}}}; there are {known}"
    if re.search("[{}]", PLACE.sub("", pattern)):
        return f"a brace stands alone; write {known} whole, or leave the brace out"
    return None


def filled(pattern: str, *, lead: str, name: str, date: str, count: int) -> str:
    """The subject of a pattern that can be used. Braces in the words themselves are nothing but words."""
    words = {"lead": lead, "name": name, "date": date, "count": str(count)}
    return PLACE.sub(lambda place: words[place[1]], pattern)
