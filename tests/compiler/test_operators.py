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


def network(*layers: nn.Module) -> nn.Sequential:
    """The layers, then a linear one over what they leave."""
    body = nn.Sequential(*layers, nn.Flatten())
    left = body(torch.zeros(1, 1, CHANNELS, SAMPLES)).shape[1]
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
    "two linear layers": lambda: network(nn.Conv2d(1, 4, (3, 9)), nn.Flatten(), nn.Linear(84, 7), nn.ReLU()),
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("case", NETWORKS)
def test_a_step_is_torchs(case):
    torch.manual_seed(3)
    module = randomise_norms(NETWORKS[case]())
    windows = random_windows(4, CHANNELS, SAMPLES, CLASSES, seed=5)
    frozen = any(isinstance(layer, nn.BatchNorm2d) for layer in module)
    plan = compiled(module, windows, CLASSES, Norm.FROZEN if frozen else Norm.GROUP)
    with Engine(plan.file, plan.weights_file(module)) as engine:
        ours = device_step(plan, engine, windows)
    exact = torch_step(module, windows.inputs, windows.labels, torch.float64, frozen=frozen)
    single = torch_step(module, windows.inputs, windows.labels, torch.float32, frozen=frozen)
    assert_parity(ours.gradients, exact.gradients, single.gradients, "gradient")
    assert_parity(ours.weights, exact.weights, single.weights, "updated weight")
