"""Readers in and out: a file is uploaded, its columns are chosen, it is tried, and then it runs; and exports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from flask import Response, abort, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.foundation import audit
from newsletter.foundation.clock import the_clock
from newsletter.foundation.database import transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.staff.rights import Right
from newsletter.subscribers import exporting, import_runs, importing, uploading
from newsletter.subscribers.columns import Meaning
from newsletter.subscribers.exporting import Whom
from newsletter.subscribers.import_models import (
    AT_WORK,
    OVER,
    SAID,
    Import,
    ImportMode,
    ImportState,
    Outcome,
    an_import,
    imports,
)
from newsletter.subscribers.importing import Wish
from newsletter.subscribers.segments import InState, OfNewsletter
from newsletter.subscribers.tables import CHARSETS, SEPARATORS, Row
from newsletter.web.admin import filters
from newsletter.web.admin.access import attempt, me, my_newsletter, my_newsletters, needs, pages, proven
from newsletter.web.admin.filters import Filter
from newsletter.web.downloads import csv_file, json_file
from newsletter.web.security import csrf

IMPORTS = "/subscribers/import"
ONE = f"{IMPORTS}/<int(max=2147483647):id>"
AROUND = 1 << 20
"""Octets of a form beside its file."""

A_BATCH = 500

MEANINGS = {
    Meaning.ADDRESS: ("E-mail address", None),
    Meaning.STATE: (
        "State",
        "Who unsubscribed, bounced or complained there stays away, and a word that we do not know too.",
    ),
    Meaning.SLOT: ("When they get it", "A time and zone such as 06:00 Europe/Berlin, or a zone: then the nearest."),
    Meaning.LANGUAGE: ("Language", None),
    Meaning.DATE: ("Date of consent", "Such as 2025-12-31 or 31.12.2025. Kept as it stands where it is anything else."),
    Meaning.SOURCE: ("Source of consent", "The page or the place where they agreed."),
    Meaning.IP: ("IP address of consent", None),
}
"""What a column can be, in words, with a hint."""


@pages.route(IMPORTS, endpoint="imports", methods=["GET", "POST"])
@csrf.exempt  # type: ignore[untyped-decorator]
@needs(Right.HELP_SUBSCRIBERS)
def show_all() -> ResponseReturnValue:
    """The form's token is looked at here, after it is known who asks: to look, the whole file is taken in."""
    error = None
    if request.method == "POST":
        request.max_content_length = uploading.LARGEST + AROUND
        try:
            csrf.protect()
            return redirect(url_for("admin.one_import", id=_upload()), 303)
        except (uploading.FileUnusable, uploading.FileTooLarge) as problem:
            error = str(problem)
        finally:
            request.close()  # and the temporary file with it
    page = render_template(
        "admin/imports.html",
        newsletters=my_newsletters(),
        chosen=request.form.get("newsletter", ""),
        imports=imports(me().newsletter_ids),
        largest=uploading.LARGEST >> 20,
        error=error,
    )
    return page, 422 if error else 200


def _upload() -> int:
    """Raises NewsletterUnknown, FileUnusable, FileTooLarge."""
    wanted, file = my_newsletter(request.form.get("newsletter") or None), request.files.get("file")
    if file is None or not file.filename:
        raise uploading.FileUnusable(name="The file", cause="none was chosen")
    return uploading.keep(file.stream, file.filename, wanted, the_clock().now(), me().actor)


@pages.get(ONE, endpoint="one_import")
@needs(Right.HELP_SUBSCRIBERS)
def show(id: int) -> str:
    return _page(an_import(id))


def _page(one: Import, error: NewsletterError | None = None) -> str:
    waiting = one.state in (ImportState.UPLOADED, ImportState.CHECKED)
    choosing = waiting and (one.state is ImportState.UPLOADED or "columns" in request.args or error is not None)
    return render_template(
        "admin/import.html",
        **_told(one),
        choosing=choosing,
        beginning=uploading.look(one) if waiting else None,
        samples=importing.samples(one) if not choosing and one.state not in AT_WORK else {},
        meanings=MEANINGS,
        charsets=CHARSETS,
        separators=SEPARATORS,
        paces=importing.AN_HOUR,
        typed=_typed(one),
        error=error,
        may_own=me().may(Right.OWN),
    )


def _told(one: Import) -> dict[str, object]:
    return {
        "one": one,
        "at_work": one.state in AT_WORK,
        "over": one.state in OVER,
        "outcomes": [(outcome, SAID[outcome], one.count(outcome)) for outcome in Outcome if one.count(outcome)],
        "kept": import_runs.REFUSALS_KEPT,
    }


def _typed(one: Import) -> dict[str, str]:
    """What stands in the form: as it was sent, else as it was kept."""
    if request.method == "POST":
        return dict(request.form)
    known = {f"column-{what}": str(at) for what, at in one.columns.items()}
    kept = {
        "source": one.source,
        "proof": one.proof,
        "mode": one.mode.value,
        "usual": str(one.slot_id or one.newsletter.default_slot.id),
    }
    return known | kept | {"an_hour": str(one.an_hour or importing.AN_HOUR[2])}


@pages.get(f"{ONE}/progress", endpoint="import_progress")
@needs(Right.HELP_SUBSCRIBERS)
def progress(id: int) -> Response:
    """What changes on the page while it is worked on; when that is over, the page is asked for anew."""
    one = an_import(id)
    answer = make_response(render_template("admin/_import_progress.html", **_told(one)))
    if one.state not in AT_WORK:
        answer.headers["HX-Refresh"] = "true"
    return answer


