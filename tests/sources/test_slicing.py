"""Windows from a signal that never ends: which samples, which number, which label."""

from __future__ import annotations

import numpy as np

from device_agent.sources.gaps import StampWatch
from device_agent.sources.slicing import Cut, Slicer
from device_agent.sources.source import LateLabel
from device_agent.sources.window import Window

RATE = 100.0


def ramp(first: int, count: int) -> np.ndarray:
    """[count, 2]: the sample's index, and its negative."""
    return np.outer(np.arange(first, first + count), [1.0, -1.0])


def play(slicer: Slicer, count: int, block: int, marks: dict[int, tuple[int, str]] | None = None) -> list[object]:
    """Sample k is taken at second 1000 + k / RATE. `marks`: told at this sample -> concerns that one, label."""
    items: list[object] = []
    for first in range(0, count, block):
        for told, (at, label) in (marks or {}).items():
            if first <= told < first + block:
                slicer.mark(1000 + at / RATE, label)
        slicer.feed(ramp(first, block), 1000 + (first + block - 1) / RATE)
        items += slicer.take()
    return items


def test_sliding_windows_hold_every_sample_in_its_place() -> None:
    items = play(Slicer(Cut(50, RATE, ("a", "b"), hop=20), 2, first=7), 400, 33)
    windows = [item for item in items if isinstance(item, Window)]
    assert [window.id for window in windows] == list(range(7, 7 + len(windows)))
    assert len(windows) == (400 // 33 * 33 + 33 - 50) // 20 + 1
    for k, window in enumerate(windows):
        np.testing.assert_allclose(window.values[0], np.arange(k * 20, k * 20 + 50), atol=0.01)
        np.testing.assert_allclose(window.values[1], -window.values[0], atol=0.02)
        assert abs(window.time_s - (1000 + (k * 20 + 50) / RATE)) < 1e-6
        assert window.label is None


def test_sliding_windows_get_their_labels_late_and_only_within_one_state() -> None:
    marks = {101: (100, "a"), 211: (200, "b"), 301: (300, "pause")}  # told one or eleven samples late
    items = play(Slicer(Cut(50, RATE, ("a", "b"), hop=25), 2), 500, 10, marks)
    labels = {item.window_id: item.label for item in items if isinstance(item, LateLabel)}
    # window k begins at 25 k: 100 to 150 lie in a, 200 to 250 in b
    assert labels == {4: 0, 5: 0, 6: 0, 8: 1, 9: 1, 10: 1}
    order = [item.id if isinstance(item, Window) else item.window_id for item in items]
    assert order.index(4) < len(order) - 1 - order[::-1].index(4), "a label follows its window"


def test_a_marker_makes_a_window_that_may_begin_before_it_and_be_told_late() -> None:
    marks = {60: (60, "a"), 150: (120, "b"), 200: (199, "?"), 260: (20, "b")}
    items = play(Slicer(Cut(50, RATE, ("a", "b"), start=-10), 2), 400, 20, marks)
    assert [(item.id, item.label, round(float(item.values[0, 0]))) for item in items] == [
        (0, 0, 50),
        (1, 1, 110),
        (2, 1, 10),
    ]


def test_a_window_with_a_gap_is_lost_and_the_others_stay_in_their_place() -> None:
    slicer = Slicer(Cut(50, RATE, ("a",), hop=50), 2)
    slicer.feed(ramp(0, 120), 1001.19)
    slicer.feed(ramp(137, 200), 1003.36, gap=17)
    windows = [item for item in slicer.take() if isinstance(item, Window)]
    assert (slicer.lost, slicer.lost_samples) == (1, 17)
    assert [window.id for window in windows] == [0, 1, 3, 4, 5]
    assert [round(float(window.values[0, 0])) for window in windows] == [0, 50, 150, 200, 250]


def test_hours_pass_in_bounded_memory() -> None:
    slicer = Slicer(Cut(50, RATE, ("a",), hop=50), 2)
    for k in range(2000):
        slicer.feed(ramp(k * 500, 500), 1000 + k * 5.0)
        assert len(slicer.take()) == 10
    assert len(slicer._values) < 6000
    slicer.feed(ramp(0, 10), 1e5, gap=10**7)
    assert len(slicer._values) < 20_000


def test_an_offset_that_leaves_no_room_for_the_signal_goes() -> None:
    slicer = Slicer(Cut(100, RATE, ("a",), hop=100, finest=0.05, coarsest=0.05), 2)
    microvolts = 20 * np.sin(np.arange(100) / 5)
    slicer.feed(np.stack([microvolts + 150_000, microvolts + 30], axis=1), 1001.0)
    (window,) = slicer.take()
    assert isinstance(window, Window)
    assert np.abs(np.diff(window.values[0]) - np.diff(microvolts)).max() < 0.1
    assert np.abs(window.values[1] - microvolts - 30).max() < 0.05, "this one keeps its own"


def test_clean_stamps_give_gaps_to_the_sample_and_the_drift() -> None:
    watch, lost = StampWatch(500.0), []
    true_rate = 500.0 * (1 + 200e-6)
    index = 0
    for k in range(20_000):
        skipped = {3000: 1, 9000: 37, 15_000: 1200}.get(k, 0)
        index += skipped
        missing = watch.take(10.0 + index / true_rate)
        if missing:
            lost.append((k, missing))
        index += 1
    assert lost == [(3000, 1), (9000, 37), (15_000, 1200)]
    assert watch.drift_ppm is not None
    assert abs(watch.drift_ppm - 200) < 1


def test_jitter_is_no_gap() -> None:
    rng = np.random.default_rng(3)
    watch = StampWatch(500.0)
    # samples arrive in blocks of ten, up to 12 ms late: stamps of a sender without a clock of its own
    missing = sum(
        watch.take(k / 500 + block) for k, block in enumerate(np.repeat(rng.uniform(0, 0.012, 500), 10)) if k > 500
    )
    assert missing <= 10
