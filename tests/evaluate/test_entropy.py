"""Entropy minimisation: its loss, and what it may and may not change."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from biotrain.evaluate.entropy import MODE, mean_entropy, minimise_entropy
from biotrain.evaluate.prepared import prepare
from biotrain.evaluate.settings import Tuning
from biotrain.evaluate.tuned import InTorch, Values
from biotrain.pretrain.settings import TrainingSettings
from device_agent.sources.dataset import open_dataset
from schemas.plan import read_plan


def test_the_loss_is_the_mean_entropy_in_nats() -> None:
    even, sure = torch.zeros(1, 4), torch.tensor([[100.0, 0.0, 0.0, 0.0]])
    assert mean_entropy(even).item() == pytest.approx(np.log(4))
    assert mean_entropy(sure).item() == pytest.approx(0.0, abs=1e-6)
    assert mean_entropy(torch.cat([even, sure])).item() == pytest.approx(np.log(4) / 2)


@pytest.mark.slow
def test_the_network_grows_surer_by_its_norms_alone_and_labels_are_not_looked_at(small_set: Path, cache: Path) -> None:
    dataset = open_dataset(small_set)
    prepared = prepare(dataset, "sim1", 0, TrainingSettings(epochs=2), ("norm-only",), cache)
    windows = dataset.load_sessions("sim1")[0]
    surer = minimise_entropy(prepared, prepared.values, windows, Tuning(epochs=3), 0)

    def entropy(values: Values) -> float:
        module = copy.deepcopy(prepared.blank.module)
        model = InTorch(prepared.plans[MODE], values, module, prepared.blank.preprocessing)
        with torch.no_grad():
            return mean_entropy(model._module.eval()(model._inputs(windows))).item()

    assert entropy(surer) < entropy(prepared.values)
    moved = {name for name, value in surer.items() if not np.array_equal(value, prepared.values[name])}
    trained = {p["name"] for p in read_plan(prepared.plans[MODE]).names["parameters"] if p["trained"]}
    assert moved
    assert moved <= trained < set(surer)
    relabelled = replace(windows, labels=windows.labels[::-1].copy())
    blind = minimise_entropy(prepared, prepared.values, relabelled, Tuning(epochs=3), 0)
    assert all(np.array_equal(blind[name], surer[name]) for name in surer)
