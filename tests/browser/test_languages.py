"""Public pages in English in Arabic letters: no word of ours is forgotten, and they run from right to left."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import time, timedelta
from functools import partial

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from newsletter.delivery.models import Delivery, DeliveryState, SkipReason
from newsletter.foundation.config import SignUpConfig
from newsletter.foundation.database import db, transaction
from newsletter.subscribers.models import subscriber_at
from tests.browser import test_archive
from tests.browser.public_house import ANN, BOB, CARLA, PublicHouse, furnish, no_sideways_scroll, running
from tests.browser.public_states import FULLEST, STATES, Open, fill, press
from tests.catalogues import found
from tests.conftest import BuildHouse
from tests.integration.subscribers import latest_request
from tests.support import newsroom
from tests.support.pseudo import Pseudo
from tests.support.tongues import BACKWARDS, backwards, in_its_letters

WIDTHS = (375, 1280)
OWN = ("Morning Post", "Weekend Courier", "Evening Post", "From The Harbor Gazette", "The Harbor Gazette")
OWN += (test_archive.LONG, "Harbor bridge closes for repairs", "All that matters")
LOU, MAX, NED, OLA = (f"{name}@example.org" for name in ("lou", "max", "ned", "ola"))

TEXTS = """() => {
  const page = document.documentElement.lang, found = [['title', document.title]];
  const theirs = element => element.closest('script, style, code, bdi, .mail-address')
    || (element.closest('[lang]') || document.documentElement).lang !== page;
  const look = root => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const kind = root instanceof ShadowRoot ? 'box' : 'text';
      if (!theirs(walker.currentNode.parentElement)) found.push([kind, walker.currentNode.data]);
    }
    for (const element of root.querySelectorAll('*')) {
      if (element.shadowRoot) look(element.shadowRoot);
      const called = ['aria-label', 'alt', 'data-label', 'data-solved', 'placeholder', 'title'];
      if (!theirs(element)) for (const name of called) found.push([name, element.getAttribute(name) || '']);
    }
  };
  look(document.body);
  return found;
}"""
"""All texts of the page and what its parts are called, without what says that it is in another language, addresses,
and what machines said."""

TYPED = re.compile(r"“[^”]*”|\S+@\S+|\bUTC\b")
ENGLISH = re.compile("[A-Za-z]")

STARTS = """() => [...document.querySelectorAll('main label')].filter(one => !one.closest('.trap, .tick')).map(one => {
  const words = document.createRange();
  words.selectNodeContents(one);
  return Math.round(one.getBoundingClientRect().right - words.getBoundingClientRect().right);
})"""
"""How far from the right edge of its place each label's words begin."""


@pytest.fixture(autouse=True)
def tongue() -> Iterator[Pseudo]:
    with backwards() as words:
        yield words


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Somebody's whose browser asks for that language."""
    context = browser.new_context(locale=BACKWARDS)
    yield context.new_page()
    context.close()


@pytest.fixture
def public(build_house: BuildHouse, sqlite_url: str) -> Iterator[PublicHouse]:
    with running(build_house, sqlite_url) as public:
        furnish(public)
        public.said = partial(in_its_letters, kept=OWN)
        yield public


def forgotten(page: Page) -> list[str]:
    """What stands on the page in English. A newsletter's words are known by their language, and in titles and boxes
    made by a script, which have but one, by what they are."""
    return [text for kind, text in page.evaluate(TEXTS) if ENGLISH.search(_ours(kind, text))]


def _ours(kind: str, text: str) -> str:
    for words in OWN if kind != "text" else ():
        text = text.replace(words, "")
    return TYPED.sub("", text)


def faults(page: Page) -> list[str]:
    page.wait_for_load_state()
    wrong = [f"not translated: {text.strip()}" for text in forgotten(page)]
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        wrong += [f"scrolls sideways at {width}"] * (not no_sideways_scroll(page))
        wrong += [f"a label begins {far} pixels from the right edge" for far in page.evaluate(STARTS) if abs(far) > 1]
    way = page.evaluate("getComputedStyle(document.querySelector('main')).direction")
    return wrong + [f"runs {way}"] * (way != "rtl")


def whole_is_missing(page: Page, public: PublicHouse) -> None:
    page.goto(public.preferences(ANN))
    page.evaluate("document.querySelector('[name=whole]').remove()")
    page.get_by_role("button", name=public.said("Save")).click()


def paused_wrongly(page: Page, public: PublicHouse) -> None:
    page.goto(public.preferences(ANN))
    page.locator("[name=until]").last.evaluate("field => { field.form.noValidate = true; field.value = '2020-01-01' }")
    page.get_by_role("button", name=public.said("Pause"), exact=True).click()


def moving_to(address: str) -> Open:
    def act(page: Page, public: PublicHouse) -> None:
        fill(public.preferences(ANN).removeprefix(public.site) + "/address", "Send a mail there", email=address)(
            page, public
        )

    return act


def move_expired(page: Page, public: PublicHouse) -> None:
    link = public.moving(ANN, "new@example.org")
    public.house.later(days=7, hours=1)
    page.goto(link)


