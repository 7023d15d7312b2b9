from __future__ import annotations

from collections import Counter
from math import isclose, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.stories.likeness import RARE, UNSAID, Background, alike_pairs, cosine, vector, weights
from tests.conftest import EXAMPLES

WORDS = st.sampled_from(["harbour", "bridge", "barge", "tram", "frost", "apricot", "strike"])
TEXTS = st.lists(st.lists(WORDS, max_size=6), max_size=12)


def test_a_term_tells_less_the_more_texts_have_it():
    told = weights([*[{"council": 1.0}] * 100, *[{"council": 1.0, "barge": 1.0}] * 20, {"frost": 1.0}])
    assert told["council"] < told["barge"] < told["frost"] == 1.0


def test_a_term_in_few_texts_is_rare_however_few():
    told = weights([*[{"barge": 1.0}] * RARE, {"frost": 1.0}, *[{"tram": 1.0}] * 50])
    assert told["barge"] == told["frost"] == 1.0


def test_a_term_that_earlier_stories_often_have_tells_less():
    past = Background.of([["council", "item"]] * 300)
    told = weights([{"council": 1.0, "barge": 1.0}], past)
    assert told["council"] < 0.3
    assert told["barge"] == 1.0


def test_a_term_that_earlier_stories_seldom_have_is_still_rare():
    past = Background.of([*[["barge"]] * 20, *[["item"]] * 4980])
    assert weights([{"barge": 1.0}] * 5 + [{"tram": 1.0}] * 245, past)["barge"] == 1.0


def test_what_today_alone_says_everywhere_tells_little_in_spite_of_all_earlier_stories():
    day = [{"summit": 1.0, f"word{i}": 1.0} for i in range(250)]
    past = Background.of([["item"]] * 5000)
    assert weights(day, past)["summit"] == weights(day)["summit"] < 0.25


@settings(max_examples=EXAMPLES // 2)
@given(TEXTS, TEXTS)
def test_a_background_never_makes_a_term_tell_more(day, past):
    texts = [Counter(text) for text in day]
    alone, known = weights(texts), weights(texts, Background.of(past * 20))
    assert alone.keys() == known.keys()
    assert all(0 < known[term] <= alone[term] <= 1 for term in alone)


def test_a_vector_is_as_long_as_one_whatever_the_text():
    for terms in ({"barge": 1.0}, {"barge": 2.0, "tram": 1.0}, {f"word{i}": 2.0 for i in range(30)}):
        assert isclose(cosine(told := vector(terms, dict.fromkeys(terms, 1.0)), told), 1.0)


def test_with_something_unsaid_short_texts_have_less_in_common():
    everything = dict.fromkeys((f"word{i}" for i in range(8)), 1.0)
    short, long = {"word0": 1.0}, dict.fromkeys(everything, 1.0)
    for terms in (short, long):
        told = vector(terms, everything, unsaid=UNSAID)
        assert isclose(cosine(told, told), len(terms) / (len(terms) + 1))


def test_a_text_without_a_known_term_has_no_vector():
    assert vector({"barge": 1.0}, {}) == vector({}, {"barge": 1.0}, unsaid=UNSAID) == {}


@pytest.mark.parametrize("least", [0.05, 0.3, 0.7])
@settings(max_examples=EXAMPLES * 2 // 5)
@given(texts=TEXTS)
def test_the_pairs_found_are_those_that_comparing_all_would_find(least, texts):
    weighed = {word: 1 / sqrt(n) for n, word in enumerate(sorted({word for text in texts for word in text}), 1)}
    vectors = [vector(Counter(text), weighed) for text in texts]
    found = {(i, j): alike for i, j, alike in alike_pairs(vectors, least)}
    for i in range(len(vectors)):
        for j in range(i):
            alike = cosine(vectors[i], vectors[j])
            assert isclose(found.get((i, j), 0.0), alike if (i, j) in found else 0.0, abs_tol=1e-9)
            assert ((i, j) in found) == (alike >= least) or isclose(alike, least)
