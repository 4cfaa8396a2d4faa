"""MI-BMInet for motor imagery EEG (Wang et al., "An energy-efficient motor imagery BCI on wearables", 2024)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MIBMInet(nn.Module):
    """Input [N, 1, channels, samples], output [N, classes]; batch norm with eps 1e-3, average pools of 8."""

    def __init__(
        self,
        channels: int = 8,
        samples: int = 1900,
        classes: int = 2,
        filters: int = 32,
        temporal: int = 128,
        separable: int = 16,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(1, filters, (channels, 1), bias=False)
        self.spatial_norm = nn.BatchNorm2d(filters, eps=1e-3)
        self.temporal_pad = nn.ZeroPad2d(((temporal - 1) // 2, temporal // 2, 0, 0))
        self.temporal = nn.Conv2d(filters, filters, (1, temporal), groups=filters, bias=False)
        self.temporal_norm = nn.BatchNorm2d(filters, eps=1e-3)
        self.separable_pad = nn.ZeroPad2d(((separable - 1) // 2, separable // 2, 0, 0))
        self.separable = nn.Conv2d(filters, filters, (1, separable), groups=filters, bias=False)
        self.pointwise = nn.Conv2d(filters, filters, 1, bias=False)
        self.separable_norm = nn.BatchNorm2d(filters, eps=1e-3)
        self.relu = nn.ReLU()
        self.pool = nn.AvgPool2d((1, 8))
        self.dropout_1 = nn.Dropout(dropout)
        self.dropout_2 = nn.Dropout(dropout)
        self.classify = nn.Linear(filters * (samples // 8 // 8), classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.spatial_norm(self.spatial(x))
        x = self.temporal_norm(self.temporal(self.temporal_pad(x)))
        x = self.dropout_1(self.pool(self.relu(x)))
        x = self.separable_norm(self.pointwise(self.separable(self.separable_pad(x))))
        x = self.dropout_2(self.pool(self.relu(x)))
        return self.classify(torch.flatten(x, 1))