@pages.post(f"{ONE}/read", endpoint="read_import")
@needs(Right.HELP_SUBSCRIBERS)
def read(id: int) -> ResponseReturnValue:
    form = request.form
    names = {"yes": True, "no": False}.get(form.get("names", ""))
    return attempt(
        lambda: importing.read_as(id, form.get("charset", ""), form.get("separator", ""), names),
        "The file is read in this way now.",
        url_for("admin.one_import", id=id),
    )


@pages.post(ONE, endpoint="check_import")
@needs(Right.HELP_SUBSCRIBERS)
def check(id: int) -> ResponseReturnValue:
    wish = _wish()
    if wish.mode is ImportMode.CONFIRMED and not me().may(Right.OWN):
        abort(403)
    try:
        importing.check(id, wish, the_clock().now(), me().actor)
    except (importing.ImportNotNow, importing.ColumnMissing, importing.ColumnTwice) as problem:
        return _page(an_import(id), problem), 422
    except (importing.SourceMissing, importing.ProofMissing) as problem:
        return _page(an_import(id), problem), 422
    return redirect(url_for("admin.one_import", id=id), 303)


def _wish() -> Wish:
    form = request.form
    columns = {what: int(at) for what in Meaning if (at := form.get(f"column-{what}", "")).isdecimal() and len(at) < 6}
    return Wish(
        columns,
        form.get("source", ""),
        ImportMode.CONFIRMED if form.get("mode") == ImportMode.CONFIRMED else ImportMode.ASK,
        form.get("proof", ""),
        form.get("usual", type=int),
        form.get("an_hour", 0, type=int),
    )


@pages.post(f"{ONE}/start", endpoint="start_import")
@proven
@needs(Right.HELP_SUBSCRIBERS)
def start(id: int) -> ResponseReturnValue:
    if an_import(id).mode is ImportMode.CONFIRMED and not me().may(Right.OWN):
        abort(403)
    return attempt(
        lambda: importing.start(id, the_clock().now(), me().actor),
        "It has begun. You can close this page; it goes on.",
        url_for("admin.one_import", id=id),
    )


@pages.post(f"{ONE}/cancel", endpoint="cancel_import")
@needs(Right.HELP_SUBSCRIBERS)
def cancel(id: int) -> ResponseReturnValue:
    was_running = an_import(id).state is ImportState.RUNNING
    if not importing.cancel(id, the_clock().now(), me().actor):
        flash("It was over already. Nothing was changed.", "problem")
    elif was_running:
        flash("Cancelled. Who was taken stays, and nobody else comes.", "done")
    else:
        flash("Thrown away, with its file. Nobody was taken.", "done")
        return redirect(url_for("admin.imports"), 303)
    return redirect(url_for("admin.one_import", id=id), 303)


@pages.post(f"{ONE}/refused.csv", endpoint="refused_csv")
@needs(Right.HELP_SUBSCRIBERS)
def refused(id: int) -> ResponseReturnValue:
    one, now = an_import(id), the_clock().now()
    if one.file_gone_at is not None or one.state in AT_WORK:
        flash("The file is not there any more, and its rows with it.", "problem")
        return redirect(url_for("admin.one_import", id=id), 303)
    titles = uploading.look(one).table.titles
    with transaction():
        audit.record(me().actor, "import.export-refused", f"import:{id}", now, rows=one.not_taken)
    return csv_file(f"not-taken-{id}.csv", ("line", "reason", *titles), _batches(importing.refused(one)))


def _batches(rows: Iterator[tuple[Row, Outcome]]) -> Iterator[Iterable[tuple[object, ...]]]:
    while some := list(islice(rows, A_BATCH)):
        yield ((row.line, row.problem or SAID[outcome], *row.cells) for row, outcome in some)


# Out


@pages.get("/subscribers/export", endpoint="export")
@needs(Right.HELP_SUBSCRIBERS)
def show_export() -> str:
    return _export_page(filters.asked(request.args))


@pages.post("/subscribers/export", endpoint="export_readers")
@proven
@needs(Right.HELP_SUBSCRIBERS)
def export() -> ResponseReturnValue:
    """It is a POST because it is written down who took everybody's addresses along."""
    asked = filters.asked({name: text for name, text in request.form.items() if name != "newsletter"})
    wanted = [my_newsletter(slug) for slug in request.form.getlist("newsletter")]
    if asked.wrong:
        return _export_page(asked, "A filter is wrong. Nothing was exported; choose the readers anew."), 422
    if not wanted:
        return _export_page(asked, "Choose one newsletter at least. Nothing was exported."), 422
    slugs, now = [one.slug for one in wanted], the_clock().now()
    whom = Whom([one.id for one in wanted], asked.conditions)
    batches = exporting.export(whom, now, me().actor, newsletters=slugs)
    name = f"readers-{'-'.join(slugs)[:60]}-{now:%Y-%m-%d}"
    if request.form.get("as") == "jsonl":
        return json_file(f"{name}.jsonl", exporting.COLUMNS, batches)
    return csv_file(f"{name}.csv", exporting.COLUMNS, batches)


def _export_page(asked: Filter, error: str = "") -> str:
    """The state is chosen on the page, and so are newsletters; other filters come along from the list of readers."""
    mine = my_newsletters()
    along = [one for one in asked.conditions if not isinstance(one, OfNewsletter | InState)]
    ticked = [slug] if (slug := asked.typed.get("newsletter")) else request.form.getlist("newsletter")
    return render_template(
        "admin/export.html",
        newsletters=mine,
        ticked=ticked or [one.slug for one in mine],
        state=asked.typed.get("state", ""),
        along=filters.fields_of(along, mine),
        said=filters.in_words(along, mine),
        columns=exporting.COLUMNS,
        error=error,
    )
