"""ShallowConvNet and DeepConvNet (Schirrmeister et al., Human Brain Mapping 38, 2017)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class ShallowConvNet(nn.Module):
    """Learned band power: convolutions, square, mean, log. Input [N, 1, channels, samples], output [N, classes]."""

    def __init__(
        self, channels: int = 22, samples: int = 1125, classes: int = 4, filters: int = 40, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.temporal = nn.Conv2d(1, filters, (1, 25))
        self.spatial = nn.Conv2d(filters, filters, (channels, 1), bias=False)
        self.norm = nn.BatchNorm2d(filters)
        self.pool = nn.AvgPool2d((1, 75), stride=(1, 15))
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(filters * ((samples - 24 - 75) // 15 + 1), classes)

    def forward(self, x: Tensor) -> Tensor:
        power = self.pool(torch.square(self.norm(self.spatial(self.temporal(x)))))
        features = self.dropout(torch.log(torch.clamp(power, min=1e-6)))
        logits: Tensor = self.classify(torch.flatten(features, 1))
        return logits


class DeepConvNet(nn.Module):
    """Four blocks of convolution and max pooling. Input [N, 1, channels, samples], output [N, classes]."""

    def __init__(self, channels: int = 22, samples: int = 1125, classes: int = 4, dropout: float = 0.5) -> None:
        super().__init__()
        widths = (25, 50, 100, 200)
        self.temporal = nn.Conv2d(1, widths[0], (1, 10))
        self.spatial = nn.Conv2d(widths[0], widths[0], (channels, 1), bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(widths[0]), nn.ELU(), nn.MaxPool2d((1, 3))]
        left = (samples - 9) // 3
        for inputs, outputs in pairwise(widths):
            layers += [nn.Dropout(dropout), nn.Conv2d(inputs, outputs, (1, 10), bias=False)]
            layers += [nn.BatchNorm2d(outputs), nn.ELU(), nn.MaxPool2d((1, 3))]
            left = (left - 9) // 3
        if left < 1:
            raise ValueError(f"windows of {samples} samples are too short for DeepConvNet: it needs 441")
        self.blocks = nn.Sequential(*layers)
        self.classify = nn.Linear(widths[-1] * left, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classify(torch.flatten(self.blocks(self.spatial(self.temporal(x))), 1))
        return logits
