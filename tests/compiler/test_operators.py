"""Every operator in small networks of odd shapes, against torch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from device_agent.compiler.normalise import Norm
from device_agent.engine.engine import Engine
from tests.compiled import compiled, device_step, random_windows, randomise_norms
from tests.judge import assert_parity, torch_step

CHANNELS, SAMPLES, CLASSES = 3, 29, 4


class Residual(nn.Module):
    """x + body(x)"""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.body(x)


class Concatenated(nn.Module):
    """Branches side by side along `dim`."""

    def __init__(self, dim: int, *branches: nn.Module) -> None:
        super().__init__()
        self.dim, self.branches = dim, nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], self.dim)


class Function(nn.Module):
    """A function as a layer."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def one_dimensional(*layers: nn.Module) -> nn.Sequential:
    """Layers over [N, C, T]."""
    return network(nn.Flatten(1, 2), *layers)


def safe_log(x):
    return torch.log(torch.clamp(x, min=1e-6))


def network(*layers: nn.Module) -> nn.Sequential:
    """The layers, then a linear one over what they leave."""
    body = nn.Sequential(*layers, nn.Flatten())
    left = body(torch.zeros(2, 1, CHANNELS, SAMPLES)).shape[1]
    return nn.Sequential(*body, nn.Linear(left, CLASSES))


