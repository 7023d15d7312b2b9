"""What a newsletter is: its settings, a page for each kind of them, saved as a whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from flask import Response, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.editions import sampling
from newsletter.foundation.clock import the_clock
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.languages import LANGUAGES
from newsletter.newsletters import calendar, senders, settings, slots
from newsletter.newsletters.models import Newsletter, newsletter
from newsletter.newsletters.settings import (
    NewNewsletter,
    NewsletterExists,
    SettingInvalid,
    SettingsChanged,
    as_text,
    stamp,
)
from newsletter.staff.rights import Right
from newsletter.stories import following, gating, outlines, topics
from newsletter.stories.gating import TopicUnusable
from newsletter.subscribers.models import confirmations_of
from newsletter.web.admin.access import me, my_newsletters, needs, pages, staff_only
from newsletter.web.admin.box import FRAMED_BY_US
from newsletter.web.security import error_page, mail_in_a_frame
from newsletter.web.speaking import speaking

ONE = "/newsletters/<slug>"


@dataclass(frozen=True)
class Part:
    """A page of settings. `keys` are those that are saved together."""

    title: str
    about: str
    keys: tuple[str, ...]


PARTS = {
    "words": Part(
        "Name and words",
        "What readers read on the sign-up box, at the head of a mail and at its foot.",
        ("name", "tagline", "promise", "publisher", "postal_address", "language", "welcome_text"),
    ),
    "sender": Part(
        "Sender",
        "Whom its mails come from, and whether mailboxes can tell them from forged ones.",
        ("from_name", "from_address", "reply_to"),
    ),
    "look": Part("Look", "Colour, letters and logo of the mail.", ("accent", "typeface", "logo_url", "pictures")),
    "selection": Part(
        "Choosing stories",
        "How many, from where, about what, and in which order.",
        (
            "items_at_most",
            "items_at_least",
            "thin_day",
            "own_at_least",
            "per_outlet_at_most",
            "window_hours",
            "grouping_threshold",
            "sections",
            "topic",
        ),
    ),
    "approval": Part(
        "Approval", "Who says that an edition may go out.", ("approval", "cutoff_minutes", "cooling_minutes")
    ),
    "mail": Part(
        "Subject, links and a note",
        "What stands around the stories.",
        ("subject_pattern", "link_tags", "block_text", "block_label", "block_link", "block_url", "block_after"),
    ),
    "site": Part(
        "Sites and archive", "Where readers sign up, and who reads past editions.", ("sites", "has_archive", "noindex")
    ),
}
DAYS = "days"
"""The calendar's page has the days of the week, and saves them in the same way."""

LABELS = {
    "name": "Name",
    "tagline": "Line below the name",
    "promise": "What the sign-up box promises",
    "publisher": "Publisher",
    "postal_address": "Postal address",
    "language": "Language",
    "welcome_text": "A word of welcome",
    "from_name": "Sender’s name",
    "from_address": "Sender’s address",
    "reply_to": "Address for answers",
    "accent": "Colour",
    "typeface": "Typeface",
    "logo_url": "Address of a logo",
    "pictures": "Pictures",
    "items_at_most": "Stories in an edition, at most",
    "items_at_least": "Stories in an edition, at least",
    "thin_day": "On a thin day",
    "own_at_least": "Of our own, at least",
    "per_outlet_at_most": "Of one outlet, at most",
    "window_hours": "How many hours back",
    "grouping_threshold": "How alike stories must be to be told as one",
    "sections": "Sections, in their order",
    "topic": "Topic",
    "approval": "Who approves it",
    "cutoff_minutes": "Minutes before its slot when the draft is made",
    "cooling_minutes": "Minutes in which a Send can be pulled back",
    "subject_pattern": "Subject of the mail",
    "link_tags": "Tags on links",
    "block_text": "Text of the note",
    "block_label": "Label of the note",
    "block_link": "Words of its link",
    "block_url": "Address of its link",
    "block_after": "After how many stories",
    "sites": "Sites with the sign-up box",
    "has_archive": "Past editions for everybody",
    "noindex": "Search engines are asked to stay away",
    "days": "Days",
}
LONGEST_SAID = 60


# All of them


@pages.get("/newsletters", endpoint="newsletters")
@staff_only
def show_all() -> str:
    return render_template("admin/newsletters.html", newsletters=my_newsletters(), may_own=me().may(Right.OWN))


@pages.route("/new-newsletter", endpoint="add_newsletter", methods=["GET", "POST"])
@needs(Right.OWN)
def add() -> ResponseReturnValue:
    names = ("name", "slug", "from_address", "zone", "time", "starter")
    typed = {"time": "06:00"} | {name: request.form.get(name, "") for name in names if name in request.form}
    problems: dict[str, str] = {}
    if request.method == "POST":
        try:
            made = _make(typed)
        except SettingInvalid as error:
            problems[str(error.subject["key"])] = str(error.subject["problem"])
        except NewsletterExists as error:
            problems["slug"] = str(error)
        else:
            flash(f"{made.name} is made. Look through its settings, and give it sources.", "done")
            return redirect(url_for("admin.newsletter", slug=made.slug), 303)
    page = render_template(
        "admin/newsletter_add.html",
        typed=typed,
        problems=problems,
        zones=calendar.zones(),
        starters=[("", "None; I add them myself"), *((name, name.capitalize()) for name in outlines.starters())],
    )
    return page, 422 if problems else 200


