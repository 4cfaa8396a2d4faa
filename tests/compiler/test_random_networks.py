"""Random networks of all operators, one training step each, against torch; both kernel sets give the same bits.

For more: BIOTRAIN_RANDOM_NETWORKS=300 pytest tests/compiler/test_random_networks.py -m slow
"""

from __future__ import annotations

import math
import os
import re
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from torch import nn

from device_agent.compiler.compile import CompiledPlan, compile_model
from device_agent.compiler.errors import CompileError
from device_agent.compiler.normalise import Norm
from device_agent.compiler.stream.choice import ALL
from device_agent.compiler.training_options import Activations, Loss
from device_agent.compiler.training_options import Windows as Form
from device_agent.engine.engine import CANDIDATE, KERNEL_SETS, Engine
from schemas.plan import Region
from tests.compiled import Windows, device_step, random_windows, randomise_norms, signal
from tests.compiler.test_narrow import Rounded, exact_counts
from tests.compiler.test_staging import l1_of
from tests.judge import Step, assert_parity, relative_error, torch_step

Shape = tuple[int, int, int]
BATCH = 4
COUNT = int(os.environ.get("BIOTRAIN_RANDOM_NETWORKS", "40"))
SETTINGS = settings(
    max_examples=COUNT, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False,
    phases=[Phase.explicit, Phase.generate],
)  # fmt: skip


class Residual(nn.Module):
    def __init__(self, body: nn.Module, around: nn.Module) -> None:
        super().__init__()
        self.body, self.around = body, around

    def forward(self, x):
        return self.around(x) + self.body(x)


class Joined(nn.Module):
    def __init__(self, one: nn.Module, other: nn.Module, dim: int) -> None:
        super().__init__()
        self.one, self.other, self.dim = one, other, dim

    def forward(self, x):
        return torch.cat([self.one(x), self.other(x)], self.dim)


class Crop(nn.Module):
    def __init__(self, dim: int, start: int, end: int) -> None:
        super().__init__()
        self.dim, self.start, self.end = dim, start, end

    def forward(self, x):
        return x.narrow(self.dim, self.start, self.end - self.start)


class Turn(nn.Module):
    def __init__(self, order: tuple[int, ...]) -> None:
        super().__init__()
        self.order = order

    def forward(self, x):
        return x.permute(0, *self.order)


class Clamp(nn.Module):
    def forward(self, x):
        return x.clamp(-0.7, 0.9)


class LogPower(nn.Module):
    def forward(self, x):
        return torch.log(torch.clamp(torch.square(x), min=0.05))


def convolution(draw, shape: Shape) -> nn.Module | None:
    channels, height, width = shape
    kernel = draw(st.integers(1, min(3, height))), draw(st.integers(1, min(9, width)))
    padding = draw(st.integers(0, 2)), draw(st.integers(0, 6))
    dilation = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    stride = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    groups = draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
    spans = [size + 2 * p - d * (k - 1) for size, p, d, k in zip(shape[1:], padding, dilation, kernel, strict=True)]
    if min(spans) < 1:
        return None
    outputs = groups * draw(st.integers(1, 3))
    return nn.Conv2d(channels, outputs, kernel, stride, padding, dilation, groups, bias=draw(st.booleans()))


def pool(draw, shape: Shape) -> nn.Module:
    kernel = draw(st.integers(1, min(3, shape[1]))), draw(st.integers(1, min(6, shape[2])))
    stride = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    ceil = draw(st.booleans())
    if draw(st.booleans()):
        return nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil)
    return nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil, count_include_pad=draw(st.booleans()))


def adaptive(draw, shape: Shape) -> nn.Module:
    size = draw(st.integers(1, shape[1])), draw(st.integers(1, shape[2]))
    return draw(st.sampled_from([nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d]))(size)


def norm(draw, shape: Shape) -> nn.Module | None:
    if math.prod(shape) < 8:  # the norm of few values is ill-conditioned
        return None
    kinds: list[nn.Module] = [nn.GroupNorm(1, shape[0])]
    if shape[1] * shape[2] >= 3:  # likewise a channel's over a batch
        kinds += [nn.BatchNorm2d(shape[0]), nn.BatchNorm2d(shape[0], momentum=0.3)]
    if shape[2] >= 6:
        kinds.append(nn.LayerNorm(shape[2]))
    return draw(st.sampled_from(kinds))


def activation(draw, shape: Shape) -> nn.Module:
    smooth = [nn.ELU(), nn.ELU(0.5), nn.GELU(), nn.GELU("tanh"), LogPower()]
    return draw(st.sampled_from([nn.ReLU(), nn.Tanh(), Clamp(), *smooth]))


