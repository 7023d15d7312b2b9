"""The demo's pages: where to begin, an article with the box, the outlets' feeds, the mailbox."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import httpx2
from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from newsletter.editions.models import EditionState, edition_of
from newsletter.foundation.config import the_config
from newsletter.foundation.parts import Part
from newsletter.foundation.text import one_line
from newsletter.newsletters.models import newsletter
from newsletter.operations.demo import living, mailbox, outlets, table
from newsletter.operations.demo.clock import ZONE, DemoClock
from newsletter.operations.demo.outlets import Article, Outlet
from newsletter.operations.demo.setting_up import STAFF, sign_in_link
from newsletter.web.admin.box import codes
from newsletter.web.formats import day as day_text
from newsletter.web.security import mail_in_a_frame

pages = Blueprint("demo", __name__, url_prefix="/demo")
the_demo_clock: Part[DemoClock] = Part("demo-clock")

FRONT_PAGE = "harbor-gazette"


def install(app: Flask, clock: DemoClock) -> None:
    the_demo_clock.install(app, clock)
    app.context_processor(lambda: {"mailbox_url": url_for("demo.mailbox")})
    app.register_blueprint(pages)


@pages.get("/")
def start() -> str:
    clock = the_demo_clock()
    now, published = clock.now().astimezone(ZONE), newsletter(None)
    todays = edition_of(published.default_slot.id, clock.today())
    return render_template(
        "demo/start.html",
        newsletter=published,
        clock_text=f"{now:%H:%M} on {day_text(now.date())}, New York time",
        sign_in_link=url_for("demo.staff_link"),
        staff_address=STAFF,
        edition_url=url_for("admin.edition", id=todays.id) if todays else url_for("admin.editions"),
        notice=_notice(todays.state if todays else None),
        outlets=[_on_start_page(outlet) for outlet in outlets.outlets()],
    )


def _notice(state: EditionState | None) -> str | None:
    if state in (EditionState.SENDING, EditionState.SENT):
        return "Today's edition has gone out. Press “Next morning” for tomorrow's draft."
    return None


def _on_start_page(outlet: Outlet) -> SimpleNamespace:
    return SimpleNamespace(
        name=outlet.name,
        tagline=outlet.tagline,
        feed_url=url_for("demo.feed", outlet=outlet.key),
        articles=len([a for a in _shown(outlet) if a.day == the_demo_clock().today()]),
    )


def _shown(outlet: Outlet) -> Sequence[Article]:
    """What the outlet has published by now."""
    clock = the_demo_clock()
    published = outlets.feed_articles(outlet.key, clock.today(), zone=ZONE)
    return [article for article in published if article.published_at <= clock.now()]


def _outlet(key: str) -> Outlet:
    return next((outlet for outlet in outlets.outlets() if outlet.key == key), None) or abort(404)


@pages.get("/staff-link")
def staff_link() -> ResponseReturnValue:
    """A fresh one-time link, as the command prints one; only the demo hands them out."""
    return redirect(sign_in_link(), 303)


@pages.post("/next-morning")
def next_morning() -> ResponseReturnValue:
    living.next_morning(current_app._get_current_object(), the_demo_clock())  # type: ignore[attr-defined]
    flash("Six o'clock came and went, and it is the next morning. There is a new draft.", "done")
    return redirect(url_for("demo.start"), 303)


@pages.get("/article")
def article() -> str:
    """With the box by its script, as a news site puts it there."""
    own = _outlet(FRONT_PAGE)
    return _article_page(own, _shown(own)[0], box="script")


@pages.get("/plain")
def plain() -> str:
    """The same with the box as plain HTML."""
    own = _outlet(FRONT_PAGE)
    return _article_page(own, _shown(own)[0], box="form")


@pages.get("/outlets/<outlet>/<day>/<slug>")
def outlet_article(outlet: str, day: str, slug: str) -> str:
    publisher = _outlet(outlet)
    try:
        found = outlets.find_article(outlet, date.fromisoformat(day), slug, zone=ZONE)
    except ValueError:
        found = None
    if found is None:
        abort(404)
    return _article_page(publisher, found, box="script" if publisher.own else None)


def _article_page(publisher: Outlet, shown: Article, box: str | None) -> str:
    """An article with the newsroom's own code for the box in it, if any."""
    signed_up_for = newsletter(None) if box else None
    others = [other for other in _shown(publisher) if other.slug != shown.slug][:5]
    return render_template(
        "demo/article.html",
        outlet=publisher,
        article=SimpleNamespace(
            headline=shown.headline,
            summary=shown.summary,
            section=shown.section,
            author=shown.author,
            paragraphs=shown.paragraphs,
            town=publisher.town,
            published_at=shown.published_at,
        ),
        picture=_picture(shown),
        newsletter=signed_up_for,
        box=Markup(codes(signed_up_for)[box]) if signed_up_for and box else "",
        day=shown.day,
        zone=ZONE.key,
        more=[SimpleNamespace(headline=o.headline, url=_address(o), outlet=publisher.name) for o in others],
    )


