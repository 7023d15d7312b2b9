"""Every public page in every state, in a browser: with and without scripts, light and dark, wide and narrow."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from newsletter.foundation.config import SignUpConfig
from newsletter.subscribers import housekeeping
from newsletter.subscribers.models import SubscriptionState
from tests.browser.public_house import ANN, BOB, CARLA, DORA, EMIL, PublicHouse, furnish, no_sideways_scroll, running
from tests.conftest import BuildHouse
from tests.integration.subscribers import state_of

SCHEMES = ("light", "dark")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
BIGGEST_PAGE = 60_000

Open = Callable[[Page, PublicHouse], object]


@pytest.fixture
def public(build_house: BuildHouse, sqlite_url: str) -> Iterator[PublicHouse]:
    with running(build_house, sqlite_url) as public:
        furnish(public)
        yield public


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
        page.get_by_role("button", name=button).click()

    return act


def press(where: Callable[[PublicHouse], str], *buttons: str) -> Open:
    def act(page: Page, public: PublicHouse) -> None:
        public.house.later(hours=1)
        page.goto(where(public))
        for button in buttons:
            page.get_by_role("button", name=button).click()

    return act


def left(*buttons: str) -> Open:
    """Bob reads again, so that he can leave and press more."""

    def act(page: Page, public: PublicHouse) -> None:
        public.papers[0].change(BOB, state=SubscriptionState.ACTIVE)
        press(lambda public: public.leaving(BOB), "Leave Morning Post", *buttons)(page, public)

    return act


def told_why(page: Page, public: PublicHouse) -> None:
    left()(page, public)
    page.get_by_label("I have no time to read it").check()
    page.get_by_role("button", name="Send the answer").click()


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
    page.get_by_role("button", name="Yes, send me").click()
    link = page.url
    public.papers[0].leave("greta@example.org")
    page.goto(link)


def refused(page: Page, public: PublicHouse) -> None:
    page.goto(public.asked("hugo@example.org", "morning-post"))
    public.never_mail("hugo@example.org")
    page.get_by_role("button", name="Yes, send me").click()


def taken(page: Page, public: PublicHouse) -> None:
    page.goto(public.moving(ANN, "ida@example.org"))
    public.papers[0].readers("ida@example.org")
    page.get_by_role("button", name="Yes, send it here").click()


def erased(page: Page, public: PublicHouse) -> None:
    public.papers[0].readers("jo@example.org")
    page.goto(f"{public.preferences('jo@example.org')}/erase")
    page.get_by_role("button", name="Erase me").click()


def moved(page: Page, public: PublicHouse) -> None:
    public.papers[0].readers("kim@example.org")
    page.goto(public.moving("kim@example.org", "kim.new@example.org"))
    page.get_by_role("button", name="Yes, send it here").click()


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


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_on_any_page_and_none_scrolls_sideways(
    browser: Browser, public: PublicHouse, scheme: str
) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 900})  # type: ignore[arg-type]
    page = context.new_page()
    for name, open_ in STATES.items():
        open_(page, public)
        found = Axe().run(page, options=RULES).response["violations"]
        assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == [], f"{name}, {scheme}"
        for width in (640, 320):  # 1280 pixels at 200 %, and WCAG's narrowest
            page.set_viewport_size({"width": width, "height": 600})
            assert no_sideways_scroll(page), f"{name} at {width} pixels"
        page.set_viewport_size({"width": 1280, "height": 900})
    context.close()


def test_what_is_pressed_is_large_enough_for_a_finger(browser: Browser, public: PublicHouse) -> None:
    """WCAG 2.2, 2.5.8 asks for 24 pixels; buttons and fields of ours have 36."""
    context = browser.new_context(viewport={"width": 375, "height": 800})
    page = context.new_page()
    for name in ("front", "did you mean", "left", "preferences", "preferences, paused", "erase", "my data"):
        STATES[name](page, public)
        for one in page.locator("main").locator(".button, select, input:not([type=hidden]), label.tick").all():
            box = one.bounding_box()
            if (
                box
                and one.get_attribute("name") != "website"
                and one.get_attribute("type") not in ("checkbox", "radio")
            ):
                assert box["height"] >= 36, f"{name}: {one.evaluate('e => e.outerHTML')}"
    context.close()


LOADED = """() => performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))
    .reduce((sum, one) => sum + one.decodedBodySize, 0)"""
SHIFTED = """new Promise((done) => {
    let sum = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((one) => { sum += one.value; }))
        .observe({ type: 'layout-shift', buffered: true });
    setTimeout(() => done(sum), 120);
})"""


def test_a_page_is_small_and_does_not_jump_while_it_comes(browser: Browser, public: PublicHouse) -> None:
    for name in ("front", "sign-up", "check your inbox", "confirm two", "left", "preferences", "my data"):
        context = browser.new_context(timezone_id="Asia/Seoul")  # the script chooses another slot than the default
        page = context.new_page()
        STATES[name](page, public)
        assert page.evaluate(LOADED) < BIGGEST_PAGE, name
        assert page.evaluate(SHIFTED) == 0, name
        context.close()


def test_nothing_but_our_own_is_asked_for_and_no_cookie_is_set(browser: Browser, public: PublicHouse) -> None:
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    for name in ("front", "check your inbox", "confirm", "left", "preferences, saved"):
        STATES[name](page, public)
    assert all(url.startswith(public.site) for url in asked)
    assert complaints == [], "the policy blocks nothing of ours"
    assert context.cookies() == []
    context.close()


# Without scripts


def test_everything_is_done_without_scripts(page: Page, public: PublicHouse) -> None:
    page.goto(f"{public.site}/")
    page.get_by_label("Morning Post").check()
    page.get_by_label("Weekend Courier").check()
    page.get_by_label("When it comes").select_option(label="18:30 Tokyo time")
    page.get_by_label("mail address").fill("nina@gmial.com")
    public.house.later(seconds=9)
    page.get_by_role("button", name="Sign Up Now").click()
    page.get_by_role("button", name="Yes, nina@gmail.com").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")
    page.goto(public.asked("nina@gmail.com", "morning-post", "weekend-courier"))
    page.get_by_role("button", name="Yes, send me these").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Welcome")
    page.get_by_role("link", name="your preferences").click()
    choose_without_scripts(page)
    leave_without_scripts(page, public)
    page.goto(public.preferences("nina@gmail.com"))
    page.get_by_role("link", name="Be forgotten").click()
    page.get_by_role("button", name="Erase me").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is stored about you")
    assert state_of(public.house, "nina@gmail.com") == []


def choose_without_scripts(page: Page) -> None:
    page.get_by_label("Weekend Courier").uncheck()
    page.get_by_label("As plain text").check()
    page.get_by_label("Language").select_option("fr")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your choices are saved.")).to_be_visible()
    expect(page.get_by_label("Weekend Courier")).not_to_be_checked()
    expect(page.get_by_label("Language")).to_have_value("fr")
    page.get_by_role("button", name="For two weeks").click()
    expect(page.get_by_role("heading", name="Paused until Tuesday, 17 March 2026")).to_be_visible()
    page.get_by_role("button", name="Go on now").click()
    expect(page.get_by_text("Your mail goes on with the next edition.")).to_be_visible()
    page.get_by_label("Or the first day").fill("2026-04-01")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("heading", name="Paused until Wednesday, 1 April 2026")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Paused until Wednesday, 1 April 2026")).to_be_visible()


def leave_without_scripts(page: Page, public: PublicHouse) -> None:
    page.goto(public.leaving("nina@gmail.com"))
    page.get_by_role("button", name="Leave Morning Post").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are back")
    page.goto(public.leaving("nina@gmail.com"))
    page.get_by_role("button", name="Leave Morning Post").click()
    page.get_by_label("Something else").check()
    page.get_by_label("Anything to add?").fill("I read the paper itself.")
    page.get_by_role("button", name="Send the answer").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you")


def test_another_address_and_a_lost_link_without_scripts(page: Page, public: PublicHouse) -> None:
    page.goto(public.preferences(ANN))
    page.get_by_role("link", name="Another address").click()
    page.get_by_label("Your new address").fill("ann.new@example.org")
    public.house.later(seconds=9)
    page.get_by_role("button", name="Send a mail there").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Look into your other inbox")
    page.goto(public.moving(ANN, "ann.new@example.org"))
    page.get_by_role("button", name="Yes, send it here").click()
    page.get_by_role("link", name="To your preferences").click()
    expect(page.get_by_text("ann.new@example.org").first).to_be_visible()
    page.goto(f"{public.site}/")
    page.get_by_role("link", name="Get a link to your preferences").click()
    page.get_by_label("mail address").fill("ann.new@example.org")
    public.house.later(seconds=9)
    page.get_by_role("button", name="Send me the link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")


def test_the_keyboard_alone_signs_up(browser: Browser, public: PublicHouse) -> None:
    """And never comes to the field that only machines fill in."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{public.site}/subscribe?newsletter=weekend-courier")
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()"))
        if reached[-1] == "email":
            page.keyboard.type("olga@example.org")
            public.house.later(seconds=9)
            page.keyboard.press("Enter")
            break
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")
    assert reached[0] == "Skip to content"
    assert "website" not in reached
    context.close()


