"""Where stories come from: how each source is, what it told last, and what is done about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import urlsplit

from flask import Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.foundation import audit
from newsletter.foundation.audit import AuditRecord, Wanted
from newsletter.foundation.clock import the_clock
from newsletter.foundation.errors import NewsletterError, NotFound, Refused
from newsletter.foundation.text import one_line
from newsletter.newsletters.models import Newsletter
from newsletter.newsletters.settings import SettingInvalid
from newsletter.staff.rights import Right
from newsletter.stories import checking, collecting, following, health, outlines
from newsletter.stories.checking import Checked
from newsletter.stories.fetching import the_fetcher
from newsletter.stories.following import SilenceInvalid, Use
from newsletter.stories.items import IsAPage
from newsletter.stories.models import NewsletterSource, Source, SourceState, source, sources, sources_of
from newsletter.stories.outlines import Listing, NotAnOutline, Outline
from newsletter.stories.reading import apart
from newsletter.web.admin.access import me, must_see_all, my_newsletter, my_newsletters, needs, pages, staff_only
from newsletter.web.admin.places import of_source
from newsletter.web.security import takes

ONE = "/sources/<int(max=2147483647):id>"
WORST_FIRST = (
    SourceState.FAILING,
    SourceState.GONE,
    SourceState.SILENT,
    SourceState.NEW,
    SourceState.OK,
    SourceState.DISABLED,
)
WHAT_TO_DO = {
    SourceState.FAILING: "It is asked again by itself. If it stays so, open its address in a browser: the outlet may "
    "have moved its feed.",
    SourceState.GONE: "It is not asked any more. If the outlet has a new address for it, give it that one.",
    SourceState.SILENT: "Its feed answers, and nothing new is in it. Look whether the outlet publishes elsewhere now.",
    SourceState.NEW: "It is asked within a minute or so.",
    SourceState.DISABLED: "It is not asked. Its stories stay.",
}
STORIES_SHOWN = 20
RECORDS_SHOWN = 30
WORDS_AT_MOST = 100
A_MOMENT = timedelta(minutes=1)
"""So long an outlet is left alone, however often somebody presses the button."""

FILE_AT_MOST = 1_000_000
FORM_AT_MOST = FILE_AT_MOST + 100_000
FEEDS_AT_MOST = 2000


class AskedJustNow(NewsletterError):
    """{outlet} was asked less than a minute ago. Nothing was asked again; look in a moment."""


class NotTyped(NewsletterError):
    """Type {outlet} to take it away. Nothing was changed."""


# The list


def my_sources() -> list[Source]:
    """Those that one's newsletters follow."""
    return [
        one for one in sources() if not me().limited or any(me().sees(use.newsletter_id) for use in one.newsletters)
    ]


def my_uses(of: Source) -> list[NewsletterSource]:
    return [use for use in of.newsletters if me().sees(use.newsletter_id)]


@dataclass(frozen=True)
class Filter:
    """What of the list somebody wants to see."""

    newsletter: str = ""
    state: str = ""
    words: str = ""

    @property
    def is_any(self) -> bool:
        return bool(self.newsletter or self.state or self.words)

    def takes(self, one: Source, ids: Mapping[str, int]) -> bool:
        wanted = self.words.casefold().split()
        told = f"{one.outlet} {one.url}".casefold()
        followed = {use.newsletter_id for use in one.newsletters}
        return (
            (not self.newsletter or ids.get(self.newsletter) in followed)
            and (not self.state or one.state == self.state)
            and all(word in told for word in wanted)
        )


@pages.get("/sources", endpoint="sources")
@staff_only
def show_sources() -> str:
    every, now = sorted(my_sources(), key=lambda one: WORST_FIRST.index(one.state)), the_clock().now()
    wanted = Filter(*(one_line(request.args.get(name, ""))[:WORDS_AT_MOST] for name in ("newsletter", "state", "q")))
    mine = my_newsletters()
    listed = [one for one in every if wanted.takes(one, {each.slug: each.id for each in mine})]
    healths, a_day = health.of(listed), health.a_day(now)
    counts = Counter(one.state for one in every)
    return render_template(
        "admin/sources.html",
        rows=[{"source": one, "health": healths[one.id], "a_day": a_day.get(one.id, 0)} for one in listed],
        counts=[(state, counts[state]) for state in WORST_FIRST if counts[state]],
        total=len(every),
        wanted=wanted,
        newsletters=mine,
        newsletter_choice=[("", "Any"), *((each.slug, each.name) for each in mine)],
        names=_names(),
        uses={one.id: my_uses(one) for one in listed},
        what_to_do=WHAT_TO_DO,
        in_words=health.in_words,
        today=now.date(),
        may_edit=me().may(Right.EDIT),
    )


