"""Every public page in every state, in a browser: with and without scripts, light and dark, wide and narrow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from newsletter.foundation.config import SignUpConfig
from tests.browser.axe import violations
from tests.browser.public_house import ANN, PublicHouse, furnish, no_sideways_scroll, running
from tests.browser.public_states import BOXES, FULLEST, STATES
from tests.conftest import BuildHouse
from tests.integration.subscribers import state_of

BIGGEST_PAGE = 60_000


@pytest.fixture
def public(build_house: BuildHouse, sqlite_url: str) -> Iterator[PublicHouse]:
    with running(build_house, sqlite_url) as public:
        furnish(public)
        yield public


@pytest.mark.parametrize(
    "names", [FULLEST, pytest.param((*STATES, *BOXES), marks=pytest.mark.slow)], ids=["the fullest", "all"]
)
def test_axe_finds_nothing_on_any_page_and_none_scrolls_sideways(
    browser: Browser, public: PublicHouse, names: tuple[str, ...]
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    for name in names:
        (STATES | BOXES)[name](page, public)
        assert violations(page) == [], name
        for width in (640, 320):  # 1280 pixels at 200 %, and WCAG's narrowest
            page.set_viewport_size({"width": width, "height": 600})
            assert no_sideways_scroll(page), f"{name} at {width} pixels"
        page.set_viewport_size({"width": 1280, "height": 900})
    context.close()


PRESSED = """[...document.querySelectorAll('main :is(.button, select, input:not([type=hidden]), label.tick)')]
    .filter(one => one.checkVisibility() && one.name !== 'website' && !['checkbox', 'radio'].includes(one.type))"""
SMALL = f"{PRESSED}.filter(one => one.getBoundingClientRect().height < 36).map(one => one.outerHTML)"
PRESSED += ".length"


def test_what_is_pressed_is_large_enough_for_a_finger(browser: Browser, public: PublicHouse) -> None:
    """WCAG 2.2, 2.5.8 asks for 24 pixels; buttons and fields of ours have 36."""
    context = browser.new_context(viewport={"width": 375, "height": 800})
    page = context.new_page()
    for name in ("front", "did you mean", "left", "preferences", "preferences, paused", "erase", "my data"):
        STATES[name](page, public)
        assert page.evaluate(PRESSED) > 0, name
        assert page.evaluate(SMALL) == [], name
    context.close()


LOADED = """() => performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))
    .reduce((sum, one) => sum + one.decodedBodySize, 0)"""
SHIFTED = """new Promise((done) => {
    let sum = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((one) => { sum += one.value; }))
        .observe({ type: 'layout-shift', buffered: true });
    setTimeout(() => done(sum), 120);
})"""


@pytest.mark.parametrize(
    "names", [FULLEST, pytest.param((*STATES, *BOXES), marks=pytest.mark.slow)], ids=["the fullest", "all"]
)
def test_a_page_is_small_and_does_not_jump_while_it_comes(
    browser: Browser, public: PublicHouse, names: tuple[str, ...]
) -> None:
    context = browser.new_context(timezone_id="Asia/Seoul")  # the script chooses another slot than the default
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})  # so that everything comes anew
    for name in names:
        (STATES | BOXES)[name](page, public)
        page.wait_for_load_state()
        assert 10_000 < page.evaluate(LOADED) < BIGGEST_PAGE, name
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
    page.get_by_label("Language of our own words").select_option("en")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your choices are saved.")).to_be_visible()
    expect(page.get_by_label("Weekend Courier")).not_to_be_checked()
    expect(page.get_by_label("Language of our own words")).to_have_value("en")
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


SLOTS = {
    "America/Toronto": "06:00 New York time",
    "Europe/Berlin": "06:00 Berlin time",
    "Africa/Lagos": "06:00 Berlin time",
    "Australia/Brisbane": "18:30 Tokyo time",
    "America/Los_Angeles": "06:00 New York time",
}


def test_the_slot_is_guessed_from_the_browsers_zone(browser: Browser, public: PublicHouse) -> None:
    for zone, label in SLOTS.items():
        context = browser.new_context(timezone_id=zone)
        page = context.new_page()
        page.goto(f"{public.site}/subscribe?newsletter=morning-post")
        expect(page.get_by_label("When it comes").locator("option:checked")).to_have_text(label)
        expect(page.locator("[name=zone]")).to_have_value(zone)
        context.close()


def test_the_guessed_slot_may_be_changed(browser: Browser, public: PublicHouse) -> None:
    for zone in ("Europe/Berlin", "America/Los_Angeles"):
        context = browser.new_context(timezone_id=zone)
        page = context.new_page()
        page.goto(f"{public.site}/subscribe?newsletter=morning-post")
        page.get_by_label("When it comes").select_option(label="18:30 Tokyo time")
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


def test_the_page_with_the_sum_is_as_good_as_the_others(
    browser: Browser, build_house: BuildHouse, sqlite_url: str
) -> None:
    with running(build_house, sqlite_url, sign_up=STORMY) as public:
        furnish(public)
        context = browser.new_context(viewport={"width": 320, "height": 600})
        page = context.new_page()
        page.route("**/proof.js", lambda route: route.abort())  # as it is before the script has come
        ask_for_the_sum(page, public)
        expect(page.get_by_role("heading", level=1)).to_have_text("One moment")
        assert violations(page) == []
        assert no_sideways_scroll(page)
        page.evaluate("document.querySelector('.proof').classList.add('proof-at-work')")
        assert violations(page) == []
        context.close()


def test_the_page_that_says_to_come_back_in_an_hour_is_as_good_as_the_others(
    browser: Browser, build_house: BuildHouse, sqlite_url: str
) -> None:
    with running(build_house, sqlite_url, sign_up=SignUpConfig(challenge="never")) as public:
        furnish(public)
        for number in range(20):
            public.asked(f"p{number}@example.org", "morning-post")
        context = browser.new_context(viewport={"width": 320, "height": 600})
        page = context.new_page()
        ask_for_the_sum(page, public)
        expect(page.get_by_role("heading", level=1)).to_have_text("Please try again in an hour")
        assert violations(page) == []
        assert no_sideways_scroll(page)
        context.close()


PAPER = """<!doctype html><html lang="en"><title>An article</title><body><main><h1>An article</h1>
<script async src="{site}/embed/morning-post.js"></script></main></body></html>"""


def test_the_box_on_another_page_is_as_good_as_our_own(browser: Browser, public: PublicHouse) -> None:
    context = browser.new_context(viewport={"width": 320, "height": 600})
    page = context.new_page()
    page.route("**/article", lambda route: route.fulfill(body=PAPER.format(site=public.site), content_type="text/html"))
    page.goto(f"{public.site}/article")
    box = page.get_by_role("region", name="Sign Up for Morning Post")
    expect(box).to_be_visible()
    assert violations(page) == []
    box.locator("form").evaluate("form => { form.noValidate = true; }")
    for typed, role in (("ann at example", "alert"), ("x" * 60 + "@example.org", "status")):
        box.get_by_role("textbox", name="Your e-mail address").fill(typed)
        box.get_by_role("button").click()
        expect(box.get_by_role(role)).to_be_visible()  # type: ignore[arg-type]
        assert violations(page) == [], role
        assert no_sideways_scroll(page), role
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
