"""The demo, tried as its start page says, in a browser without scripts."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.demo import RunningDemo, running_demo, wait_until

ANN = "ann@example.org"


def test_the_five_lines_of_the_start_page(page: Page, tmp_path: Path) -> None:
    with running_demo(tmp_path / "demo") as demo:
        sign_up_on_the_article(page, demo)
        confirm_in_the_mailbox(page, demo)
        welcome = open_mail(page, demo, "Welcome to Daily Headlines")
        assert "06:00 New York" in welcome
        sign_in(page, demo)
        send_todays_edition(page, demo)
        read_it_and_leave(page, demo)
        live_through_the_next_morning(page, demo)
        sign_up_by_the_plain_form(page, demo)
        assert demo.stop() == 0


def sign_up_by_the_plain_form(page: Page, demo: RunningDemo) -> None:
    """On the second article, which has the form as HTML that somebody pasted."""
    page.goto(f"{demo.site}/demo/plain")
    page.locator("input[name=email]").fill("bob@example.org")
    page.get_by_role("button", name="Sign Up Now", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("inbox")
    expect(page.get_by_text("bob@example.org").first).to_be_visible()


def sign_up_on_the_article(page: Page, demo: RunningDemo) -> None:
    page.goto(f"{demo.site}/demo/")
    page.get_by_role("link", name="Read an article").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.get_by_role("link", name="Subscribe").first.click()
    page.locator("#sign-up").get_by_role("link", name="Sign up for Daily Headlines").click()
    expect(page.get_by_role("heading", name="Sign Up for Daily Headlines")).to_be_visible()
    page.get_by_label("mail address").fill("ann at example.org")
    page.get_by_role("button", name="Sign Up Now", exact=True).click()
    expect(page.get_by_label("mail address")).to_have_value("ann at example.org")
    page.get_by_label("mail address").fill(ANN)
    page.get_by_role("button", name="Sign Up Now", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("inbox")
    expect(page.get_by_text(ANN).first).to_be_visible()


def open_mail(page: Page, demo: RunningDemo, subject: str) -> str:
    """Open a mail once it has arrived, and give its text."""
    wait_until(lambda: any(subject in one for one in demo.subjects), demo.log)
    page.goto(f"{demo.site}/demo/mailbox")
    page.get_by_role("link").filter(has_text=subject).first.click()
    page.get_by_role("link", name="Text", exact=True).click()
    return page.locator("pre").inner_text()


def confirm_in_the_mailbox(page: Page, demo: RunningDemo) -> None:
    text = open_mail(page, demo, "Please confirm: Daily Headlines")
    (link,) = {word for word in text.split() if "/confirm/" in word}
    page.goto(link)
    page.get_by_role("button", name="Yes, send me Daily Headlines").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.reload()
    page.goto(link)
    expect(page.get_by_role("button", name="Yes, send me Daily Headlines")).to_have_count(0)


def sign_in(page: Page, demo: RunningDemo) -> None:
    page.goto(demo.sign_in_link)
    page.get_by_role("button", name="Sign in as editor@harbor-gazette.example").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.goto(demo.sign_in_link)
    expect(page.get_by_role("button", name="Sign in as")).to_have_count(0)


def send_todays_edition(page: Page, demo: RunningDemo) -> None:
    page.goto(f"{demo.site}/demo/")
    page.get_by_role("link", name="Open today").click()
    expect(page.get_by_text("It goes out by itself at 06:00")).to_be_visible()
    page.get_by_role("button", name="Send now").click()
    expect(page.get_by_text("It is going out.", exact=True)).to_be_visible()


def read_it_and_leave(page: Page, demo: RunningDemo) -> None:
    page.goto(f"{demo.site}/demo/mailbox")
    edition = open_edition(page, demo)
    assert "Also covered by" in edition
    page.get_by_role("button", name="One-click unsubscribe").click()
    expect(page.get_by_text("answered with 200")).to_be_visible()
    (leave,) = {word for word in edition.split() if "/unsubscribe/" in word}
    page.goto(leave)
    expect(page.get_by_role("button", name="Leave")).to_have_count(0)


def open_edition(page: Page, demo: RunningDemo) -> str:
    """Editions have the lead headline as their subject: the one mail that is neither confirmation nor welcome."""
    wait_until(lambda: len(demo.subjects) == 3, demo.log)
    page.goto(f"{demo.site}/demo/mailbox")
    links = page.locator("main a").filter(has_text=ANN)
    expect(links).to_have_count(3)
    links.first.click()
    page.get_by_role("link", name="Text", exact=True).click()
    return page.locator("pre").inner_text()


def live_through_the_next_morning(page: Page, demo: RunningDemo) -> None:
    page.goto(f"{demo.site}/demo/")
    page.get_by_role("button", name="Next morning").click()
    expect(page.get_by_text("it is the next morning")).to_be_visible(timeout=60_000)
    page.get_by_role("link", name="Open today").click()
    expect(page.get_by_text("It goes out by itself at 06:00")).to_be_visible()


@pytest.mark.slow
def test_it_keeps_its_data_until_it_is_told_to_start_afresh(page: Page, tmp_path: Path) -> None:
    with running_demo(tmp_path / "demo") as demo:
        sign_up_on_the_article(page, demo)
        open_mail(page, demo, "Please confirm")
        assert demo.stop() == 0
    with running_demo(tmp_path / "demo") as demo:
        page.goto(f"{demo.site}/demo/mailbox")
        expect(page.get_by_role("link").filter(has_text="Please confirm")).to_have_count(1)
        assert demo.stop() == 0
    with running_demo(tmp_path / "demo", "--fresh") as demo:
        page.goto(f"{demo.site}/demo/mailbox")
        expect(page.get_by_role("link").filter(has_text="Please confirm")).to_have_count(0)


@pytest.mark.slow
def test_it_lives_through_days(page: Page, tmp_path: Path) -> None:
    """Draft, approval, sending and archive of four days; each day's copy is in the mailbox, no story twice."""
    with running_demo(tmp_path / "demo") as demo:
        sign_up_on_the_article(page, demo)
        confirm_in_the_mailbox(page, demo)
        open_mail(page, demo, "Welcome to Daily Headlines")
        sign_in(page, demo)
        told: list[list[str]] = []
        subjects: list[str] = []
        for day in range(4):
            subjects.append(approve_todays_draft(page, demo, by_hand=day % 2 == 0))
            live_through_the_next_morning(page, demo)
            told.append(stories_of_the_last_mail(page, demo, subjects[-1]))
        assert len(set(subjects)) == 4
        assert all(len(day) >= 8 for day in told)
        every = [story for day in told for story in day]
        assert len(every) == len(set(every)), "no story twice"
        page.goto(f"{demo.site}/editions/")
        expect(page.locator(".past-title")).to_have_text(subjects[::-1])
        for subject in subjects:
            page.goto(f"{demo.site}/editions/")
            page.get_by_role("link", name=subject, exact=True).click()
            expect(page.get_by_role("heading", name=subject)).to_be_visible()
        assert "ERROR" not in demo.log.read_text()
        assert demo.stop() == 0


def approve_todays_draft(page: Page, demo: RunningDemo, *, by_hand: bool) -> str:
    """Its subject. The other drafts approve themselves at six."""
    page.goto(f"{demo.site}/demo/")
    page.get_by_role("link", name="Open today").click()
    expect(page.get_by_text("It goes out by itself at 06:00")).to_be_visible()
    if by_hand:
        page.get_by_role("button", name="Approve", exact=True).click()
        expect(page.get_by_text("Approved", exact=True).first).to_be_visible()
    at_the_desk = page.get_by_label("Subject", exact=True)
    return at_the_desk.input_value() if at_the_desk.count() else page.locator("dl.subject dd").first.inner_text()


def stories_of_the_last_mail(page: Page, demo: RunningDemo, subject: str) -> list[str]:
    """The addresses of all stories in the mail, with those that only another outlet tells."""
    text = open_mail(page, demo, subject)
    return [word for word in text.split() if "/demo/outlets/" in word]
