"""Pages as a browser without scripts uses them: what is in their forms, and pressing their buttons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lxml.html
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

IP = "192.0.2.7"


def page_of(answer: TestResponse) -> Any:
    return lxml.html.fromstring(answer.text)


def form_of(answer: TestResponse, button: str) -> Any:
    """The form whose button says so."""
    found = [form for form in page_of(answer).forms if any(button in text for text in _buttons(form))]
    assert found, f"no button “{button}” among {[_buttons(form) for form in page_of(answer).forms]}"
    return found[0]


def buttons_of(answer: TestResponse) -> list[str]:
    return [text for form in page_of(answer).forms for text in _buttons(form)]


def primary_buttons_of(answer: TestResponse) -> list[str]:
    """What the eye is led to."""
    found = page_of(answer).xpath("//main//*[contains(concat(' ', @class, ' '), ' button ')]")
    return [one.text_content().strip() for one in found if "button-quiet" not in one.get("class")]


def _buttons(form: Any) -> list[str]:
    return [" ".join(one.text_content().split()) for one in form.xpath(".//button")]


def fields_of(answer: TestResponse, button: str) -> dict[str, list[str]]:
    """What a browser would send if nobody changed anything."""
    sent: dict[str, list[str]] = {}
    for name, value in form_of(answer, button).form_values():
        sent.setdefault(name, []).append(value)
    return sent


def press(
    browser: FlaskClient, answer: TestResponse, button: str, ip: str = IP, **changed: str | Sequence[str] | None
) -> TestResponse:
    """Send the form with that button. None takes a field away; a named button sends its name."""
    form = form_of(answer, button)
    sent: dict[str, Any] = fields_of(answer, button)
    pressed = next(one for one in form.xpath(".//button") if button in " ".join(one.text_content().split()))
    if pressed.get("name"):
        sent[pressed.get("name")] = [pressed.get("value")]
    sent.update(changed)
    data = {name: value for name, value in sent.items() if value is not None}
    action = form.get("action") or answer.request.path
    return browser.post(action, data=data, environ_overrides={"REMOTE_ADDR": ip})


def titles_of(answer: TestResponse) -> tuple[str, str]:
    """The page's title and its first heading."""
    page = page_of(answer)
    return page.findtext(".//title").strip(), " ".join(page.find(".//h1").text_content().split())
