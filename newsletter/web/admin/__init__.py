"""Pages for staff."""

from __future__ import annotations

from flask import Flask

from newsletter.web.admin import (
    access,
    blocklist,
    bounces,
    box,
    consent_texts,
    delivery,
    desk,
    edition_desk,
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
    suppressions,
    system,
    times,
    trail,
    transfers,
)

__all__ = [
    "access",
    "blocklist",
    "bounces",
    "box",
    "consent_texts",
    "delivery",
    "desk",
    "edition_desk",
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
    "suppressions",
    "system",
    "times",
    "trail",
    "transfers",
]


def install(app: Flask) -> None:
    access.install(app)
    inbox.install(app)
    app.register_blueprint(access.pages)
