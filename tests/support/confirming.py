"""Readers who sign up and confirm, without forms and pages."""

from __future__ import annotations

from collections.abc import Collection

from newsletter.foundation.links import Purpose
from newsletter.subscribers import answering, signing_up
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.signing_up import Wishes
from tests.conftest import House
from tests.support.newsroom import Paper


def ask(house: House, address: str, *papers: Paper, slot_ids: Collection[int] = (), language: str = "") -> str:
    """Somebody asks for newsletters and is answered; the token of the link in the mail that waits to be sent."""
    wishes = Wishes([paper.slug for paper in papers], slot_ids, language=language)
    with house.app.app_context():
        asked = signing_up.request(wishes, address, Origin(), house.now, house.keys)
        answering.answer_due(house.now, house.keys, house.links)
        return house.links.make(Purpose.CONFIRM, asked.id, asked.expires_at)


def confirm(house: House, token: str) -> None:
    with house.app.app_context():
        signing_up.confirm(token, Origin(), house.now, house.keys, house.links)


def sign_up(house: House, address: str, *papers: Paper, slot_ids: Collection[int] = ()) -> None:
    """Ask, and confirm at once."""
    confirm(house, ask(house, address, *papers, slot_ids=slot_ids))
