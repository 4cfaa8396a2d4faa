"""Who asks too often, or guesses tokens, is told when to come back; nobody else waits for it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.limits import Limiter, Rate
from tests.brokers import Mosquitto
from tests.service.test_bad_input import metric
from tests.supervisors import SupervisorProcess

ADMIN = {"Authorization": "Bearer a-token-for-tests"}


def test_a_burst_passes_and_then_so_many_a_second() -> None:
    now = 0.0
    limiter = Limiter(Rate(2.0, 3), lambda: now)
    assert [limiter.take("a") for _ in range(4)] == [0, 0, 0, 1]
    assert limiter.take("b") == 0, "each has a bucket of its own"
    now = 0.5
    assert [limiter.take("a") for _ in range(2)] == [0, 1]
    now = 100.0
    assert [limiter.take("a") for _ in range(4)] == [0, 0, 0, 1], "never more than the burst"


@given(st.lists(st.floats(0, 3, allow_nan=False), max_size=60), st.sampled_from([0.1, 1.0, 7.0]), st.integers(1, 9))
def test_never_more_than_burst_and_rate_allow_and_who_waits_as_told_passes(
    pauses: list[float], per_s: float, burst: int
) -> None:
    now, passed = 0.0, 0
    limiter = Limiter(Rate(per_s, burst), lambda: now)
    for pause in pauses:
        now += pause
        passed += limiter.take("a") == 0
        assert passed <= burst + now * per_s + 1e-3
    now += limiter.wait_s("a")
    assert limiter.take("a") == 0


def test_the_memory_for_clients_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.limits._CLIENTS", 100)
    limiter = Limiter(Rate(0.001, 1), lambda: 0.0)
    assert [limiter.take(str(one)) for one in range(1000)] == [0] * 1000
    assert limiter.take("999") > 0
    assert len(limiter._buckets) == 100


@pytest.mark.slow
def test_guesses_are_slowed_down_and_known_tokens_are_not(tmp_path: Path, mosquitto: Mosquitto) -> None:
    supervisor = SupervisorProcess(tmp_path, mosquitto.address, "--admin-token", "a-token-for-tests")
    supervisor.start()
    try:
        assert httpx.get(f"{supervisor.url}/api/me", headers=ADMIN).status_code == 200
        guesses = [{"Authorization": f"Bearer guess-{one}"} for one in range(15)]
        answers = [httpx.get(f"{supervisor.url}/api/me", headers=guess) for guess in guesses]
        codes = [answer.status_code for answer in answers]
        # Ten at once; on a slow machine one more may have been earned meanwhile.
        assert codes[:10] == [401] * 10
        assert codes.count(429) >= 3
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert 1 <= int(refused.headers["Retry-After"]) <= 6
        assert "try again in" in refused.json()["detail"]
        signed_in = [httpx.post(f"{supervisor.url}/api/session", json={"token": "guess"}).status_code for _ in range(3)]
        assert 429 in signed_in, "the other door is the same wall"
        assert httpx.get(f"{supervisor.url}/api/me", headers=ADMIN).status_code == 200, "it has proven to be known"
        counted = partial(metric, supervisor, "biotrain_requests_refused_total", ADMIN)
        assert counted(reason="too_many_guesses") == codes.count(429) + signed_in.count(429)
        assert counted(reason="unknown_token") == codes.count(401) + signed_in.count(401)
    finally:
        supervisor.stop()
    assert supervisor.log().count("too_many_guesses") <= 2, "named once for each door"
    assert "guess-1" not in supervisor.log()


@pytest.mark.slow
def test_a_token_that_asks_too_often_waits_and_another_does_not(tmp_path: Path, mosquitto: Mosquitto) -> None:
    options = ("--admin-token", "a-token-for-tests", "--requests-per-s", "0.5")
    supervisor = SupervisorProcess(tmp_path, mosquitto.address, *options)
    supervisor.start()
    try:
        made = httpx.post(f"{supervisor.url}/api/tokens", headers=ADMIN, json={"name": "reader", "role": "read"})
        reader = {"Authorization": f"Bearer {made.json()['token']}"}
        with httpx.Client() as client:
            answers = [client.get(f"{supervisor.url}/api/me", headers=reader) for _ in range(40)]
        codes = [answer.status_code for answer in answers]
        assert codes[:20] == [200] * 20
        assert 429 in codes
        assert all(int(one.headers["Retry-After"]) >= 1 for one in answers if one.status_code == 429)
        assert metric(supervisor, "biotrain_requests_refused_total", ADMIN, reason="too_many") == codes.count(429)
        assert httpx.get(f"{supervisor.url}/healthz").status_code == 200, "what watches it is not limited"
    finally:
        supervisor.stop()
