"""Exact batch norm over the real batch, running statistics included, against torch."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from device_agent.compiler.compile import compile_model
from device_agent.compiler.errors import CompileError
from device_agent.compiler.normalise import Norm
from device_agent.compiler.training_options import Loss, Mode
from device_agent.engine.engine import CANDIDATE, KERNEL_SETS, Engine, EngineError
from device_agent.models import SIZES, build_model
from device_agent.preprocessing.steps import Preprocessing
from schemas.plan import Region
from tests.compiled import compiled, random_windows, randomise_norms, signal, without_dropout
from tests.compiler.test_dropout import GivenMask
from tests.compiler.test_operators import Concatenated, Residual, network
from tests.judge import assert_parity, torch_step

BATCH, CHANNELS, SAMPLES, CLASSES = 8, 3, 29, 4


def batch_plan(module, windows, classes, **settings):
    _, channels, samples = windows.counts.shape
    given = signal(channels, samples, classes)
    return compile_model(module, given, name="test", norm=Norm.BATCH, batch=len(windows.labels), **settings)


def assert_step_is_torchs(module, windows, classes, reference=None, l2=20_000_000, steps=1, **settings):
    plan = batch_plan(module, windows, classes, **settings)
    bits = []
    for kernels in KERNEL_SETS:
        with Engine(plan.file, plan.weights_file(module), l2=l2) as engine:
            if not engine.use_kernels(kernels):
                continue
            engine.begin_fit()
            for _ in range(steps):
                loss = engine.fit_batch(windows.counts, windows.scale, windows.labels)
                sums = engine.region(Region.GRADIENTS).copy()
                engine.fit_step(0.05, 0.9, 1e-3)
            values = engine.values(CANDIDATE)
            bits.append(values)
    assert len(bits) >= 2
    assert set(bits) == {bits[0]}
    missing = len(values) // 4 - len(sums)
    gradients = plan.load_values(np.pad(sums / np.float32(len(windows.labels)), (0, missing)).astype("<f4").tobytes())
    exact, single = (
        torch_step(reference or module, windows.inputs, windows.labels, dtype, steps=steps)
        for dtype in (torch.float64, torch.float32)
    )
    assert loss == pytest.approx(exact.loss, abs=max(1e-4, 3 * abs(single.loss - exact.loss)))
    ours = plan.load_values(values)
    assert_parity(gradients, exact.gradients, single.gradients, "gradient")
    assert_parity(ours, exact.weights, single.weights, "updated weight")
    assert_parity(ours, exact.running, single.running, "running statistic")


@pytest.mark.parametrize(
    "name", ["epidenet", "epidenet-short", pytest.param("resnet1d", marks=pytest.mark.slow), "mi-bminet"]
)
def test_a_models_step_at_batch_8_is_torchs(name):
    torch.manual_seed(0)
    size = SIZES[name]
    module = without_dropout(randomise_norms(build_model(name)))
    windows = random_windows(BATCH, size.channels, size.samples, size.classes)
    assert_step_is_torchs(module, windows, size.classes)


NETWORKS = {
    "after a convolution": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.BatchNorm2d(4), nn.ReLU()),
    "first of all": lambda: network(nn.BatchNorm2d(1), nn.Conv2d(1, 4, (2, 3))),
    "beside a group norm": lambda: network(
        nn.Conv2d(1, 4, (1, 3)), nn.GroupNorm(2, 4), nn.BatchNorm2d(4, momentum=0.3), nn.ELU(), nn.LayerNorm(27)
    ),
    "of features": lambda: network(nn.Conv2d(1, 4, (3, 9)), nn.Flatten(), nn.BatchNorm1d(84), nn.ReLU()),
    "in branches": lambda: network(
        nn.Conv2d(1, 4, (1, 3)),
        Residual(nn.BatchNorm2d(4), nn.ReLU()),
        Concatenated(1, nn.Sequential(nn.BatchNorm2d(4), nn.GELU()), nn.Conv2d(4, 2, 1)),
        nn.MaxPool2d((1, 3), padding=(0, 1)),
    ),
}


@pytest.mark.parametrize("case", NETWORKS)
@pytest.mark.parametrize("batch", [2, 5])
def test_steps_with_batch_norm_are_torchs(case, batch):
    torch.manual_seed(2)
    module = randomise_norms(NETWORKS[case]())
    assert_step_is_torchs(module, random_windows(batch, CHANNELS, SAMPLES, CLASSES), CLASSES, steps=2)


def test_each_window_of_a_batch_has_its_own_dropout_mask():
    torch.manual_seed(0)
    windows = random_windows(BATCH, CHANNELS, SAMPLES, CLASSES)
    layers = [nn.Conv2d(1, 4, (1, 3)), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(324, CLASSES)]
    given = [*layers[:2], GivenMask(0.5, 0, (4, 3, 27), BATCH), *layers[3:]]
    assert_step_is_torchs(nn.Sequential(*layers), windows, CLASSES, nn.Sequential(*given))


def test_preprocessing_loss_settings_and_modes_go_with_it():
    torch.manual_seed(0)
    module = randomise_norms(NETWORKS["after a convolution"]())
    windows = random_windows(4, CHANNELS, SAMPLES, CLASSES)
    steps = Preprocessing(matrix=np.eye(3, dtype=np.float32)[[2, 0, 1]], centre=True)
    settings = {"preprocessing": steps, "loss": Loss(0.1, (1.0, 2.0, 0.5, 1.5)), "mode": Mode.NORM_ONLY}
    plan = batch_plan(module, windows, CLASSES, **settings)
    with Engine(plan.file, plan.weights_file(module)) as engine:
        engine.begin_fit()
        loss = engine.fit_batch(windows.counts, windows.scale, windows.labels)
    raw = windows.inputs[:, 0]
    x = torch.tensor(steps.apply(raw)[:, None], dtype=torch.float64)
    criterion = nn.CrossEntropyLoss(torch.tensor([1.0, 2.0, 0.5, 1.5], dtype=torch.float64), label_smoothing=0.1)
    assert loss == pytest.approx(criterion(module.double().train()(x), torch.tensor(windows.labels)).item(), rel=1e-4)


def test_inference_uses_the_running_statistics_and_never_touches_a_batch():
    torch.manual_seed(0)
    module = randomise_norms(NETWORKS["after a convolution"]())
    windows = random_windows(4, CHANNELS, SAMPLES, CLASSES)
    plan = batch_plan(module, windows, CLASSES)
    exact = module.double().eval()(torch.tensor(windows.inputs, dtype=torch.float64)).softmax(1).detach().numpy()
    with Engine(plan.file, plan.weights_file(module.float())) as engine:
        for counts, expected in zip(windows.counts, exact, strict=True):
            np.testing.assert_allclose(engine.infer(counts, windows.scale)[1], expected, rtol=1e-4)


def test_a_batch_of_one_is_refused_with_what_to_do():
    module = NETWORKS["after a convolution"]()
    with pytest.raises(CompileError, match=r"needs a batch of 2 to 256 windows, got 1: choose norm group or frozen"):
        compile_model(module, signal(CHANNELS, SAMPLES, CLASSES), name="test", norm=Norm.BATCH, batch=1)


def test_single_windows_are_refused_by_a_plan_for_batches_and_batches_by_one_for_single_windows():
    module = NETWORKS["after a convolution"]()
    windows = random_windows(2, CHANNELS, SAMPLES, CLASSES)
    with Engine(batch_plan(module, windows, CLASSES).file) as engine:
        assert engine.plan.header.batch == 2
        engine.begin_fit()
        with pytest.raises(EngineError, match="BT_UNSUPPORTED"):
            engine.fit_sample(windows.counts[0], windows.scale, 0)
        with pytest.raises(EngineError, match="BT_BAD_ARGUMENT"):
            engine.fit_batch(windows.counts, windows.scale, [0, CLASSES])
        with pytest.raises(ValueError, match="2 windows at once, got 1"):
            engine.fit_batch(windows.counts[:1], windows.scale, [0])
    with Engine(compiled(module, windows, CLASSES, Norm.GROUP).file) as engine:
        assert engine.plan.header.batch == 1
        with pytest.raises(ValueError, match="1 windows at once"):
            engine.fit_batch(windows.counts, windows.scale, windows.labels)


def test_a_model_without_batch_norm_trains_window_by_window():
    windows = random_windows(2, CHANNELS, SAMPLES, CLASSES)
    with Engine(batch_plan(network(nn.Conv2d(1, 2, (1, 3))), windows, CLASSES).file) as engine:
        assert engine.plan.header.batch == 1


def test_the_smallest_budget_has_room_for_the_windows_that_are_prepared():
    """What L1 takes from L2 is nothing saved where preparing the batch needs that much of L2 all the same."""
    module = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(4 * 5, 5))
    make = partial(compile_model, module, signal(4, 5, 5), name="small", norm=Norm.BATCH, batch=4)
    with pytest.raises(CompileError, match="smallest that works") as refused:
        make(budget=1)
    smallest = int(re.search(r"smallest that works is ([\d,]+)", str(refused.value))[1].replace(",", ""))
    assert make(budget=smallest).report["memory"]["total_bytes"] <= smallest
