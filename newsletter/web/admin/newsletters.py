"""What a newsletter is and how its stories are chosen."""

from __future__ import annotations

from flask import Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.foundation.clock import the_clock
from newsletter.foundation.errors import NewsletterError
from newsletter.newsletters import settings
from newsletter.newsletters.models import Newsletter, newsletter
from newsletter.newsletters.settings import SettingInvalid
from newsletter.staff.rights import Right
from newsletter.stories import gating
from newsletter.stories.gating import TopicUnusable
from newsletter.web.admin.access import me, my_newsletters, needs, pages, staff_only
from newsletter.web.security import error_page

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@pages.get("/newsletters", endpoint="newsletters")
@staff_only
def show_all() -> str:
    return render_template("admin/newsletters.html", newsletters=my_newsletters(), may_own=me().may(Right.OWN))


@pages.route("/newsletters/<slug>", endpoint="newsletter", methods=["GET", "POST"])
@needs(Right.OWN)
def show(slug: str) -> ResponseReturnValue:
    shown = newsletter(slug)
    values = {key: settings.as_text(getattr(shown, key)) for key in settings.READERS} | {"topic": shown.topic}
    error = None
    if request.method == "POST":
        values = _typed()
        try:
            _save(shown, values)
        except NewsletterError as problem:
            error = problem
        else:
            flash("Saved. It counts from the next draft on.", "done")
            return redirect(url_for("admin.newsletter", slug=slug), 303)
    page = render_template(
        "admin/newsletter.html",
        newsletter=newsletter(slug),
        values=values,
        error=error,
        wrong_field=_field_of(error),
        weekdays=list(enumerate(WEEKDAYS, 1)),
    )
    return page, 422 if error else 200


def _field_of(error: NewsletterError | None) -> str | None:
    """Beside which field an error stands."""
    if isinstance(error, TopicUnusable):
        return "topic"
    return str(error.subject["key"]) if isinstance(error, SettingInvalid) else None


def _typed() -> dict[str, str]:
    """What stands in the form; days are boxes, everything else is text."""
    typed = {key: request.form.get(key, "") for key in (*settings.READERS, "topic")}
    return typed | {"days": "".join(request.form.getlist("days"))}


def _save(shown: Newsletter, values: dict[str, str]) -> None:
    """The topic first, because it is what can be wrong in many ways; a refusal of either leaves the other unsaved."""
    by, now = me().actor, the_clock().now()
    slug, topic = shown.slug, values["topic"].replace("\r\n", "\n")
    gating.check(topic)
    settings.change(slug, now, by, **{key: text for key, text in values.items() if key in settings.READERS})
    gating.set_topic(slug, topic, now, by)


@pages.get("/newsletters/<slug>/topic.toml", endpoint="topic_words")
@staff_only
def topic_words(slug: str) -> ResponseReturnValue:
    try:
        return Response(gating.words_of(newsletter(slug)), mimetype="text/plain")
    except TopicUnusable as error:
        return error_page(404, sentence=str(error))
