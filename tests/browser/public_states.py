"""Every public page in every state, each with what brings it about in a browser."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page

from newsletter.subscribers import housekeeping
from newsletter.subscribers.models import SubscriptionState
from tests.browser.public_house import ANN, BOB, CARLA, DORA, EMIL, PublicHouse

Open = Callable[[Page, PublicHouse], object]


def at(path: str) -> Open:
    return lambda page, public: page.goto(f"{public.site}{path}")


def fill(path: str, button: str, **typed: str) -> Open:
    """Open a page, type into its fields, and press. The browser's own checks are left out, to see ours."""

    def act(page: Page, public: PublicHouse) -> None:
        page.goto(f"{public.site}{path}")
        public.house.later(hours=1)
        page.evaluate("for (const form of document.forms) form.noValidate = true")
        for name, words in typed.items():
            page.locator(f"[name={name}]").last.fill(words)
        page.get_by_role("button", name=public.said(button)).click()

    return act


def press(where: Callable[[PublicHouse], str], *buttons: str) -> Open:
    def act(page: Page, public: PublicHouse) -> None:
        public.house.later(hours=1)
        page.goto(where(public))
        for button in buttons:
            page.get_by_role("button", name=public.said(button)).click()

    return act


def left(*buttons: str) -> Open:
    """Bob reads again, so that he can leave and press more."""

    def act(page: Page, public: PublicHouse) -> None:
        public.papers[0].change(BOB, state=SubscriptionState.ACTIVE)
        press(lambda public: public.leaving(BOB), "Leave Morning Post", *buttons)(page, public)

    return act


def told_why(page: Page, public: PublicHouse) -> None:
    left()(page, public)
    page.get_by_label(public.said("I have no time to read it")).check()
    page.get_by_role("button", name=public.said("Send the answer")).click()


def expired(page: Page, public: PublicHouse) -> None:
    link = public.asked(EMIL, "morning-post")
    public.house.later(days=7, hours=1)
    page.goto(link)


def expired_and_erased(page: Page, public: PublicHouse) -> None:
    link = public.asked(EMIL, "morning-post")
    public.house.later(days=7, hours=1)
    with public.house.app.app_context():
        housekeeping.tidy(public.house.now)
    page.goto(link)


def left_since(page: Page, public: PublicHouse) -> None:
    page.goto(public.asked("greta@example.org", "morning-post"))
    page.get_by_role("button", name=public.said("Yes, send me")).click()
    link = page.url
    public.papers[0].leave("greta@example.org")
    page.goto(link)


def refused(page: Page, public: PublicHouse) -> None:
    page.goto(public.asked("hugo@example.org", "morning-post"))
    public.never_mail("hugo@example.org")
    page.get_by_role("button", name=public.said("Yes, send me")).click()


def taken(page: Page, public: PublicHouse) -> None:
    page.goto(public.moving(ANN, "ida@example.org"))
    public.papers[0].readers("ida@example.org")
    page.get_by_role("button", name=public.said("Yes, send it here")).click()


def erased(page: Page, public: PublicHouse) -> None:
    public.papers[0].readers("jo@example.org")
    page.goto(f"{public.preferences('jo@example.org')}/erase")
    page.get_by_role("button", name=public.said("Erase me")).click()


def moved(page: Page, public: PublicHouse) -> None:
    public.papers[0].readers("kim@example.org")
    page.goto(public.moving("kim@example.org", "kim.new@example.org"))
    page.get_by_role("button", name=public.said("Yes, send it here")).click()


def both(public: PublicHouse) -> str:
    return public.asked(DORA, "morning-post", "weekend-courier")


STATES: dict[str, Open] = {
    "front": at("/"),
    "sign-up": at("/subscribe?newsletter=morning-post"),
    "sign-up, wrong": fill("/subscribe?newsletter=morning-post", "Sign Up Now", email="ann at example"),
    "sign-up, none ticked": fill("/", "Sign Up Now", email=ANN),
    "did you mean": fill("/subscribe?newsletter=morning-post", "Sign Up Now", email="ann@gmial.com"),
    "did you mean, no address": fill("/subscribe?newsletter=morning-post", "Sign Up Now", email="ann@gmailcom"),
    "check your inbox": fill("/subscribe?newsletter=morning-post", "Sign Up Now", email="x" * 60 + "@example.org"),
    "confirm": press(lambda public: public.asked(DORA, "morning-post")),
    "confirm two": press(both),
    "confirmed": press(lambda public: public.asked("lea@example.org", "morning-post"), "Yes, send me"),
    "confirmed two": press(both, "Yes, send me these"),
    "confirm, expired": expired,
    "confirm, erased": expired_and_erased,
    "confirm, left since": left_since,
    "confirm, refused": refused,
    "confirm, damaged": at("/confirm/x"),
    "leave": press(lambda public: public.leaving(ANN)),
    "left": left(),
    "left, no reason": left("Send the answer"),
    "left, thanks": told_why,
    "left, back": left("Undo"),
    "left already": press(lambda public: public.leaving(CARLA)),
    "leave, damaged": at("/unsubscribe/x"),
    "preferences": press(lambda public: public.preferences(ANN)),
    "preferences, saved": press(lambda public: public.preferences(ANN), "Save"),
    "preferences, paused": press(lambda public: public.preferences(BOB)),
    "preferences, nothing read": press(lambda public: public.preferences(CARLA)),
    "preferences, damaged": at("/preferences/x"),
    "erased": erased,
    "another address": press(lambda public: f"{public.preferences(ANN)}/address"),
    "change": press(lambda public: public.moving(ANN, "mia@example.org")),
    "changed": moved,
    "change, taken": taken,
    "change, damaged": at("/change/x"),
    "lost link": at("/preferences/"),
    "lost link, wrong": fill("/preferences/", "Send me the link", email="ann"),
    "lost link, asked": fill("/preferences/", "Send me the link", email=ANN),
    "my data": press(lambda public: f"{public.preferences(ANN)}/data"),
    "erase": press(lambda public: f"{public.preferences(ANN)}/erase"),
    "nowhere": at("/nowhere"),
}

BOXES: dict[str, Open] = {
    "frame": at("/embed/morning-post"),
    "frame, wrong": fill("/embed/morning-post", "Sign Up Now", email="ann at example"),
    "frame, asked": fill("/embed/weekend-courier", "Sign Up Now", email="x" * 60 + "@example.org"),
}
"""The box in a frame, which speaks the newsletter's language whoever looks."""

FULLEST = ("front", "sign-up, wrong", "confirm two", "preferences", "my data")
"""Those with most on them, for the short tests; the long ones look at every page in every state."""
