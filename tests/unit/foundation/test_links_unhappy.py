"""What went wrong once, and must not again."""

from __future__ import annotations

import pytest

from newsletter.foundation.links import LinkInvalid, Links


def test_octets_that_no_address_may_hold_are_called_damaged() -> None:
    """Python's mail parser gives raw octets of a header as lone surrogates."""
    with pytest.raises(LinkInvalid):
        Links("a secret that is long enough to be one", "https://x").read_verp("dae-\udcff")
