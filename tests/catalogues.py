"""Our words in other languages: `update` takes new messages into the catalogues, `check` finds what is missing."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

import newsletter.app  # noqa: F401  # so that every error of ours is known
from newsletter.foundation.errors import ReaderError
from newsletter.foundation.languages import ENGLISH, FOLDER, LANGUAGES

HOUSE = Path(__file__).parent.parent
JINJA = {"extensions": "jinja2.ext.i18n", "trimmed": "true", "trim_blocks": "true", "lstrip_blocks": "true"}
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2), "Words": None}
KEPT_TOGETHER = re.compile(r"<[^>]*>|%\(\w+\)[sd]|\{\w+\}|%%")
"""Tags and places for values: a translation has the same as its message."""

PASSING = re.compile(rb'^"(?:POT-|PO-|Last-Translator|Language-Team|Generated-By|Report-Msgid).*\n', re.MULTILINE)
"""Lines of a catalogue's head that change without a change, or say nothing."""


def found() -> Catalog:
    """Every message: in templates, in code through gettext or Words, and what readers are told of errors."""
    catalog = Catalog(charset="utf-8")
    for place, text, context, comments in (*_in("templates", "jinja2"), *_in("newsletter", "python")):
        catalog.add(text, locations=[(place, 0)], auto_comments=comments, context=context)
    for error in sorted(_below(ReaderError), key=lambda one: one.__qualname__):
        catalog.add(error.words(), locations=[(f"{error.__module__.replace('.', '/')}.py", 0)])
    return catalog


def _in(folder: str, language: str) -> Iterator[tuple[str, str | tuple[str, ...], str | None, list[str]]]:
    endings = ("py",) if language == "python" else ("html", "txt", "mjml", "xml")
    methods = [(f"**.{ending}", language) for ending in endings]
    options = {pattern: JINJA for pattern, _ in methods} if language == "jinja2" else {}
    extracted = extract_from_dir(
        HOUSE / folder,
        methods,
        options,
        KEYWORDS,
        ("Translators:",),
        directory_filter=lambda _: True,  # else Babel passes over folders whose names begin with an underscore
    )
    for file, _, text, comments, context in extracted:
        yield f"{folder}/{file}", text, context, comments


def _below(error: type[ReaderError]) -> Iterator[type[ReaderError]]:
    for below in error.__subclasses__():
        yield below
        yield from _below(below)


def kept(language: str) -> Catalog:
    path = FOLDER / f"{language}.po"
    if not path.exists():
        return Catalog(locale=language)
    with path.open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def update(language: str) -> None:
    """Keep the translations of the messages that still are, add the new ones without any, and drop the others."""
    old, new = kept(language), found()
    catalog = Catalog(
        locale=language,
        project="Daily Headlines",
        charset="utf-8",
        header_comment=f"# {LANGUAGES[language]}",
        fuzzy=False,
    )
    for message in new:
        if message.id:
            before = old.get(message.id, message.context)
            catalog.add(
                message.id,
                before.string if before else "",
                locations=message.locations,
                auto_comments=message.auto_comments,
                context=message.context,
            )
    written = BytesIO()
    write_po(written, catalog, width=120, sort_by_file=True, include_lineno=False)
    (FOLDER / f"{language}.po").write_bytes(PASSING.sub(b"", written.getvalue()))


def faults(language: str) -> Iterator[str]:
    """What is wrong with a catalogue, a line each."""
    has, wanted = kept(language), found()
    for message in wanted:
        if message.id:
            yield from _faults_of(message, has.get(message.id, message.context))
    for message in (*has, *has.obsolete.values()):
        if message.id and wanted.get(message.id, message.context) is None:
            yield f"unused: {message.id!r}"


def _faults_of(wanted: Message, has: Message | None) -> Iterator[str]:
    sources = wanted.id if isinstance(wanted.id, tuple) else (wanted.id,)
    strings = () if has is None else has.string if isinstance(has.string, tuple) else (has.string,)
    if not strings or not all(strings):
        yield f"missing: {wanted.id!r} ({', '.join(place for place, _ in wanted.locations)})"
        return
    if has is not None and has.fuzzy:
        yield f"fuzzy: {wanted.id!r}"
    may = [_kept_together(source) for source in sources]
    for string in strings:
        if _kept_together(str(string)) not in may:
            yield f"other tags or places than the message has: {string!r}"
        if (str(string)[0].isspace(), str(string)[-1].isspace()) != (sources[0][0].isspace(), sources[0][-1].isspace()):
            yield f"begins or ends with a space, or does not: {string!r}"


def _kept_together(text: str) -> Counter[str]:
    return Counter(KEPT_TOGETHER.findall(text))


def main(act: str) -> int:
    others = [language for language in LANGUAGES if language != ENGLISH]
    if act == "update":
        for language in others:
            update(language)
    wrong = [f"{language}: {fault}" for language in others for fault in faults(language)]
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
