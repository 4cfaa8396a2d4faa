"""A module compiled and opened in the engine, with windows to feed it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from device_agent.compiler.compile import CompiledPlan, Signal, compile_model
from device_agent.compiler.normalise import Norm
from device_agent.engine.engine import CANDIDATE, Engine
from device_agent.models import SIZES
from device_agent.preprocessing.steps import Preprocessing
from schemas.plan import Region
from tests.judge import Step

SCALE = 1e-3

#: Every network of the zoo; those with the most layers take as long as the rest together.
_LARGE = ("resnet1d", "deep-convnet", "eeg-tcnet")
ZOO = [pytest.param(name, marks=pytest.mark.slow) if name in _LARGE else name for name in SIZES]


@dataclass(frozen=True)
class Windows:
    """`counts` int16 [N, channels, samples] and what the model sees of them, float32 [N, 1, channels, samples]."""

    counts: np.ndarray
    labels: np.ndarray

    @property
    def scale(self) -> np.ndarray:
        return np.full(self.counts.shape[1], SCALE, np.float32)

    @property
    def inputs(self) -> np.ndarray:
        return (self.counts.astype(np.float32) * np.float32(SCALE))[:, None]


def random_windows(count: int, channels: int, samples: int, classes: int, seed: int = 0) -> Windows:
    rng = np.random.default_rng(seed)
    counts = rng.integers(-2000, 2000, (count, channels, samples)).astype(np.int16)
    return Windows(counts, rng.integers(0, classes, count))


def learnable_windows(count: int, channels: int, samples: int, classes: int, seed: int = 0) -> Windows:
    """Noise whose strength in each channel, and whose offset, follow from the class."""
    noise = random_windows(count, channels, samples, classes, seed)
    pattern = np.random.default_rng(99).uniform(0.1, 4, (classes, channels))
    counts = noise.counts * pattern[noise.labels][:, :, None] + 2000 * pattern[noise.labels][:, ::-1, None]
    return Windows(counts.astype(np.int16), noise.labels)


def signal(channels: int, samples: int, classes: int) -> Signal:
    names = tuple(f"ch{i}" for i in range(channels)), tuple(f"class{i}" for i in range(classes))
    return Signal(names[0], samples, 100.0, names[1])


def compiled(
    module: nn.Module, windows: Windows, classes: int, norm: Norm = Norm.GROUP, steps: Preprocessing | None = None
) -> CompiledPlan:
    _, channels, samples = windows.counts.shape
    return compile_model(module, signal(channels, samples, classes), name="test", norm=norm, preprocessing=steps)


def randomise_norms(module: nn.Module, seed: int = 1) -> nn.Module:
    """Fresh norms are the identity: give them something to get wrong."""
    generator = torch.Generator().manual_seed(seed)
    for child in module.modules():
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm):
            child.weight.data.uniform_(0.5, 1.5, generator=generator)
            child.bias.data.normal_(generator=generator)
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
            child.running_mean.normal_(0, 0.3, generator=generator)
            child.running_var.uniform_(0.5, 2, generator=generator)
    return module


def without_dropout(module: nn.Module) -> nn.Module:
    for child in module.modules():
        if isinstance(child, nn.Dropout):
            child.p = 0.0
    return module


def device_step(
    plan: CompiledPlan,
    engine: Engine,
    windows: Windows,
    learning_rate: float = 0.05,
    momentum: float = 0.9,
    weight_decay: float = 1e-3,
) -> Step:
    """The same step on the engine: micro-batches of one window, accumulated."""
    engine.begin_fit()
    losses = [
        engine.fit_sample(counts, windows.scale, int(label))
        for counts, label in zip(windows.counts, windows.labels, strict=True)
    ]
    trained = engine.region(Region.GRADIENTS) / np.float32(len(losses))
    missing = engine.plan.header.region_bytes[Region.WEIGHTS] // 4 - len(trained)
    gradients = plan.load_values(np.pad(trained, (0, missing)).astype("<f4").tobytes())
    engine.fit_step(learning_rate, momentum, weight_decay)
    return Step(float(np.mean(losses)), dict(gradients), dict(plan.load_values(engine.values(CANDIDATE))))
