"""A training step is faster than torch's, by less than what is measured on a quiet machine (docs/measured.md)."""

from __future__ import annotations

import pytest

from biotrain.bench.step import time_step

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("model", "batch", "least"), [("epidenet", 8, 2.5)])
def test_a_step_takes_a_fraction_of_torchs_time(model, batch, least):
    """Medians of alternating runs of one thread each: a busy machine slows both."""
    report = time_step(model, batch, rounds=3, compile_too=False).report(model, batch)
    assert report["times_faster_than_eager"] >= least, report
