from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.stories.evaluating import Score, b_cubed, mean, pairwise
from newsletter.stories.grouping import Group, StoryText, background_of, group_stories
from tests.conftest import EXAMPLES

MORNING = datetime(2026, 11, 21, 6, tzinfo=UTC)
POOLS = Path(__file__).parents[4] / "shared" / "data" / "stories" / "pools"

# One invented day: three events told by several outlets, and stories that nobody else has.
BRIDGE = [
    ("Swing bridge at Port Ellery stuck open after barge collision", "Harbor Gazette"),
    ("Barge hits Port Ellery swing bridge, ferries replace trams", "Ellery Post"),
    ("Port Ellery bridge jammed: barge crash halts trams for a week", "Coastal Courier"),
]
FROST = [
    ("Late frost ruins apricot harvest in the Vale of Tarn", "Harbor Gazette"),
    ("Tarn apricot growers count losses after May frost", "Inland Mirror"),
    ("Frost wipes out two thirds of apricots, Tarn growers say", "Coastal Courier"),
]
STRIKE = [
    ("Glassworkers in Ostrava-on-Wye walk out over night shifts", "Inland Mirror"),
    ("Night shift row: glassworkers strike enters third day", "Ellery Post"),
]
SINGLES = [
    ("Library lends telescopes", "Harbor Gazette"),
    ("Chess club wins regional cup", "Ellery Post"),
    ("Museum finds a lost map in its own cellar", "Coastal Courier"),
    ("Marathon route moves to the river bank", "Inland Mirror"),
]


def stories(*told: tuple[str, str], at: datetime | None = MORNING, summary: str = "") -> list[StoryText]:
    numbers = count(1)
    return [StoryText(next(numbers), title, summary, outlet, at) for title, outlet in told]


def ids(groups: Sequence[Group]) -> set[frozenset[int]]:
    return {frozenset(group.story_ids) for group in groups}


def a_day() -> list[StoryText]:
    return stories(*BRIDGE, *FROST, *STRIKE, *SINGLES)


def test_stories_about_one_event_are_one_group_and_others_stay_alone():
    assert ids(group_stories(a_day())) == {
        *(frozenset(group) for group in ({1, 2, 3}, {4, 5, 6}, {7, 8})),
        *(frozenset({single}) for single in range(9, 13)),
    }


def test_the_largest_group_comes_first_and_its_oldest_story_first():
    late, early, unknown = (
        StoryText(1, BRIDGE[0][0], "", BRIDGE[0][1], MORNING + timedelta(hours=2)),
        StoryText(2, BRIDGE[1][0], "", BRIDGE[1][1], MORNING),
        StoryText(3, BRIDGE[2][0], "", BRIDGE[2][1], None),
    )
    assert group_stories([late, unknown, early])[0].story_ids == (2, 1, 3)


def test_the_words_that_tie_a_group_are_shown_as_they_are_written():
    bridge, *_, single = group_stories(stories(*BRIDGE, *SINGLES))
    assert set(bridge.words) >= {"Port", "Ellery", "bridge"}
    assert len(bridge.words) <= 5
    assert single.words == ()


def test_no_stories_make_no_groups():
    assert group_stories([]) == []


def test_stories_without_a_telling_word_stay_alone():
    empty = stories(("", "Harbor Gazette"), ("", "Ellery Post"), ("What is it about?", "Inland Mirror"))
    assert ids(group_stories(empty)) == {frozenset({1}), frozenset({2}), frozenset({3})}


def test_two_stories_with_one_id_are_refused():
    twice = stories(BRIDGE[0]) + stories(BRIDGE[1])
    with pytest.raises(ValueError, match="same id"):
        group_stories(twice)


def test_stories_more_than_48_hours_apart_are_not_tied():
    first, second = stories(*BRIDGE[:2])
    later = StoryText(3, BRIDGE[2][0], "", BRIDGE[2][1], MORNING + timedelta(hours=49))
    assert frozenset({3}) in ids(group_stories([first, second, later, *stories_from(4, *SINGLES)]))


def stories_from(first: int, *told: tuple[str, str]) -> list[StoryText]:
    return [StoryText(id, title, "", outlet, MORNING) for id, (title, outlet) in enumerate(told, first)]


def test_stories_of_unknown_time_are_tied_by_their_words():
    undated = stories(*BRIDGE, at=None)
    assert frozenset({1, 2, 3}) in ids(group_stories([*undated, *stories_from(4, *SINGLES)]))