def test_an_error_is_where_the_eye_and_the_cursor_are(browser: Browser, public: PublicHouse) -> None:
    context = browser.new_context()
    page = context.new_page()
    for name in ("sign-up, wrong", "lost link, wrong"):
        STATES[name](page, public)
        expect(page.locator("[name=email]")).to_be_focused()
        described = page.locator("[name=email]").get_attribute("aria-describedby") or ""
        expect(page.locator(f"#{described.split()[0]}")).to_contain_text("@-sign")
    context.close()


# With scripts


@pytest.mark.parametrize(
    ("zone", "label"),
    [
        ("America/Toronto", "06:00 New York time"),
        ("Europe/Berlin", "06:00 Berlin time"),
        ("Africa/Lagos", "06:00 Berlin time"),
        ("Australia/Brisbane", "18:30 Tokyo time"),
        ("America/Los_Angeles", "06:00 New York time"),
    ],
)
def test_the_slot_is_guessed_from_the_browsers_zone_and_may_be_changed(
    browser: Browser, public: PublicHouse, zone: str, label: str
) -> None:
    context = browser.new_context(timezone_id=zone)
    page = context.new_page()
    page.goto(f"{public.site}/subscribe?newsletter=morning-post")
    choice = page.get_by_label("When it comes")
    expect(choice.locator("option:checked")).to_have_text(label)
    expect(page.locator("[name=zone]")).to_have_value(zone)
    choice.select_option(label="18:30 Tokyo time")
    page.get_by_label("mail address").fill("ann at example")
    page.evaluate("document.querySelector('.box-form').noValidate = true")
    page.get_by_role("button", name="Sign Up Now").click()
    expect(page.get_by_label("When it comes").locator("option:checked")).to_have_text("18:30 Tokyo time")
    context.close()


