"""Stories: find one, say something about it, add one by hand, take one down."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.delivery import releasing
from newsletter.editions import withdrawing
from newsletter.editions.adding import compose_again
from newsletter.editions.models import edition
from newsletter.foundation.clock import the_clock
from newsletter.foundation.errors import NewsletterError, NotFound
from newsletter.foundation.text import one_line
from newsletter.newsletters.models import Newsletter, NoNewsletter, newsletter
from newsletter.staff.rights import Right
from newsletter.stories import adding, marking
from newsletter.stories.adding import Added, StoryByHand, StoryInvalid
from newsletter.stories.fetching import the_fetcher
from newsletter.stories.models import Mark, Story, StoryMark, marks_of, marks_on, search, stories_among, story
from newsletter.web.admin.access import attempt, me, must_see, must_see_all, my_newsletters, needs, pages, staff_only
from newsletter.web.admin.places import of_edition, of_story

PER_PAGE = 50
WORDS_AT_MOST = 200
ONE = "/stories/<int(max=2147483647):id>"
SAID = {
    Mark.PINNED: "Pinned: it is chosen whatever its points.",
    Mark.HIDDEN: "Hidden: it is not chosen any more.",
    Mark.TOGETHER: "The two are told as one event from now on.",
    Mark.APART: "The two are kept apart from now on.",
}


class NotComposed(NewsletterError):
    """{done} But this edition stays as it was. {problem}"""


def _newsletter(of: Story | None = None) -> Newsletter:
    """The one that the page is about: the one that is named, else that of a story by hand, else the first.

    Raises NoNewsletter, NewsletterUnknown.
    """
    every = my_newsletters()
    if not every:
        raise NoNewsletter
    home = next((one for one in every if of and one.id == of.newsletter_id), every[0])
    return newsletter(request.values.get("newsletter") or home.slug, every)


def _number(field: str, what: str) -> int | None:
    """A story's or an edition's number from the form, None where it is empty. Raises NotFound for what is none."""
    typed = request.form.get(field, "").strip()
    if typed and not re.fullmatch(r"\d{1,9}", typed):
        raise NotFound(what=f"{what} “{typed[:40]}”")
    return int(typed) if typed else None


@pages.get("/stories", endpoint="stories")
@staff_only
def show_all() -> str:
    shown, words = _newsletter(), one_line(request.args.get("q", ""))[:WORDS_AT_MOST]
    offset = min(max(0, request.args.get("from", 0, type=int)), 2**31)
    found = search(shown.id, words, PER_PAGE + 1, offset)
    return render_template(
        "admin/stories.html",
        newsletter=shown,
        newsletters=my_newsletters(),
        words=words,
        stories=found[:PER_PAGE],
        marks=_by_story(marks_of(shown.id)),
        next_from=offset + PER_PAGE if len(found) > PER_PAGE else None,
        may_edit=me().may(Right.EDIT),
    )


def _by_story(said: Sequence[StoryMark]) -> dict[int, list[Mark]]:
    marks: defaultdict[int, list[Mark]] = defaultdict(list)
    for mark in said:
        marks[mark.story_id].append(mark.mark)
        if mark.other_story_id is not None:
            marks[mark.other_story_id].append(mark.mark)
    return marks


@pages.get(ONE, endpoint="story")
@staff_only
def show(id: int) -> str:
    shown = story(id)
    where = _newsletter(shown)
    said = marks_on(id, where.id)
    return render_template(
        "admin/story.html",
        story=shown,
        newsletter=where,
        newsletters=my_newsletters(),
        marks={mark.mark for mark in said if mark.other_story_id is None},
        pairs=_pairs(shown, [mark for mark in said if mark.other_story_id is not None]),
        editions=[one for one in map(edition, withdrawing.unsent_with({id})) if me().sees(one.newsletter_id)],
        may_edit=me().may(Right.EDIT),
    )


def _pairs(shown: Story, said: Sequence[StoryMark]) -> list[tuple[Mark, Story]]:
    """What was said of the story and another one, and that other one."""
    return [
        (mark.mark, other)
        for mark in said
        for other in stories_among([mark.story_id, mark.other_story_id])
        if other.id != shown.id
    ]


@pages.post(f"{ONE}/say", endpoint="say_of_story")
@needs(Right.EDIT)
def say(id: int) -> ResponseReturnValue:
    """Mark a story or two, or take that back; from an edition's page, with its draft composed again."""
    where, edition_id, other = _newsletter(story(id)), _number("edition", "edition"), _number("other", "story")
    if edition_id is not None:
        must_see(of_edition, id=edition_id)
    if other is not None:
        must_see(of_story, id=other)
    if (kind := request.form.get("kind")) not in set(Mark):
        abort(400)
    mark, undo = Mark(kind), "undo" in request.form
    verb, by = marking.unmark if undo else marking.mark, me().actor
    page = url_for("admin.story", id=id, newsletter=where.slug)
    back = page if edition_id is None else url_for("admin.edition", id=edition_id)
    try:
        verb(where, id, mark, the_clock().now(), by, other)
    except NewsletterError as error:
        flash(str(error), "problem")
        return redirect(back, 303)
    done = "Taken back." if undo else SAID[mark]
    if edition_id is None:
        flash(done, "done")
        return redirect(back, 303)
    return attempt(lambda: _compose_again(edition_id, done), done, back)