def test_an_outlet_tells_an_event_once_unless_its_stories_are_very_alike():
    one = ("Barge hits Port Ellery swing bridge", "Ellery Post")
    other = ("Ferries replace trams in Port Ellery after barge accident", "Ellery Post")
    elsewhere = (other[0], "Harbor Gazette")
    assert ids(group_stories(stories(one, other, *SINGLES))) >= {frozenset({1}), frozenset({2})}
    assert ids(group_stories(stories(one, elsewhere, *SINGLES))) >= {frozenset({1, 2})}


def test_an_unknown_outlet_is_not_the_same_outlet_twice():
    unknown = [(title, "") for title, _ in BRIDGE]
    assert frozenset({1, 2, 3}) in ids(group_stories(stories(*unknown, *SINGLES)))


@pytest.mark.parametrize(
    "title",
    [
        "Morning briefing: Port Ellery bridge stuck, barge collision, trams halted",
        "Live: barge stuck at Port Ellery swing bridge",
        "Port Ellery barge collision - live updates from the swing bridge",
        "Port Ellery swing bridge, barges and trams: the week in pictures",
        "5 things to know today: Port Ellery swing bridge, barge, trams",
    ],
)
def test_round_ups_and_live_blogs_stay_alone(title):
    groups = group_stories([*stories(*BRIDGE), *stories_from(4, (title, "Inland Mirror"))])
    assert ids(groups) == {frozenset({1, 2, 3}), frozenset({4})}


def test_a_briefing_that_is_news_itself_is_no_round_up():
    told = stories(
        ("Minister skips security briefing on Tarn dam", "Harbor Gazette"),
        ("Tarn dam: why the minister skipped the security briefing", "Ellery Post"),
        *SINGLES,
    )
    assert frozenset({1, 2}) in ids(group_stories(told))


def test_an_outlets_name_in_the_title_ties_nothing():
    told = stories(
        ("Library lends telescopes - The Harbor Gazette", "Harbor Gazette"),
        ("Chess club wins cup - The Harbor Gazette", "harborgazette.example"),
        ("Chess club wins cup | Harbor Gazette", ""),
    )
    assert frozenset({1}) in ids(group_stories(told))


def test_what_an_outlet_says_below_every_story_ties_nothing():
    plea = "Subscribe to our nautical newsletter for unlimited harbour forecasts and puzzles."
    own = [StoryText(i, title, plea, "Harbor Gazette", MORNING) for i, (title, _) in enumerate(SINGLES + FROST[:2], 1)]
    other = StoryText(9, "Puzzles by subscription: nautical forecasts unlimited", "", "Ellery Post", MORNING)
    assert frozenset({9}) in ids(group_stories([*own, other]))


def test_a_higher_threshold_ties_less():
    loose, strict = group_stories(a_day(), threshold=0.1), group_stories(a_day(), threshold=0.9)
    assert len(loose) < len(strict) == len(a_day())


def test_a_word_that_the_background_knows_as_common_ties_less():
    told = stories(
        ("Harbour council meets on dredging", "Harbor Gazette"), ("Council hears harbour poet", "Ellery Post")
    )
    usual = [StoryText(100 + i, f"Harbour council item {i}", "", "Harbor Gazette", None) for i in range(300)]
    assert ids(group_stories(told)) == {frozenset({1, 2})}
    assert ids(group_stories(told, background=background_of(usual))) == {frozenset({1}), frozenset({2})}


def usual_days(stories_: int) -> list[StoryText]:
    """Past stories of a paper that always writes about councils and harbours, and never of today's events."""
    return [
        StoryText(1000 + i, f"Harbour council item {i}", f"Report{i} by warden{i}", "Harbor Gazette", None)
        for i in range(stories_)
    ]


@pytest.mark.parametrize("past", [1, 20 * 12, 5000])
def test_however_large_the_background_is_the_days_events_stay_the_same(past):
    assert group_stories(a_day(), background=background_of(usual_days(past))) == group_stories(a_day())


def test_the_talk_of_the_day_ties_no_more_because_earlier_days_did_not_know_it():
    events = [
        ("Summit in Velm: apricot tariffs", "glassworkers walk out"),
        ("Velm summit opens late", "ferry captain praised"),
        ("Velm summit: choir rehearses", "marathon rerouted"),
        ("Bakers at the Velm summit", "telescope lent"),
    ]
    told = stories(*[(f"{title}, {rest}", f"Outlet {n}") for n, (title, rest) in enumerate(events * 10)])
    told = [replace(story, title=f"{story.title} {story.id}x{story.id % 7}y") for story in told]
    alone, with_past = (ids(group_stories(told, background=past)) for past in (None, background_of(usual_days(800))))
    assert alone == with_past
    assert len(alone) == len(events)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Food for moths", "Street food on wheels"),
        ("The life of a lighthouse", "Second life for old trams"),
        ("Ellery mayor resigns", "Fire at Ellery glassworks"),
        ("Kiew eröffnet Bücherei", "Briefmarke aus Kiew"),
        ("Киев открыл библиотеку", "Киев выпустил марку"),
        ("कीव में पुस्तकालय खुला", "कीव ने टिकट छापा"),
        ("ウクライナの図書館が開館", "ウクライナで切手を発行"),
        ("国際原子力機関に新庁舎", "国際原子力機関が求人"),
        ("乌克兰图书馆开放", "乌克兰发行邮票"),
        ("우크라이나 도서관 개관", "우크라이나 우표 발행"),
        ("ยูเครนเปิดหอสมุด", "ยูเครนออกแสตมป์"),
    ],
)
def test_one_word_in_common_ties_no_two_stories(one, other):
    told = stories((one, "Harbor Gazette"), (other, "Ellery Post"), *SINGLES)
    assert ids(group_stories(told)) == {frozenset({story.id}) for story in told}


