"""The soak run for 90 s; `python -m benchmarks.soak --minutes 60` is the whole one."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.soak import Series, soak


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_handles_threads_and_tasks_do_not_grow_while_a_site_runs(tmp_path: Path) -> None:
    """Memory is what the longer run is for: within a minute and a half everything still warms up."""
    result = soak(tmp_path, 90.0)
    assert result["windows"] > 0
    assert result["samples"] >= 40
    steady = [name for name in result["figures"] if name.split()[1] in ("files", "threads", "tasks", "disk_mb")]
    assert len(steady) >= 10
    assert [name for name in steady if name in result["not_flat"]] == []


def test_what_grows_is_found_and_what_swings_is_not() -> None:
    grows, swings = Series(), Series()
    for second in range(100):
        grows.add(second, 50.0 + 0.2 * second)
        swings.add(second, 50.0 + second % 7)
    assert grows.verdict(4.0)["flat"] is False
    assert grows.verdict(4.0)["slope_per_hour"] == pytest.approx(720.0)
    assert swings.verdict(4.0)["flat"] is True
