"""Errors named by their remedy.

A class's docstring is its message, with the subjects it is raised with filled in; so the sentence that staff and
operators read stands in one place, beside the name that code catches.
"""

from __future__ import annotations

from inspect import cleandoc

from newsletter.foundation.languages import Words


class NewsletterError(Exception):
    """Something expected went wrong."""

    def __init__(self, **subject: object) -> None:
        self.subject = subject
        super().__init__(self.words().format(**subject))

    @classmethod
    def words(cls) -> Words:
        """The message before its subjects are filled in."""
        text = " ".join(cleandoc(cls.__doc__ or "").split())
        return Words(text)


class ReaderError(NewsletterError):
    """Something that readers are told of on their pages, in their language, and that they can put right."""


class CannotStart(NewsletterError):
    """The service cannot start as it is set up."""


class NotFound(NewsletterError):
    """There is no {what}."""


class Refused(NewsletterError):
    """This cannot be done now: {why}"""
