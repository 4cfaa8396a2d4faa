"""The judge of numerics: torch in float64, and torch's own float32 as the measure of what can be asked.

It shares no code with the compiler and knows nothing of plans.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Step:
    """Mean loss of a batch, mean gradients, and weights after one SGD step, by parameter name."""

    loss: float
    gradients: Arrays
    weights: Arrays
    running: Arrays = field(default_factory=dict)
    """Running statistics behind the step."""


def torch_step(
    module: nn.Module,
    x: np.ndarray,
    y: np.ndarray,
    dtype: torch.dtype,
    *,
    frozen: bool = False,
    learning_rate: float = 0.05,
    momentum: float = 0.9,
    weight_decay: float = 1e-3,
    optimiser: Callable[[list[nn.Parameter]], torch.optim.Optimizer] | None = None,
    criterion: nn.Module | None = None,
    clip_norm: float = 0.0,
    steps: int = 1,
) -> Step:
    """Steps over the batch x [N, 1, C, T], y [N]; `frozen` holds batch norm's running statistics.

    Parameters that do not require a gradient stay. Loss and gradients are those of the last step, before clipping.
    """
    module = copy.deepcopy(module).to(dtype).train()
    if frozen:
        for child in module.modules():
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                child.eval()
    trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
    settings = {"lr": learning_rate, "momentum": momentum, "weight_decay": weight_decay}
    chosen = optimiser(list(trained.values())) if optimiser else torch.optim.SGD(trained.values(), **settings)
    criterion = copy.deepcopy(criterion).to(dtype) if criterion else nn.CrossEntropyLoss()
    for _ in range(steps):
        chosen.zero_grad()
        loss = criterion(module(torch.tensor(x, dtype=dtype)), torch.tensor(y))
        loss.backward()
        gradients = {name: p.grad.double().numpy().copy() for name, p in trained.items()}
        if clip_norm:
            nn.utils.clip_grad_norm_(list(trained.values()), clip_norm)
        chosen.step()
    weights = {name: p.detach().double().numpy() for name, p in module.named_parameters()}
    running = {name: b.double().numpy() for name, b in module.named_buffers() if b.is_floating_point()}
    return Step(loss.item(), gradients, weights, running)


def relative_error(ours: np.ndarray, exact: np.ndarray) -> float:
    """Maximum norm of the difference over that of the exact tensor; values that are zero in exact arithmetic pass."""
    size = float(np.abs(exact).max())
    return 0.0 if size < 1e-12 else float(np.abs(ours - exact).max()) / size


def assert_parity(ours: Arrays, exact: Arrays, single: Arrays, what: str) -> None:
    """Tensor by tensor: error <= max(1e-4, 3 x the error of torch's float32)."""
    assert ours.keys() >= exact.keys()
    for name, tensor in exact.items():
        error, allowed = relative_error(ours[name], tensor), max(1e-4, 3 * relative_error(single[name], tensor))
        assert error <= allowed, f"{what} of {name}: error {error:.2e}, allowed {allowed:.2e}"