def _make(typed: dict[str, str]) -> Newsletter:
    """Raises SettingInvalid, NewsletterExists."""
    now, by, starter = the_clock().now(), me().actor, typed.get("starter", "")
    at = slots.read_time(typed.get("time", ""))
    words = {name: typed.get(name, "").strip() for name in ("slug", "name", "from_address", "zone")}
    made = settings.add(NewNewsletter(**words, local_time=at), now, by)
    if starter in outlines.starters():
        following.import_sources(made, outlines.starter(starter), now, by, on_topic=True)
    return made


# One


@pages.get(ONE, endpoint="newsletter")
@needs(Right.OWN)
def show(slug: str) -> str:
    return render_template("admin/newsletter.html", newsletter=newsletter(slug), parts=PARTS)


@pages.route(f"{ONE}/<any({', '.join(PARTS)}):part>", endpoint="newsletter_part", methods=["GET", "POST"])
@needs(Right.OWN)
def show_part(slug: str, part: str) -> ResponseReturnValue:
    keys = PARTS[part].keys
    if request.method != "POST":
        return _part_page(slug, part, _begun(slug) or _stored(newsletter(slug), keys))
    typed = _typed(keys)
    if "preview" in request.form:
        return _part_page(slug, part, typed, seen=request.form.get("seen", ""))
    saving = save(slug, typed)
    if saving is None:
        return redirect(url_for("admin.newsletter_part", slug=slug, part=part), 303)
    return _part_page(slug, part, typed, saving), saving.status


@dataclass(frozen=True)
class NotSaved:
    """Why a page of settings was not saved: what is wrong with fields, or what somebody else saved meanwhile."""

    problems: dict[str, str]
    theirs: dict[str, str] | None = None
    error: str = ""

    @property
    def status(self) -> int:
        return 422 if self.theirs is None else 409


def save(slug: str, typed: dict[str, str]) -> NotSaved | None:
    """Save settings that somebody typed, and flash what is different now."""
    problems = settings.problems({key: text for key, text in typed.items() if key != "topic"})
    if problems:
        return NotSaved(problems)
    before = _stored(newsletter(slug), typed)
    try:
        saved = _save(slug, typed, request.form.get("seen", ""))
    except SettingsChanged as error:
        now = _stored(newsletter(slug), typed)
        return NotSaved({}, {key: now[key] for key in typed if now[key] != typed[key]}, str(error))
    except SettingInvalid as error:
        return NotSaved({str(error.subject["key"]): str(error.subject["problem"])})
    except TopicUnusable as error:
        return NotSaved({"topic": str(error.subject["problem"])})
    flash(said_of(before, _stored(saved, typed)), "done")
    return None


def _save(slug: str, typed: dict[str, str], seen: str) -> Newsletter:
    by, now = me().actor, the_clock().now()
    if "topic" not in typed:
        return settings.change(slug, now, by, seen=seen, **typed)
    others = {key: text for key, text in typed.items() if key != "topic"}
    return gating.change_choosing(slug, typed["topic"], now, by, seen=seen, **others)


def said_of(before: dict[str, str], after: dict[str, str]) -> str:
    """What was saved, in a sentence for each thing that is different."""
    changes = [
        f"{LABELS[key]}: {_short(before[key])} → {_short(after[key])}." for key in after if before[key] != after[key]
    ]
    if not changes:
        return "Nothing is different, so nothing was saved."
    return f"Saved. {' '.join(changes)} It counts from the next draft on."


def _short(text: str) -> str:
    line = " ".join(text.split())
    shown = line if len(line) <= LONGEST_SAID else f"{line[:LONGEST_SAID]}…"
    return f"“{shown}”" if shown else "empty"


def _stored(shown: Newsletter, keys: tuple[str, ...] | dict[str, str]) -> dict[str, str]:
    return {key: as_text(getattr(shown, key)) for key in keys}


def _typed(keys: tuple[str, ...]) -> dict[str, str]:
    """What stands in the form. A topic is one that comes with the product, or words of one's own."""
    typed = {key: request.form.get(key, "") for key in keys}
    if "topic" in typed:
        words = request.form.get("topic_words", "").replace("\r\n", "\n")
        typed["topic"] = words if typed["topic"] == OWN_WORDS else typed["topic"]
    return typed


OWN_WORDS = "own"


def _begun(slug: str) -> dict[str, str] | None:
    """The selection with the words of a topic that comes with the product, to begin one's own from."""
    name = request.args.get("begin", "")
    if name not in topics.shipped_names():
        return None
    return _stored(newsletter(slug), PARTS["selection"].keys) | {"topic": topics.shipped_text(name)}


