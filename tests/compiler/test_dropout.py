"""Dropout's masks follow from a specified generator, so torch can be given the same ones."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from device_agent.engine.engine import Engine
from tests.compiled import compiled, device_step, random_windows
from tests.judge import assert_parity, torch_step

MASK64 = (1 << 64) - 1


def hash_counter(key: int, counter: int) -> int:
    """docs/arithmetic.md: splitmix64's finaliser over key * 2^32 + counter, upper half."""
    z = ((key << 32 | counter) + 0x9E3779B97F4A7C15) & MASK64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK64
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK64
    return (z ^ z >> 31) >> 32


class GivenMask(nn.Module):
    """Multiplies by a mask for each window of the batch."""

    def __init__(self, p: float, stream: int, shape: tuple[int, ...], windows: int) -> None:
        super().__init__()
        count = int(np.prod(shape))
        masks = np.zeros((windows, count))
        for window in range(windows):
            key = hash_counter(hash_counter(0, window), stream)
            masks[window] = [hash_counter(key, i) >= int(p * 2**32) for i in range(count)]
        self.mask = torch.tensor(masks.reshape(windows, *shape) / (1 - p))

    def forward(self, x):
        return x * self.mask.to(x.dtype)


def test_a_step_with_dropout_is_torchs_with_the_same_masks():
    torch.manual_seed(0)
    windows = random_windows(4, 3, 29, 4)
    convolution, linear = nn.Conv2d(1, 4, (1, 3)), nn.Linear(4 * 3 * 27, 4)
    module = nn.Sequential(convolution, nn.Dropout(0.5), nn.ReLU(), nn.Flatten(), nn.Dropout(0.25), linear)
    reference = nn.Sequential(
        convolution, GivenMask(0.5, 0, (4, 3, 27), 4), nn.ReLU(), nn.Flatten(), GivenMask(0.25, 1, (324,), 4), linear
    )
    plan = compiled(module, windows, 4)
    with Engine(plan.file, plan.weights_file(module)) as engine:
        ours = device_step(plan, engine, windows)
    exact, single = (torch_step(reference, windows.inputs, windows.labels, d) for d in (torch.float64, torch.float32))
    assert_parity(ours.gradients, exact.gradients, single.gradients, "gradient")


def test_inference_leaves_dropout_out():
    windows = random_windows(1, 3, 29, 4)
    module = nn.Sequential(nn.Conv2d(1, 2, (1, 3)), nn.Dropout(0.5), nn.Flatten(), nn.Linear(162, 4))
    plan = compiled(module, windows, 4)
    exact = module.eval().double()(torch.tensor(windows.inputs, dtype=torch.float64)).softmax(1)[0].detach().numpy()
    with Engine(plan.file, plan.weights_file(module.float())) as engine:
        _, probabilities = engine.infer(windows.counts[0], windows.scale)
    np.testing.assert_allclose(probabilities, exact, rtol=1e-5)
