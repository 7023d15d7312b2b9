"""Changing a draft by hand, on one page that needs no scripts and loses nothing that was typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.editions import editing, keeping
from newsletter.editions.editing import (
    EDITION_FIELDS,
    ITEM_FIELDS,
    NAMES,
    Changes,
    EditedMeanwhile,
    EditInvalid,
    ItemChange,
)
from newsletter.editions.models import Edition, EditionState, Item, Revision, edition
from newsletter.editions.sittings import key_of
from newsletter.foundation.clock import the_clock
from newsletter.foundation.errors import NewsletterError
from newsletter.staff.rights import Right
from newsletter.web.admin.access import me, needs, pages
from newsletter.web.security import error_page

POSITION, OUT, BACK = "position", "out", "back"

Fields = Mapping[str, str]
"""What stands in the form, by the names of its fields. Those of a story end in its key."""


@dataclass(frozen=True)
class Shown:
    """The form as it is shown: of a revision, with what was typed; `meanwhile` is what somebody else saved in fields
    that were changed here too, and `homeless` what was typed about stories that are not there any more."""

    revision: Revision
    fields: Fields
    meanwhile: Fields = field(default_factory=dict)
    homeless: Sequence[tuple[str, str]] = ()


@pages.route("/editions/<int(max=2147483647):id>/edit", endpoint="edit_edition", methods=["GET", "POST"])
@needs(Right.EDIT)
def edit(id: int) -> ResponseReturnValue:
    found = edition(id)
    if found.revision is None:
        return error_page(404, sentence="This edition has no draft yet.")
    return _save(found) if request.method == "POST" else _page(found, Shown(found.revision, _stored(found.revision)))


def _save(found: Edition) -> ResponseReturnValue:
    number = request.form.get("revision", 0, type=int)
    base = _base(found, number)
    if base is None:
        abort(400)
    number = base.number
    id, typed, by = found.id, _typed(base), me().actor
    try:
        saved = editing.change(id, number, _changes(base, typed), the_clock().now(), by, reopen="reopen" in typed)
    except EditedMeanwhile as error:
        return _page(edition(id), _beside(_revision(id, number), typed), error), 409
    except NewsletterError as error:
        status = 422 if isinstance(error, EditInvalid) else 409
        return _page(edition(id), Shown(_revision(id, number), typed), error), status
    flash("Saved." if saved.number != number else "It was like that already.", "done")
    return redirect(url_for("admin.edition", id=id), 303)


def _base(found: Edition, number: int) -> Revision | None:
    """The revision that a form was made of. Where that is forgotten by now, the one before it: more counts as typed
    then, and nothing is lost. None when there never was one."""
    before = [one for one in found.revisions if one.number <= number]
    return before[-1] if before and number <= found.revisions[-1].number else None


def _revision(id: int, number: int) -> Revision:
    return next(one for one in edition(id).revisions if one.number == number)


def _page(found: Edition, shown: Shown, error: NewsletterError | None = None) -> str:
    revision = shown.revision
    invalid = error if isinstance(error, EditInvalid) else None
    key = next((key_of(item) for item in revision.items if invalid and item.id == invalid.item_id), None)
    return render_template(
        "admin/edition_edit.html",
        edition=found,
        revision=revision,
        values=shown.fields,
        meanwhile=shown.meanwhile,
        homeless=shown.homeless,
        keys=[(key_of(item), item) for item in revision.items],
        sections=[(name, name or "None") for name in _sections(revision)],
        left_out=keeping.left_out(revision),
        by_hand=keeping.fields_by_hand(revision),
        longest=editing.LONGEST,
        error=error,
        problem=invalid.problem if invalid else None,
        wrong_field=(f"{invalid.field}-{key}" if key else invalid.field) if invalid else None,
        is_draft=found.state is EditionState.DRAFTED,
        is_approved=found.state is EditionState.APPROVED,
    )


def _sections(revision: Revision) -> list[str]:
    """What a story can be in: none, the newsletter's sections, and such as it had when the draft was made."""
    had = (item.section for item in revision.items)
    return list(dict.fromkeys(["", *revision.edition.newsletter.sections, *had]))


