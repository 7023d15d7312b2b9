"""What is worked out once for all the apps of a run: to do it for each would take longer than most tests."""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule


class Templates(BytecodeCache):
    """By name and source, as Jinja asks for them."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._known.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        assert bucket.code is not None
        self._known[bucket.key, bucket.checksum] = bucket.code


class Route(Rule):
    """Werkzeug takes every rule of every app to pieces, and compiles two functions for it that are given the rule."""

    _known: dict[object, tuple[dict[str, Any], Callable[..., Any], Callable[..., Any]]] = {}  # noqa: RUF012 - for all

    def compile(self) -> None:
        key = (self.rule, self.subdomain, self.host, str(self.defaults), self.merge_slashes)
        if key not in self._known:
            super().compile()
            pieces = {name: getattr(self, name) for name in ("_parts", "_trace", "_converters", "arguments")}
            self._known[key] = pieces, self._build.__func__, self._build_unknown.__func__  # type: ignore[attr-defined]
        pieces, build, build_unknown = self._known[key]
        vars(self).update(pieces)
        self._build, self._build_unknown = build.__get__(self), build_unknown.__get__(self)


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