def _part_page(
    slug: str,
    part: str,
    values: dict[str, str],
    not_saved: NotSaved | None = None,
    seen: str | None = None,
    **more: object,
) -> str:
    shown = newsletter(slug)
    return render_template(
        "admin/newsletter_part.html",
        newsletter=shown,
        part=part,
        parts=PARTS,
        labels=LABELS,
        values=values,
        seen=stamp(shown, PARTS[part].keys) if seen is None else seen,
        problems=not_saved.problems if not_saved else {},
        theirs=not_saved.theirs if not_saved else None,
        error=not_saved.error if not_saved else "",
        shipped=topics.shipped_names(),
        tongues=LANGUAGES,
        look=_look_of(values) if part == "look" else {},
        **more,
    )


@pages.get(f"{ONE}/topic.toml", endpoint="topic_words")
@staff_only
def topic_words(slug: str) -> ResponseReturnValue:
    try:
        return Response(gating.words_of(newsletter(slug)), mimetype="text/plain")
    except TopicUnusable as error:
        return error_page(404, sentence=str(error))


# The sender's records


@pages.get(f"{ONE}/sender/records", endpoint="sender_records")
@needs(Right.OWN)
def records(slug: str) -> ResponseReturnValue:
    """What the DNS says of the sender: a part of the sender's page, or that page with it."""
    address = newsletter(slug).from_address
    try:
        found = senders.records_of(address, the_clock().now(), afresh="afresh" in request.args)
    except NewsletterError as error:
        found = senders.Records((), the_clock().now(), str(error))
    if "HX-Request" in request.headers:
        return render_template("admin/_records.html", newsletter=newsletter(slug), records=found)
    return _part_page(slug, "sender", _stored(newsletter(slug), PARTS["sender"].keys), records=found)


# The look


LOOK = ("accent", "typeface", "logo_url")


def _look_of(values: dict[str, str]) -> dict[str, str]:
    """What of a look can be shown; the rest is shown as it is stored."""
    typed = {key: values[key].strip() for key in LOOK if key in values}
    wrong = settings.problems(typed)
    return {key: text for key, text in typed.items() if key not in wrong}


def _asked_look() -> dict[str, str]:
    return _look_of({key: request.args[key] for key in LOOK if key in request.args})


@pages.get(f"{ONE}/look/preview", endpoint="look_preview")
@needs(Right.OWN)
def look_preview(slug: str) -> str:
    return render_template("admin/_look.html", newsletter=newsletter(slug), look=_asked_look())


@pages.get(f"{ONE}/look/mail", endpoint="look_mail")
@needs(Right.OWN)
def look_mail(slug: str) -> Response:
    return mail_in_a_frame(sampling.sample(newsletter(slug), the_clock().now(), **_asked_look()))


@pages.get(f"{ONE}/look/box", endpoint="look_box")
@needs(Right.OWN)
def look_box(slug: str) -> Response:
    shown = newsletter(slug)
    accent = _asked_look().get("accent", shown.accent)
    sheet = f"{url_for('admin.look_sheet', slug=slug)}?accent={quote(accent)}"
    with speaking(shown.language):
        page = render_template("public/embed.html", newsletter=shown, state="ask", sheet=sheet)
    answer = make_response(page)
    answer.headers["Content-Security-Policy"] = FRAMED_BY_US
    return answer


@pages.get(f"{ONE}/look/sheet.css", endpoint="look_sheet")
@needs(Right.OWN)
def look_sheet(slug: str) -> Response:
    accent = _asked_look().get("accent", newsletter(slug).accent)
    return Response(f":root {{ --accent: {accent}; }}\n", mimetype="text/css")


# What readers agree to


@pages.route(f"{ONE}/texts", endpoint="sign_up_texts", methods=["GET", "POST"])
@needs(Right.OWN)
def texts(slug: str) -> ResponseReturnValue:
    shown, error, theirs = newsletter(slug), None, False
    typed = request.form.get("text", "") if request.method == "POST" else shown.sign_up_text.text
    if request.method == "POST":
        seen, before = request.form.get("seen", 0, type=int), shown.sign_up_text.version
        try:
            saved = settings.write_sign_up_text(slug, typed, seen, the_clock().now(), me().actor)
        except (SettingInvalid, SettingsChanged) as problem:
            error, theirs = problem, isinstance(problem, SettingsChanged)
        else:
            version = saved.sign_up_text.version
            flash(
                f"Version {version} is what readers agree to from now on."
                if version != before
                else "The words are the same, so nothing was saved.",
                "done",
            )
            return redirect(url_for("admin.sign_up_texts", slug=slug), 303)
    shown = newsletter(slug)
    counts = confirmations_of([one.id for one in shown.sign_up_texts]) if "count" in request.args else None
    page = render_template(
        "admin/newsletter_texts.html", newsletter=shown, typed=typed, error=error, theirs=theirs, counts=counts
    )
    return page, 200 if error is None else 409 if theirs else 422
