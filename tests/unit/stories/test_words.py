from __future__ import annotations

import pytest

from newsletter.stories.words import terms, words_among


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The U.S. raid: 14,000 flights", ["us", "raid", "14000", "flight"]),
        ("Tarn’s growers’ hopes", ["tarn", "grower", "hope"]),
        ("Élysée and L'Elysee", ["elyse", "elyse"]),
        ("5G for 4.4M homes", ["5g", "4.4m", "home"]),
        ("presidency, president, presidential", ["presiden"] * 3),
        ("橋が故障", ["橋が", "が故", "故障"]),
        ("पुल जाम", ["पुल", "जाम"]),
        ("war and wars, Warsaw", ["war", "wars", "warsaw"]),
        ("", []),
    ],
)
def test_words_count_without_case_accents_and_endings(text, expected):
    assert terms(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("bridge", 1),
        ("barge hits bridge", 3),
        ("5G", 1),
        ("橋", 1),
        ("東港", 1),
        ("路面電車", 1),
        ("アフガニスタン", 1),
        ("우크라이나", 1),
        ("東港、橋が故障", 2),
        ("東港市の大橋が故障", 2),
        ("国際原子力機関事務局長が来日", 3),
        ("ウクライナ NATO", 2),
        ("ことになりました", 0),
        ("ウクライナへ、ことに", 1),
        ("かかかか", 0),
        ("中文中文", 1),
    ],
)
def test_characters_that_stand_together_are_one_word_or_name(text, words):
    assert words_among(set(terms(text))) == words
