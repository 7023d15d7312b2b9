"""What may stand under [doctor]."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from newsletter.foundation.config import DoctorConfig, name_server


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("192.0.2.53", ("192.0.2.53", 53)),
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("2001:db8::53", ("2001:db8::53", 53)),
        ("[::1]:5353", ("::1", 5353)),
        ("[::1]", ("::1", 53)),
    ],
)
def test_a_name_server_is_an_address_and_perhaps_a_port(written: str, meant: tuple[str, int]) -> None:
    assert DoctorConfig(resolvers=(written,)).resolvers == (written,)
    assert name_server(written) == meant


@pytest.mark.parametrize(
    "values",
    [
        {"resolvers": ("dns.example.org",)},
        {"resolvers": ("192.0.2.53:0",)},
        {"resolvers": ("192.0.2.53:99999",)},
        {"resolvers": ("",)},
        {"resolvers": ("1.2.3",)},
        {"sending_addresses": ("mail.example.org",)},
        {"time_source": "time.example.org"},
        {"time_source": "ftp://time.example.org"},
        {"time_source": "ntp://"},
        {"timeout_seconds": 0},
    ],
)
def test_what_means_nothing_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DoctorConfig(**values)  # type: ignore[arg-type]