NETWORKS = {
    "kernel over both dimensions": lambda: network(nn.Conv2d(1, 5, (2, 5))),
    "bias": lambda: network(nn.Conv2d(1, 4, (1, 3), bias=True), nn.Conv2d(4, 3, (3, 2), bias=True)),
    "no bias": lambda: network(nn.Conv2d(1, 4, (1, 3), bias=False), nn.Conv2d(4, 3, (3, 2), bias=False)),
    "stride": lambda: network(nn.Conv2d(1, 4, (2, 3), stride=(1, 3)), nn.Conv2d(4, 4, (1, 4), stride=(1, 2))),
    "padding": lambda: network(nn.Conv2d(1, 4, (3, 5), padding=(1, 4)), nn.Conv2d(4, 4, (1, 7), padding=(0, 3))),
    "padding wider than the signal": lambda: network(nn.Conv2d(1, 2, (1, 33), padding=(0, 31))),
    "same padding, even kernel": lambda: network(nn.Conv2d(1, 4, (1, 8), padding="same")),
    "dilation": lambda: network(nn.Conv2d(1, 4, (1, 5), dilation=(1, 3)), nn.Conv2d(4, 4, (2, 4), dilation=(1, 2))),
    "dilation, stride and padding": lambda: network(
        nn.Conv2d(1, 4, (1, 5)), nn.Conv2d(4, 6, (2, 3), stride=(1, 2), padding=(1, 4), dilation=(1, 3))
    ),
    "groups": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.Conv2d(4, 8, (1, 5), groups=2)),
    "depthwise, long kernel": lambda: network(nn.Conv2d(1, 4, (3, 1)), nn.Conv2d(4, 4, (1, 22), groups=4)),
    "explicit asymmetric padding": lambda: network(nn.ZeroPad2d((7, 8, 1, 0)), nn.Conv2d(1, 3, (1, 16))),
    "group norm, one group": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.GroupNorm(1, 4)),
    "group norm, two groups": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.GroupNorm(2, 4), nn.Conv2d(4, 2, (2, 2))),
    "frozen batch norm": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.BatchNorm2d(4), nn.Conv2d(4, 2, (1, 2))),
    "relu": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.ReLU(), nn.Conv2d(4, 2, (1, 2)), nn.ReLU()),
    "average pool": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.AvgPool2d((1, 4))),
    "average pool, overlapping": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.AvgPool2d((2, 5), stride=(1, 2))),
    "max pool": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.MaxPool2d((1, 4))),
    "max pool, overlapping": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.MaxPool2d((2, 5), stride=(1, 2))),
    "elu": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.ELU(), nn.Conv2d(4, 2, (1, 2)), nn.ELU(0.3)),
    "gelu": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.GELU(), nn.Conv2d(4, 2, (1, 2))),
    "gelu, tanh": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.GELU(approximate="tanh"), nn.Conv2d(4, 2, (1, 2))),
    "tanh": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.Tanh(), nn.Conv2d(4, 2, (1, 2))),
    "square, pool, log": lambda: network(
        nn.Conv2d(1, 4, (1, 3)), Function(torch.square), nn.AvgPool2d((1, 7), stride=(1, 3)), Function(safe_log)
    ),
    "powers and products": lambda: network(
        nn.Conv2d(1, 4, (1, 3)), Function(lambda x: x**2), nn.Conv2d(4, 2, (1, 2)), Function(lambda x: x * x)
    ),
    "clamp": lambda: network(nn.Conv2d(1, 4, (1, 3)), Function(lambda x: x.clamp(-0.3, 0.4)), nn.Conv2d(4, 2, (1, 2))),
    "layer norm over time": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.LayerNorm(27), nn.Conv2d(4, 2, (1, 2))),
    "layer norm over the map": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.LayerNorm((3, 27))),
    "residual": lambda: network(nn.Conv2d(1, 4, (1, 3)), Residual(nn.Conv2d(4, 4, (1, 3), padding=(0, 1)), nn.ReLU())),
    "residual around what works in place": lambda: network(
        nn.Conv2d(1, 4, (1, 3)), Residual(nn.ReLU()), Residual(nn.GroupNorm(1, 4), nn.ELU()), nn.ReLU()
    ),
    "a value used three times": lambda: network(
        nn.Conv2d(1, 4, (1, 3)), Residual(Residual(nn.Conv2d(4, 4, 1))), Function(lambda x: x + x)
    ),
    "concatenated channels": lambda: network(
        nn.Conv2d(1, 4, (1, 3)), Concatenated(1, nn.Conv2d(4, 2, 1), nn.Conv2d(4, 3, 1), nn.Identity()), nn.ReLU()
    ),
    "concatenated over time": lambda: network(
        nn.Conv2d(1, 4, (1, 3)), Concatenated(3, nn.Conv2d(4, 2, (1, 5)), nn.Conv2d(4, 2, 1)), nn.Conv2d(2, 2, (2, 9))
    ),
    "crops": lambda: network(nn.Conv2d(1, 4, (1, 3)), Function(lambda x: x[:, 1:, :-1, 3:-4]), nn.Conv2d(3, 2, (1, 3))),
    "split channels": lambda: network(
        nn.Conv2d(1, 5, (1, 3)),
        Function(lambda x: torch.cat([part.relu() for part in x.split(2, 1)][::-1], 1)),
        Function(lambda x: x.chunk(2, 1)[1]),
        nn.Conv2d(2, 2, (1, 3)),
    ),
    "one row": lambda: network(nn.Conv2d(1, 4, (1, 3)), Function(lambda x: x[:, :, 1]), nn.Conv1d(4, 2, 3)),
    "transposed": lambda: network(
        nn.Conv2d(1, 4, (1, 3)), Function(lambda x: x.permute(0, 2, 3, 1)), nn.LayerNorm(4), nn.Conv2d(3, 2, (5, 2))
    ),
    "transposed over a dimension of one": lambda: network(
        nn.Conv2d(1, 4, (3, 1)), Function(lambda x: x.transpose(1, 2)), nn.Conv2d(1, 2, (4, 3))
    ),
    "padding in front of a pool": lambda: network(
        nn.Conv2d(1, 4, (1, 3)), nn.ReLU(), nn.ZeroPad2d((2, 1, 1, 0)), nn.AvgPool2d((2, 5))
    ),
    "average pool with padding": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.AvgPool2d((3, 4), padding=(1, 2))),
    "average pool, padding not counted": lambda: network(
        nn.Conv2d(1, 4, (1, 3)), nn.AvgPool2d((2, 5), stride=(1, 3), padding=(1, 2), count_include_pad=False)
    ),
    "average pool, ceil mode": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.AvgPool2d((2, 4), ceil_mode=True)),
    "average pool, ceil mode and padding": lambda: network(
        nn.Conv2d(1, 4, (1, 3)), nn.AvgPool2d((2, 5), stride=(2, 4), padding=(1, 2), ceil_mode=True)
    ),
    "max pool with padding": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.MaxPool2d((3, 4), stride=2, padding=(1, 2))),
    "max pool, ceil mode": lambda: network(
        nn.Conv2d(1, 4, (1, 3)), nn.MaxPool2d((2, 4), ceil_mode=True), nn.ReLU(inplace=True)
    ),
    "adaptive average pool": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.AdaptiveAvgPool2d((2, 7))),
    "adaptive average pool to one": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.AdaptiveAvgPool2d(1)),
    "adaptive max pool": lambda: network(nn.Conv2d(1, 4, (1, 3)), nn.AdaptiveMaxPool2d((2, 5))),
    "means": lambda: network(
        nn.Conv2d(1, 6, (1, 3)), Function(lambda x: x.mean(2)), nn.Conv1d(6, 5, 3), Function(lambda x: x.mean(1))
    ),
    "one dimension": lambda: one_dimensional(
        nn.Conv1d(3, 4, 5, stride=2, padding=2, dilation=2),
        nn.BatchNorm1d(4),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(4, 4, 3, padding="same", groups=2),
        nn.AvgPool1d(2, padding=1),
        nn.ConstantPad1d((1, 2), 0.0),
    ),
    "one dimension, adaptive": lambda: one_dimensional(nn.Conv1d(3, 4, 5), nn.GELU(), nn.AdaptiveAvgPool1d(4)),
    "linear over rows": lambda: network(
        nn.Conv2d(1, 4, (1, 3)), nn.Linear(27, 9), nn.GELU(), nn.Linear(9, 5, bias=False)
    ),
    "two linear layers": lambda: network(nn.Conv2d(1, 4, (3, 9)), nn.Flatten(), nn.Linear(84, 7), nn.ReLU()),
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("case", NETWORKS)
def test_a_step_is_torchs(case):
    torch.manual_seed(3)
    module = randomise_norms(NETWORKS[case]())
    windows = random_windows(4, CHANNELS, SAMPLES, CLASSES, seed=5)
    frozen = any(isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d) for layer in module)
    plan = compiled(module, windows, CLASSES, Norm.FROZEN if frozen else Norm.GROUP)
    with Engine(plan.file, plan.weights_file(module)) as engine:
        ours = device_step(plan, engine, windows)
    exact = torch_step(module, windows.inputs, windows.labels, torch.float64, frozen=frozen)
    single = torch_step(module, windows.inputs, windows.labels, torch.float32, frozen=frozen)
    assert_parity(ours.gradients, exact.gradients, single.gradients, "gradient")
    assert_parity(ours.weights, exact.weights, single.weights, "updated weight")
