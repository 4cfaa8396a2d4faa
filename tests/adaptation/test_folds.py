"""Each labelled window judges once, and every part has windows of each class."""

from __future__ import annotations

import pytest

from device_agent.adaptation.folds import blocks, folds


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


def test_as_many_parts_as_windows_and_no_fewer_than_two_are_dealt() -> None:
    assert folds([0, 1, 0], 3) == [[0], [2], [1]]
    assert folds([1, 0, 1], 2) == [[1, 2], [0]]
    with pytest.raises(ValueError, match="1 parts"):
        folds([0, 1, 0], 1)


def test_blocks_are_short_runs_that_take_turns() -> None:
    assert blocks(12, 2) == [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11]]
    assert blocks(5, 3) == [[0, 3], [1, 4], [2]]
    many = blocks(1000, 4)
    assert [part[:7] for part in many[:2]] == [[0, 1, 2, 3, 4, 5, 24], [6, 7, 8, 9, 10, 11, 30]]
    assert blocks(1000, 4, longest=3)[0][:4] == [0, 1, 2, 12]
    assert blocks(60, 4, longest=9)[0][:6] == [0, 1, 2, 3, 4, 20]
    assert sorted(window for part in many for window in part) == list(range(1000))
