"""Every operation of a plan gives the same bits on the host and on the RISC-V image, on one core and on four."""

from __future__ import annotations

import numpy as np
import pytest

from biotrain.riscv.training import TrainingRun, train
from device_agent.engine.engine import CANDIDATE, Engine
from schemas.plan import Entry, read_plan
from schemas.plan_operations import OPERATIONS
from schemas.weights import Origin, Weights
from tests.compiled import random_windows
from tests.riscv.networks import BATCH, CASES, copying_plan, operations_of, windows_of

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
RUN = TrainingRun(steps=2, batch=BATCH, dropout_seed=7, learning_rate=0.02, nesterov=True, clip_norm=1.0)
TRAINING = (Entry.PREPROCESS, Entry.TRAIN, Entry.UPDATE)


def on_the_host(plan: bytes, weights: bytes, counts, scale, labels) -> tuple[bytes, tuple[float, ...]]:
    losses = []
    with Engine(plan, weights) as engine:
        engine.begin_fit(RUN.dropout_seed)
        for step in range(RUN.steps):
            part = range(step * BATCH, (step + 1) * BATCH)
            if engine.plan.header.batch > 1:
                losses.append(engine.fit_batch(counts[part.start : part.stop], scale, labels[part.start : part.stop]))
            else:
                losses += [engine.fit_sample(counts[n], scale, int(labels[n])) for n in part]
            engine.fit_step(
                RUN.learning_rate, RUN.momentum, RUN.weight_decay, nesterov=RUN.nesterov, clip_norm=RUN.clip_norm
            )
        return engine.values(CANDIDATE), tuple(losses)


def test_each_operation_is_in_one_of_the_networks():
    covered = operations_of(copying_plan(), TRAINING)
    for case in CASES.values():
        covered |= operations_of(case.compiled()[0].file, TRAINING)
    missing = set(OPERATIONS) - covered
    assert not missing, f"no network of tests/riscv/networks.py runs {sorted(missing)}: add one that does"


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_networks_steps_are_the_same_bits(training_image, name):
    plan, weights = CASES[name].compiled()
    counts, scale, labels = windows_of(channels=CASES[name].channels, samples=CASES[name].samples)
    values, losses = on_the_host(plan.file, weights, counts, scale, labels)
    assert np.isfinite(losses).all()
    for cores in (1, 4):
        trained = train(plan.file, weights, counts, scale, labels, RUN, cores=cores, timeout_s=120)
        assert trained.losses == losses, f"{cores} cores"
        assert trained.values == values, f"{cores} cores"
    assert values != weights[-len(values) :]


@pytest.mark.slow
def test_copies_between_memory_levels_are_the_same_bits(training_image):
    plan = copying_plan()
    rng = np.random.default_rng(0)
    weights = Weights(read_plan(plan).hash, 1, rng.normal(size=34).astype("<f4").tobytes(), Origin.PRETRAINED).pack()
    windows = random_windows(2 * BATCH, 2, 8, 2, seed=1)
    values, losses = on_the_host(plan, weights, windows.counts, windows.scale, windows.labels)
    for cores in (1, 4):
        trained = train(plan, weights, windows.counts, windows.scale, windows.labels, RUN, cores=cores, timeout_s=60)
        assert (trained.values, trained.losses) == (values, losses), f"{cores} cores"
