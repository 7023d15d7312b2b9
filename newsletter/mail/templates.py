"""Mails from templates: a name plus data.

A mail is a folder templates/email/<name>/ with subject.txt, body.mjml and body.txt. The text part has a template of its
own; it is never made from the HTML. Data is escaped in the HTML and left as it is in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from mjml import mjml2html

from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.text import one_line

NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that no XML may hold, and so no MJML (XML 1.0 §2.2)."""


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


def render(name: str, /, **data: object) -> Rendered:
    """Raises TemplateBroken when the MJML does not compile; a name missing from `data` raises Jinja's error."""
    env = _environment()
    subject = env.get_template(f"{name}/subject.txt").render(data)
    source = NOT_XML.sub("", env.get_template(f"{name}/body.mjml").render(data))
    try:
        html = str(mjml2html(source))
    except Exception as error:  # mrml raises bare exceptions of its own
        raise TemplateBroken(name=name, cause=error) from error
    return Rendered(one_line(subject), html, env.get_template(f"{name}/body.txt").render(data).strip() + "\n")


@cache
def _environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(folder() / "email"),
        autoescape=lambda name: bool(name and name.endswith(".mjml")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    env.filters["one_line"] = one_line
    return env
