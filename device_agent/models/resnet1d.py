"""A small residual network over time for EMG (He et al., CVPR 2016; over time as Wang et al., IJCNN 2017)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """[N, inputs, T] -> [N, outputs, T / stride]"""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm1d(outputs)
        self.second = nn.Conv1d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm1d(outputs)
        self.around: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.around = nn.Sequential(
                nn.Conv1d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm1d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(self.second_norm(self.second(y)) + self.around(x))


class ResNet1d(nn.Module):
    """Input [N, 1, channels, samples], output [N, classes]."""

    def __init__(
        self,
        channels: int = 4,
        samples: int = 200,
        classes: int = 6,
        widths: tuple[int, ...] = (16, 32, 64),
    ) -> None:
        super().__init__()
        if samples < 16:
            raise ValueError(f"windows of {samples} samples are too short for this ResNet: it needs 16")
        self.stem = nn.Conv1d(channels, widths[0], 7, padding=3, bias=False)
        self.stem_norm = nn.BatchNorm1d(widths[0])
        self.pool = nn.MaxPool1d(3, stride=2, padding=1)
        blocks = [ResidualBlock(widths[0], widths[0], 1)]
        blocks += [ResidualBlock(inputs, outputs, 2) for inputs, outputs in pairwise(widths)]
        self.blocks = nn.Sequential(*blocks)
        self.classify = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        y = self.pool(torch.relu(self.stem_norm(self.stem(x.squeeze(1)))))
        logits: Tensor = self.classify(self.blocks(y).mean(dim=2))
        return logits
