"""Modes, losses, optimisers, clipping and schedules, each against torch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from device_agent.compiler.compile import CompiledPlan, compile_model
from device_agent.compiler.errors import CompileError
from device_agent.compiler.training_options import Loss, Mode, Optimizer
from device_agent.engine.engine import CANDIDATE, Engine, EngineError
from schemas.plan import Region
from tests.compiled import Windows, random_windows, signal
from tests.judge import assert_parity, torch_step

CHANNELS, SAMPLES, CLASSES = 3, 29, 4


def network() -> nn.Sequential:
    torch.manual_seed(4)
    return nn.Sequential(
        nn.Conv2d(1, 4, (1, 5), bias=False),
        nn.GroupNorm(2, 4),
        nn.ELU(),
        nn.Conv2d(4, 4, (3, 1), bias=True),
        nn.AvgPool2d((1, 5)),
        nn.Flatten(),
        nn.Linear(20, CLASSES),
    )


def windows() -> Windows:
    return random_windows(6, CHANNELS, SAMPLES, CLASSES, seed=2)


def plan_of(module: nn.Module, **settings) -> CompiledPlan:
    return compile_model(module, signal(CHANNELS, SAMPLES, CLASSES), name="test", **settings)


def run(plan: CompiledPlan, module: nn.Module, steps: int = 1, **settings) -> tuple[list[float], dict, dict]:
    """Losses of the last step's windows, the gradients' sums, and weights behind the last step."""
    given = windows()
    with Engine(plan.file, plan.weights_file(module)) as engine:
        engine.begin_fit()
        for _ in range(steps):
            losses = [
                engine.fit_sample(counts, given.scale, int(label))
                for counts, label in zip(given.counts, given.labels, strict=True)
            ]
            sums = engine.region(Region.GRADIENTS).copy()
            engine.fit_step(**settings)
        missing = engine.plan.header.region_bytes[Region.WEIGHTS] // 4 - len(sums)
        gradients = plan.load_values(np.pad(sums, (0, missing)).astype("<f4").tobytes())
        return losses, dict(gradients), dict(plan.load_values(engine.values(CANDIDATE)))


def assert_same_weights(module: nn.Module, ours: dict, steps: int = 1, **settings) -> None:
    given = windows()
    exact, single = (
        torch_step(module, given.inputs, given.labels, dtype, steps=steps, **settings)
        for dtype in (torch.float64, torch.float32)
    )
    assert_parity(ours, exact.weights, single.weights, "updated weight")


OPTIMISERS = {
    "sgd": (Optimizer.SGD, {"learning_rate": 0.05}, lambda p: torch.optim.SGD(p, 0.05)),
    "momentum and decay": (
        Optimizer.SGD,
        {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": 0.01},
        lambda p: torch.optim.SGD(p, 0.05, 0.9, weight_decay=0.01),
    ),
    "nesterov": (
        Optimizer.SGD,
        {"learning_rate": 0.05, "momentum": 0.8, "weight_decay": 0.01, "nesterov": True},
        lambda p: torch.optim.SGD(p, 0.05, 0.8, weight_decay=0.01, nesterov=True),
    ),
    "adam": (
        Optimizer.ADAM,
        {"learning_rate": 0.01, "weight_decay": 0.1},
        lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.1),
    ),
    "adamw": (
        Optimizer.ADAMW,
        {"learning_rate": 0.01, "weight_decay": 0.1, "betas": (0.8, 0.95), "epsilon": 1e-6},
        lambda p: torch.optim.AdamW(p, 0.01, (0.8, 0.95), 1e-6, weight_decay=0.1),
    ),
}


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("steps", [1, 4])
def test_an_optimisers_steps_are_torchs(name, steps):
    kind, settings, in_torch = OPTIMISERS[name]
    module = network()
    _, _, weights = run(plan_of(module, optimizer=kind), module, steps, **settings)
    assert_same_weights(module, weights, steps, optimiser=in_torch)


@pytest.mark.parametrize("kind", [Optimizer.SGD, Optimizer.ADAM])
@pytest.mark.parametrize("most", [0.05, 1e6])
def test_gradients_are_clipped_at_their_norm_as_in_torch(kind, most):
    module = network()
    _, _, weights = run(plan_of(module, optimizer=kind), module, 3, learning_rate=0.1, clip_norm=most)
    in_torch = (lambda p: torch.optim.SGD(p, 0.1)) if kind is Optimizer.SGD else (lambda p: torch.optim.Adam(p, 0.1))
    assert_same_weights(module, weights, 3, optimiser=in_torch, clip_norm=most)


def test_the_report_counts_what_the_optimiser_keeps():
    memory = {kind: plan_of(network(), optimizer=kind).report["memory"] for kind in Optimizer}
    assert memory[Optimizer.SGD]["optimizer_bytes"] == memory[Optimizer.SGD]["gradients_bytes"]
    assert memory[Optimizer.ADAM]["optimizer_bytes"] == 2 * memory[Optimizer.ADAM]["gradients_bytes"]
    assert (
        memory[Optimizer.ADAMW]["total_bytes"] - memory[Optimizer.SGD]["total_bytes"]
        == (memory[Optimizer.SGD]["optimizer_bytes"])
    )


def test_a_norm_that_is_not_a_number_stops_the_step_and_leaves_the_candidate():
    module, given = network(), windows()
    with Engine(plan_of(module).file, None) as engine:
        engine.begin_fit()
        engine.fit_sample(given.counts[0], given.scale, 0)
        engine.region(Region.GRADIENTS)[3] = np.nan
        before = engine.values(CANDIDATE)
        with pytest.raises(EngineError, match="BT_NOT_FINITE"):
            engine.fit_step(0.1, clip_norm=1.0)
        assert engine.values(CANDIDATE) == before


LOSSES = {
    "smoothing": Loss(label_smoothing=0.2),
    "class weights": Loss(class_weights=(0.5, 2.0, 1.0, 3.5)),
    "smoothing and class weights": Loss(0.1, (0.5, 2.0, 1.0, 3.5)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_its_step_are_torchs(name):
    loss, module, given = LOSSES[name], network(), windows()
    weights = torch.tensor(loss.class_weights) if loss.class_weights else None
    criterion = nn.CrossEntropyLoss(weights, label_smoothing=loss.label_smoothing)
    losses, gradients, updated = run(plan_of(module, loss=loss), module, learning_rate=0.05, momentum=0.9)
    total = sum(loss.class_weights[label] for label in given.labels) if loss.class_weights else len(losses)
    steps = [
        torch_step(module, given.inputs, given.labels, dtype, criterion=criterion, weight_decay=0)
        for dtype in (torch.float64, torch.float32)
    ]
    assert sum(losses) / total == pytest.approx(steps[0].loss, rel=1e-5)
    means = {name: value / np.float32(total) for name, value in gradients.items()}
    assert_parity(means, steps[0].gradients, steps[1].gradients, "gradient")
    assert_parity(updated, steps[0].weights, steps[1].weights, "updated weight")


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        (Loss(label_smoothing=1.0), "below 1"),
        (Loss(class_weights=(1.0, 2.0)), "4 classes and 2 class weights"),
        (Loss(class_weights=(1.0, 0.0, 1.0, 1.0)), "must be positive"),
        (Loss(class_weights=(1.0, math.nan, 1.0, 1.0)), "must be positive"),
    ],
)
def test_a_loss_that_cannot_be_is_refused(loss, reason):
    with pytest.raises(CompileError, match=reason):
        plan_of(network(), loss=loss)


MODES = {
    "full": (Mode.FULL, {"0.weight", "1.weight", "1.bias", "3.weight", "3.bias", "6.weight", "6.bias"}),
    "last layer": (Mode.LAST_LAYER, {"6.weight", "6.bias"}),
    "norms": (Mode.NORM_ONLY, {"1.weight", "1.bias"}),
    "biases": (Mode.BIAS_ONLY, {"1.bias", "3.bias", "6.bias"}),
    "a list": (("3.weight", "6.*"), {"3.weight", "6.weight", "6.bias"}),
}


@pytest.mark.parametrize("name", MODES)
def test_a_mode_trains_its_parameters_as_torch_does_and_no_others(name):
    mode, expected = MODES[name]
    module = network()
    plan = plan_of(module, mode=mode)
    assert plan.report["params"] == sum(p.numel() for n, p in module.named_parameters() if n in expected)
    _, _, weights = run(plan, module, 3, learning_rate=0.05, momentum=0.9, weight_decay=1e-3)
    for parameter, value in module.named_parameters():
        value.requires_grad_(parameter in expected)
        changed = (weights[parameter] != value.detach().numpy()).any()
        assert changed == (parameter in expected), parameter
    assert_same_weights(module, weights, 3)


def test_a_parameter_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(CompileError, match=r"called '7\.weight': there are 0\.weight"):
        plan_of(network(), mode=["7.weight"])


def test_schedules_warm_up_and_then_follow_torch():
    steps, warm_up, base = 50, 10, 0.1
    parameter = nn.Parameter(torch.zeros(1))
    with Engine(plan_of(network()).file) as engine:
        for cosine in (True, False):
            optimiser = torch.optim.SGD([parameter], base)
            rising = torch.optim.lr_scheduler.LinearLR(optimiser, 1 / warm_up, 1.0, warm_up - 1)
            constant = torch.optim.lr_scheduler.ConstantLR(optimiser, 1.0, 0)
            falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps - warm_up)
            after = falling if cosine else constant
            schedule = torch.optim.lr_scheduler.SequentialLR(optimiser, [rising, after], [warm_up])
            for step in range(steps):
                ours = engine.scheduled_rate(base, step, steps, warm_up=warm_up, cosine=cosine)
                assert ours == pytest.approx(optimiser.param_groups[0]["lr"], abs=1e-7), step
                optimiser.step()
                schedule.step()
