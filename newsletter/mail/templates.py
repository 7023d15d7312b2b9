"""Mails from templates: a name plus data.

A mail is a folder templates/email/<name>/ with subject.txt, body.mjml and body.txt. The text part has a template of its
own; it is never made from the HTML. Data is escaped in the HTML and left as it is in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup, escape
from mjml import mjml2html

from newsletter.foundation import writing
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.languages import ENGLISH, catalogue, direction, spoken
from newsletter.foundation.text import one_line

NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that no XML may hold, and so no MJML (XML 1.0 §2.2)."""

NO_BREAK = re.compile("([\u00a0\u202f])")
"""Spaces at which no line may be broken."""

OVERRIDES = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)))
"""Characters that turn the direction of what stands around them (UAX #9); nothing that is written in may do that."""


class TemplateBroken(NewsletterError):
    """The template of the mail “{name}” does not compile: {cause}"""


@dataclass(frozen=True)
class Rendered:
    """A mail's words, before it is a message."""

    subject: str
    html: str
    text: str


def folder() -> Path:
    """Where the templates are: beside the package in a checkout, inside it when installed from a wheel."""
    package = Path(__file__).parent.parent
    inside = package / "templates"
    return inside if inside.is_dir() else package.parent / "templates"


def render(name: str, /, language: str = ENGLISH, **data: object) -> Rendered:
    """`language` is that of our own words. The body may use the whole subject, as `title`.

    Raises TemplateBroken when the MJML does not compile; a name missing from `data` raises Jinja's error.
    """
    language = spoken(language)
    env = _environment(language)
    known = data | {"language": language}
    subject = one_line(env.get_template(f"{name}/subject.txt").render(known))
    source = env.get_template(f"{name}/body.mjml").render(known, title=subject)
    try:
        html = str(mjml2html(NOT_XML.sub("", source)))
    except Exception as error:  # mrml raises bare exceptions of its own
        raise TemplateBroken(name=name, cause=error) from error
    return Rendered(subject, html, env.get_template(f"{name}/body.txt").render(known).strip() + "\n")


@cache
def _environment(language: str) -> Environment:
    """`gettext` and what writes dates speak its language."""
    env = Environment(
        loader=FileSystemLoader(folder() / "email"),
        autoescape=lambda name: bool(name and name.endswith(".mjml")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_harmless,
        extensions=["jinja2.ext.i18n"],
    )
    env.policies["ext.i18n.trimmed"] = True
    words: Any = env  # the extension's methods are not among the class's own
    words.install_gettext_translations(catalogue(language), newstyle=True)
    env.filters |= {"one_line": one_line, "in_line": _in_line} | _writers(language)
    env.globals["direction"] = direction
    return env


def _writers(language: str) -> dict[str, Callable[..., str]]:
    """Filters that write ISO moments, zones and lists as people do."""

    @pass_eval_context
    def listed(context: EvalContext, parts: Iterable[str]) -> str:
        if context.autoescape:
            return Markup(writing.listed([escape(part) for part in parts], language))
        return writing.listed(list(parts), language)

    return {
        "day": lambda moment: writing.long_day(_read(moment), language),
        "moment": lambda moment: writing.moment(_read(moment), language=language, of_day=writing.long_day),
        "place": lambda zone: writing.place(zone, language),
        "listed": listed,
    }


def _read(moment: object) -> datetime:
    return datetime.fromisoformat(str(moment))  # str() also raises what Jinja has for a name that is missing


def _in_line(text: str) -> str:
    """As `one_line`, but what must not be parted stays together: French sets such spaces before its question marks."""
    return "".join(part if NO_BREAK.match(part) else one_line(part) for part in NO_BREAK.split(text))


def _harmless(value: object) -> object:
    return value.translate(OVERRIDES) if isinstance(value, str) else value
