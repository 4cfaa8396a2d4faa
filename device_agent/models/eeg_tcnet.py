"""EEG-TCNet (Ingolfsson et al., IEEE SMC 2020): EEGNet's body, then a network of causal dilated convolutions."""

from __future__ import annotations

from torch import Tensor, nn

from device_agent.models.eegnet import EEGNetBody


class CausalBlock(nn.Module):
    """Two dilated convolutions that look back only, and a path around them. [N, inputs, T] -> [N, filters, T]."""

    def __init__(self, inputs: int, filters: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()

        def convolution(width: int) -> list[nn.Module]:
            return [
                nn.ConstantPad1d(((kernel - 1) * dilation, 0), 0.0),
                nn.Conv1d(width, filters, kernel, dilation=dilation, bias=False),
                nn.BatchNorm1d(filters),
                nn.ELU(),
                nn.Dropout(dropout),
            ]

        self.body = nn.Sequential(*convolution(inputs), *convolution(filters))
        self.around = nn.Identity() if inputs == filters else nn.Conv1d(inputs, filters, 1)
        self.activation = nn.ELU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(self.body(x) + self.around(x))
        return y


class EEGTCNet(nn.Module):
    """Input [N, 1, channels, samples], output [N, classes]."""

    def __init__(
        self, channels: int = 22, samples: int = 1125, classes: int = 4, filters: int = 12, kernel: int = 4
    ) -> None:
        super().__init__()
        if samples < 64:
            raise ValueError(f"windows of {samples} samples are too short for EEG-TCNet: it needs 64")
        self.front = EEGNetBody(channels, temporal=32, pools=(8, 8), dropout=0.2)
        self.blocks = nn.Sequential(
            CausalBlock(16, filters, kernel, 1, 0.3), CausalBlock(filters, filters, kernel, 2, 0.3)
        )
        self.classify = nn.Linear(filters, classes)

    def forward(self, x: Tensor) -> Tensor:
        y = self.blocks(self.front(x).squeeze(2))
        logits: Tensor = self.classify(y[:, :, -1])
        return logits
