"""What each person may do, and where: pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from newsletter.staff.models import Role


class Right(StrEnum):
    """Seeing is for everybody who is signed in. To send is a right of its own: who has it lets editions go out, by
    approving, sending and going on with them."""

    HELP_SUBSCRIBERS = "help subscribers"
    EDIT = "edit editions"
    SEND = "send editions"
    OWN = "change settings and staff"


GIVEN: dict[Role, frozenset[Right]] = {
    Role.OWNER: frozenset(Right),
    Role.EDITOR: frozenset({Right.EDIT, Right.HELP_SUBSCRIBERS}),
    Role.SUPPORT: frozenset({Right.HELP_SUBSCRIBERS}),
}


class Person(Protocol):
    @property
    def role(self) -> Role: ...
    @property
    def may_send(self) -> bool: ...
    @property
    def newsletter_ids(self) -> frozenset[int] | None: ...


@dataclass(frozen=True)
class Grant:
    """What somebody is given. `newsletter_ids` is None for all newsletters; an owner has all, and sends."""

    role: Role
    may_send: bool = False
    newsletter_ids: frozenset[int] | None = None


def usual(role: Role) -> Grant:
    """What a role is given unless something else is said."""
    return whole(Grant(role, may_send=role is Role.EDITOR))


def whole(grant: Grant) -> Grant:
    """Without what does not go together: an owner is not limited, and sends by being one."""
    return Grant(Role.OWNER) if grant.role is Role.OWNER else grant


def may(person: Person, right: Right) -> bool:
    return right in GIVEN[person.role] or (right is Right.SEND and person.may_send)


def sees(person: Person, newsletter_id: int) -> bool:
    """Whether they work for that newsletter."""
    return person.newsletter_ids is None or newsletter_id in person.newsletter_ids
