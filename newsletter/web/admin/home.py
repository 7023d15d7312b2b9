"""The newsroom's first page: what needs me now, what comes next, how the last went, and whether we grow and are wanted.

Nothing on it counts readers or copies: figures that take longer were counted by a tick, and say when.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import render_template, url_for

from newsletter.delivery import needing, reporting, repute
from newsletter.delivery.models import DeliveryState
from newsletter.delivery.needing import Need, Needed
from newsletter.delivery.repute import Verdict
from newsletter.editions import coming
from newsletter.editions.models import Edition
from newsletter.foundation.clock import the_clock
from newsletter.foundation.config import the_config
from newsletter.mail import outbox
from newsletter.newsletters.models import Newsletter
from newsletter.staff import alerting
from newsletter.staff.rights import Right
from newsletter.subscribers import growing
from newsletter.subscribers.growing import SubscriberDay
from newsletter.web.admin.access import me, my_newsletters, pages, staff_only

SHOWN_SLOTS = 12

MARKS = {Verdict.WELL: "ok", Verdict.LOOK: "silent", Verdict.ACT: "failing", Verdict.UNKNOWN: "new"}
"""The small mark beside each verdict's word."""


@dataclass(frozen=True)
class Act:
    """The one thing that mends a need: a page to go to, or with `posts` a button that does it."""

    label: str
    path: str
    posts: bool = False


@dataclass(frozen=True)
class Shown:
    """A need, with its act; None where the act is another's, and then `whose` says so."""

    needed: Needed
    act: Act | None
    whose: str = ""


@pages.get("/")
@staff_only
def home() -> str:
    now, mine = the_clock().now(), my_newsletters()
    every = needing.needed(now, me().newsletter_ids)
    return render_template(
        "admin/home.html",
        needs=_needs(every),
        quiet=[one.source for one in every if one.source],
        coming=coming.coming(mine, now)[:SHOWN_SLOTS],
        outcomes=_outcomes([one.id for one in mine]),
        growth=_growth(mine),
        health=_health(mine),
        marks=MARKS,
        waiting=outbox.waiting() if not me().limited else None,
    )


# What needs somebody


def _needs(every: Sequence[Needed]) -> list[Shown]:
    """Sources are one need, however many they are."""
    quiet = [one for one in every if one.need is Need.SOURCE]
    return [_shown(one) for one in every if one not in quiet[1:]]


def _shown(one: Needed) -> Shown:
    right, act = _act(one)
    if right is not None and not me().may(right):
        return Shown(one, None, WHOSE[right])
    return Shown(one, act)


WHOSE = {
    Right.SEND: "Somebody who may send decides about it.",
    Right.EDIT: "An editor decides about it.",
    Right.HELP_SUBSCRIBERS: "Somebody who helps subscribers decides about it.",
}


def _act(one: Needed) -> tuple[Right | None, Act | None]:
    """What mends it, and which right that takes."""
    id = one.edition.id if one.edition else 0
    match one.need:
        case Need.HELD:
            return Right.SEND, Act("Look, and let it go", url_for("admin.edition", id=id))
        case Need.PAUSED:
            return Right.SEND, Act("Go on", url_for("admin.unpause_delivery", id=id), posts=True)
        case Need.DRAFT:
            return Right.SEND, Act("Read and approve", url_for("admin.edition", id=id))
        case Need.UNCERTAIN:
            return Right.SEND, Act("Decide", url_for("admin.delivery", id=id, _anchor="undecided"))
        case Need.STOPPED | Need.BOUNCES:
            return Right.HELP_SUBSCRIBERS, Act("Look through them", url_for("admin.bounces"))
        case Need.SOURCE:
            return None, Act("See the sources", url_for("admin.sources"))
        case Need.ALERT:
            return None, _place(one)
    return None, None


def _place(one: Needed) -> Act | None:
    """Where something can be done about an alert; None where that is not on a page of ours."""
    path, label = alerting.place_of(one.alert.key if one.alert else "")
    return Act(label, path) if path != url_for("admin.home") else None


# How the last went


@dataclass(frozen=True)
class Outcome:
    """An edition's copies; together they are its audience. `states` is None while a large one is being counted."""

    edition: Edition
    states: dict[DeliveryState, int] | None

    @property
    def under_way(self) -> int:
        waiting = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.DEFERRED)
        return sum(self.states[state] for state in waiting) if self.states else 0


def _outcomes(newsletter_ids: Sequence[int]) -> list[tuple[Outcome, Outcome | None]]:
    pairs = coming.last_two(newsletter_ids)[:SHOWN_SLOTS]
    counts = reporting.glance([one for pair in pairs for one in pair if one])

    def told(one: Edition) -> Outcome:
        return Outcome(one, counts.get(one.id))

    return [(told(last), told(before) if before else None) for last, before in pairs]


# Whether we grow, and are wanted


@dataclass(frozen=True)
class Growth:
    """`days` end with today."""

    newsletter: Newsletter
    days: Sequence[SubscriberDay]

    @property
    def joined(self) -> int:
        return sum(day.joined for day in self.days)

    @property
    def left(self) -> int:
        return sum(day.left for day in self.days)


def _growth(mine: Sequence[Newsletter]) -> list[Growth]:
    found = growing.growth([one.id for one in mine], the_clock().now())
    return [Growth(one, found[one.id]) for one in mine if one.id in found]


def _health(mine: Sequence[Newsletter]) -> list[tuple[Newsletter, repute.Repute | None, list[repute.Judged]]]:
    found, bounces = repute.reputes([one.id for one in mine]), the_config().bounces
    return [(one, found.get(one.id), repute.judge(found.get(one.id), bounces)) for one in mine]
