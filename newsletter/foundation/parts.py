"""How `create_app` hands its parts (the clock, the links, the relay …) to the verbs below it."""

from __future__ import annotations

from typing import Generic, TypeVar, cast

from flask import Flask, current_app

T = TypeVar("T")


class Part(Generic[T]):
    """One part of the running app: `install` puts it there, a call gives the current app's."""

    def __init__(self, name: str) -> None:
        self._key = f"newsletter.{name}"

    def install(self, app: Flask, part: T) -> None:
        app.extensions[self._key] = part

    def __call__(self) -> T:
        return cast(T, current_app.extensions[self._key])
