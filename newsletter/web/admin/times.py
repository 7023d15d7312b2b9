"""When a newsletter goes out: its slots, its days, and the dates that are left out, on a calendar."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.delivery import closing
from newsletter.editions.models import Edition, EditionState, editions_on
from newsletter.foundation.clock import the_clock
from newsletter.foundation.errors import NewsletterError, Refused
from newsletter.newsletters import calendar, settings, slots
from newsletter.newsletters.calendar import Oddity, Schedule
from newsletter.newsletters.models import Newsletter, Slot, newsletter
from newsletter.newsletters.settings import SettingInvalid, as_text, stamp
from newsletter.newsletters.slots import SlotExists
from newsletter.staff.rights import Right
from newsletter.web.admin.access import attempt, me, needs, pages
from newsletter.web.admin.newsletters import DAYS, NotSaved, save

ONE = "/newsletters/<slug>"
SLOT = f"{ONE}/slots/<int(max=2147483647):slot_id>"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS_SHOWN = 3
TYPED_ABOVE = 100
"""So many readers are not moved without their number typed."""

FURTHEST = timedelta(days=366 * 5)


# Slots


@pages.get(f"{ONE}/slots", endpoint="slots")
@needs(Right.OWN)
def show_slots(slug: str) -> str:
    return _slots_page(slug)


def _slots_page(slug: str, typed: dict[str, str] | None = None, problems: dict[str, str] | None = None) -> str:
    shown, now = newsletter(slug), the_clock().now()
    return render_template(
        "admin/newsletter_slots.html",
        newsletter=shown,
        rows=[(slot, _next_of(slot, now)) for slot in shown.slots],
        closed=[slot for slot in shown.every_slot if slot.closed_at is not None],
        readers=closing.readers_in(shown.slots),
        typed=typed or {},
        problems=problems or {},
        zones=calendar.zones(),
        typed_above=TYPED_ABOVE,
    )


def _next_of(slot: Slot, now: datetime) -> Schedule | None:
    of = slot.newsletter
    return calendar.next_schedule(now, slot.local_time, slot.zone, of.cutoff_minutes, of.days, of.skip_dates)


@pages.post(f"{ONE}/slots", endpoint="add_slot")
@needs(Right.OWN)
def add_slot(slug: str) -> ResponseReturnValue:
    typed = {name: request.form.get(name, "").strip() for name in ("zone", "time")}
    try:
        at = slots.read_time(typed["time"])
        made = slots.add(slug, typed["zone"], at, the_clock().now(), me().actor)
    except SettingInvalid as error:
        return _slots_page(slug, typed, {str(error.subject["key"]): str(error.subject["problem"])}), 422
    except SlotExists as error:
        return _slots_page(slug, typed, {"zone": str(error)}), 422
    flash(f"The slot {made.label} is there. Readers may choose it from now on; nobody was moved.", "done")
    return redirect(url_for("admin.slots", slug=slug), 303)


@pages.post(f"{SLOT}/default", endpoint="default_slot")
@needs(Right.OWN)
def default(slug: str, slot_id: int) -> ResponseReturnValue:
    return attempt(
        lambda: slots.make_default(slug, slot_id, the_clock().now(), me().actor),
        "It is the default now: for who chooses no other. Nobody was moved.",
        url_for("admin.slots", slug=slug),
    )


@pages.post(f"{SLOT}/close", endpoint="close_slot")
@needs(Right.OWN)
def close(slug: str, slot_id: int) -> ResponseReturnValue:
    to, typed = request.form.get("to", type=int), request.form.get("count", "")
    try:
        closed = slots.slot_of(newsletter(slug), slot_id)
        label, readers = closed.label, closing.readers_in([closed]).get(slot_id, 0)
        if readers > TYPED_ABOVE and re.sub(r"[\s,.]", "", typed) != str(readers):
            raise Refused(why=f"type {readers} to move so many readers. Nothing was changed.")
        moved = closing.close(slug, slot_id, to, the_clock().now(), me().actor)
    except NewsletterError as error:
        flash(str(error), "problem")
    else:
        went = f" {'One reader is' if moved == 1 else f'{moved:,} readers are'} in another slot now." if moved else ""
        flash(f"The slot {label} is closed.{went} Its past editions stay.", "done")
    return redirect(url_for("admin.slots", slug=slug), 303)


# The calendar


@dataclass(frozen=True)
class Day:
    """A day as the calendar shows it. `kind` is past, on, off (no day of the week that publishes), skipped or nowhere
    (no slot's zone has that date)."""

    date: date
    kind: str
    oddities: tuple[tuple[Slot, Oddity], ...] = ()
    editions: tuple[Edition, ...] = ()


@pages.route(f"{ONE}/calendar", endpoint="calendar", methods=["GET", "POST"])
@needs(Right.OWN)
def show_calendar(slug: str) -> ResponseReturnValue:
    """A POST saves the days of the week."""
    if request.method != "POST":
        return _calendar_page(slug)
    typed = {DAYS: "".join(request.form.getlist(DAYS))}
    saving = save(slug, typed)
    if saving is None:
        return redirect(url_for("admin.calendar", slug=slug, month=_month_text()), 303)
    return _calendar_page(slug, typed[DAYS], saving), saving.status


def _month_text() -> str | None:
    typed = request.values.get("month", "")
    return typed if re.fullmatch(r"[0-9]{4}-[0-9]{2}", typed) else None


def _calendar_page(slug: str, days: str | None = None, not_saved: NotSaved | None = None) -> str:
    shown = newsletter(slug)
    today = today_of(shown)
    first = _month(today)
    months = [calendar.later_month(first, n) for n in range(MONTHS_SHOWN)]
    known = _editions_between(shown, first, calendar.later_month(first, MONTHS_SHOWN))
    return render_template(
        "admin/newsletter_calendar.html",
        newsletter=shown,
        weekdays=list(enumerate(WEEKDAYS, 1)),
        days=as_text(shown.days) if days is None else days,
        seen=stamp(shown, (DAYS,)),
        not_saved=not_saved,
        today=today,
        months=[(month, _weeks(shown, month, today, known)) for month in months],
        month=f"{first:%Y-%m}",
        earlier=f"{calendar.later_month(first, -MONTHS_SHOWN):%Y-%m}" if first > today.replace(day=1) else None,
        later=f"{calendar.later_month(first, MONTHS_SHOWN):%Y-%m}" if first < today + FURTHEST else None,
        skipped=[date.fromisoformat(day) for day in shown.skip_dates if day >= today.isoformat()],
    )


def today_of(shown: Newsletter) -> date:
    """Where the day began last of its slots: what is not past there can still be changed."""
    now = the_clock().now()
    return min(calendar.local_date_at(now, slot.zone) for slot in shown.slots)


def _month(today: date) -> date:
    typed = _month_text()
    try:
        wanted = date.fromisoformat(f"{typed}-01") if typed else today
    except ValueError:
        wanted = today
    return min(max(wanted, today), today + FURTHEST).replace(day=1)


def _editions_between(shown: Newsletter, since: date, until: date) -> dict[date, list[Edition]]:
    found: dict[date, list[Edition]] = {}
    for one in editions_on(shown.id, since, until):
        found.setdefault(one.local_date, []).append(one)
    return found


def _weeks(shown: Newsletter, month: date, today: date, known: dict[date, list[Edition]]) -> list[list[Day | None]]:
    return [
        [_day(shown, day, today, known.get(day, ())) if day else None for day in week]
        for week in calendar.weeks_of(month)
    ]


def _day(shown: Newsletter, day: date, today: date, known: Sequence[Edition]) -> Day:
    odd = [(slot, what) for slot in shown.slots if (what := calendar.oddity(day, slot.local_time, slot.zone))]
    if day < today:
        kind = "past"
    elif sum(what.left_out for _, what in odd) == len(shown.slots):
        kind = "nowhere"
    elif day.isoformat() in shown.skip_dates:
        kind = "skipped"
    else:
        kind = "on" if calendar.publishes(day, shown.days) else "off"
    return Day(day, kind, tuple(odd), tuple(known))


@pages.post(f"{ONE}/calendar/date", endpoint="skip_date")
@needs(Right.OWN)
def skip_date(slug: str) -> ResponseReturnValue:
    """Leave a date out, or take that back."""
    by, now, shown = me().actor, the_clock().now(), newsletter(slug)
    undo = "unskip" in request.form
    try:
        day = _pressed(request.form.get("unskip" if undo else "skip", ""))
        if day < today_of(shown):
            raise Refused(why="that day is over. Nothing was changed.")
        (settings.unskip if undo else settings.skip)(slug, day, now, by)
    except NewsletterError as error:
        problem = error.subject.get("problem") if isinstance(error, SettingInvalid) else error
        flash(str(problem), "problem")
    else:
        flash(" ".join(_consequences(newsletter(slug), day, undo)), "done")
    return redirect(url_for("admin.calendar", slug=slug, month=_month_text()), 303)


def _pressed(text: str) -> date:
    """Raises Refused."""
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise Refused(why="press a day of the calendar. Nothing was changed.")


def _consequences(shown: Newsletter, day: date, undone: bool) -> Iterator[str]:
    """What it means for readers."""
    named = f"{day:%A}, {day.day} {day:%B %Y}"
    if not undone:
        yield f"There is no edition on {named}; readers get no mail, and nothing tells them why."
    elif calendar.publishes(day, shown.days):
        yield f"There is an edition on {named} again."
    else:
        yield f"{named} is no longer left out, but that day of the week has no edition anyway."
    waiting = (EditionState.PLANNED, EditionState.DRAFTED, EditionState.APPROVED, EditionState.SENDING)
    there = [one for one in editions_on(shown.id, day, day) if one.state in waiting]
    if there and not undone:
        yield "An edition of it is made already and goes out all the same; leave it out on its own page."