def _names() -> dict[int, str]:
    return {one.id: one.name for one in my_newsletters()}


# One


@pages.get(ONE, endpoint="source")
@staff_only
def show(id: int) -> str:
    return _page(id)


@dataclass(frozen=True)
class Wrong:
    """What is wrong with a form of a source's page, and what was typed into it: `form` is "itself" or the slug of the
    newsletter whose use of it is changed."""

    form: str
    problems: Mapping[str, str]
    typed: Mapping[str, str]


def _page(id: int, wrong: Wrong | None = None) -> str:
    shown, now = source(id), the_clock().now()
    uses = my_uses(shown)
    return render_template(
        "admin/source.html",
        source=shown,
        health=health.of([shown])[id],
        a_day=health.a_day(now).get(id, 0),
        stories=health.latest_stories(id, STORIES_SHOWN),
        records=_records(shown),
        uses=uses,
        others=[one for one in my_newsletters() if one.id not in {use.newsletter_id for use in shown.newsletters}],
        newsletters={one.id: one for one in my_newsletters()},
        shared=len(uses) < len(shown.newsletters),
        may_edit=me().may(Right.EDIT),
        what_to_do=WHAT_TO_DO,
        in_words=health.in_words,
        wrong=wrong,
        today=now.date(),
    )


def _records(shown: Source) -> list[AuditRecord]:
    """What staff and the service did with it, the latest first; not what was done for newsletters that one does not
    work for."""
    mine = {one.slug for one in my_newsletters()}
    found = audit.find(Wanted(subject=f"source:{shown.id}"), None, RECORDS_SHOWN)
    return [one for one in found if one.details.get("newsletter") is None or one.details["newsletter"] in mine]


def _do(id: int, deed: Callable[[], str], *, anchor: str | None = None) -> ResponseReturnValue:
    """Do something and say how it went, on the source's page; or in the list, where one does not see it any more."""
    try:
        said, kind = deed(), "done"
    except NewsletterError as error:
        said, kind = str(error), "problem"
    flash(said, kind)
    followed = any(me().sees(use.newsletter_id) for use in source(id).newsletters)
    back = url_for("admin.source", id=id, _anchor=anchor) if followed or not me().limited else url_for("admin.sources")
    return redirect(back, 303)


@pages.post(f"{ONE}/change", endpoint="change_source")
@needs(Right.EDIT)
def change(id: int) -> ResponseReturnValue:
    """The source itself, which is one for all that follow it."""
    must_see_all(of_source, id=id)
    typed = {name: request.form.get(name, "").strip() for name in ("outlet", "url")}
    typed |= {name: "yes" if name in request.form else "no" for name in ("page_fetch", "disabled")}
    return _change(id, None, typed, "itself", "Saved. It counts for every newsletter that follows it.")


@pages.post(f"{ONE}/use", endpoint="use_source")
@needs(Right.EDIT)
def use(id: int) -> ResponseReturnValue:
    """How one newsletter uses it."""
    where = my_newsletter(request.form.get("newsletter"))
    typed = {name: request.form.get(name, "").strip() for name in ("weight", "section")}
    typed |= {name: "yes" if name in request.form else "no" for name in ("own", "on_topic")}
    return _change(id, where, typed, where.slug, f"Saved. It counts from the next draft of {where.name} on.")


def _change(id: int, where: Newsletter | None, typed: dict[str, str], form: str, done: str) -> ResponseReturnValue:
    try:
        following.change(id, where, the_clock().now(), me().actor, **typed)
    except (SettingInvalid, following.NoWebAddress, following.AddressTaken) as error:
        key = str(error.subject["key"]) if isinstance(error, SettingInvalid) else "url"
        problem = str(error.subject["problem"]) if isinstance(error, SettingInvalid) else str(error)
        return _page(id, Wrong(form, {key: problem}, typed)), 422
    flash(done, "done")
    return redirect(url_for("admin.source", id=id), 303)


@pages.post(f"{ONE}/poll", endpoint="poll_source")
@needs(Right.EDIT)
def poll(id: int) -> ResponseReturnValue:
    return _do(id, lambda: _poll(id))


def _poll(id: int) -> str:
    """Raises AskedJustNow, Refused."""
    asked, now = source(id), the_clock().now()
    if asked.polled_at is not None and timedelta() <= now - asked.polled_at < A_MOMENT:
        raise AskedJustNow(outlet=asked.outlet)
    came = collecting.collect(id, now, the_fetcher())
    if came.error:
        raise Refused(why=came.error)
    return f"{came.outlet} answered: {came.new} new stories, {came.updated} that changed."


