"""EEGNet (Lawhern et al., J. Neural Eng. 15, 2018), EEGNet-8,2; without its constraints on weight norms."""

from __future__ import annotations

from torch import Tensor, nn


class EEGNetBody(nn.Sequential):
    """[N, 1, channels, samples] -> [N, filters * depth, 1, samples // first_pool // second_pool]."""

    def __init__(
        self,
        channels: int,
        filters: int = 8,
        depth: int = 2,
        temporal: int = 64,
        separable: int = 16,
        pools: tuple[int, int] = (4, 8),
        dropout: float = 0.25,
    ) -> None:
        wide = filters * depth

        def same(kernel: int) -> nn.Module:
            return nn.ZeroPad2d(((kernel - 1) // 2, kernel // 2, 0, 0))

        super().__init__(
            same(temporal),
            nn.Conv2d(1, filters, (1, temporal), bias=False),
            nn.BatchNorm2d(filters),
            nn.Conv2d(filters, wide, (channels, 1), groups=filters, bias=False),
            nn.BatchNorm2d(wide),
            nn.ELU(),
            nn.AvgPool2d((1, pools[0])),
            nn.Dropout(dropout),
            same(separable),
            nn.Conv2d(wide, wide, (1, separable), groups=wide, bias=False),
            nn.Conv2d(wide, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ELU(),
            nn.AvgPool2d((1, pools[1])),
            nn.Dropout(dropout),
        )


class EEGNet(nn.Module):
    """Input [N, 1, channels, samples], output [N, classes]."""

    def __init__(self, channels: int = 22, samples: int = 1125, classes: int = 4) -> None:
        super().__init__()
        self.body = EEGNetBody(channels)
        self.flatten = nn.Flatten()
        self.classify = nn.Linear(16 * (samples // 4 // 8), classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.flatten(self.body(x)))
        return logits
