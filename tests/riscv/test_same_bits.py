import hashlib
import os

import numpy as np
import pytest
import torch

from biotrain.riscv.training import Trained, TrainingRun, train
from device_agent.compiler.normalise import Norm
from device_agent.engine.engine import CANDIDATE, Engine
from device_agent.models import SIZES, build_model
from device_agent.models.norms import with_group_norm
from device_agent.sources.recording import load_recording
from schemas.errors import UserError
from tests.compiled import Windows, compiled, learnable_windows
from tests.riscv.conftest import MODEL, Model

RUN = TrainingRun(steps=5, batch=8, cosine=True, dropout_seed=11, learning_rate=0.02)

pytestmark = pytest.mark.slow


def on_the_host(model, run: TrainingRun) -> tuple[bytes, tuple[float, ...]]:
    losses = []
    with Engine(model.plan.file, model.weights) as engine:
        engine.begin_fit(run.dropout_seed)
        for step in range(run.steps):
            for i in range(run.batch):
                n = (step * run.batch + i) % len(model.windows.labels)
                label = int(model.windows.labels[n])
                losses.append(engine.fit_sample(model.windows.counts[n], model.scale, label))
            rate = engine.cosine_rate(run.learning_rate, step, run.steps)
            engine.fit_step(rate, run.momentum, run.weight_decay)
        return engine.values(CANDIDATE), tuple(losses)


def on_the_image(model, run: TrainingRun, cores: int) -> Trained:
    w = model.windows
    return train(model.plan.file, model.weights, w.counts, model.scale, w.labels, run, cores=cores, timeout_s=120)


@pytest.mark.parametrize("cores", [1, 2])
def test_weights_after_training_steps_are_the_same_bits_on_host_and_risc_v(training_image, model, cores):
    values, losses = on_the_host(model, RUN)
    trained = on_the_image(model, RUN, cores)
    assert trained.values == values
    assert trained.losses == losses
    before = model.weights[-len(values) :]
    changed = np.frombuffer(values, "<f4") != np.frombuffer(before, "<f4")
    assert changed.mean() > 0.9  # five steps have moved nearly every weight


def test_exact_batch_norm_is_the_same_bits_running_statistics_included(training_image):
    torch.manual_seed(4)
    size = SIZES[MODEL]
    windows = learnable_windows(16, size.channels, size.samples, size.classes)
    module = build_model(MODEL, size)
    plan = compiled(module, windows, size.classes, norm=Norm.BATCH)
    batch_model = Model(plan, plan.weights_file(module), windows, windows.scale)
    run = TrainingRun(steps=4, learning_rate=0.02)
    losses = []
    with Engine(plan.file, batch_model.weights) as engine:
        engine.begin_fit()
        for step in range(run.steps):
            part = slice(step % 2 * 8, step % 2 * 8 + 8)
            losses.append(engine.fit_batch(windows.counts[part], batch_model.scale, windows.labels[part]))
            engine.fit_step(run.learning_rate, run.momentum, run.weight_decay)
        values = engine.values(CANDIDATE)
    trained = on_the_image(batch_model, run, 2)
    assert trained.values == values
    assert trained.losses == tuple(losses)


@pytest.mark.data
def test_a_hundred_steps_on_real_recordings_are_the_same_bits(training_image, emg_forearm):
    """On four cores; BIOTRAIN_RISCV_CORES=1,2,4,8 names others."""
    recording = load_recording(emg_forearm / "U1_session1.npz")
    order = np.random.default_rng(0).permutation(len(recording.labels))
    windows = Windows(np.ascontiguousarray(recording.counts[order]), recording.labels[order].astype(np.int64))
    torch.manual_seed(0)
    size = SIZES[MODEL]
    assert windows.counts.shape[1:] == (size.channels, size.samples)
    module = with_group_norm(build_model(MODEL, size))
    plan = compiled(module, windows, size.classes)
    model = Model(plan, plan.weights_file(module), windows, recording.scale.astype(np.float32))
    run = TrainingRun(steps=100, cosine=True)
    values, losses = on_the_host(model, run)
    for cores in map(int, os.environ.get("BIOTRAIN_RISCV_CORES", "4").split(",")):
        trained = on_the_image(model, run, cores)
        assert trained.values == values, cores
        assert trained.losses == losses, cores
        digest = hashlib.sha256(trained.values).hexdigest()[:16]
        print(f"{cores} cores, {run.steps} steps: weights {digest}, as on the host")
    assert np.mean(losses[-80:]) < 0.8 * np.mean(losses[:80])  # it has learned


def test_instructions_are_counted_exactly(training_image, model):
    run = TrainingRun(steps=2, batch=4)
    once, again = on_the_image(model, run, 1), on_the_image(model, run, 1)
    assert once.run_instructions == again.run_instructions
    assert once.step_instructions == again.step_instructions
    assert len(once.run_instructions) == 8
    # a multiply-accumulate takes at least one instruction: forward, and about twice that backward
    macs = model.plan.report["macs"]["forward"]
    assert 2 * macs < once.instructions_per_sample(4) < 50 * macs


def test_what_the_image_refuses_is_told_in_its_words(training_image, model):
    w = model.windows
    altered = bytearray(model.weights)
    altered[-1] ^= 1
    with pytest.raises(UserError, match="weights: BAD_CRC"):
        train(model.plan.file, bytes(altered), w.counts, model.scale, w.labels, RUN)
    with pytest.raises(UserError, match="BAD_ARGUMENT"):
        train(model.plan.file, model.weights, w.counts, model.scale, w.labels + 99, RUN)
    with pytest.raises(UserError, match="3 cores: the RISC-V machine has 1, 2, 4, 8"):
        on_the_image(model, RUN, 3)
