from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.stories.evaluating import Score, b_cubed, f1_interval, mean, pairwise, yes_or_no

# Seven stories: one event of four, one of two, and a single. The groups split the four and mix the two with the single.
GOLD = {1: "bridge", 2: "bridge", 3: "bridge", 4: "bridge", 5: "frost", 6: "frost", 7: "chess"}
GROUPS = [[1, 2, 3], [4], [5, 6, 7]]


def test_pairs_are_counted():
    found = pairwise(GROUPS, GOLD)
    assert (found.precision, found.recall) == (4 / 6, 4 / 7)
    assert found.f1 == pytest.approx(8 / 13)


def test_b_cubed_takes_the_mean_over_stories():
    found = b_cubed(GROUPS, GOLD)
    assert found.precision == pytest.approx((3 * 1 + 1 + 2 * 2 / 3 + 1 / 3) / 7)
    assert found.recall == pytest.approx((3 * 3 / 4 + 1 / 4 + 2 + 1) / 7)


def test_right_groups_score_one():
    right = [[1, 2, 3, 4], [5, 6], [7]]
    assert pairwise(right, GOLD) == b_cubed(right, GOLD) == Score(1.0, 1.0, 1.0)


def test_all_alone_is_precise_and_all_together_is_complete():
    alone, together = [[story] for story in GOLD], [list(GOLD)]
    assert pairwise(alone, GOLD) == Score(1.0, 0.0, 0.0)
    assert pairwise(together, GOLD).recall == b_cubed(together, GOLD).recall == 1.0


def test_a_day_without_stories_is_right():
    assert pairwise([], {}) == b_cubed([], {}) == Score(1.0, 1.0, 1.0)


def test_the_mean_over_pools_is_the_mean_of_their_f1s():
    assert mean([Score(1.0, 0.5, 0.6), Score(0.5, 0.5, 0.5)]) == Score(0.75, 0.5, 0.55)


def test_yes_or_no_counts_what_was_said_and_what_was_true():
    found = yes_or_no([True, True, False, False], [True, False, True, False])
    assert found == Score(0.5, 0.5, 0.5)


def test_answers_and_truth_must_be_as_many():
    with pytest.raises(ValueError, match="shorter"):
        yes_or_no([True, False], [True])


def test_few_stories_make_a_wide_interval_and_many_a_narrow_one():
    answers, truth = [True] * 8 + [False] * 8, [True] * 6 + [False] * 8 + [True] * 2
    low, high = f1_interval(answers, truth)
    narrow_low, narrow_high = f1_interval(answers * 8, truth * 8)
    assert low < narrow_low < yes_or_no(answers, truth).f1 < narrow_high < high


def test_the_same_seed_gives_the_same_interval():
    assert f1_interval([True, False] * 9, [True] * 18, seed=4) == f1_interval([True, False] * 9, [True] * 18, seed=4)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=20))
def test_scores_are_shares_and_f1_lies_between_precision_and_recall(labels):
    gold = {i: event for i, (event, _) in enumerate(labels)}
    groups = [[i for i, (_, group) in enumerate(labels) if group == n] for n in range(5)]
    for found in (pairwise(groups, gold), b_cubed(groups, gold)):
        assert 0 <= min(found.precision, found.recall) <= found.f1 + 1e-12
        assert found.f1 <= max(found.precision, found.recall) + 1e-12 <= 1 + 1e-9
