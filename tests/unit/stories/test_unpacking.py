from __future__ import annotations

import gzip
import zlib
from functools import partial

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.stories.unpacking import PIECE, PackingBroken, unpacker

PACKERS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": partial(brotli.compress, quality=4),
    "": bytes,
    "X-GZIP": gzip.compress,
}


@pytest.mark.parametrize("encoding", PACKERS)
@given(body=st.binary(max_size=3000), cut=st.integers(1, 500))
def test_what_was_packed_comes_out_however_it_was_cut(encoding: str, body: bytes, cut: int) -> None:
    packed = PACKERS[encoding](body)
    unpacking = unpacker(encoding)
    chunks = [packed[at : at + cut] for at in range(0, len(packed), cut)]
    assert b"".join(piece for chunk in chunks for piece in unpacking.unpack(chunk)) == body


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_a_bomb_comes_out_in_small_pieces(encoding: str) -> None:
    bomb = PACKERS[encoding](b"\0" * 20_000_000)
    assert len(bomb) < 40_000
    pieces = unpacker(encoding).unpack(bomb)
    assert all(len(next(pieces)) <= 2 * PIECE for _ in range(10))


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_what_cannot_be_unpacked_is_an_error_with_a_name(encoding: str) -> None:
    with pytest.raises(PackingBroken):
        list(unpacker(encoding).unpack(b"this is not packed at all"))


def test_a_packing_that_was_not_asked_for_is_refused() -> None:
    with pytest.raises(PackingBroken, match="zstd"):
        unpacker("zstd")
