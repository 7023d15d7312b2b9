from __future__ import annotations

from newsletter.stories.merging import merge


def test_merging_asks_less_of_two_groups_than_of_two_stories():
    pair = {0: {1: 0.15}, 1: {0: 0.15}}
    assert merge([[0], [1]], pair, {}, 0.16) == [[0], [1]]
    groups = {0: {1: 12 * 0.15}, 1: {0: 12 * 0.15}}  # four stories and three, alike by as much on average
    assert merge([[0, 1, 2, 3], [4, 5, 6]], groups, {}, 0.16) == [[0, 1, 2, 3, 4, 5, 6]]
