"""What preflight finds in an edition, what of it blocks, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.editions import linking
from newsletter.editions.preflight import (
    CLIPPED_OCTETS,
    LARGEST_OCTETS,
    Around,
    Audience,
    Content,
    Finding,
    Kind,
    Silent,
    Told,
    examine,
)
from newsletter.mail.sender_dns import SenderRecords

YESTERDAY = datetime(2026, 3, 2, 4, 30, tzinfo=UTC)


def story(position: int = 1, headline: str = "", **other: object) -> Told:
    told = Told(position, headline or f"Headline number {position}", "What happened.", f"https://a.example/{position}")
    return replace(told, **other)


GOOD = Content("The harbor bridge closes", "New school opens", stories=(story(1), story(2), story(3)))
CALM = Around(html_octets=40_000, last_subject="The ferry gets a hull", postal_address="1 Main Street")


def found(kind: Kind, content: Content = GOOD, around: Around = CALM) -> list[Finding]:
    return [finding for finding in examine(content, around) if finding.kind is kind]


def the_one(kind: Kind, content: Content = GOOD, around: Around = CALM) -> Finding:
    (finding,) = found(kind, content, around)
    assert finding.message
    assert finding.remedy
    return finding


def with_story(**other: object) -> Content:
    return replace(GOOD, stories=(story(1), story(2, **other)))


def test_nothing_is_said_of_a_good_edition() -> None:
    assert examine(GOOD, CALM) == []


def test_what_blocks_stands_first() -> None:
    content = replace(with_story(url="", picture="https://news.example.org/p.jpg"), subject="")
    assert [finding.blocking for finding in examine(content, replace(CALM, postal_address=""))] == [
        *(True, True),
        *(False, False),
    ]


# Who is left out


@pytest.mark.parametrize(
    ("left_out", "says"), [(1, "1 reader would get nothing"), (25_000, "25,000 readers would get")]
)
def test_it_is_told_how_many_a_new_domain_leaves_out(left_out: int, says: str) -> None:
    finding = the_one(Kind.WARM_UP, around=replace(CALM, left_out=left_out))
    assert says in finding.message
    assert not finding.blocking


# No stories, and the subject


def test_an_edition_without_stories_is_blocked() -> None:
    assert the_one(Kind.NO_STORIES, replace(GOOD, stories=())).blocking


@pytest.mark.parametrize("subject", ["", "  \n"])
def test_an_edition_without_a_subject_is_blocked(subject: str) -> None:
    assert the_one(Kind.SUBJECT, replace(GOOD, subject=subject)).blocking


def test_a_subject_that_no_mailbox_shows_whole_is_a_hint() -> None:
    assert found(Kind.SUBJECT, replace(GOOD, subject="x" * 110)) == []
    finding = the_one(Kind.SUBJECT, replace(GOOD, subject="x" * 111))
    assert not finding.blocking
    assert "111 characters" in finding.message


@pytest.mark.parametrize("last", ["The harbor bridge closes", "the HARBOR bridge, closes!"])
def test_the_subject_of_the_last_edition_once_more_is_a_hint(last: str) -> None:
    assert not the_one(Kind.SUBJECT, around=replace(CALM, last_subject=last)).blocking


def test_without_an_edition_before_no_subject_is_its_own_repetition() -> None:
    assert found(Kind.SUBJECT, around=replace(CALM, last_subject=None)) == []


# Links

WRONG_LINKS = {
    "": "is missing",
    "/news/1": "must begin with https://",
    "www.a.example/1": "must begin with https://",
    "//a.example/1": "must begin with https://",
    "https:///1": "names no site",
    "http://": "names no site",
    "https://a b.example/1": "has a space in it",
    "https://a.example/\x07": "has a space in it",
    "https://a..example/1": "no name of a site",
    "https://-a.example/1": "no name of a site",
    "https://a.example:99999/": "is no web address",
    "http://[::1": "is no web address",
    "javascript:alert(1)": "begins with javascript:",
    "mailto:desk@a.example": "begins with mailto:",
    "ftp://a.example/1": "begins with ftp:",
    "file:///etc/hosts": "begins with file:",
    "https://ann:secret@a.example/": "user name",
    "https://a.example/" + "x" * 2000: "longer than 2,000",
    "http://localhost/1": "readers elsewhere cannot reach",
    "http://LOCALHOST:8000/1": "readers elsewhere cannot reach",
    "http://cms/1": "readers elsewhere cannot reach",
    "http://cms.internal/1": "readers elsewhere cannot reach",
    "http://cms.newsroom.local./1": "readers elsewhere cannot reach",
    "http://127.0.0.1/1": "readers elsewhere cannot reach",
    "http://10.1.2.3:8080/1": "readers elsewhere cannot reach",
    "http://192.168.1.20/1": "readers elsewhere cannot reach",
    "http://169.254.169.254/": "readers elsewhere cannot reach",
    "http://100.64.0.1/": "readers elsewhere cannot reach",
    "http://2130706433/": "readers elsewhere cannot reach",
    "http://0x7f.1/": "readers elsewhere cannot reach",
    "http://[::1]/1": "readers elsewhere cannot reach",
    "http://[fd00::1]/1": "readers elsewhere cannot reach",
    "http://[::ffff:10.0.0.1]/": "readers elsewhere cannot reach",
}

GOOD_LINKS = (
    "https://a.example/1",
    "http://a.example",
    "HTTPS://A.example/1?q=ü&x=[1]#top",
    "https://a.example:8443/1",
    "https://a.example./1",
    "https://bücher.example/1",
    "https://xn--bcher-kva.example/1",
    "https://a_b.example/1",
    "https://8.8.8.8/1",
    "https://[2606:4700::1111]/1",
    "https://localnews.example/",
    "https://internal.example/local",
)


@pytest.mark.parametrize(("url", "why"), WRONG_LINKS.items(), ids=[url[:40] or "none" for url in WRONG_LINKS])
def test_a_link_that_leads_nowhere_blocks_and_says_why(url: str, why: str) -> None:
    finding = the_one(Kind.LINK, with_story(url=url))
    assert finding.blocking
    assert finding.item_position == 2
    assert "story 2" in finding.message
    assert why in finding.message


@pytest.mark.parametrize("url", GOOD_LINKS)
def test_a_link_that_can_be_followed_is_left_alone(url: str) -> None:
    assert found(Kind.LINK, with_story(url=url)) == []


def test_a_story_that_staff_gave_no_page_needs_none_but_a_wrong_one_is_wrong() -> None:
    assert found(Kind.LINK, with_story(url="", linkless=True)) == []
    assert the_one(Kind.LINK, with_story(url="news/1", linkless=True)).blocking


def test_links_of_others_pictures_and_the_block_are_looked_at_too() -> None:
    others = (("Ridge Courier", "http://cms.lan/1"), ("Coast Daily", ""))
    assert "Ridge Courier" in the_one(Kind.LINK, with_story(others=others)).message
    assert "picture" in the_one(Kind.LINK, with_story(picture="/p.jpg", alt="A bridge")).message
    assert "block" in the_one(Kind.LINK, replace(GOOD, block_url="shop")).message


def test_who_reads_in_the_same_network_can_follow_links_in_it() -> None:
    inner = replace(CALM, inner=True)
    assert found(Kind.LINK, with_story(url="http://127.0.0.1:8000/demo/1"), inner) == []
    assert the_one(Kind.LINK, with_story(url="/demo/1"), inner).blocking


def test_a_link_into_an_inner_network_is_a_hint_where_the_operator_lets_feeds_in_from_one() -> None:
    lets_in = replace(CALM, lets_in=True)
    assert not the_one(Kind.LINK, with_story(url="http://10.1.2.3/1"), lets_in).blocking
    assert the_one(Kind.LINK, with_story(url="10.1.2.3/1"), lets_in).blocking


@given(st.text())
def test_whatever_stands_where_a_link_should_is_judged(url: str) -> None:
    wrong = linking.fault(url)
    assert wrong is None or wrong.startswith(("is ", "has ", "begins ", "names ", "leads "))
    assert linking.fault(url, inner=True) in (None, wrong)


# Pictures, headlines, sections


@pytest.mark.parametrize("alt", ["", "  "])
def test_a_picture_that_is_shown_without_a_description_is_a_hint(alt: str) -> None:
    shown = with_story(picture="https://news.example.org/p.jpg", alt=alt)
    assert (the_one(Kind.PICTURE, shown).blocking, the_one(Kind.PICTURE, shown).item_position) == (False, 2)


def test_a_picture_that_is_described_or_not_shown_is_left_alone() -> None:
    assert found(Kind.PICTURE, with_story(picture="https://news.example.org/p.jpg", alt="A bridge")) == []
    assert found(Kind.PICTURE, with_story(picture="")) == []


@pytest.mark.parametrize(
    "again", ["HEADLINE, number 1!", "Headline number\u00a01", "headlineNumber1", " Headline number 1"]
)
def test_two_headlines_that_differ_only_in_case_spaces_or_punctuation_are_the_same(again: str) -> None:
    finding = the_one(Kind.HEADLINE, with_story(headline=again))
    assert finding.message == "Stories 1 and 2 have the same headline."
    assert (finding.blocking, finding.item_position) == (False, 2)


@pytest.mark.parametrize("other", ["Headline number 11", "Headline number one", "見出し"])
def test_headlines_that_differ_are_left_alone(other: str) -> None:
    assert found(Kind.HEADLINE, with_story(headline=other)) == []


def test_words_that_differ_in_a_vowel_sign_differ() -> None:
    assert found(Kind.HEADLINE, replace(GOOD, stories=(story(1, "कल"), story(2, "काल")))) == []


def test_three_of_a_kind_are_told_together() -> None:
    same = tuple(story(position, "The same") for position in (1, 3, 7))
    assert the_one(Kind.HEADLINE, replace(GOOD, stories=same)).message.startswith("Stories 1, 3 and 7")


def test_headlines_without_a_letter_are_empty_and_not_each_other_s_copies() -> None:
    assert "is empty" in the_one(Kind.HEADLINE, with_story(headline="…")).message


def test_a_section_without_stories_is_a_hint() -> None:
    filled = replace(GOOD, stories=(story(1, section="world"), story(2, section="")))
    finding = the_one(Kind.SECTION, filled, replace(CALM, sections=("World", "Sport", "Science")))
    assert finding.message == "There is nothing for Sport and Science today."
    assert not finding.blocking


def test_stories_of_no_section_are_no_empty_section() -> None:
    assert found(Kind.SECTION, with_story(section="")) == []
    everything = replace(GOOD, stories=(story(1, section="World"), story(2, section="")))
    assert found(Kind.SECTION, everything, replace(CALM, sections=("World",))) == []


# Words that were to be replaced

CERTAIN = (
    "Lorem ipsum dolor sit amet",
    "LOREM  IPSUM",
    "Dear {{ name }}",
    "Dear {{name",
    "{% if reader %}",
    "{lead} and more",
    "[headline]",
    "[Headline] goes here",
    "[insert quote]",
    "TKTK",
    "The TKTKTK of the year",
    "TODO: write this",
    "TK",
    " XXX ",
    "TODO",
)
DOUBTFUL = ("Bargains at TK Maxx", "Super Bowl XXX in pictures", "Es TODO un éxito", "Price is XXXX dollars")
NONE = (
    "ES TODO UN ÉXITO PARA EL PUERTO",
    "SUPER BOWL XXX",
    "Atkins, todo list and taxxxes",
    "[Video] Bridge closes",
    "[Update] It opens",
    "{sic}",
    "tk",
    "Loremipsum",
    "",
)


@pytest.mark.parametrize("text", CERTAIN)
@pytest.mark.parametrize("part", ["headline", "summary", "alt"])
def test_a_placeholder_in_a_story_blocks_where_staff_wrote_it_and_no_feed_can_hold_an_edition(
    part: str, text: str
) -> None:
    ours = frozenset({"headline", "summary", "image_alt"})
    finding = the_one(Kind.PLACEHOLDER, with_story(**{part: text}, by_hand=ours))
    assert finding.blocking
    assert finding.item_position == 2
    assert not the_one(Kind.PLACEHOLDER, with_story(**{part: text})).blocking


@pytest.mark.parametrize("text", CERTAIN)
@pytest.mark.parametrize("part", ["subject", "preheader", "intro", "block"])
def test_a_placeholder_around_the_stories_blocks(part: str, text: str) -> None:
    assert the_one(Kind.PLACEHOLDER, replace(GOOD, **{part: text})).blocking


@pytest.mark.parametrize("text", DOUBTFUL)
def test_a_word_that_may_mean_something_is_a_hint_in_an_outlet_s_text_and_blocks_in_ours(text: str) -> None:
    assert not the_one(Kind.PLACEHOLDER, with_story(headline=text)).blocking
    assert the_one(Kind.PLACEHOLDER, with_story(headline=text, by_hand=frozenset({"headline"}))).blocking
    assert the_one(Kind.PLACEHOLDER, replace(GOOD, intro=text)).blocking
    assert not the_one(Kind.PLACEHOLDER, replace(GOOD, subject=text)).blocking
    assert the_one(Kind.PLACEHOLDER, replace(GOOD, subject=text, by_hand=frozenset({"subject"}))).blocking


@pytest.mark.parametrize("text", NONE)
def test_words_that_stand_there_on_purpose_are_left_alone(text: str) -> None:
    content = replace(GOOD, intro=text, block=text, stories=(story(1, summary=text), story(2, text or "Headline")))
    assert found(Kind.PLACEHOLDER, content) == []


def test_a_headline_that_is_the_subject_too_is_told_once() -> None:
    lead = "TODO: the bridge"
    content = replace(GOOD, subject=lead, preheader=lead, stories=(story(1, lead), story(2)))
    assert the_one(Kind.PLACEHOLDER, content).item_position == 1


# Size, foot, sender, sources


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (LARGEST_OCTETS, None),
        (LARGEST_OCTETS + 1, False),
        (CLIPPED_OCTETS, False),
        (CLIPPED_OCTETS + 1, True),
        (0, None),
        (None, None),
    ],
)
def test_a_mail_that_gmail_clips_blocks_and_one_near_it_is_a_hint(octets: int | None, said: bool | None) -> None:
    sizes = found(Kind.SIZE, around=replace(CALM, html_octets=octets))
    assert [finding.blocking for finding in sizes] == ([] if said is None else [said])


@pytest.mark.parametrize("address", ["", "  "])
def test_a_foot_without_a_postal_address_is_a_hint(address: str) -> None:
    assert not the_one(Kind.POSTAL_ADDRESS, around=replace(CALM, postal_address=address)).blocking


@pytest.mark.parametrize(
    ("spf", "dkim", "dmarc", "said"),
    [
        (True, True, True, None),
        (True, True, False, "no DMARC record:"),
        (False, True, False, "no SPF or DMARC records:"),
        (False, False, False, "no SPF, DKIM or DMARC records:"),
    ],
)
def test_a_sender_s_domain_without_its_records_is_a_hint(spf: bool, dkim: bool, dmarc: bool, said: str | None) -> None:
    known = replace(CALM, sender=SenderRecords("example.org", spf, dkim, dmarc))
    findings = found(Kind.SENDER, around=known)
    assert [finding.blocking for finding in findings] == ([] if said is None else [False])
    assert all(said and said in finding.message for finding in findings)


def test_of_a_domain_that_nobody_looked_at_nothing_is_said() -> None:
    assert found(Kind.SENDER, around=replace(CALM, sender=None)) == []


def test_silent_sources_are_a_hint_and_named_up_to_three() -> None:
    silent = tuple(Silent(f"Outlet {n}", YESTERDAY) for n in (1, 2))
    finding = the_one(Kind.SOURCES, around=replace(CALM, silent=(Silent("Harbor Gazette", None), *silent)))
    assert not finding.blocking
    assert finding.message == (
        "Unusually silent: Harbor Gazette, Outlet 1 since 02 Mar, 04:30 UTC and Outlet 2 since 02 Mar, 04:30 UTC."
    )
    many = replace(CALM, silent=tuple(Silent(f"Outlet {n}", None) for n in range(9)))
    assert the_one(Kind.SOURCES, around=many).message == "Unusually silent: Outlet 0, Outlet 1, Outlet 2 and 6 more."


# The audience


@pytest.mark.parametrize(
    ("last", "now", "blocking"),
    [
        (None, 50_000, None),
        (300, 300, None),
        (300, 400, None),
        (300, 401, True),
        (300, 200, None),
        (300, 199, True),
        (300, 0, True),
        (0, 0, None),
        (0, 9, False),
        (0, 10, True),
        (3, 4, None),
        (3, 5, False),
        (12, 3, False),
        (13, 3, True),
        (1_000_000, 1_333_334, True),
        (1_000_000, 1_333_333, None),
    ],
)
def test_an_audience_that_changed_by_more_than_a_third_blocks_unless_it_is_a_few_people(
    last: int | None, now: int, blocking: bool | None
) -> None:
    findings = found(Kind.AUDIENCE, around=replace(CALM, audience=Audience(now, last)))
    assert [finding.blocking for finding in findings] == ([] if blocking is None else [blocking])


def test_the_number_that_is_asked_for_stands_there() -> None:
    finding = the_one(Kind.AUDIENCE, around=replace(CALM, audience=Audience(12_500, 300)))
    assert finding.message == "It would go to 12,500 readers; the last edition went to 300."
    assert "type 12500" in finding.remedy


@pytest.mark.parametrize(
    ("typed", "accepted"),
    [(500, True), (505, True), (495, True), (506, False), (494, False), (300, False), (0, False), (None, False)],
)
def test_the_typed_number_lets_it_pass_also_when_a_few_came_or_left_meanwhile(typed: int, accepted: bool) -> None:
    findings = found(Kind.AUDIENCE, around=replace(CALM, audience=Audience(500, 300, typed)))
    assert (findings == []) is accepted
