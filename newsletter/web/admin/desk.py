"""What the desk of a draft shows besides the edition: its mail in an inbox, its preview, what almost made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from flask import request

from newsletter.delivery import trying
from newsletter.editions import editing, exchanging, keeping, sittings
from newsletter.editions.models import Edition, EditionState, Revision
from newsletter.editions.preflight import Finding, Kind
from newsletter.editions.sittings import Sitting, key_of
from newsletter.editions.together import Theirs
from newsletter.newsletters.models import Pictures
from newsletter.staff.rights import Right
from newsletter.web.admin.access import me

SCHEMES = ("light", "dark")
WIDTHS = ("desktop", "phone")

SHOWN_ON_A_PHONE = 40
"""So many letters of a subject an inbox on a phone shows in one line, give or take a few."""

PREVIEW_ON_A_PHONE = 90

NEXT_IN_RANK = ("not among the first", "the last places were kept", "like an item of")
NEXT_SHOWN = 6


@dataclass(frozen=True)
class Said:
    """What one press or pause led to: what to tell, whether it failed, and what stays as it was typed.

    The texts are by the fields' names as the page has them: headline-12. `theirs` is what somebody else saved in fields
    that were changed here too.
    """

    note: str = ""
    failed: bool = False
    typed: Mapping[str, str] = field(default_factory=dict)
    theirs: Mapping[str, Theirs] = field(default_factory=dict)
    wrong: Mapping[str, str] = field(default_factory=dict)
    address: str = ""


@dataclass(frozen=True)
class Look:
    """How the preview is shown: a width, a scheme, and whether as text."""

    width: str
    scheme: str
    form: str

    @classmethod
    def asked_for(cls) -> Look:
        wanted = request.args.get("look", "").split("-")
        return cls(
            next((one for one in WIDTHS if one in wanted), WIDTHS[0]),
            next((one for one in SCHEMES if one in wanted), SCHEMES[0]),
            "text" if "text" in wanted else "html",
        )

    def but(self, *words: str) -> str:
        """As it stands in an address, with one thing different."""
        width = next((one for one in WIDTHS if one in words), self.width)
        scheme = next((one for one in SCHEMES if one in words), self.scheme)
        form = next((one for one in ("text", "html") if one in words), self.form)
        return "-".join((width, scheme, form))


def is_open(shown: Edition) -> bool:
    """Whether the person may change it, as it is."""
    return shown.state is EditionState.DRAFTED and shown.revision is not None and me().may(Right.EDIT)


def told(shown: Edition, now: datetime) -> dict[str, object]:
    """What the templates of the desk want."""
    if shown.revision is None:
        return {"at_desk": False, "said": Said(), "look": Look.asked_for()}
    return {
        "at_desk": is_open(shown),
        "look": Look.asked_for(),
        "said": Said(),
        "key_of": key_of,
        "anchor_of": anchor_of,
        "longest": editing.LONGEST,
        "phone": SHOWN_ON_A_PHONE,
        "phone_preview": PREVIEW_ON_A_PHONE,
        "by_hand": keeping.fields_by_hand(shown.revision),
        "left_out": keeping.left_out(shown.revision),
        "next_up": [one for one in shown.revision.passed_over if _is_next(one["reason"])][:NEXT_SHOWN],
        "sections": _sections(shown.revision),
        "pictures_of": exchanging.pictures_of if shown.newsletter.pictures is not Pictures.NONE else lambda _: [],
        "others_here": others_here(shown, now),
        "testers": [(one, one) for one in trying.who_may_get_it(shown.newsletter_id)],
    }


def _is_next(reason: str) -> bool:
    return reason.startswith(NEXT_IN_RANK)


def _sections(revision: Revision) -> list[str]:
    """What a story can be in: none, the newsletter's sections, and such as it had when the draft was made."""
    had = (item.section for item in revision.items)
    return list(dict.fromkeys(["", *revision.edition.newsletter.sections, *had]))


def anchor_of(finding: Finding, revision: Revision) -> str | None:
    """Where on the page what a finding speaks of is mended; None when it is not mended there."""
    if finding.item_position is not None:
        item = next((one for one in revision.items if one.position == finding.item_position), None)
        return f"story-{key_of(item)}" if item else None
    on_page = {Kind.NO_STORIES: "next-up", Kind.SUBJECT: "the-mail", Kind.SIZE: "stories"}
    in_mail = finding.kind is Kind.PLACEHOLDER and "block" not in finding.message
    return "the-mail" if in_mail else on_page.get(finding.kind)


def others_here(shown: Edition, now: datetime) -> list[tuple[str, str]]:
    """Who else is at the desk, and at what."""
    there: Sequence[Sitting] = sittings.others(shown.id, me().id, now)
    places = {key_of(item): f"story {item.position}" for item in shown.revision.items} if shown.revision else {}
    places["mail"] = "the mail’s own words"
    return [(one.name, places.get(one.place, "")) for one in there]
