"""A network behind a spatial filter of the wearer's own, which no fit changes: its values are part of the weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

ALIGNMENT = "alignment.weight"
"""The parameter's name, [channels, 1, channels, 1]: rows are the filters."""


class Aligned(nn.Module):
    """[N, 1, channels, samples] -> the same shape, mixed across channels -> `network`. Begins as the identity."""

    def __init__(self, network: nn.Module, channels: int) -> None:
        super().__init__()
        self.alignment = nn.Conv2d(1, channels, (channels, 1), bias=False)
        with torch.no_grad():
            self.alignment.weight.copy_(torch.eye(channels).reshape(channels, 1, channels, 1))
        self.alignment.weight.requires_grad_(False)
        self.network = network
        self._channels = channels

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.alignment(x)  # [N, channels, 1, samples]: the same row of values as [N, 1, channels, samples]
        out: Tensor = self.network(mixed.reshape(-1, 1, self._channels, x.shape[3]))
        return out
