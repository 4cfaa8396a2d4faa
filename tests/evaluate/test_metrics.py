"""Measures against values worked out by hand, and against scikit-learn's definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from biotrain.evaluate.metrics import confusion, metrics, wolpaw_bits
from biotrain.evaluate.summary import interval, summarize, to_csv, to_markdown


def test_a_confusion_matrix_counts_true_by_predicted() -> None:
    assert confusion([0, 0, 1, 2], [0, 1, 1, 0], 3).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_the_measures_of_a_known_matrix() -> None:
    found = metrics(np.array([[20, 5], [10, 15]]), window_s=2.0)
    assert found.accuracy == pytest.approx(0.7)
    assert found.kappa == pytest.approx(0.4)  # chance is 0.5
    assert found.balanced_accuracy == pytest.approx((20 / 25 + 15 / 25) / 2)
    bits = 1 + 0.7 * math.log2(0.7) + 0.3 * math.log2(0.3)
    assert found.bits_per_minute == pytest.approx(30 * bits)


def test_classes_without_a_window_do_not_count_in_balanced_accuracy() -> None:
    assert metrics(np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]]), 1.0).balanced_accuracy == pytest.approx(0.875)


@pytest.mark.parametrize(
    ("accuracy", "classes", "bits"), [(1.0, 4, 2.0), (0.25, 4, 0.0), (0.1, 4, 0.0), (0.9, 2, 0.531)]
)
def test_information_transfer(accuracy: float, classes: int, bits: float) -> None:
    assert wolpaw_bits(accuracy, classes) == pytest.approx(bits, abs=1e-3)


def test_an_interval_is_students_over_people() -> None:
    found = interval([0.5, 0.6, 0.7])
    half = 4.302653 * 0.1 / math.sqrt(3)
    assert (found["low"], found["high"]) == (pytest.approx(0.6 - half), pytest.approx(0.6 + half))
    assert interval([0.5])["low"] is None
    assert interval([])["mean"] is None


def result(subject: str, seed: int, mode: str, right: int) -> dict[str, object]:
    sessions = [{"session": 2, "labels": [0] * 10, "predicted": [0] * right + [1] * (10 - right)}]
    return {
        "study": "longitudinal", "engine": "device", "subject": subject, "seed": seed, "mode": mode,
        "classes": ["a", "b"], "window_s": 2.0, "sessions": sessions,
    }  # fmt: skip


def test_seeds_are_averaged_within_a_person_before_people_are_compared() -> None:
    results = [
        result("A", 0, "none", 2), result("A", 1, "none", 4), result("B", 0, "none", 5),
        result("A", 0, "full", 8), result("A", 1, "full", 8), result("B", 0, "full", 9),
    ]  # fmt: skip
    summary = summarize(results, ["none", "full"])
    assert summary["subjects"]["A"]["none"]["accuracy"] == pytest.approx(0.3)
    assert summary["modes"]["none"]["mean"] == pytest.approx(0.4)
    assert summary["differences"]["full - none"]["mean"] == pytest.approx(0.45)
    assert summary["modes"]["full"]["people"] == 2
    assert "+45.0 points" in to_markdown(summary, ["none", "full"])
    assert to_csv(results).splitlines()[1] == "longitudinal,device,A,0,none,2,10,2,0.2000"


def test_a_person_without_all_modes_is_shown_but_not_compared() -> None:
    summary = summarize(
        [result("A", 0, "none", 2), result("A", 0, "full", 8), result("B", 0, "none", 9)], ["none", "full"]
    )
    assert "B" in summary["subjects"]
    assert summary["modes"]["none"] == interval([0.2])
