"""What preflight has to look at: the edition as it would go out, its sources, and its readers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from markupsafe import escape

from newsletter.delivery.audience import audience_now, left_out
from newsletter.delivery.models import Delivery, DeliveryKind, SkipReason
from newsletter.editions import preflight, reaching, rendering
from newsletter.editions.models import Edition, EditionKind, EditionState, Item, Revision, subject_before
from newsletter.editions.preflight import Around, Audience, Content, Finding, Kind, Silent, Told
from newsletter.foundation.database import db
from newsletter.foundation.errors import Refused
from newsletter.foundation.links import the_links
from newsletter.mail import sender_notes
from newsletter.mail.message import fill
from newsletter.mail.templates import TemplateBroken
from newsletter.newsletters.models import Newsletter
from newsletter.stories import health
from newsletter.stories.models import stories_among

LONG_ADDRESS = 64
LONG_TOKEN = 80
"""As long as those of most readers: with them the mail is measured."""

SHOWN_AT_MOST = 2

UNDECIDED = (EditionState.PLANNED, EditionState.DRAFTED, EditionState.APPROVED)


class NotReady(Refused):
    """The edition is not ready: {why}"""

    def __init__(self, blocking: Sequence[Finding]) -> None:
        self.findings = tuple(blocking)
        more = len(blocking) - SHOWN_AT_MOST
        shown = " ".join(finding.message for finding in blocking[:SHOWN_AT_MOST])
        super().__init__(why=f"{shown} And {more} more." if more > 0 else shown)


def findings(found: Edition, now: datetime, typed_audience: str | None = None) -> list[Finding]:
    """What is wrong with the last revision, that which blocks first; nothing once the edition has gone out.

    `typed_audience` is the number of readers as a person typed it to say that it is right.
    """
    if found.state not in UNDECIDED:
        return []
    revision = found.revision
    last = _last_out(found) if found.corrects_id is None else None
    octets, shown, broken = _rendered(revision)
    around = Around(
        html_octets=octets,
        sections=tuple(found.newsletter.sections),
        last_subject=(subject_before(found) or None) if found.corrects_id is None else None,
        postal_address=found.newsletter.postal_address,
        sender=sender_notes.records_of(found.newsletter.from_address),
        silent=tuple(Silent(one.outlet, one.since) for one in health.silent(found.newsletter_id, now)),
        audience=_audience(found, last, typed_audience),
        left_out=left_out(found),
        inner=reaching.are_inner(),
        lets_in=reaching.let_in(),
    )
    return broken + preflight.examine(_content(revision, found.newsletter, shown), around)


def must_be_ready(found: Edition, now: datetime, typed_audience: str | None = None) -> None:
    """Raises NotReady when something blocks."""
    if blocking := [one for one in findings(found, now, typed_audience) if one.blocking]:
        raise NotReady(blocking)


def _rendered(revision: Revision | None) -> tuple[int | None, str, list[Finding]]:
    """How large the HTML is in octets, the HTML itself, and what is wrong with the template."""
    if revision is None:
        return None, "", []
    try:
        parts = rendering.parts_of(revision)
    except TemplateBroken as error:
        remedy = "Mend the template, or take back the last change to it."
        return None, "", [Finding(Kind.TEMPLATE, True, f"{error}.", remedy)]
    link = the_links().to("/preferences/" + "x" * LONG_TOKEN)
    words = dict.fromkeys(rendering.READER_WORDS, link) | {"address": "x" * LONG_ADDRESS}
    return len(fill(parts.html, parts.marker, words).encode()), parts.html, []


def _content(revision: Revision | None, newsletter: Newsletter, shown: str) -> Content:
    if revision is None:
        return Content(subject=newsletter.name)
    block = revision.block or {}
    by_hand = {story.id for story in stories_among(item.story_id for item in revision.items) if story.source_id is None}
    return Content(
        subject=revision.subject,
        preheader=revision.preheader,
        intro=revision.intro,
        stories=tuple(_told(item, newsletter, shown, by_hand) for item in revision.items),
        block=" ".join(str(block.get(name, "")) for name in ("label", "text", "link")),
        block_url=str(block.get("url", "")),
        by_hand=frozenset(map(str, revision.by_hand)),
    )


WRITTEN = ("headline", "summary", "image_alt")


def _told(item: Item, newsletter: Newsletter, shown: str, by_hand: set[int]) -> Told:
    written = item.story_id is None or item.story_id in by_hand
    picture = rendering.picture_url(item, newsletter.pictures) or ""
    return Told(
        position=item.position,
        headline=item.headline,
        summary=item.summary,
        url=item.url,
        section=item.section,
        picture=picture if picture and str(escape(picture)) in shown else "",
        alt=item.image_alt,
        others=tuple((str(other["outlet"]), str(other["url"])) for other in item.also_covered),
        by_hand=frozenset(WRITTEN) if written else frozenset(map(str, item.by_hand)),
        linkless=written or "url" in item.by_hand,
    )


def _audience(found: Edition, last: Edition | None, typed: str | None) -> Audience | None:
    """Nobody asks any more once it is approved; and those of a correction are fixed, by who received what was wrong."""
    if found.state is EditionState.APPROVED or last is None:
        return None
    return Audience(audience_now(found.slot_id, found.local_date), _mailed(last), _number(typed))


def _number(typed: str | None) -> int | None:
    """A number as people type it: 12345, 12,345 or 12 345."""
    digits = re.sub(r"[\s,.'’]", "", typed or "")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 12 else None


def _last_out(found: Edition) -> Edition | None:
    """The slot's last daily edition that went out before this one."""
    return db.session.scalar(
        sa.select(Edition)
        .where(
            Edition.slot_id == found.slot_id,
            Edition.kind == EditionKind.DAILY,
            Edition.frozen_at.is_not(None),
            Edition.id != found.id,
            Edition.slot_at <= found.slot_at,
        )
        .order_by(Edition.slot_at.desc())
        .limit(1)
    )


def _mailed(last: Edition) -> int:
    """Its audience without those whom it could not reach anyway, as `audience_now` counts."""
    unreachable = sa.select(sa.func.count()).where(
        Delivery.edition_id == last.id,
        Delivery.kind != DeliveryKind.WELCOME,
        Delivery.skip_reason.in_((SkipReason.SUPPRESSED, SkipReason.PAUSED)),
    )
    return (last.audience or 0) - (db.session.scalar(unreachable) or 0)
