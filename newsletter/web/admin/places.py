"""Which newsletters an address is about: what lies below it belongs to them, whichever route it is.

A new route below one of these places is kept by that; a new kind of thing wants a line here, and a test says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from newsletter.delivery.bounce_models import bounce, newsletters_of_bounce
from newsletter.editions.models import edition
from newsletter.newsletters.models import newsletter
from newsletter.stories.models import newsletters_of_story, source, story
from newsletter.subscribers.desk_models import bulk_act, segment
from newsletter.subscribers.import_models import an_import
from newsletter.subscribers.models import subscriber

Place = Callable[[Mapping[str, Any]], Iterable[int]]
"""The newsletters' ids by what stands in the address; raises NotFound where there is no such thing."""

NUMBER = "<int(max=2147483647):id>"


def of_edition(at: Mapping[str, Any]) -> Iterable[int]:
    return {edition(at["id"]).newsletter_id}


def of_subscriber(at: Mapping[str, Any]) -> Iterable[int]:
    return {one.newsletter_id for one in subscriber(at["id"]).subscriptions}


def of_import(at: Mapping[str, Any]) -> Iterable[int]:
    return {an_import(at["id"]).newsletter_id}


def of_story(at: Mapping[str, Any]) -> Iterable[int]:
    return newsletters_of_story(story(at["id"]))


def of_source(at: Mapping[str, Any]) -> Iterable[int]:
    return {use.newsletter_id for use in source(at["id"]).newsletters}


def of_bounce(at: Mapping[str, Any]) -> Iterable[int]:
    return newsletters_of_bounce(bounce(at["id"]))


def of_newsletter(at: Mapping[str, Any]) -> Iterable[int]:
    return {newsletter(at["slug"]).id}


def of_segment(at: Mapping[str, Any]) -> Iterable[int]:
    return segment(at["id"]).newsletter_ids or ()


def of_act(at: Mapping[str, Any]) -> Iterable[int]:
    return bulk_act(at["id"]).newsletter_ids or ()


PLACES: dict[str, Place] = {
    f"/admin/editions/{NUMBER}": of_edition,
    f"/admin/subscribers/{NUMBER}": of_subscriber,
    f"/admin/subscribers/import/{NUMBER}": of_import,
    f"/admin/segments/{NUMBER}": of_segment,
    f"/admin/many/{NUMBER}": of_act,
    f"/admin/stories/{NUMBER}": of_story,
    f"/admin/sources/{NUMBER}": of_source,
    f"/admin/bounces/{NUMBER}": of_bounce,
    f"/admin/bounces/editions/{NUMBER}": of_edition,
    "/admin/newsletters/<slug>": of_newsletter,
}


def place_of(rule: str) -> Place | None:
    return next((place for above, place in PLACES.items() if rule == above or rule.startswith(f"{above}/")), None)
