"""Pages for staff."""

from __future__ import annotations

from flask import Flask

from newsletter.web.admin import (
    access,
    blocklist,
    bounces,
    box,
    delivery,
    edition_edit,
    editions,
    home,
    inbox,
    many,
    mending,
    mine,
    newsletters,
    reader,
    signing_in,
    sources,
    staff,
    stories,
    subscribers,
    trail,
)

__all__ = [
    "access",
    "blocklist",
    "bounces",
    "box",
    "delivery",
    "edition_edit",
    "editions",
    "home",
    "inbox",
    "install",
    "many",
    "mending",
    "mine",
    "newsletters",
    "reader",
    "signing_in",
    "sources",
    "staff",
    "stories",
    "subscribers",
    "trail",
]


def install(app: Flask) -> None:
    access.install(app)
    inbox.install(app)
    app.register_blueprint(access.pages)