def move_refused(page: Page, public: PublicHouse) -> None:
    link = public.moving(ANN, "angry@example.org")
    public.never_mail("angry@example.org")
    press(lambda _: link, "Yes, send it here")(page, public)


def move_again(page: Page, public: PublicHouse) -> None:
    public.papers[0].readers(LOU)
    page.goto(public.moving(LOU, "lou.new@example.org"))
    page.get_by_role("button", name=public.said("Yes, send it here")).click()
    page.goto(page.url)


def confirmed_again(page: Page, public: PublicHouse) -> None:
    press(lambda public: public.asked(MAX, "morning-post"), "Yes, send me")(page, public)
    page.goto(page.url)


def return_refused(page: Page, public: PublicHouse) -> None:
    page.goto(public.leaving(CARLA))
    public.never_mail(CARLA)
    page.get_by_role("button", name=public.said("Undo")).click()


def left_for_ever(page: Page, public: PublicHouse) -> None:
    public.papers[0].readers(NED)
    link, preferences = public.leaving(NED), public.preferences(NED)
    page.goto(f"{preferences}/erase")
    page.get_by_role("button", name=public.said("Erase me")).click()
    page.goto(link)


def a_long_story(page: Page, public: PublicHouse) -> None:
    """Of somebody of whom everything is stored that can be."""
    public.papers[0].readers(OLA)
    link = public.preferences(OLA)
    press(lambda _: link, "For two weeks", "Go on now", "Leave Morning Post")(page, public)
    page.get_by_label("Weekend Courier").check()
    page.get_by_label("Morning Post").check()
    page.get_by_role("button", name=public.said("Save")).click()
    page.locator("select[name^=slot]").select_option(index=1)
    page.get_by_role("button", name=public.said("Save")).click()
    page.goto(public.moving(OLA, "ola.new@example.org"))
    page.get_by_role("button", name=public.said("Yes, send it here")).click()
    public.house.browser.post("/subscribe", data={"email": "ola.new@example.org", "newsletter": "morning-post"})
    public.house.work()
    deliveries(public, "ola.new@example.org")
    public.never_mail("ola.new@example.org")
    page.goto(f"{link}/data")


def deliveries(public: PublicHouse, address: str) -> None:
    """One in each state."""
    now = public.house.now
    with public.house.app.app_context(), transaction():
        reader = subscriber_at(address)
        assert reader is not None
        db.session.add_all(
            Delivery(
                edition_id=number,
                shard=0,
                subscriber_id=reader.id,
                subscription_id=reader.subscriptions[0].id,
                newsletter_id=public.papers[0].id,
                local_date=now.date() + timedelta(days=number),
                kind="daily",
                state=state,
                skip_reason=SkipReason.EXPIRED if state is DeliveryState.SKIPPED else None,
                next_attempt_at=now,
                updated_at=now,
                last_reply="250 2.0.0 OK",
            )
            for number, state in enumerate(DeliveryState, 1)
        )


def two_asked_for(page: Page, public: PublicHouse) -> None:
    page.goto(f"{public.site}/")
    public.house.later(hours=1)
    for name in ("Morning Post", "Weekend Courier"):
        page.get_by_label(name).check()
    page.locator("[name=email]").fill(MAX)
    page.get_by_role("button", name=public.said("Sign Up Now")).click()


def left_long_ago(page: Page, public: PublicHouse) -> None:
    public.house.later(days=31)
    page.goto(public.leaving(CARLA))


MORE: dict[str, Open] = {
    "check your inbox, two": two_asked_for,
    "sign-up, two addresses": fill("/subscribe?newsletter=morning-post", "Sign Up Now", email="ann@a.org@b.org"),
    "sign-up, nothing typed": fill("/subscribe?newsletter=morning-post", "Sign Up Now", email=""),
    "confirmed already": confirmed_again,
    "preferences, half a form": whole_is_missing,
    "preferences, no day to pause until": paused_wrongly,
    "preferences, paused now": press(lambda public: public.preferences(ANN), "For two weeks"),
    "preferences, going on": press(lambda public: public.preferences(ANN), "Go on now"),
    "preferences, left": press(lambda public: public.preferences(BOB), "Leave Morning Post"),
    "another address, one's own": moving_to(ANN),
    "another address, none": moving_to("ann"),
    "another address, asked": moving_to("ann.new@example.org"),
    "change, expired": move_expired,
    "change, refused": move_refused,
    "change, again": move_again,
    "left, return refused": return_refused,
    "left, erased": left_for_ever,
    "my data, all of it": a_long_story,
    "my data of who left": press(lambda public: f"{public.preferences(CARLA)}/data"),
    "left long ago": left_long_ago,
}


@pytest.mark.parametrize(
    "names",
    [(*FULLEST, "left", "my data, all of it"), pytest.param((*STATES, *MORE), marks=pytest.mark.slow)],
    ids=["the fullest", "all"],
)
def test_every_page_is_translated_in_every_state_and_runs_from_the_right(
    page: Page, public: PublicHouse, tongue: Pseudo, names: tuple[str, ...]
) -> None:
    wrong = {}
    for name in names:
        page.set_viewport_size({"width": 1280, "height": 800})
        (STATES | MORE)[name](page, public)
        wrong[name] = faults(page)
    assert {name: faults for name, faults in wrong.items() if faults} == {}
    assert tongue.asked <= {message.id for message in found()}, "translators are told of every word"


