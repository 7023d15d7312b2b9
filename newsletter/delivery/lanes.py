"""Readers of some domains go out in shards of their own (a lane), so that mails to them can go more slowly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import sqlalchemy as sa

from newsletter.foundation.config import the_config
from newsletter.subscribers.models import Subscriber


def names() -> list[str]:
    """The lanes that the config knows now. A shard keeps the one that it had at its freeze."""
    return [one.name for one in the_config().mail.domains]


def shard_numbers(size: int, order: Sequence[sa.SQLColumnExpression[Any]] = ()) -> sa.ColumnElement[int]:
    """The number of the shard of each reader in a question for all of them: from 1, at most `size` in one, and none of
    two lanes. With lanes they take turns: with two of them, the shards of nobody's are 1, 4, 7 …"""
    by = order or None
    domains = the_config().mail.domains
    if not domains:
        return 1 + (sa.func.row_number().over(order_by=by) - 1) // size
    turns = {name: turn for turn, one in enumerate(domains, 1) for name in one.domains}
    turn: sa.ColumnElement[int] = sa.case(turns, value=_domain(), else_=0)
    nth = sa.func.row_number().over(partition_by=turn, order_by=by) - 1
    return 1 + nth // size * (len(domains) + 1) + turn


def lane_of(number: sa.ColumnElement[int]) -> sa.ColumnElement[str | None]:
    """The lane of a shard that has just been numbered, by its number."""
    if not (lanes := names()):
        return sa.literal(None, sa.String())
    return sa.case(dict(enumerate(lanes, 1)), value=(number - 1) % (len(lanes) + 1))


def _domain() -> sa.ColumnElement[str]:
    """What stands after the last @: it is in lower case and in ASCII, as an address is normalised."""
    address = Subscriber.normalised
    before = sa.func.rtrim(address, sa.func.replace(address, "@", ""))
    return cast("sa.ColumnElement[str]", sa.func.substr(address, sa.func.length(before) + 1))