def _picture(shown: Article) -> SimpleNamespace | None:
    if shown.picture is None:
        return None
    picture = shown.picture
    return SimpleNamespace(
        url=url_for("demo.picture", file=picture.file),
        alt=picture.alt,
        caption=picture.caption,
        credit=picture.credit,
    )


def _address(shown: Article) -> str:
    return url_for("demo.outlet_article", outlet=shown.outlet, day=shown.day.isoformat(), slug=shown.slug)


@pages.get("/readers.csv")
def table_of_readers() -> Response:
    """What the newsroom can import."""
    response = Response(table.lines(the_demo_clock().today()), content_type="text/csv; charset=utf-8")
    response.headers.set("Content-Disposition", "attachment", filename="readers.csv")
    return response


@pages.get("/outlets/<outlet>/feed")
def feed(outlet: str) -> Response:
    publisher = _outlet(outlet)
    kind, body = outlets.feed_xml(publisher, _shown(publisher), base_url=the_config().site_url)
    response = Response(body, content_type=kind)
    response.add_etag()
    response.make_conditional(request)
    return response


@pages.get("/pictures/<file>")
def picture(file: str) -> Response:
    shown = next((one for one in outlets.pictures().values() if one.file == file), None) or abort(404)
    return Response(
        outlets.picture_bytes(shown.key),
        mimetype="image/jpeg",
        headers={"Cache-Control": "public, max-age=86400"},
    )


def _folder() -> Path:
    config = the_config()
    return config.path(config.mail.folder)


@pages.get("/mailbox", endpoint="mailbox")
def show_mailbox() -> str:
    words = one_line(request.args.get("q", ""))[:254]
    found = mailbox.latest(_folder(), words)
    return render_template("demo/mailbox.html", mails=found, words=words, cut=len(found) == mailbox.LISTED)


@pages.get("/mailbox/<name>", defaults={"view": "html"})
@pages.get("/mailbox/<name>/<any(html, text, source, headers):view>")
def mail(name: str, view: str) -> str:
    shown = mailbox.mail(_folder(), name)
    return render_template(
        "demo/mail.html",
        mail=shown,
        view=view,
        text=None if view == "html" else getattr(shown, view),
        one_click=shown.one_click,
    )


@pages.get("/mailbox/<name>/part/<any(html, text):part>")
def mail_part(name: str, part: str) -> Response:
    shown = mailbox.mail(_folder(), name)
    if part == "text":
        return Response(shown.text, mimetype="text/plain")
    return mail_in_a_frame(shown.html)


@pages.post("/mailbox/one-click")
def one_click() -> ResponseReturnValue:
    """Post to the mail's List-Unsubscribe address as a mail program does: without cookies, and without following."""
    name = request.form.get("name", "")
    address = mailbox.mail(_folder(), name).one_click or abort(404)
    answer = httpx2.post(address, data={"List-Unsubscribe": "One-Click"}, timeout=10, trust_env=False)
    flash(f"The mail program's request was answered with {answer.status_code}.", "done")
    return redirect(url_for("demo.mail", name=name), 303)
