"""Euclidean alignment: what it does to covariances, and that it needs no label and no network."""

from __future__ import annotations

import numpy as np
import pytest

from device_agent.adaptation.alignment import MeanCovariance, align_groups, alignment_of


def windows(seed: int, count: int = 40) -> np.ndarray:
    """Of one person: independent sources, seen through a mixture of that person's own."""
    rng = np.random.default_rng(seed)
    mixture = rng.normal(0, 1, (4, 4)) + 2 * np.eye(4)
    return np.einsum("oc,wct->wot", mixture, rng.normal(0, 1, (count, 4, 200))).astype(np.float32)


def mean_covariance(x: np.ndarray) -> np.ndarray:
    return np.mean([w @ w.T / w.shape[1] for w in x.astype(np.float64)], axis=0)


def test_the_mean_covariance_becomes_the_identity() -> None:
    x = windows(1)
    aligned = np.einsum("oc,wct->wot", alignment_of(x), x)
    assert np.abs(mean_covariance(aligned) - np.eye(4)).max() < 0.05  # what shrinking leaves
    assert np.abs(mean_covariance(x) - np.eye(4)).max() > 1


def test_each_group_has_a_filter_of_its_own() -> None:
    x, y = windows(1), 10 * windows(2)
    together = align_groups(np.concatenate([x, y]), np.repeat([0, 1], 40))
    np.testing.assert_array_equal(together[:40], align_groups(x, np.zeros(40, np.int64)))
    np.testing.assert_allclose(mean_covariance(together[40:]), np.eye(4), atol=0.05)


def test_a_dead_channel_is_not_blown_up() -> None:
    x = windows(3)
    x[:, 2] = 0
    assert np.abs(np.einsum("oc,wct->wot", alignment_of(x), x)).max() < 100
    assert np.abs(alignment_of(x)).max() < 20


def test_what_cannot_be_aligned_is_refused() -> None:
    known = MeanCovariance(2)
    with pytest.raises(ValueError, match="no window"):
        known.filters()
    with pytest.raises(ValueError, match="not finite"):
        known.add(np.array([[0.0, np.nan], [1.0, 2.0]]))
    known.add(np.zeros((2, 8)))
    with pytest.raises(ValueError, match="flat"):
        known.filters()
