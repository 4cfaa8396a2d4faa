from __future__ import annotations

import pytest

from messaging.backoff import Backoff
from messaging.settings import parse_address
from schemas.errors import UserError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:1884", "127.0.0.1", 1884),
        ("broker.local", "broker.local", 1883),
        ("mqtt://broker.local:99/", "broker.local", 99),
        ("[::1]:1885", "::1", 1885),
        ("[::1]", "::1", 1883),
    ],
)
def test_an_address_is_host_and_port(text: str, host: str, port: int) -> None:
    assert parse_address(text) == (host, port)


@pytest.mark.parametrize("text", ["", ":1883", "host:port", "host:70000", "host:-1", "::1", "host:²"])
def test_an_address_that_is_none_is_refused_and_named(text: str) -> None:
    with pytest.raises(UserError, match="broker address"):
        parse_address(text)


def test_pauses_double_up_to_the_longest_and_begin_again_after_success() -> None:
    backoff = Backoff(0.1, 1.0, random=lambda: 1.0)
    assert [round(backoff.next_delay(), 3) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    backoff.reset()
    assert backoff.next_delay() == pytest.approx(0.1)


def test_a_pause_is_shortened_at_random_by_half_at_most() -> None:
    assert Backoff(1.0, 9.0, random=lambda: 0.0).next_delay() == pytest.approx(0.5)
    assert Backoff(1.0, 9.0, random=lambda: 0.5).next_delay() == pytest.approx(0.75)
