"""Pages as a browser without scripts uses them: what stands there is filled in and pressed, hidden fields and all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lxml import html
from werkzeug.test import TestResponse

from tests.integration.subscribers import SITE
from tests.integration.web import Desk

Element = Any
"""lxml's; it has no types."""


@dataclass(frozen=True)
class Sheet:
    """A page that was opened by somebody of the staff, at an address."""

    desk: Desk
    path: str
    status: int
    root: Element

    @property
    def words(self) -> str:
        return words(self.root)

    def find(self, id: str) -> Element:
        return self.root.get_element_by_id(id)

    def buttons(self) -> list[str]:
        """What can be pressed, apart from signing out."""
        return [words(one) for one in self.root.iter("button") if words(one) != "Sign out"]

    def links(self) -> dict[str, str]:
        return {words(one): one.get("href") for one in self.root.iter("a")}

    def fields(self, button: str) -> dict[str, str]:
        """What stands in the form that has the button."""
        return _values(self._form(button)[0])

    def wrong(self) -> dict[str, str]:
        """What stands beside fields, by the field that it is tied to."""
        return {
            field.get("id"): words(self.find(described))
            for field in self.root.xpath("//*[@aria-describedby]")
            for described in field.get("aria-describedby").split()
            if described.endswith("-error")
        }

    def press(self, button: str, **typed: str | list[str]) -> TestResponse:
        """Type into the form that has the button, and press it."""
        form, pressed = self._form(button)
        data = {**_values(form), **typed}
        if pressed.get("name"):
            data[pressed.get("name")] = pressed.get("value")
        return self.desk.client.post(form.get("action") or self.path, base_url=SITE, data=data)

    def after(self, button: str, **typed: str | list[str]) -> Sheet:
        """The page that pressing it leads to, or that it is."""
        answer = self.press(button, **typed)
        if answer.status_code == 303:
            return open_page(self.desk, answer.headers["Location"])
        return Sheet(self.desk, self.path, answer.status_code, html.document_fromstring(answer.text))

    def _form(self, button: str) -> tuple[Element, Element]:
        for form in self.root.iter("form"):
            for one in form.iter("button"):
                if words(one) == button:
                    return form, one
        raise AssertionError(f"no “{button}” among {self.buttons()}: {self.words}")


def open_page(desk: Desk, path: str) -> Sheet:
    answer = desk.get(path)
    assert answer.status_code in (200, 404), (path, answer.status_code)
    return Sheet(desk, path, answer.status_code, html.document_fromstring(answer.text))


def words(element: Element) -> str:
    return " ".join(element.text_content().split())


def _values(form: Element) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in form.xpath(".//input[@name] | .//textarea | .//select"):
        name = field.get("name")
        if field.tag == "textarea":
            values[name] = (field.text or "").removeprefix("\n")
        elif field.tag == "select":
            values[name] = field.xpath("string(.//option[@selected]/@value)")
        elif field.get("type") == "radio":
            if field.get("checked") is not None:
                values[name] = field.get("value")
        elif field.get("type") != "checkbox":
            values[name] = field.get("value", "")
        elif field.get("checked") is not None:
            values.setdefault(name, []).append(field.get("value"))
    return values