def test_a_story_joins_several_by_the_one_word_that_all_of_them_say():
    tablet = [
        ("Larkspur tablet unveiled", "Harbor Gazette"),
        ("Tablet Larkspur on sale in May", "Ellery Post"),
        ("Cheap Larkspur tablet surprises rivals", "Coastal Courier"),
    ]
    told = stories(*tablet, ("Hands on with Larkspur", "Inland Mirror"), *SINGLES)
    assert frozenset({1, 2, 3, 4}) in ids(group_stories(told))


def test_two_words_in_common_tie_short_titles():
    told = stories(("Bridge closed", "Harbor Gazette"), ("Swing bridge closed", "Ellery Post"), *SINGLES)
    assert frozenset({1, 2}) in ids(group_stories(told))


def test_a_title_of_two_words_is_not_tied_to_a_long_text_that_says_both_in_passing():
    short = StoryText(1, "Food prices", "", "Harbor Gazette", MORNING)
    summary = (
        "Divers inspect the hull, insurers arrive, fishermen sell sardines below usual prices, "
        "tents offer warm food, the choir sings, cranes lift anchor"
    )
    long = StoryText(2, "Barge hits Port Ellery swing bridge, trams halted", summary, "Ellery Post", MORNING)
    usual = [StoryText(100 + i, f"Parish{i} elects warden{i}", "", "Inland Mirror", None) for i in range(248)]
    assert ids(group_stories([short, long, *usual])) >= {frozenset({1}), frozenset({2})}


def test_fewer_stories_have_to_be_more_alike_too():
    pair = stories(
        ("Tram depot in Holm repainted pale green before the fair, to loud applause", "Harbor Gazette"),
        ("Bakery queues reach the Holm depot on the opening morning of spring", "Ellery Post"),
    )
    usual = [StoryText(100 + i, f"Parish{i} elects warden{i}", "", "Inland Mirror", None) for i in range(248)]
    assert frozenset({1, 2}) in ids(group_stories(pair + usual))
    assert frozenset({1, 2}) not in ids(group_stories(pair + usual[:10]))


@pytest.mark.parametrize(
    ("one", "other", "else_"),
    [
        ("東港市で橋が故障し路面電車が運休", "東港市の橋が故障で路面電車の運休続く", "図書館が望遠鏡を貸し出し"),
        ("항구 다리 고장으로 전차 운행 중단", "전차 운행 중단, 항구의 다리가 고장", "도서관에서 망원경을 빌려준다"),
        ("Мост в Эллери заклинило, трамваи стоят", "Трамваи стоят из-за моста в Эллери", "Музей нашёл старую карту"),
        (
            "L'écluse d'Ellery bloquée, trafic arrêté",
            "Trafic arrêté : écluse bloquée à Ellery",
            "La chorale chante au marché",
        ),
        ("एलेरी में पुल जाम, ट्राम सेवा बंद", "ट्राम सेवा बंद: एलेरी का पुल जाम", "पुस्तकालय में दूरबीन"),
    ],
)
def test_stories_in_other_languages_are_tied_too(one, other, else_):
    told = stories((one, "A"), (other, "B"), (else_, "C"))
    assert ids(group_stories(told)) == {frozenset({1, 2}), frozenset({3})}


def test_a_mark_brings_together_what_has_no_word_in_common():
    marked = group_stories(a_day(), together=[(9, 10)])
    assert frozenset({9, 10}) in ids(marked)
    assert next(g for g in marked if 9 in g.story_ids).words == ()


def test_a_mark_brings_together_round_ups():
    told = stories(("Morning briefing", "Harbor Gazette"), BRIDGE[0])
    assert ids(group_stories(told, together=[(1, 2)])) == {frozenset({1, 2})}


