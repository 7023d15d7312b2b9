"""Mails from templates: a name plus data.

A mail is a folder templates/email/<name>/ with subject.txt, body.mjml and body.txt. The text part has a template of its
own; it is never made from the HTML. Data is escaped in the HTML and left as it is in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from mjml import mjml2html

from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.languages import ENGLISH
from newsletter.foundation.text import one_line

NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that no XML may hold, and so no MJML (XML 1.0 §2.2)."""

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
    env = _environment()
    known = data | {"language": language}
    subject = one_line(env.get_template(f"{name}/subject.txt").render(known))
    source = env.get_template(f"{name}/body.mjml").render(known, title=subject)
    try:
        html = str(mjml2html(NOT_XML.sub("", source)))
    except Exception as error:  # mrml raises bare exceptions of its own
        raise TemplateBroken(name=name, cause=error) from error
    return Rendered(subject, html, env.get_template(f"{name}/body.txt").render(known).strip() + "\n")


@cache
def _environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(folder() / "email"),
        autoescape=lambda name: bool(name and name.endswith(".mjml")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_harmless,
    )
    env.filters |= {"one_line": one_line, "day": _day, "moment": _moment}
    return env


def _harmless(value: object) -> object:
    return value.translate(OVERRIDES) if isinstance(value, str) else value


def _day(moment: str) -> str:
    """The day of an ISO moment, as people write it."""
    return f"{datetime.fromisoformat(str(moment)):%-d %B %Y}"


def _moment(moment: str) -> str:
    """An ISO moment in UTC, as people write it."""
    return f"{datetime.fromisoformat(str(moment)):%-d %B %Y, %H:%M} UTC"
