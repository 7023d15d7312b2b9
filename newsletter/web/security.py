"""What every answer must carry, whom we believe about a visitor's address, and how errors look."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Flask, Response, current_app, g, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import HTTPException

from newsletter.foundation.config import Config
from newsletter.foundation.errors import NotFound
from newsletter.foundation.languages import Words

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

FORM_AT_MOST = 256 * 1024
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: http: https:; font-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data: http: https:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
"""For a mail shown in a frame: its styles are inline, and nothing in it runs."""

csrf = CSRFProtect()

View = TypeVar("View", bound=Callable[..., Any])


def takes(octets: int) -> Callable[[View], View]:
    """For a view whose form may hold so much, a file for instance, and not only what every form may."""

    def decided(view: View) -> View:
        view.takes = octets  # type: ignore[attr-defined]
        return view

    return decided


def _open_wide() -> None:
    """Before the form is read, which looking for its token does."""
    view = current_app.view_functions.get(request.endpoint or "")
    if at_most := getattr(view, "takes", None):
        request.max_content_length = request.max_form_memory_size = at_most


WORDS = {
    400: (
        Words("That did not work"),
        Words("The form could not be read. Go back, reload the page and try again; nothing was changed."),
    ),
    403: (
        "Not for you",
        "You are signed in, but this is not among what your role may do. Ask an owner of this site.",
    ),
    404: (Words("Not here"), Words("There is no such page. The link may be incomplete; nothing was changed.")),
    405: (Words("Not this way"), Words("This address does not take that kind of request. Nothing was changed.")),
    413: (Words("Too large"), Words("That was more than this form takes. Nothing was saved.")),
    429: (
        Words("Too many at once"),
        Words("There were too many requests from your network. Please try again in an hour."),
    ),
    500: (
        Words("Something broke"),
        Words("The fault is ours and has been logged. What you sent may not have been saved."),
    ),
    503: (
        Words("Back in a moment"),
        Words("The service is being looked after. Please try again in a few minutes."),
    ),
}

STAFFS_BLUEPRINTS, STAFFS_PATHS = ("admin", "demo"), ("/admin/", "/demo/")
"""Pages in English. A path counts where no page was found."""


def install(app: Flask, config: Config, secret: str) -> None:
    app.config.update(
        SECRET_KEY=secret,
        SESSION_COOKIE_NAME="newsletter",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=config.site_url.startswith("https:"),
        MAX_CONTENT_LENGTH=FORM_AT_MOST,
        MAX_FORM_MEMORY_SIZE=FORM_AT_MOST,
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=False,  # the Referer is checked by nobody: our own pages send none
    )
    app.before_request(_open_wide)
    csrf.init_app(app)
    app.wsgi_app = TrustedProxies(app.wsgi_app, config.web.trusted_proxies)  # type: ignore[method-assign]
    app.after_request(_headers)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(CSRFError, _stale_form)
    app.register_error_handler(NotFound, _not_found)


class TrustedProxies:
    """Takes the visitor's address and scheme from X-Forwarded-… only when a trusted proxy says so.

    The header is read from its right end, past every proxy that is trusted; what lies further left is a stranger's
    own claim.
    """

    def __init__(self, app: WSGIApplication, networks: Iterable[str]) -> None:
        self._app = app
        self._networks = [ipaddress.ip_network(network, strict=False) for network in networks]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        remote = address_of(environ.get("REMOTE_ADDR", ""))
        if remote is not None:
            environ["REMOTE_ADDR"] = remote
        if self._trusts(remote):
            self._believe(environ)
        return self._app(environ, start_response)

    def _believe(self, environ: WSGIEnvironment) -> None:
        for claimed in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
            address = address_of(claimed)
            if address is None:
                break
            environ["REMOTE_ADDR"] = address
            if not self._trusts(address):
                break
        if environ.get("HTTP_X_FORWARDED_PROTO") in ("http", "https"):
            environ["wsgi.url_scheme"] = environ["HTTP_X_FORWARDED_PROTO"]

    def _trusts(self, address: str | None) -> bool:
        return address is not None and any(ipaddress.ip_address(address) in network for network in self._networks)


def address_of(text: str) -> str | None:
    """The IP address in `text`, which may have a port, brackets, or an IPv4 address inside an IPv6 one."""
    text = text.strip()
    if match := re.fullmatch(r"\[(.+)\](:\d+)?|([\d.]+):\d+", text):
        text = match[1] or match[3]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def _headers(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _http_error(error: HTTPException) -> ResponseReturnValue:
    code = error.code or 500
    if code not in WORDS:
        return error
    g.at_fault = code >= 500
    headers = [(name, value) for name, value in error.get_headers() if name in ("Allow", "Retry-After")]
    return (*error_page(code), headers)


def _not_found(error: NotFound) -> ResponseReturnValue:
    """Staff are told what there is instead."""
    return error_page(404, sentence=None if is_for_readers() else str(error))


def is_for_readers() -> bool:
    """Whether this page, or what is told about one that there is not, is for readers."""
    if request.url_rule is None:
        return not request.path.startswith(STAFFS_PATHS)
    return request.blueprint is not None and request.blueprint not in STAFFS_BLUEPRINTS


def at_fault() -> bool:
    """Whether a fault of ours is being told; then nothing more is asked of what may have failed."""
    return bool(g.get("at_fault"))


def _stale_form(_error: CSRFError) -> tuple[str, int]:
    return error_page(400, sentence="This page had been open for too long. Go back, reload it and try again.")


def error_page(code: int, *, sentence: str | None = None) -> tuple[str, int]:
    title, words = map(gettext, WORDS[code])
    return render_template("errors/error.html", code=code, title=title, sentence=sentence or words), code


def mail_in_a_frame(html: str) -> Response:
    """A mail's HTML as an answer of its own, to be framed by one of our pages; its links open beside the frame."""
    html = html.replace("<head>", '<head><base target="_blank">', 1)
    return Response(html, mimetype="text/html", headers={"Content-Security-Policy": MAIL_POLICY})