STORMY = SignUpConfig(challenge="always")


def test_the_sum_is_solved_and_sent_by_itself(browser: Browser, build_house: BuildHouse, sqlite_url: str) -> None:
    with running(build_house, sqlite_url, sign_up=STORMY) as public:
        furnish(public)
        context = browser.new_context()
        page = context.new_page()
        ask_for_the_sum(page, public)
        expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox", timeout=60_000)
        expect(page.get_by_text("paul@example.org")).to_be_visible()
        context.close()


def ask_for_the_sum(page: Page, public: PublicHouse) -> None:
    page.goto(f"{public.site}/subscribe?newsletter=morning-post")
    page.get_by_label("mail address").fill("paul@example.org")
    page.get_by_role("button", name="Sign Up Now").click()


TICKING = """addEventListener('DOMContentLoaded', () => {
    window.ticks = 0;
    const tick = () => {
        if (document.querySelector('.proof button:disabled')) window.ticks += 1;
        setTimeout(tick, 5);
    };
    tick();
});"""


def test_the_page_stays_alive_while_the_longest_sum_is_done(
    browser: Browser, build_house: BuildHouse, sqlite_url: str
) -> None:
    """One that has no answer: every number is tried, and then the button may be pressed for another sum."""
    with running(build_house, sqlite_url, sign_up=STORMY) as public:
        furnish(public)
        context = browser.new_context()
        context.add_init_script(TICKING)
        page = context.new_page()

        def spoil(route: Route) -> None:
            answer = route.fetch()
            route.fulfill(response=answer, body=re.sub(r"[0-9a-f]{64}", "0" * 64, answer.text()))

        page.route("**/subscribe", lambda route: spoil(route) if route.request.method == "POST" else route.continue_())
        ask_for_the_sum(page, public)
        page.wait_for_selector(".proof-at-work button:enabled", timeout=60_000)
        assert page.evaluate("window.ticks") > 3
        assert page.evaluate("document.querySelector('progress').value") > 0
        context.close()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_page_with_the_sum_is_as_good_as_the_others(
    browser: Browser, build_house: BuildHouse, sqlite_url: str, scheme: str
) -> None:
    with running(build_house, sqlite_url, sign_up=STORMY) as public:
        furnish(public)
        context = browser.new_context(color_scheme=scheme, viewport={"width": 320, "height": 600})  # type: ignore[arg-type]
        page = context.new_page()
        page.route("**/proof.js", lambda route: route.abort())  # as it is before the script has come
        ask_for_the_sum(page, public)
        expect(page.get_by_role("heading", level=1)).to_have_text("One moment")
        assert Axe().run(page, options=RULES).response["violations"] == []
        assert no_sideways_scroll(page)
        page.evaluate("document.querySelector('.proof').classList.add('proof-at-work')")
        assert Axe().run(page, options=RULES).response["violations"] == []
        context.close()


def test_without_scripts_the_page_with_the_sum_says_what_to_do(
    page: Page, build_house: BuildHouse, sqlite_url: str
) -> None:
    with running(build_house, sqlite_url, sign_up=STORMY) as public:
        furnish(public)
        ask_for_the_sum(page, public)
        expect(page.get_by_text("The sum needs JavaScript")).to_be_visible()
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("One moment")


def test_a_hasty_visitor_without_scripts_gets_on_with_the_button(page: Page, public: PublicHouse) -> None:
    page.goto(f"{public.site}/subscribe?newsletter=morning-post")
    page.get_by_label("mail address").fill("rosa@example.org")
    page.get_by_role("button", name="Sign Up Now").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("One moment")
    public.house.clock.at += timedelta(seconds=5)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")