@pages.post(f"{ONE}/silence", endpoint="silence_source")
@needs(Right.EDIT)
def silence(id: int) -> ResponseReturnValue:
    where = my_newsletter(request.form.get("newsletter"))
    until, by, now = request.form.get("until", "").strip(), me().actor, the_clock().now()
    name = where.name

    def deed() -> str:
        day = None if "for_good" in request.form else _day(until)
        following.silence(where, id, day, now, by)
        how_long = f"before {day.day} {day:%B %Y}" if day else "until you let them in again"
        return f"Silenced. Its stories enter no drafts of {name} {how_long}; drafts that there are stay as they are."

    return _do(id, deed, anchor=f"in-{where.slug}")


def _day(text: str) -> date:
    """Raises SilenceInvalid."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise SilenceInvalid(problem="choose a date, or for good") from error


@pages.post(f"{ONE}/hear", endpoint="hear_source")
@needs(Right.EDIT)
def hear(id: int) -> ResponseReturnValue:
    where = my_newsletter(request.form.get("newsletter"))
    slug, name, by, now = where.slug, where.name, me().actor, the_clock().now()

    def deed() -> str:
        following.hear(where, id, now, by)
        return f"Its stories enter the drafts of {name} again."

    return _do(id, deed, anchor=f"in-{slug}")


@pages.post(f"{ONE}/remove", endpoint="remove_source")
@needs(Right.EDIT)
def remove(id: int) -> ResponseReturnValue:
    where, gone = my_newsletter(request.form.get("newsletter")), source(id)
    typed, outlet, name = one_line(request.form.get("outlet_typed", "")), gone.outlet, where.name
    by, now = me().actor, the_clock().now()

    def deed() -> str:
        if typed.casefold() != one_line(outlet).casefold():
            raise NotTyped(outlet=outlet)
        left = following.unfollow(where, id, now, by)
        more = " No newsletter follows it now, so it is not asked any more." if not left.newsletters else ""
        return f"{name} no longer follows {outlet}. Its stories and what was sent of them stay.{more}"

    return _do(id, deed)


@pages.post(f"{ONE}/follow", endpoint="follow_source")
@needs(Right.EDIT)
def follow(id: int) -> ResponseReturnValue:
    """By one more newsletter."""
    where, wanted = my_newsletter(request.form.get("newsletter")), source(id)
    url, name, by, now = wanted.url, where.name, me().actor, the_clock().now()

    def deed() -> str:
        following.add_source(where, url, None, now, by)
        return f"{name} follows it from now on."

    return _do(id, deed)


# More of them


@dataclass(frozen=True)
class Typed:
    """A source that somebody is about to add."""

    url: str = ""
    outlet: str = ""
    weight: str = "1"
    section: str = ""
    own: bool = False
    on_topic: bool = False
    page_fetch: bool = False

    @classmethod
    def given(cls) -> Typed:
        url, outlet, section = (request.form.get(name, "").strip() for name in ("url", "outlet", "section"))
        weight = request.form.get("weight", cls.weight).strip()
        own, on_topic, page_fetch = (name in request.form for name in ("own", "on_topic", "page_fetch"))
        return cls(url, outlet, weight, section, own, on_topic, page_fetch)


@pages.route("/sources/add", endpoint="add_source", methods=["GET", "POST"])
@needs(Right.EDIT)
def add() -> ResponseReturnValue:
    """First a look, then the word to add it; what was looked at is fetched again then, since it may have changed."""
    where = my_newsletter(request.values.get("newsletter") or _first_slug())
    if request.method != "POST":
        return _add_page(where, Typed(url=one_line(request.args.get("url", ""))))
    typed, slug = Typed.given(), where.slug
    try:
        if "add" in request.form:
            return _added(where, typed)
        found = checking.check(following.whole(_with_scheme(typed.url)), the_fetcher(), the_clock().now())
    except NewsletterError as error:
        return _add_page(my_newsletter(slug), typed, error=error), 422
    return _add_page(my_newsletter(slug), typed, found)


def _first_slug() -> str | None:
    return next((one.slug for one in my_newsletters()), None)


def _with_scheme(url: str) -> str:
    """As people type addresses: without what every one begins with."""
    return url if "://" in url or not url else f"https://{url}"


def _added(where: Newsletter, typed: Typed) -> ResponseReturnValue:
    """Raises what adding raises."""
    name = where.name
    values = {key: following.read(key, text) for key, text in (("weight", typed.weight), ("section", typed.section))}
    made = following.add_source(
        where,
        _with_scheme(typed.url),
        typed.outlet,
        the_clock().now(),
        me().actor,
        fetcher=the_fetcher(),
        use=Use(own=typed.own, on_topic=typed.on_topic, **values),
        page_fetch=typed.page_fetch and not _is_others_too(_with_scheme(typed.url)),
    )
    flash(f"{name} follows {made.outlet} from now on. Its stories come within a minute or so.", "done")
    return redirect(url_for("admin.source", id=made.id), 303)


def _is_others_too(url: str) -> bool:
    """Whether there is a source at the address that a newsletter follows which one does not work for."""
    known = following.source_at(url)
    return known is not None and len(my_uses(known)) < len(known.newsletters)


def _add_page(
    where: Newsletter, typed: Typed, found: Checked | None = None, error: NewsletterError | None = None
) -> str:
    known = following.source_at(found.url) if found else None
    seen = known if known and known in my_sources() else None
    field = str(error.subject["key"]) if isinstance(error, SettingInvalid) else "url" if error else None
    return render_template(
        "admin/source_add.html",
        newsletter=where,
        newsletters=my_newsletters(),
        typed=typed,
        found=found,
        known=seen,
        error=error,
        wrong_field=field,
        feeds=error.feeds if isinstance(error, IsAPage) else (),
        host=urlsplit(found.url).hostname if found else "",
    )


@dataclass(frozen=True)
class Preview:
    """What a list of feeds would bring to a newsletter: feeds that it does not follow, those that it does, and names
    of what is none."""

    new: Sequence[Outline]
    known: Sequence[Outline]
    unreadable: Sequence[str]

    @classmethod
    def of(cls, listing: Listing, newsletter_id: int) -> Preview:
        followed = {use.source.url for use in sources_of(newsletter_id)}
        new = [one for one in listing.feeds if one.url not in followed]
        return cls(new, [one for one in listing.feeds if one.url in followed], listing.unreadable)

    @property
    def carried(self) -> str:
        """The new ones, to be sent with the button that adds them."""
        return outlines.write("Feeds", self.new).decode("utf-8")


@pages.route("/sources/import", endpoint="import_sources", methods=["GET", "POST"])
@takes(FORM_AT_MOST)
@needs(Right.EDIT)
def import_() -> ResponseReturnValue:
    where = my_newsletter(request.values.get("newsletter") or _first_slug())
    if request.method != "POST":
        return _import_page(where)
    slug = where.slug
    try:
        listing = _listing()
    except NewsletterError as error:
        return _import_page(my_newsletter(slug), error=error), 422
    where = my_newsletter(slug)
    if "add" in request.form:
        name, on_topic = where.name, "on_topic" in request.form
        added = following.import_sources(where, listing.feeds, the_clock().now(), me().actor, on_topic=on_topic)
        flash(f"{name} follows {added:,} more. Their stories come within some minutes.", "done")
        return redirect(url_for("admin.sources", newsletter=slug), 303)
    return _import_page(where, Preview.of(listing, where.id))


def _listing() -> Listing:
    """Of the list that was previewed, a starter list or a file. Raises NotAnOutline, StarterUnknown and the like."""
    if "add" in request.form:
        octets = request.form.get("feeds", "").encode("utf-8", "replace")
    elif "starter" in request.form:
        return Listing(tuple(outlines.starter(request.form["starter"])))
    else:
        octets = _uploaded()
    found = apart(outlines.examine, octets)
    if len(found.feeds) > FEEDS_AT_MOST:
        raise NotAnOutline(problem=f"it lists {len(found.feeds):,} feeds, and we take {FEEDS_AT_MOST:,} at a time")
    return found


def _uploaded() -> bytes:
    """Raises NotAnOutline."""
    file = request.files.get("file")
    octets = file.read(FILE_AT_MOST + 1) if file else b""
    if not octets:
        raise NotAnOutline(problem="choose a file first")
    if len(octets) > FILE_AT_MOST:
        raise NotAnOutline(problem="it is larger than 1 MB, and a list of feeds is far smaller")
    return octets


def _import_page(where: Newsletter, preview: Preview | None = None, error: NewsletterError | None = None) -> str:
    return render_template(
        "admin/sources_import.html",
        newsletter=where,
        newsletters=my_newsletters(),
        preview=preview,
        error=error,
        starters=outlines.starters(),
    )


@pages.get("/sources.opml", endpoint="export_sources")
@staff_only
def export() -> ResponseReturnValue:
    """A newsletter's feeds, to take along."""
    try:
        where = my_newsletter(request.args.get("newsletter") or _first_slug())
    except NotFound:
        abort(404)
    listed = [Outline(use.source.url, use.source.outlet, use.section) for use in sources_of(where.id)]
    disposition = f"attachment; filename={where.slug}.opml"
    octets = outlines.write(where.name, listed)
    return Response(octets, mimetype="text/x-opml", headers={"Content-Disposition": disposition})