def test_past_editions_are_told_in_their_own_language_among_words_of_the_readers(
    page: Page, build_house: BuildHouse, sqlite_url: str
) -> None:
    wrong = {}
    with running(build_house, sqlite_url) as public:
        paths = [*test_archive.furnish(public), "/editions/evening-post/", "/", "/editions/"]
        newsroom.found(public.house, "evening-post")
        for path in paths:
            page.goto(f"{public.site}{path}")
            wrong[path] = faults(page)
            assert page.locator("main [lang=en][dir=ltr]").count() or "2020" in path, path
    assert {path: faults for path, faults in wrong.items() if faults} == {}


def test_a_house_without_newsletters_and_one_with_several_times_are_translated(
    page: Page, build_house: BuildHouse, sqlite_url: str
) -> None:
    with running(build_house, sqlite_url) as public:
        page.goto(f"{public.site}/")
        assert faults(page) == []
        paper = newsroom.found(public.house)
        page.goto(f"{public.site}/")
        assert faults(page) == []
        paper.slot("Asia/Tokyo", time(6, 30))
        for path in ("/", "/editions/"):
            page.goto(f"{public.site}{path}")
            assert faults(page) == [], path


def test_the_box_in_a_frame_speaks_the_language_that_its_address_names(page: Page, public: PublicHouse) -> None:
    page.goto(f"{public.site}/embed/morning-post")
    assert page.locator("html").get_attribute("lang") == "en", "a paper’s page is no place for the visitor’s language"
    page.goto(f"{public.site}/embed/morning-post?language={BACKWARDS}")
    assert faults(page) == []
    for typed, title in (("ann", "Sign Up for Morning Post"), (ANN, "Sign Up for Morning Post")):
        public.house.later(hours=1)
        page.evaluate("document.forms[0].noValidate = true")
        page.locator("[name=email]").fill(typed)
        page.get_by_role("button", name=public.said("Sign Up Now")).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(public.said(title))
        assert faults(page) == []
    assert latest_request(public.house).language == BACKWARDS


def answer_with(html: str, route: Route) -> None:
    route.fulfill(body=html, content_type="text/html")


def test_the_box_by_a_script_speaks_it_too_whichever_way_its_page_runs(page: Page, public: PublicHouse) -> None:
    script = f'<script async src="{public.site}/embed/morning-post.js?language={BACKWARDS}"></script>'
    for way in ("ltr", "rtl"):
        paper = f'<!doctype html><html lang="{BACKWARDS}" dir="{way}"><title></title><body>{script}</body></html>'
        page.route(f"**/{way}", partial(answer_with, paper))
        page.goto(f"{public.site}/{way}")
        box = page.get_by_role("region", name=public.said("Sign Up for Morning Post"))
        expect(box).to_be_visible()
        assert box.evaluate("box => getComputedStyle(box).direction") == "rtl"
        assert forgotten(page) == []
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            assert no_sideways_scroll(page), f"{way} at {width}"
        box.get_by_role("textbox", name=public.said("Your e-mail address")).fill("ann@b@c.org")
        box.locator("form").evaluate("form => { form.noValidate = true; }")
        box.get_by_role("button").click()
        expect(box.get_by_role("alert")).to_contain_text(public.said("it has more than one @-sign."))
        box.get_by_role("textbox", name=public.said("Your e-mail address")).fill(ANN)
        box.get_by_role("button").click()
        expect(box.get_by_role("status")).to_contain_text(public.said("Check your inbox: we have sent a mail to"))
        assert [text for text in forgotten(page) if ANN not in text] == []
        assert latest_request(public.house).language == BACKWARDS


def test_the_pages_for_very_many_visitors_are_translated(page: Page, build_house: BuildHouse, sqlite_url: str) -> None:
    with running(build_house, sqlite_url, sign_up=SignUpConfig(challenge="always")) as public:
        furnish(public)
        page.route("**/proof.js", lambda route: route.abort())
        page.goto(f"{public.site}/subscribe?newsletter=morning-post")
        page.locator("[name=email]").fill(ANN)
        page.get_by_role("button", name=in_its_letters("Sign Up Now")).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(in_its_letters("One moment"))
        page.evaluate("document.querySelector('.proof').classList.add('proof-at-work')")
        assert [fault for fault in faults(page) if "label" not in fault] == []
    with running(build_house, sqlite_url, sign_up=SignUpConfig(challenge="never")) as public:
        for number in range(21):
            asked = {"email": f"p{number}@example.org", "newsletter": "morning-post"}
            public.house.browser.post("/subscribe", data=asked)
        page.goto(f"{public.site}/subscribe?newsletter=morning-post")
        page.locator("[name=email]").fill(ANN)
        page.get_by_role("button", name=in_its_letters("Sign Up Now")).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(in_its_letters("Please try again in an hour"))
        assert faults(page) == []
