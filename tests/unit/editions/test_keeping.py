"""An order that a hand gave, and what a draft makes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.editions.keeping import in_order

IDS = st.lists(st.integers(1, 12), unique=True, max_size=12)


@pytest.mark.parametrize(
    ("drafted", "by_hand", "expected"),
    [
        ([1, 2, 3], [3, 1, 2], [3, 1, 2]),
        ([1, 2, 3], [], [1, 2, 3]),
        ([9, 1, 2, 3], [3, 1, 2], [9, 3, 1, 2]),
        ([1, 9, 2, 3], [3, 1, 2], [3, 9, 1, 2]),
        ([1, 3], [3, 1, 2], [3, 1]),
        ([], [3, 1, 2], []),
    ],
)
def test_a_hand_s_order_is_taken_and_new_ones_keep_their_place(
    drafted: list[int], by_hand: list[int], expected: list[int]
) -> None:
    assert in_order(drafted, by_hand) == expected


@given(drafted=IDS, by_hand=IDS)
def test_nothing_is_lost_or_doubled_whatever_the_two_are(drafted: list[int], by_hand: list[int]) -> None:
    ordered = in_order(drafted, by_hand)
    assert sorted(ordered) == sorted(drafted)
    assert [one for one in ordered if one in by_hand] == [one for one in by_hand if one in drafted]
    assert all(ordered[place] == one for place, one in enumerate(drafted) if one not in by_hand)
    assert in_order(ordered, by_hand) == ordered
