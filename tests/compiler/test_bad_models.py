"""What a network may not do, each told with what to do instead; torch's own pages about it are not printed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from device_agent.compiler.compile import compile_model
from device_agent.compiler.errors import CompileError
from device_agent.compiler.normalise import Norm
from device_agent.engine.engine import CANDIDATE, Engine, EngineError
from tests.compiled import random_windows, randomise_norms, signal
from tests.compiler.test_operators import CHANNELS, CLASSES, SAMPLES, Function, network


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(4, 1, 1))

    def forward(self, x):
        return x * self.gain


def behind(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, (1, 3)), *layers)


BAD = {
    "layer norm without affine": (
        lambda: behind(nn.LayerNorm(27, elementwise_affine=False)),
        "elementwise_affine=True",
    ),
    "layer norm without bias": (lambda: behind(nn.LayerNorm(27, bias=False)), "bias=True"),
    "group norm without affine": (lambda: behind(nn.GroupNorm(2, 4, affine=False)), "use affine=True"),
    "batch norm without affine": (lambda: behind(nn.BatchNorm2d(4, affine=False)), "use affine=True"),
    "batch norm without statistics": (
        lambda: behind(nn.BatchNorm2d(4, track_running_stats=False)),
        "track_running_stats=True",
    ),
    "batch norm's cumulative average": (lambda: behind(nn.BatchNorm2d(4, momentum=None)), "momentum=None.*give one"),
    "instance norm": (lambda: behind(nn.InstanceNorm2d(4)), "use GroupNorm with as many groups as channels"),
    "product with a constant": (lambda: behind(Function(lambda x: x * 2.0)), "products are supported of a tensor with"),
    "product of two tensors": (lambda: behind(Function(lambda x: x * x.relu())), "products are supported of a tensor"),
    "product with a parameter": (lambda: behind(Scaled()), "products are supported of a tensor with itself only"),
    "constant added": (lambda: behind(Function(lambda x: x + 1.0)), "give the layer before it a bias"),
    "subtracted from a constant": (lambda: behind(Function(lambda x: 1 - x)), "the sign in the layer before"),
    "negative": (lambda: behind(Function(lambda x: -x)), r"aten\.neg\.default .* the sign in the layer before"),
    "division": (lambda: behind(Function(lambda x: x / 3)), "a convolution or a norm that scales"),
    "cube": (lambda: behind(Function(lambda x: x**3)), "power 3 is not supported: only squares are"),
    "broadcast sum": (lambda: behind(Function(lambda x: x + x.mean(3, keepdim=True))), "make them equal first"),
    "size of the data": (
        lambda: behind(Function(lambda x: x[..., : int(x.sum())])),
        "a branch or a shape depends on the",
    ),
    "chosen by value": (lambda: behind(Function(lambda x: torch.where(x > 0, x, x * x))), "use clamp or ReLU"),
    "places of values": (lambda: behind(Function(lambda x: x.nonzero())), "slices with fixed bounds"),
    "recurrent": (lambda: nn.Sequential(nn.Flatten(1, 2), nn.LSTM(SAMPLES, 4)), "causal dilated convolutions"),
    "half precision": (lambda: behind().half(), r"0\.weight is torch\.float16: .* convert with \.float\(\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_with_what_to_do(name, capfd):
    build, words = BAD[name]
    with pytest.raises(CompileError, match=words):
        compile_model(build(), signal(CHANNELS, SAMPLES, CLASSES), name="test")
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


def test_an_operator_that_is_like_none_is_not_answered_with_any():
    with pytest.raises(CompileError, match=r"aten\.erfinv\.default is not supported; docs/operators\.md lists"):
        compile_model(behind(Function(torch.erfinv)), signal(CHANNELS, SAMPLES, CLASSES), name="test")


def test_a_class_without_examples_is_trained_around():
    """Its logit is pushed down, and nothing stops being a number: who lacks examples is told by whoever chose them."""
    torch.manual_seed(0)
    module = randomise_norms(network(nn.Conv2d(1, 4, (1, 3)), nn.BatchNorm2d(4), nn.ELU()))
    windows = random_windows(8, CHANNELS, SAMPLES, CLASSES)
    missing = CLASSES - 1
    labels = [int(label) % missing for label in windows.labels]
    for norm in (Norm.GROUP, Norm.BATCH):
        plan = compile_model(module, signal(CHANNELS, SAMPLES, CLASSES), name="test", norm=norm)
        with Engine(plan.file, plan.weights_file(module)) as engine:
            before = [engine.infer(counts, windows.scale)[1][missing] for counts in windows.counts]
            engine.begin_fit()
            for _ in range(20):
                if norm is Norm.BATCH:
                    engine.fit_batch(windows.counts, windows.scale, labels)
                else:
                    for counts, label in zip(windows.counts, labels, strict=True):
                        engine.fit_sample(counts, windows.scale, label)
                engine.fit_step(0.02)
            after = [engine.infer(counts, windows.scale, CANDIDATE)[1][missing] for counts in windows.counts]
        assert max(after) < max(before)


@pytest.mark.parametrize("layer", ["0", "1", "4"])
def test_a_batch_that_goes_wrong_says_at_which_step_and_layer(layer):
    torch.manual_seed(0)
    module = network(nn.Conv2d(1, 4, (1, 3)), nn.BatchNorm2d(4), nn.ELU())
    windows = random_windows(8, CHANNELS, SAMPLES, CLASSES)
    plan = compile_model(module, signal(CHANNELS, SAMPLES, CLASSES), name="test", norm=Norm.BATCH)
    with Engine(plan.file, plan.weights_file(module)) as engine:
        served = engine.values()
        engine.begin_fit()
        engine.fit_batch(windows.counts, windows.scale, windows.labels)
        engine.fit_step(0.01)
        values = np.frombuffer(engine.values(CANDIDATE), "<f4").copy()
        place = next(p for p in engine.plan.names["parameters"] if p["name"] == f"{layer}.weight")
        values[place["offset"] // 4] = np.nan
        engine.set_values(values.tobytes(), CANDIDATE)
        with pytest.raises(EngineError, match=rf"the training batch of step 2, in layer {layer}: BT_NOT_FINITE"):
            engine.fit_batch(windows.counts, windows.scale, windows.labels)
        assert engine.values() == served
        engine.begin_fit()
        with pytest.raises(EngineError, match="step 1, in the window itself: BT_NOT_FINITE"):
            engine.fit_batch(windows.counts, np.full(CHANNELS, np.inf, np.float32), windows.labels)
