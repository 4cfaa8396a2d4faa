import numpy as np
import pytest

from biotrain.riscv.training import Trained, TrainingRun, train
from device_agent.engine.engine import CANDIDATE, Engine
from schemas.errors import UserError

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


def test_instructions_are_counted_exactly(training_image, model):
    run = TrainingRun(steps=2, batch=4)
    once, again = on_the_image(model, run, 1), on_the_image(model, run, 1)
    assert once.window_instructions == again.window_instructions
    assert once.step_instructions == again.step_instructions
    assert len(once.window_instructions) == 8
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
