"""What is compiled once for all the apps of a run: a test's own app would spend more time on it than on most tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule


class Templates(BytecodeCache):
    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._known:
            bucket.bytecode_from_string(self._known[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key] = bucket.bytecode_to_string()


class Route(Rule):
    """Werkzeug compiles two functions for every rule of every app; they take the rule as their argument."""

    _known: dict[object, Callable[..., Any]] = {}  # noqa: RUF012 - one for all

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., Any]:
        key = (self.rule, self.subdomain, self.host, str(self.defaults), append_unknown)
        if key not in self._known:
            self._known[key] = super()._compile_builder(append_unknown)
        return self._known[key]


ENGINES: dict[str, sa.Engine] = {}
"""By URL: an engine compiles every statement once."""


def engine(self: SQLAlchemy, bind_key: str | None, options: dict[str, Any], app: Flask) -> sa.Engine:
    url = sa.make_url(options["url"]).render_as_string(hide_password=False)
    if url not in ENGINES:
        ENGINES[url] = sa.engine_from_config(options, prefix="")
    return ENGINES[url]


def forget_connections() -> None:
    """As if all that had them open had ended."""
    for one in ENGINES.values():
        one.dispose()


def remember() -> None:
    Flask.jinja_options["bytecode_cache"] = Templates()
    Flask.url_rule_class = Route
    SQLAlchemy._make_engine = engine  # type: ignore[method-assign]
