"""Small networks that together run every operation of a plan: what the two instruction sets are compared on."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from device_agent.compiler import memory_plan
from device_agent.compiler.compile import CompiledPlan, compile_model
from device_agent.compiler.normalise import Norm
from device_agent.compiler.training_options import Activations, Loss, Optimizer
from device_agent.compiler.training_options import Windows as Form
from device_agent.preprocessing.steps import Preprocessing
from schemas.plan import Entry, Region, View
from schemas.plan_operations import OPERATIONS
from tests.compiled import random_windows, randomise_norms, signal
from tests.compiler import test_staging
from tests.compiler.test_operators import Concatenated, Function, Residual, network, safe_log
from tests.compiler.test_staging import l1_of, spatial_then_temporal
from tests.compiler.test_streaming import Fixed
from tests.runtime.handmade import Code, tiny_plan

CHANNELS, SAMPLES, CLASSES, BATCH = 3, 29, 4, 4
_PREPARING = Preprocessing(
    matrix=np.array([[0, 1, 0], [1, 0, -0.5], [0, 0.25, 1]], np.float32),
    sections=np.array([[0.2, 0.3, 0.2, -0.5, 0.3]], np.float32),
    centre=True,
    offset=np.array([0.1, -0.2, 0.3], np.float32),
    gain=np.array([1.5, 0.5, 2.0], np.float32),
)


@dataclass(frozen=True)
class Case:
    build: Callable[[], nn.Module]
    settings: dict[str, object]
    choice: int | None = None
    """Which of its ways to stream each chain takes, in the place of what the planner would choose."""
    l1: int | None = None
    """Bytes of an L1 that is too small for the network."""
    channels: int = CHANNELS
    samples: int = SAMPLES

    def compiled(self) -> tuple[CompiledPlan, bytes]:
        torch.manual_seed(5)
        module = randomise_norms(self.build())
        with pytest.MonkeyPatch.context() as patch:
            if self.choice is not None:
                patch.setattr(memory_plan, "Search", Fixed)
                patch.setattr(Fixed, "number", self.choice)
            given = signal(self.channels, self.samples, CLASSES)
            with nullcontext() if self.l1 is None else l1_of(self.l1):
                plan = compile_model(module, given, name="test", batch=BATCH, **self.settings)
        return plan, plan.weights_file(module)


def _conv(outputs: int = 4, inputs: int = 1, kernel: tuple[int, int] = (1, 3), **more: object) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, **more)


CASES = {
    "filters, pools, sgd": Case(
        lambda: network(
            _conv(padding=(0, 1)),
            nn.GroupNorm(2, 4),
            nn.ReLU(),
            nn.MaxPool2d((1, 2)),
            _conv(8, 4, (2, 3), stride=(1, 2), groups=2, dilation=(1, 2)),
            nn.AvgPool2d((1, 2)),
            nn.Dropout(0.25),
        ),
        {"preprocessing": _PREPARING},
    ),
    "clipped pools, smoothing, adam": Case(
        lambda: network(
            _conv(),
            nn.ELU(0.7),
            nn.MaxPool2d((3, 4), stride=(1, 3), padding=(1, 2)),
            nn.Tanh(),
            nn.AvgPool2d((2, 3), stride=(2, 2), padding=(1, 1), ceil_mode=True, count_include_pad=False),
        ),
        {"loss": Loss(0.1, (1.0, 2.0, 0.5, 3.0)), "optimizer": Optimizer.ADAM},
    ),
    "layer norm, gelu, turns, adamw": Case(
        lambda: network(
            _conv(),
            nn.GELU(),
            Function(lambda x: x.permute(0, 2, 3, 1)),
            nn.LayerNorm(4),
            nn.GELU("tanh"),
            nn.Linear(4, 3),
        ),
        {"optimizer": Optimizer.ADAMW, "loss": Loss(0.2)},
    ),
    "power, slices, frozen norm": Case(
        lambda: network(
            _conv(bias=False),
            nn.BatchNorm2d(4),
            Function(torch.square),
            nn.ZeroPad2d((2, 1, 1, 0)),
            nn.AvgPool2d((1, 5), stride=(1, 3)),
            Function(safe_log),
            Function(lambda x: x.clamp(-4.0, 1.0)),
            Concatenated(1, nn.Identity(), _conv(2, 4, (1, 1))),
            Function(lambda x: x[:, 1:, :, 2:]),
            Residual(nn.ReLU()),
        ),
        {"norm": Norm.FROZEN, "preprocessing": Preprocessing(log_floor=0.05)},
    ),
    "norms alone and in a branch": Case(
        lambda: network(nn.GroupNorm(1, 1), _conv(), Residual(nn.GroupNorm(2, 4))), {"loss": Loss(0.05)}
    ),
    "exact batch norm": Case(
        lambda: network(_conv(), nn.BatchNorm2d(4), nn.ELU(), _conv(3, 4, (3, 5)), nn.BatchNorm2d(3), nn.Dropout(0.5)),
        {"norm": Norm.BATCH},
    ),
}


def _streamed() -> nn.Module:
    return network(
        nn.Conv2d(1, 8, (3, 1), bias=False),
        nn.GroupNorm(1, 8),
        nn.Conv2d(8, 8, (1, 8), groups=8, bias=False),
        nn.GroupNorm(1, 8),
        nn.ReLU(),
        nn.AvgPool2d((1, 4)),
    )


CASES |= {
    "narrow": Case(_streamed, {"activations": Activations.BF16_ALL, "windows": Form.INT16}, 3),
    "narrow windows of a batch": Case(
        lambda: network(_conv(), nn.BatchNorm2d(4), nn.ELU()), {"norm": Norm.BATCH, "windows": Form.INT16}
    ),
}
CASES |= {
    f"an L1 of {size} bytes": Case(
        lambda: spatial_then_temporal(CLASSES),
        {},
        l1=size,
        channels=test_staging.CHANNELS,
        samples=test_staging.SAMPLES,
    )
    for size in (6_000, 15_000)
}
CASES["an L2 that is too small"] = Case(_streamed, {"aside": 1_000})
CASES |= {f"streamed, way {number}": Case(_streamed, {}, number) for number in (3, 23, 57)}


def copying_plan() -> bytes:
    """By hand, as the compiler writes no plain copies: the input goes through L1 in two pieces."""
    piece, tile = View(Region.ARENA, 0, (1, 8), (32,)), View(Region.L1, 0, (1, 8))
    there = View(Region.ARENA, 128, (1, 8), (32,))
    whole = View(Region.ARENA, 128, (2, 8))
    train = Code().loop(2).run("copy", 11, 12).run("copy", 12, 13).end_loop()
    train.run("linear_forward", 14, 1, 2, 3).run("cross_entropy", 3, 5, 4)
    train.run("linear_backward", 14, 4, None, 6, 7, None)
    return tiny_plan(more_views=(piece, tile, there, whole), train=train)


def windows_of(
    plan_classes: int = CLASSES, channels: int = CHANNELS, samples: int = SAMPLES
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """counts, scale, labels"""
    windows = random_windows(2 * BATCH, channels, samples, plan_classes, seed=3)
    return windows.counts, windows.scale, windows.labels


def operations_of(file: bytes, entries: tuple[Entry, ...]) -> set[str]:
    """Names of the operations that these programs of a plan run, read from the file."""
    names = {spec.number: name for name, spec in OPERATIONS.items()}
    (count,) = struct.unpack_from("<I", file, 132)
    found = set()
    for index in range(count):
        kind, offset, length, _ = struct.unpack_from("<IIII", file, 256 + 16 * index)
        if kind - 4 in entries:
            found |= {names[number] for number in _numbers(file[offset : offset + length]) if number in names}
    return found


def _numbers(code: bytes) -> Iterator[int]:
    words = struct.unpack(f"<{len(code) // 4}I", code)
    at = 0
    while at < len(words):
        head = words[at]
        yield head & 0xFF
        at += 1 + ((head >> 8 & 0xFF) + 1) // 2 + (head >> 16)