def test_a_mark_keeps_equal_texts_apart():
    told = stories((BRIDGE[0][0], "Harbor Gazette"), (BRIDGE[0][0], "Ellery Post"), *SINGLES)
    assert frozenset({1, 2}) in ids(group_stories(told))
    assert frozenset({1}) in ids(group_stories(told, apart=[(2, 1)]))


def test_what_is_kept_apart_stays_so_through_a_third_story():
    groups = ids(group_stories(stories(*BRIDGE, *SINGLES), apart=[(1, 3)]))
    assert not any({1, 3} <= group for group in groups)


def test_apart_wins_over_together():
    for together in ([(1, 2)], [(1, 3), (3, 2)]):
        assert not any({1, 2} <= group for group in ids(group_stories(a_day(), together=together, apart=[(1, 2)])))


def test_marks_about_absent_stories_change_nothing():
    assert group_stories(a_day(), together=[(1, 99), (98, 97)], apart=[(2, 99), (1, 1)]) == group_stories(a_day())


WORDS = (
    "harbour",
    "bridge",
    "barge",
    "tram",
    "frost",
    "apricot",
    "grower",
    "strike",
    "library",
    "map",
    "chess",
    "river",
)
TITLES = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
STORIES = st.lists(
    st.tuples(TITLES, TITLES, st.sampled_from(["Harbor Gazette", "Ellery Post", ""]), st.none() | st.integers(0, 90)),
    max_size=14,
).map(
    lambda rows: [
        StoryText(id, title, summary, outlet, None if hours is None else MORNING + timedelta(hours=hours))
        for id, (title, summary, outlet, hours) in enumerate(rows)
    ]
)
PAIRS = st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=4)


@settings(max_examples=EXAMPLES * 2 // 5)
@given(STORIES, PAIRS, PAIRS, st.randoms(use_true_random=False))
def test_every_story_is_in_one_group_whatever_the_order_and_marks_stand(told, together, apart, random):
    groups = group_stories(told, together=together, apart=apart)
    members = [id for group in groups for id in group.story_ids]
    assert sorted(members) == [story.id for story in told]
    shuffled, swapped = random.sample(told, len(told)), [(b, a) for a, b in together]
    assert group_stories(shuffled, together=swapped[::-1], apart=apart[::-1]) == groups
    group_of = {id: n for n, group in enumerate(groups) for id in group.story_ids}
    present = [(a, b) for a, b in apart if a != b and a in group_of and b in group_of]
    assert all(group_of[a] != group_of[b] for a, b in present)
    if not present:
        assert all(group_of[a] == group_of[b] for a, b in together if a in group_of and b in group_of)


def test_where_two_are_equally_alike_the_texts_decide_and_not_their_order():
    chain = stories(
        ("harbour ferry swing bridge", "A"), ("swing bridge barge canal", "B"), ("barge canal tram depot", "C")
    )
    found = {frozenset(ids(group_stories(told, threshold=0.3))) for told in permutations(chain)}
    assert found == {frozenset({frozenset({1}), frozenset({2, 3})})}


def test_among_more_stories_two_have_to_be_more_alike():
    pair = stories(
        ("Tram depot in Holm repainted pale green before the loud fair", "Harbor Gazette"),
        ("Bakery queues reach the Holm depot on the opening morning of spring", "Ellery Post"),
    )
    crowd = [
        StoryText(100 + i, f"Parish{i} elects warden{i}", f"Bell{i} organ{i}", "Inland Mirror", None)
        for i in range(1500)
    ]
    assert frozenset({1, 2}) in ids(group_stories(pair + crowd[:200]))
    assert frozenset({1, 2}) not in ids(group_stories(pair + crowd))


def measured(name: str) -> tuple[Score, Score]:
    pools: defaultdict[int, list[dict[str, object]]] = defaultdict(list)
    for line in (POOLS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        pools[(row := json.loads(line))["pool"]].append(row)
    scores = []
    for rows in pools.values():
        told = [
            StoryText(i, r["title"], r["summary"], r["outlet"], datetime.fromtimestamp(r["t"], UTC) if r["t"] else None)
            for i, r in enumerate(rows)
        ]
        found = [group.story_ids for group in group_stories(told)]
        gold = {i: row["gold"] for i, row in enumerate(rows)}
        scores.append((pairwise(found, gold), b_cubed(found, gold)))
    return mean([pairs for pairs, _ in scores]), mean([b3 for _, b3 in scores])


@pytest.mark.skipif(not POOLS.is_dir(), reason="the labelled pools are not part of the project")
@pytest.mark.parametrize(("name", "floor"), [("ground_test", 0.83), ("uci_test", 0.70)])
def test_labelled_days_are_grouped_as_people_grouped_them(name, floor):
    pairs, b3 = measured(name)
    assert pairs.f1 >= floor
    assert b3.f1 >= 0.89
