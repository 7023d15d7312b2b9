"""Pages for staff."""

from __future__ import annotations

from flask import Flask

from newsletter.web.admin import access, editions, home, sources, subscribers

__all__ = ["access", "editions", "home", "install", "sources", "subscribers"]


def install(app: Flask) -> None:
    access.install(app)
    app.register_blueprint(access.pages)
