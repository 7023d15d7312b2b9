"""Acts on many readers: looked at first, begun with their number, watched, stopped, undone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.foundation.clock import the_clock
from newsletter.foundation.database import within
from newsletter.foundation.errors import NewsletterError
from newsletter.newsletters.models import newsletters
from newsletter.staff.rights import Right
from newsletter.subscribers import bulk, segments
from newsletter.subscribers.bulk import Outlook, Wanted
from newsletter.subscribers.desk_models import BulkAct, BulkActUnknown, BulkKind, bulk_act, bulk_acts
from newsletter.subscribers.segments import ConditionsOutdated, ConditionsUnreadable
from newsletter.web.admin import filters
from newsletter.web.admin.access import NotHere, attempt, me, my_newsletters, needs, pages, proven, staff_only
from newsletter.web.admin.places import NUMBER

KINDS = {
    BulkKind.UNSUBSCRIBE: "Unsubscribe",
    BulkKind.PAUSE: "Pause until a date",
    BulkKind.MOVE: "Move to another time",
    BulkKind.SUPPRESS: "Never mail again",
}
SECONDS = 30
ONE = f"/many/{NUMBER}"


@pages.get("/subscribers/many", endpoint="choose_act")
@needs(Right.HELP_SUBSCRIBERS)
def choose() -> ResponseReturnValue:
    """What could be done to those who meet the conditions, and when it is chosen, to how many."""
    return _page(request.args)


def _page(values: Mapping[str, str], error: str = "") -> ResponseReturnValue:
    wanted, conditions = _wanted(values), filters.asked(values)
    ahead, problem = _outlook(wanted, conditions) if wanted and not conditions.wrong else (None, "")
    page = render_template(
        "admin/many.html",
        wanted=wanted,
        conditions=conditions,
        said=filters.in_words(conditions.conditions, newsletters()),
        kinds={kind: words for kind, words in KINDS.items() if kind is not BulkKind.SUPPRESS or not me().limited},
        newsletters=my_newsletters(),
        slots=filters.my_slots(),
        values=values,
        ahead=ahead,
        what=_in_words(wanted) if wanted and ahead else "",
        error=error or problem,
        typed_above=bulk.TYPED_ABOVE,
    )
    return page, 422 if error or problem or conditions.wrong else 200


def _wanted(values: Mapping[str, str]) -> Wanted | None:
    """None as long as no act is chosen. A time says which newsletter."""
    if values.get("act") not in set(BulkKind):
        return None
    kind = BulkKind(values["act"])
    slots = {str(slot.id): slot for slot in filters.my_slots()}
    slot = slots.get(values.get("to_slot", ""))
    about = {one.slug: one.id for one in my_newsletters()}.get(values.get("of_newsletter", ""))
    return Wanted(
        kind,
        None if kind is BulkKind.SUPPRESS else slot.newsletter_id if kind is BulkKind.MOVE and slot else about,
        slot.id if kind is BulkKind.MOVE and slot else None,
        _day(values.get("until", "")) if kind is BulkKind.PAUSE else None,
        values.get("note", "") if kind is BulkKind.SUPPRESS else "",
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _outlook(wanted: Wanted, conditions: filters.Filter) -> tuple[Outlook | None, str]:
    try:
        with within(SECONDS):
            return bulk.outlook(wanted, conditions.conditions, the_clock().now(), me().newsletter_ids), ""
    except NewsletterError as error:
        return None, str(error)


@pages.post("/subscribers/many", endpoint="begin_act")
@proven
@needs(Right.HELP_SUBSCRIBERS)
def begin() -> ResponseReturnValue:
    wanted, conditions = _wanted(request.form), filters.asked(request.form)
    if wanted is None or conditions.wrong:
        return _page(request.form, "Choose what is to be done. Nothing was changed.")
    typed, now, by = request.form.get("count", ""), the_clock().now(), me().actor
    try:
        id = bulk.begin(wanted, conditions.conditions, typed, now, by, me().newsletter_ids)
    except NewsletterError as error:
        return _page(request.form, str(error))
    flash("It has begun, and goes on by itself. You can leave this page.", "done")
    return redirect(url_for("admin.act", id=id), 303)


@pages.get("/many", endpoint="acts")
@staff_only
def show_all() -> str:
    return render_template("admin/acts.html", acts=[_shown(one) for one in bulk_acts() if _is_mine(one)])


def _shown(act: BulkAct) -> dict[str, object]:
    now = the_clock().now()
    return {
        "act": act,
        "what": _in_words(act),
        "said": _conditions(act),
        "at_work": act.state in bulk.AT_WORK,
        "may_undo": bulk.may_undo(act, now) and me().may(Right.HELP_SUBSCRIBERS),
        "may_stop": me().may(Right.HELP_SUBSCRIBERS),
    }


def _conditions(act: BulkAct) -> list[str] | None:
    try:
        return filters.in_words(segments.read(act.conditions), newsletters())
    except (ConditionsUnreadable, ConditionsOutdated):
        return None


def _in_words(act: BulkAct | Wanted) -> str:
    """“pause the Morning Post until 24 December 2026”, without whom."""
    names = {one.id: one.name for one in newsletters()}
    slots = {slot.id: slot.label for one in newsletters() for slot in one.slots}
    name = names.get(act.newsletter_id or 0, "")
    match act.kind:
        case BulkKind.UNSUBSCRIBE:
            return f"Unsubscribe from {name}"
        case BulkKind.PAUSE:
            return f"Pause {name} until {act.until}"
        case BulkKind.MOVE:
            return f"Move to {name}, {slots.get(act.slot_id or 0, '')}"
        case BulkKind.SUPPRESS:
            return "Never mail again"


def _is_mine(act: BulkAct) -> bool:
    """It is for who works for all that it looks at."""
    mine = me().newsletter_ids
    return mine is None or (act.newsletter_ids is not None and mine.issuperset(act.newsletter_ids))


def _act(id: int) -> BulkAct:
    """Raises NotHere for one that is others'."""
    try:
        found = bulk_act(id)
    except BulkActUnknown as error:
        raise NotHere from error
    if not _is_mine(found):
        raise NotHere
    return found


@pages.get(ONE, endpoint="act")
@staff_only
def show(id: int) -> str:
    return render_template("admin/act.html", **_shown(_act(id)))


@pages.get(f"{ONE}/progress", endpoint="act_progress")
@staff_only
def progress(id: int) -> str:
    """What changes on the page while it is at work."""
    return render_template("admin/_act.html", **_shown(_act(id)))


@pages.post(f"{ONE}/stop", endpoint="stop_act")
@needs(Right.HELP_SUBSCRIBERS)
def stop(id: int) -> ResponseReturnValue:
    found, now, by = _act(id), the_clock().now(), me().actor
    return attempt(
        lambda: bulk.stop(found.id, now, by),
        "Stopped. What was done until now stays, and can be undone below if it can be at all.",
        url_for("admin.act", id=id),
    )


@pages.post(f"{ONE}/undo", endpoint="undo_act")
@needs(Right.HELP_SUBSCRIBERS)
def undo(id: int) -> ResponseReturnValue:
    found, now, by = _act(id), the_clock().now(), me().actor
    return attempt(
        lambda: bulk.undo(found.id, now, by),
        "It is being undone. What somebody has changed since stays as it is.",
        url_for("admin.act", id=id),
    )
