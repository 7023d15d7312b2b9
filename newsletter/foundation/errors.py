"""Errors named by their remedy.

A class's docstring is its message, with the subjects it is raised with filled in; so the sentence that staff and
operators read stands in one place, beside the name that code catches.
"""

from __future__ import annotations

from inspect import cleandoc


class NewsletterError(Exception):
    """Something expected went wrong."""

    def __init__(self, **subject: object) -> None:
        self.subject = subject
        template = " ".join(cleandoc(type(self).__doc__ or "").split())
        super().__init__(template.format(**subject))


class CannotStart(NewsletterError):
    """The service cannot start as it is set up."""


class NotFound(NewsletterError):
    """There is no {what}."""


class Refused(NewsletterError):
    """This cannot be done now: {why}"""
