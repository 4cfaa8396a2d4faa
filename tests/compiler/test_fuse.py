"""Norm, ReLU and pool in one sweep give the bits that they give one after the other."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from device_agent.compiler.compile import compile_model
from device_agent.compiler.stream.choice import ALL
from device_agent.engine.engine import CANDIDATE, KERNEL_SETS, Engine
from schemas.plan_operations import OPERATIONS
from tests.compiled import random_windows, signal

FUSED = {name for name in OPERATIONS if name.startswith("norm_relu_pool_")}


def network(*, pool: nn.Module | None, rows: int, first: int = 4) -> nn.Module:
    layers: list[nn.Module] = [
        *(nn.Conv2d(1, first, (3 - rows + 1, 4), bias=False), nn.GroupNorm(1, first, eps=1e-3), nn.ReLU()),
        *([pool] if pool else []),
        *(nn.Conv2d(first, 6, (1, 3), bias=False), nn.GroupNorm(2, 6, eps=1e-3), nn.ReLU(), nn.AvgPool2d((1, 2))),
    ]
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(4))


def weights_after(plan: bytes, weights: bytes, kernels: str) -> bytes | None:
    """None where this processor does not run these kernels."""
    windows = random_windows(3, 3, 131, 4)
    with Engine(plan, weights) as engine:
        if not engine.use_kernels(kernels):
            return None
        engine.begin_fit()
        engine.prepared_step(windows.counts, windows.scale, windows.labels.tolist(), 0.01)()
        return bytes(engine.values(CANDIDATE))


@pytest.mark.parametrize(("width", "rows"), [(0, 1), (3, 2), (4, 1), (8, 2)])
def test_the_bits_are_those_of_the_operations_that_are_replaced(width, rows):
    torch.manual_seed(width + rows)
    module = network(pool=nn.AvgPool2d((1, width)) if width else None, rows=rows)
    module(torch.zeros(1, 1, 3, 131))
    printed: list[str] = []
    fused, plainly = (
        compile_model(
            module, signal(3, 131, 4), name="test", techniques=techniques, watch=lambda _, text: printed.append(text)
        )
        for techniques in (ALL, ALL - {"fuse"})
    )
    assert all(name in "".join(printed[: len(printed) // 2]) for name in FUSED)
    assert not any(name in "".join(printed[len(printed) // 2 :]) for name in FUSED)
    outcomes = {
        weights_after(plan.file, plan.weights_file(module), kernels)
        for plan in (fused, plainly)
        for kernels in KERNEL_SETS
    }
    assert len(outcomes - {None}) == 1
