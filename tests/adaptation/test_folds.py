"""Each labelled window judges once, and every part has windows of each class."""

from __future__ import annotations

import pytest

from device_agent.adaptation.folds import folds


def test_every_window_is_in_one_part_and_classes_are_dealt_out_evenly() -> None:
    labels = [0] * 8 + [1] * 8 + [2] * 9
    parts = folds(labels, 4)
    assert sorted(window for part in parts for window in part) == list(range(25))
    for part in parts:
        assert {labels[window] for window in part} == {0, 1, 2}
        assert len(part) in (6, 7)


@pytest.mark.parametrize(("windows", "count"), [(3, 4), (5, 1), (0, 2)])
def test_windows_that_do_not_suffice_are_refused(windows: int, count: int) -> None:
    with pytest.raises(ValueError, match="cannot be dealt out"):
        folds([0] * windows, count)
