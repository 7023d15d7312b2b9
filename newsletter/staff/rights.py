"""What each role may do: pure."""

from __future__ import annotations

from enum import StrEnum

from newsletter.staff.models import Role


class Right(StrEnum):
    """Seeing is for everybody who is signed in."""

    HELP_SUBSCRIBERS = "help subscribers"
    EDIT = "edit editions"
    SEND = "send editions"
    OWN = "change settings and staff"


GIVEN: dict[Role, frozenset[Right]] = {
    Role.OWNER: frozenset(Right),
    Role.EDITOR: frozenset({Right.EDIT, Right.SEND, Right.HELP_SUBSCRIBERS}),
    Role.SUPPORT: frozenset({Right.HELP_SUBSCRIBERS}),
}


def may(role: Role, right: Right) -> bool:
    return right in GIVEN[role]
