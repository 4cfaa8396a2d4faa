"""The simulated wearer is the same for the same seed, and different people and days differ."""

from __future__ import annotations

import numpy as np

from device_agent.sources.simulator import CLASSES, SAMPLES, SimulatedPerson


def test_the_same_seed_gives_the_same_counts() -> None:
    once, again = SimulatedPerson(5).session(2, 33), SimulatedPerson(5).session(2, 33)
    assert np.array_equal(once.counts, again.counts)
    assert np.array_equal(once.labels, again.labels)


def test_people_and_days_differ() -> None:
    one = SimulatedPerson(5).session(1, 11)
    assert not np.array_equal(one.counts, SimulatedPerson(6).session(1, 11).counts)
    assert not np.array_equal(one.counts, SimulatedPerson(5).session(2, 11).counts)


def test_it_has_the_shape_of_the_papers_eog() -> None:
    session = SimulatedPerson(1).session(1, 44)
    assert session.counts.shape == (44, 2, SAMPLES)
    assert session.counts.dtype == np.int16
    assert (session.sampling_rate_hz, len(session.classes)) == (500.0, 11)
    assert list(np.bincount(session.labels)) == [4] * len(CLASSES)
    assert abs(session.counts).max() < 32767, "the converter is not driven to its ends"


def nearest_mean_accuracy(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> float:
    means = np.stack([train[0][train[1] == label].mean(axis=0) for label in range(11)])
    distances = ((test[0][:, None] - means[None]) ** 2).sum(axis=-1)
    return float((distances.argmin(axis=1) == test[1]).mean())


def pictures(seed: int, session: int) -> tuple[np.ndarray, np.ndarray]:
    recording = SimulatedPerson(seed).session(session, 110)
    values = recording.values - recording.values.mean(axis=2, keepdims=True)
    return values.reshape(len(values), 2, 20, -1).mean(axis=-1).reshape(len(values), -1), recording.labels


def test_what_was_learned_from_a_person_fails_on_others_and_on_another_day() -> None:
    same, other_day, other_person = [], [], []
    for seed in range(1, 7):
        x, y = pictures(seed, 1)
        same.append(nearest_mean_accuracy((x[:77], y[:77]), (x[77:], y[77:])))
        other_day.append(nearest_mean_accuracy((x[:77], y[:77]), pictures(seed, 2)))
        other_person.append(nearest_mean_accuracy((x[:77], y[:77]), pictures(seed + 20, 1)))
    assert np.mean(same) > 0.85
    assert np.mean(other_day) < np.mean(same) - 0.2
    assert np.mean(other_person) < np.mean(same) - 0.2