def _compose_again(edition_id: int, done: str) -> None:
    """Raises NotComposed, EditionUnknown."""
    try:
        compose_again(edition_id, the_clock().now(), me().actor)
    except NewsletterError as error:
        raise NotComposed(done=done, problem=error) from error


@pages.route("/stories/add", endpoint="add_story", methods=["GET", "POST"])
@needs(Right.EDIT)
def add() -> ResponseReturnValue:
    where, written, error = _newsletter(), _written(), None
    if request.method == "POST":
        try:
            if "read" in request.form:
                written = adding.filled_in(written, the_fetcher())
            else:
                pin, now, by = "pin" in request.form, the_clock().now(), me().actor
                added = adding.add(where, written, now, by, pin=pin)
                flash(_said_of(added, pin), "done")
                return redirect(url_for("admin.story", id=added.story.id, newsletter=where.slug), 303)
        except NewsletterError as problem:
            error = problem
    return _form("admin/story_add.html", written, error, newsletter=where)


def _said_of(added: Added, pin: bool) -> str:
    title, outlet = added.story.title, added.story.outlet
    if added.is_new:
        return f"“{title}” is added{', and pinned to the next draft' if pin else ''}."
    now_pinned = " It is pinned now." if pin else ""
    return f"It was here already, from {outlet}, as “{title}”; its words stay as they were.{now_pinned}"


@pages.route(f"{ONE}/edit", endpoint="edit_story", methods=["GET", "POST"])
@needs(Right.EDIT)
def edit(id: int) -> ResponseReturnValue:
    must_see_all(of_story, id=id)
    shown, error = story(id), None
    written = _written() if request.method == "POST" else StoryByHand.written(shown)
    if request.method == "POST":
        try:
            adding.edit(id, written, the_clock().now(), me().actor)
        except NewsletterError as problem:
            error = problem
        else:
            flash("Saved. It counts from the next draft on.", "done")
            return redirect(url_for("admin.story", id=id), 303)
    return _form("admin/story_edit.html", written, error, story=story(id))


def _written() -> StoryByHand:
    return StoryByHand(**{field.name: request.form.get(field.name, "") for field in fields(StoryByHand)})


def _form(template: str, written: StoryByHand, error: NewsletterError | None, **shown: object) -> ResponseReturnValue:
    """The form as it was filled in, with what is wrong beside its field, or above all where it is of no field."""
    field = error.field if isinstance(error, StoryInvalid) else None
    page = render_template(template, written=written, error=error, wrong_field=field, **shown)
    return page, 422 if error else 200


@pages.post(f"{ONE}/withdraw", endpoint="withdraw_story")
@needs(Right.EDIT)
def withdraw(id: int) -> ResponseReturnValue:
    must_see_all(of_story, id=id)
    back = url_for("admin.story", id=id)
    try:
        changed = releasing.withdraw(id, request.form.get("reason", ""), the_clock().now(), me().actor)
    except NewsletterError as error:
        flash(str(error), "problem")
    else:
        flash(f"Withdrawn. {releasing.said_of(changed)}", "done")
    return redirect(back, 303)


@pages.post(f"{ONE}/restore", endpoint="restore_story")
@needs(Right.EDIT)
def restore(id: int) -> ResponseReturnValue:
    must_see_all(of_story, id=id)
    by = me().actor
    return attempt(
        lambda: marking.restore(id, the_clock().now(), by),
        "It can be chosen again, from the next draft on.",
        url_for("admin.story", id=id),
    )