# The form's fields


def _stored(revision: Revision) -> dict[str, str]:
    """The fields as the revision fills them."""
    fields = {name: str(getattr(revision, name)) for name in EDITION_FIELDS}
    for item in revision.items:
        fields |= {f"{name}-{key_of(item)}": str(getattr(item, name)) for name in (*ITEM_FIELDS, POSITION)}
    return fields


def _typed(base: Revision) -> dict[str, str]:
    """The fields as they came, without line ends of the web's; a field that did not come stays as it was."""
    came = {name: text.replace("\r\n", "\n") for name, text in request.form.items()}
    ticks = {name: text for name, text in came.items() if name.startswith((f"{OUT}-", f"{BACK}-")) or name == "reopen"}
    return {name: came.get(name, text) for name, text in _stored(base).items()} | ticks


def _new(base: Revision, typed: Fields) -> dict[str, str]:
    """What was typed over what stood there."""
    return {name: typed[name] for name, text in _stored(base).items() if typed[name].strip() != text.strip()}


def _changes(base: Revision, typed: Fields) -> Changes:
    """What the form asks for. Raises EditInvalid for a place that is no number."""
    new = _new(base, typed)
    words: dict[str, Any] = {name: new[name] for name in EDITION_FIELDS if name in new}
    return Changes(
        **words,
        items=tuple(_item_change(item, new, typed) for item in base.items),
        order=_order(base.items, typed) if any(name.startswith(f"{POSITION}-") for name in new) else (),
        back=tuple(one.story_id for one in keeping.left_out(base) if f"{BACK}-{one.story_id}" in typed),
    )


def _item_change(item: Item, new: Fields, typed: Fields) -> ItemChange:
    key = key_of(item)
    texts: dict[str, Any] = {name: new[f"{name}-{key}"] for name in ITEM_FIELDS if f"{name}-{key}" in new}
    return ItemChange(item.id, drop=f"{OUT}-{key}" in typed, **texts)


def _order(items: Sequence[Item], typed: Fields) -> tuple[int, ...]:
    """Where two want one place, the one that was moved there has it: before the other if it came up, behind it if it
    went down. Raises EditInvalid."""

    def place(item: Item) -> tuple[int, int]:
        wanted = _number(typed[f"{POSITION}-{key_of(item)}"], item)
        return wanted, (wanted > item.position) - (wanted < item.position)

    return tuple(item.id for item in sorted(items, key=place))


def _number(text: str, item: Item) -> int:
    if text.strip().isdecimal() and len(text.strip()) <= 3 and int(text) > 0:
        return int(text)
    raise EditInvalid(POSITION, "write a number, 1 for the first.", item.id)


# Two at once


def _beside(base: Revision, typed: Fields) -> Shown:
    """What somebody else saved meanwhile, with what was typed here in its place, and theirs beside it."""
    latest = base.edition.revisions[-1]
    stored, before, mine = _stored(latest), _stored(base), _new(base, typed)
    ticks = {name: text for name, text in typed.items() if name not in before}
    theirs = {
        name: stored[name]
        for name, text in mine.items()
        if name in stored and stored[name] != before[name] and stored[name] != text
    }
    gone = {key_of(item): item.headline for item in base.items} if base is not latest else {}
    homeless = [
        (_said(name, gone), text) for name, text in mine.items() if name not in stored and not name.startswith(POSITION)
    ]
    return Shown(
        latest, stored | {name: text for name, text in mine.items() if name in stored} | ticks, theirs, homeless
    )


def _said(name: str, headlines: Fields) -> str:
    """A story's field in words."""
    kind, _, key = name.partition("-")
    return f"{NAMES.get(kind, kind).capitalize()} of “{headlines[key]}”"
