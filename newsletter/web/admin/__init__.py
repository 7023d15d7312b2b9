"""Pages for staff."""

from __future__ import annotations

from flask import Flask

from newsletter.web.admin import access, box, editions, home, newsletters, sources, stories, subscribers

__all__ = ["access", "box", "editions", "home", "install", "newsletters", "sources", "stories", "subscribers"]


def install(app: Flask) -> None:
    access.install(app)
    app.register_blueprint(access.pages)
