"""The desk of a draft: each press and each pause in typing is saved at once, and nobody's words are lost.

A script sends the same forms that people press without it, and takes from the page that comes back what has changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.delivery import trying
from newsletter.editions import sittings, together
from newsletter.editions.editing import EDITION_FIELDS, ITEM_FIELDS, EditInvalid
from newsletter.editions.models import Edition, edition
from newsletter.editions.together import Saved, Wanted, Word
from newsletter.foundation.clock import the_clock
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.text import one_line
from newsletter.newsletters.models import Newsletter
from newsletter.staff.rights import Right
from newsletter.stories import adding
from newsletter.stories.adding import StoryByHand
from newsletter.stories.fetching import the_fetcher
from newsletter.web.admin.access import attempt, me, my_newsletter, needs, pages, staff_only
from newsletter.web.admin.desk import Said, others_here
from newsletter.web.admin.editions import ONE, page_of

SCRIPT = "X-Desk"
"""The header by which the desk's script asks for the page at once, and not for the way there."""

PLACES_AT_MOST = 200


@dataclass(frozen=True)
class Act:
    """What somebody pressed: what it wants, where on the page it is, and what to say when it is done."""

    wanted: Wanted
    anchor: str
    done: str = "Saved."
    address: str = ""
    still: bool = field(default=False)


@pages.post(f"{ONE}/desk", endpoint="desk")
@needs(Right.EDIT)
def change(id: int) -> ResponseReturnValue:
    act, now, by = _act(), the_clock().now(), me().actor
    try:
        wanted = _with_page(edition(id).newsletter, act)
        saved = together.save(id, wanted, now, by, typing=act.still)
    except EditInvalid as error:
        return _page(id, act, Said(str(error), True, _typed(act), wrong={_field(act, error.field): error.problem}), 422)
    except NewsletterError as error:
        return _page(id, act, Said(str(error), True, _typed(act), address=act.address), 409)
    if saved.theirs:
        return _page(id, act, _beside(act, saved), 409)
    return _page(id, act, Said(act.done if saved.anew or act.still else "It was like that already."))


def _page(id: int, act: Act, said: Said, status: int = 200) -> ResponseReturnValue:
    """What was typed stays on the page; what is done leads back to it, at the story that it was about."""
    if status == 200 and SCRIPT not in request.headers:
        flash(said.note, "done")
        return redirect(url_for("admin.edition", id=id, _anchor=act.anchor), 303)
    return page_of(edition(id), said=said), status


def _beside(act: Act, saved: Saved) -> Said:
    theirs = {_field(act, one.name): one for one in saved.theirs}
    typed = {name: one.typed for name, one in theirs.items()}
    who = " and ".join(sorted({one.who for one in saved.theirs}))
    note = f"{who} changed the same words meanwhile, so yours are not saved yet. Both stand below."
    return Said(note, True, typed, theirs)


def _typed(act: Act) -> dict[str, str]:
    return {_field(act, word.name): word.text for word in act.wanted.words}


def _field(act: Act, name: str) -> str:
    """A field's name in the page."""
    return f"{name}-{act.wanted.key}" if act.wanted.key else name


# What was pressed


def _act() -> Act:
    form = request.form
    key = form.get("item") or None
    wanted = Wanted(key, _words(EDITION_FIELDS if key is None else ITEM_FIELDS))
    for name, read in PRESSES.items():
        if name in form:
            return read(wanted, form[name])
    return _plain(wanted, form.get("act", "save"))


def _words(names: tuple[str, ...]) -> tuple[Word, ...]:
    """Those that came, each with what stood there when the page was shown."""
    form = request.form
    there = (name for name in names if name in form and f"was-{name}" in form)
    return tuple(Word(name, _lines(form[f"was-{name}"]), _lines(form[name])) for name in there)


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")


def _plain(wanted: Wanted, name: str) -> Act:
    anchor = f"story-{wanted.key}" if wanted.key else "the-mail"
    if name == "save":
        return Act(wanted, anchor, still="still" in request.form)
    if name == "page":
        return Act(wanted, "next-up", "It is in, as the last story.", address=one_line(request.form.get("address", "")))
    if wanted.key is None or name not in MOVES:
        abort(400)
    by, done = MOVES[name]
    return Act(replace(wanted, by=by, drop=by == 0), "left-out" if by == 0 else anchor, done)


MOVES = {"up": (-1, "Moved up."), "down": (1, "Moved down."), "drop": (0, "It is left out, and can be put back.")}


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        abort(400)
    return int(text)


def _back(wanted: Wanted, value: str) -> Act:
    return Act(replace(wanted, back=(_number(value),)), f"story-{value}", "It is back, as the last story.")


def _add(wanted: Wanted, value: str) -> Act:
    return Act(replace(wanted, added=(_number(value),)), f"story-{value}", "It is in, as the last story.")


def _lead(wanted: Wanted, value: str) -> Act:
    return Act(replace(wanted, lead=_number(value)), f"story-{value}", "That outlet’s story leads now.")


def _picture(wanted: Wanted, value: str) -> Act:
    done = "It has that picture now." if value else "It has no picture now."
    return Act(replace(wanted, picture=value), f"story-{wanted.key}", done)


def _order(wanted: Wanted, value: str) -> Act:
    keys, were = (tuple(text.split(",")[:PLACES_AT_MOST]) for text in (value, request.form.get("order_was", "")))
    return Act(replace(wanted, order=keys, order_was=were), "stories", "The order is saved.")


PRESSES: dict[str, Callable[[Wanted, str], Act]] = {
    "back": _back,
    "add": _add,
    "lead": _lead,
    "picture": _picture,
    "order": _order,
}


def _with_page(newsletter: Newsletter, act: Act) -> Wanted:
    """With the story of the page whose address was typed. Raises what reading and adding it raise."""
    if not act.address and act.anchor != "next-up":
        return act.wanted
    now, by, slug = the_clock().now(), me().actor, newsletter.slug
    written = adding.filled_in(StoryByHand(title="", url=act.address), the_fetcher())
    added = adding.add(my_newsletter(slug), written, now, by, pin=False)
    return replace(act.wanted, added=(added.story.id,))


# Who is there


@pages.post(f"{ONE}/here", endpoint="here")
@staff_only
def here(id: int) -> str:
    """Says that somebody is at the desk, and hears who else is, and which revision is the latest by now."""
    now = the_clock().now()
    sittings.here(id, request.form.get("place", ""), now, me().actor)
    shown: Edition = edition(id)
    return render_template("admin/_here.html", edition=shown, others_here=others_here(shown, now))


# A test mail


@pages.post(f"{ONE}/test", endpoint="send_test")
@needs(Right.EDIT)
def send_test(id: int) -> ResponseReturnValue:
    to, now, by = request.form.get("to", ""), the_clock().now(), me().actor
    return attempt(
        lambda: trying.send_test(id, to, now, by),
        f"A test mail is on its way to {to}.",
        url_for("admin.edition", id=id),
    )
