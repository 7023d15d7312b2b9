"""Pages: parse, call one verb of a subject, answer."""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from newsletter.foundation.config import Config
from newsletter.web import admin, archive, embed, formats, preferences, public, security, speaking, visitors

STATIC = Path(__file__).parent.parent / "static"


def install(app: Flask, config: Config, secret: str) -> None:
    """Give `app` its pages."""
    security.install(app, config, secret)
    speaking.install(app)
    formats.install(app)
    visitors.install(app)
    public.install(app)
    preferences.install(app)
    embed.install(app)
    archive.install(app)
    admin.install(app)
