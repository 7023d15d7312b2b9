"""The language that a page speaks: what the visitor chose, else what their browser asks for, else the newsletter's."""

from __future__ import annotations

from contextlib import AbstractContextManager
from urllib.parse import urlencode

from babel.support import NullTranslations
from flask import Flask, Response, current_app, g, has_request_context, request
from flask_babel import Babel, Domain, force_locale, get_locale, gettext, refresh
from werkzeug.exceptions import HTTPException

from newsletter.foundation.errors import NewsletterError, ReaderError
from newsletter.foundation.languages import ENGLISH, LANGUAGES, Words, catalogue, direction, spoken
from newsletter.newsletters.models import newsletters
from newsletter.web.security import at_fault, is_for_readers

COOKIE = "language"
COOKIE_SECONDS = 365 * 86400


class _Catalogues(Domain):  # type: ignore[misc]  # Flask-Babel has no types
    """Our own catalogues, which are read from their sources."""

    def get_translations(self) -> NullTranslations:
        return catalogue(language())


class _Babel(Babel):  # type: ignore[misc]
    @property
    def domain_instance(self) -> Domain:
        return _Catalogues()


def install(app: Flask) -> None:
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    _Babel(app, default_locale=ENGLISH, locale_selector=_choose)
    app.jinja_env.globals.update(
        language=language,
        direction=direction,
        languages=LANGUAGES,
        chosen_language=chosen,
        named_language=named,
        language_links=links,
    )
    app.after_request(_remember)


def language() -> str:
    """That of our own words on this page, one of LANGUAGES. Staff's pages are in English."""
    return str(get_locale() or ENGLISH)


def speak(readers: str) -> None:
    """From here on this page speaks the language that a reader keeps for themselves, if they do and if the page's
    address or form names no other."""
    g.readers_language = _known(readers)
    refresh()


def speaking(of: str) -> AbstractContextManager[None]:
    """Meanwhile our words are in that language, whoever asks for them."""
    inside: AbstractContextManager[None] = force_locale(spoken(of))
    return inside


def _choose() -> str:
    if not has_request_context() or not is_for_readers():
        return ENGLISH
    return chosen() or _first_newsletters()


def chosen() -> str:
    """The language that this page's address or form names, its reader keeps, or the visitor's browser brings; ""
    when nobody said which, so that each newsletter's own is right."""
    return named() or g.get("readers_language", "") or _browsers()


def named() -> str:
    """The language that the page's own address or form names, or ""."""
    if code := _known(request.args.get("language", "")):
        return code
    try:
        return _known(request.form.get("language", ""))
    except HTTPException:  # a form that cannot be read, which its page says
        return ""


def _browsers() -> str:
    """The one that was pressed on an earlier page, or that of the browser's own which we have and it likes best."""
    g.asks_the_browser = True
    liked = (tag.partition("-")[0].lower() for tag, quality in request.accept_languages if quality > 0)
    return _known(request.cookies.get(COOKIE, "")) or next(filter(None, map(_known, liked)), "")


def _known(code: str) -> str:
    return code if code in LANGUAGES else ""


def _first_newsletters() -> str:
    every = [] if at_fault() else newsletters()
    return spoken(every[0].language) if every else ENGLISH


def _remember(answer: Response) -> Response:
    """Who chose a language at the foot of a page has it on the next one; nothing else is kept in a cookie."""
    if g.get("asks_the_browser"):
        answer.vary.update(("Accept-Language", "Cookie"))
        if kept := answer.cache_control.max_age:  # Chromium keeps a page in spite of a cookie that has changed
            answer.cache_control.s_maxage, answer.cache_control.max_age = kept, 0
    pressed = _known(request.args.get("language", ""))
    if pressed and is_for_readers() and request.blueprint != "embed":
        secure = current_app.config["SESSION_COOKIE_SECURE"]
        answer.set_cookie(COOKIE, pressed, COOKIE_SECONDS, httponly=True, samesite="Lax", secure=secure)
    return answer


def links() -> list[tuple[str, str, str]]:
    """This page in every language: its code, its own name, and the address; none for the one that it is in.

    Empty where there is no such page, because this one answers a form or is for staff.
    """
    if request.method not in ("GET", "HEAD") or not is_for_readers():
        return []
    others = [(key, value) for key, value in request.args.items(multi=True) if key != "language"]
    return [
        (code, name, "" if code == language() else "?" + urlencode([*others, ("language", code)]))
        for code, name in LANGUAGES.items()
    ]


def said(error: NewsletterError) -> str:
    """The error's sentence in the page's language."""
    if not isinstance(error, ReaderError):
        return str(error)
    subject = {key: gettext(value) if isinstance(value, Words) else value for key, value in error.subject.items()}
    return str(gettext(error.words())).format(**subject)