def residual(draw, shape: Shape) -> nn.Module:
    height, width = draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 3, 5]))
    body = nn.Conv2d(shape[0], shape[0], (height, width), padding=(height // 2, width // 2))
    around = nn.Identity() if draw(st.booleans()) else nn.Conv2d(shape[0], shape[0], 1)
    return Residual(nn.Sequential(body, activation(draw, shape)), around)


def joined(draw, shape: Shape) -> nn.Module:
    dim = draw(st.integers(1, 3))
    one = nn.Conv2d(shape[0], draw(st.integers(1, 3)) if dim == 1 else 2, 1)
    other = nn.Identity() if dim == 1 and draw(st.booleans()) else nn.Conv2d(shape[0], 2, 1)
    return Joined(one, nn.Sequential(other, activation(draw, shape)), dim)


def rearranged(draw, shape: Shape) -> nn.Module:
    if draw(st.booleans()):
        return Turn(tuple(draw(st.permutations([1, 2, 3]))))
    dim = draw(st.integers(1, 3))
    start = draw(st.integers(0, shape[dim - 1] - 1))
    return Crop(dim, start, draw(st.integers(start + 1, shape[dim - 1])))


def padded(draw, shape: Shape) -> nn.Module:
    return nn.ZeroPad2d(tuple(draw(st.integers(0, 3)) for _ in range(4)))


def linear(draw, shape: Shape) -> nn.Module:
    return nn.Linear(shape[2], draw(st.integers(1, 12)), bias=draw(st.booleans()))


LAYERS = (convolution, convolution, pool, adaptive, norm, activation, residual, joined, rearranged, padded, linear)


@dataclass(frozen=True)
class Case:
    """A module, its windows' shape, and how it is trained."""

    network: nn.Module
    channels: int
    samples: int
    classes: int
    norm: Norm
    smoothing: float
    techniques: frozenset[str]
    """Those that may save memory."""
    tight: bool
    """In the smallest budget that works."""
    l1: int | None
    """Bytes of an L1 so small that parts come and go."""

    def compiled(self, **narrow: Any) -> CompiledPlan:
        make = partial(
            compile_model, self.network, signal(self.channels, self.samples, self.classes),
            name="test", norm=self.norm, batch=BATCH, loss=Loss(self.smoothing), techniques=self.techniques, **narrow,
        )  # fmt: skip
        with nullcontext() if self.l1 is None else l1_of(self.l1):
            if not self.tight:
                return make()
            with pytest.raises(CompileError, match="smallest that works is") as refused:
                make(budget=1)
            found = re.search(r"smallest that works is ([\d,]+)", str(refused.value))
            assert found
            plan = make(budget=int(found[1].replace(",", "")))
            assert plan.report["memory"]["total_bytes"] <= int(found[1].replace(",", ""))
            return plan


@st.composite
def networks(draw, layers=LAYERS):
    channels, samples, classes = draw(st.integers(1, 4)), draw(st.integers(8, 40)), draw(st.integers(2, 5))
    torch.manual_seed(draw(st.integers(0, 2**16)))
    body = nn.Sequential()
    shape: Shape = (1, channels, samples)
    for _ in range(draw(st.integers(1, 7))):
        layer = draw(st.sampled_from(layers))(draw, shape)
        if layer is None:
            continue
        with torch.no_grad():
            after = tuple(nn.Sequential(*body, layer).eval()(torch.zeros(2, 1, channels, samples)).shape[1:])
        if math.prod(after) <= 4000:
            body.append(layer)
            shape = after
    network = nn.Sequential(*body, nn.Flatten(), nn.Linear(math.prod(shape), classes))
    norm = draw(st.sampled_from([Norm.FROZEN, Norm.BATCH]))
    left_out = draw(st.sampled_from([frozenset(), ALL, *({name} for name in sorted(ALL))]))
    return Case(
        randomise_norms(network), channels, samples, classes, norm, draw(st.sampled_from([0.0, 0.1])),
        ALL - left_out, draw(st.booleans()), draw(st.sampled_from([None, 1_500, 4_000])),
    )  # fmt: skip


def size_of(tensor: np.ndarray, largest: float) -> float:
    """What an error is held against: the tensor's own size; the network's largest gradient where it vanishes in exact
    arithmetic, as that of a bias in front of a norm does; and a thousandth of that where it nearly does."""
    own = float(np.abs(tensor).max())
    return max(largest, 1e-12) if own < 1e-9 * largest else max(own, 1e-3 * largest)


def assert_step(ours: Step, exact: Step, single: Step, network: nn.Module) -> None:
    """The judge's bound."""
    largest = max(float(np.abs(tensor).max()) for tensor in exact.gradients.values())
    for name, tensor in exact.gradients.items():
        size = size_of(tensor, largest)
        error = float(np.abs(ours.gradients[name] - tensor).max()) / size
        allowed = max(1e-4, 3 * float(np.abs(single.gradients[name] - tensor).max()) / size)
        assert error <= allowed, f"gradient of {name}: {error:.2e} > {allowed:.2e} in {network}"
        allowed = max(1e-4, 3 * relative_error(single.weights[name], exact.weights[name]))
        error = relative_error(ours.weights[name], exact.weights[name])
        assert error <= allowed, f"weight {name}: {error:.2e} > {allowed:.2e} in {network}"


def batch_step(plan: CompiledPlan, engine: Engine, windows: Windows) -> Step:
    """As `device_step`, over the whole batch at once."""
    engine.begin_fit()
    loss = engine.fit_batch(windows.counts, windows.scale, [int(label) for label in windows.labels])
    trained = engine.region(Region.GRADIENTS) / np.float32(len(windows.labels))
    missing = engine.plan.header.region_bytes[Region.WEIGHTS] // 4 - len(trained)
    gradients = plan.load_values(np.pad(trained, (0, missing)).astype("<f4").tobytes())
    engine.fit_step(0.05, 0.9, 1e-3)
    return Step(loss, dict(gradients), dict(plan.load_values(engine.values(CANDIDATE))))


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.filterwarnings("ignore::UserWarning")
@seed(20)
@settings(SETTINGS)
@given(networks())
def test_a_random_network_trains_as_in_torch(case):
    network = case.network
    windows = random_windows(BATCH, case.channels, case.samples, case.classes, seed=1)
    plan = case.compiled()
    bits = []
    for kernels in KERNEL_SETS:
        with Engine(plan.file, plan.weights_file(network)) as engine:
            if not engine.use_kernels(kernels):
                continue
            step = batch_step if engine.plan.header.batch > 1 else device_step
            ours = step(plan, engine, windows)
            bits.append(engine.values(CANDIDATE))
            assert engine.training_bytes == plan.report["memory"]["total_bytes"], "executor and planner count alike"
    assert len(bits) >= 2
    assert set(bits) == {bits[0]}, "the sets of kernels differ"
    frozen, criterion = case.norm is Norm.FROZEN, nn.CrossEntropyLoss(label_smoothing=case.smoothing)
    exact, single = (
        torch_step(network, windows.inputs, windows.labels, dtype, frozen=frozen, criterion=criterion)
        for dtype in (torch.float64, torch.float32)
    )
    assert ours.loss == pytest.approx(
        exact.loss, abs=max(1e-4 * abs(exact.loss), 1e-5, 3 * abs(single.loss - exact.loss))
    )
    assert_step(ours, exact, single, network)
    assert_parity(ours.weights, exact.running, single.running, "running statistic")


#: A module of these is one operation, so that torch rounds its output where the plan does.
SINGLE = (convolution, convolution, pool, adaptive, norm, residual, linear)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.filterwarnings("ignore::UserWarning")
@seed(21)
@settings(SETTINGS)
@given(networks(SINGLE))
def test_a_random_network_in_narrow_form_trains_as_in_torch_with_the_same_rounding(case):
    """Counts of windows are exact; a value of bf16 that lies between two may fall to either side, in torch as well."""
    network = case.network
    windows = random_windows(BATCH, case.channels, case.samples, case.classes, seed=1)
    plan = case.compiled(activations=Activations.BF16_ALL, windows=Form.INT16)
    bits = set()
    for kernels in KERNEL_SETS:
        with Engine(plan.file, plan.weights_file(network)) as engine:
            if engine.use_kernels(kernels):
                ours = (batch_step if engine.plan.header.batch > 1 else device_step)(plan, engine, windows)
                bits.add(engine.values(CANDIDATE))
    assert len(bits) == 1, "the sets of kernels differ"
    frozen, criterion = case.norm is Norm.FROZEN, nn.CrossEntropyLoss(label_smoothing=case.smoothing)
    inputs = exact_counts(windows.inputs)

    def gradients_of(module: nn.Module, dtype: torch.dtype) -> dict[str, np.ndarray]:
        step = torch_step(module, inputs, windows.labels, dtype, frozen=frozen, criterion=criterion)
        return {name.removeprefix("module."): tensor for name, tensor in step.gradients.items()}

    rounded = Rounded(network, [name for name in plan.report["narrowed"] if name])
    exact, single = (gradients_of(rounded, dtype) for dtype in (torch.float64, torch.float32))
    plain = gradients_of(network, torch.float64)
    largest = max(float(np.abs(tensor).max()) for tensor in exact.values())
    for name, tensor in exact.items():
        size = size_of(tensor, largest)
        error, of_torch, of_rounding = (
            float(np.abs(other[name] - tensor).max()) / size for other in (ours.gradients, single, plain)
        )
        assert error <= max(5e-4, 3 * of_torch, 0.3 * of_rounding), (name, error, of_torch, of_rounding, network)
