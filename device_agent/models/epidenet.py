"""EpiDeNet (Ingolfsson et al., BioCAS 2023), average pools as BioTrain runs it on the device."""

from __future__ import annotations

from torch import Tensor, nn


class EpiDeNet(nn.Module):
    """Input [N, 1, channels, samples], output [N, classes]; no padding, no convolution bias, batch norm eps 1e-3."""

    def __init__(
        self,
        channels: int = 2,
        samples: int = 1000,
        classes: int = 11,
        pools: tuple[int, int, int] = (8, 4, 4),
        kernels: tuple[int, int, int] = (4, 16, 8),
    ) -> None:
        super().__init__()
        left = samples
        for kernel, pool in zip(kernels, pools, strict=True):
            left = (left - kernel + 1) // pool
        if left < 1:
            raise ValueError(f"windows of {samples} samples are too short for kernels {kernels} and pools {pools}")

        def block(inputs: int, outputs: int, kernel: tuple[int, int], pool: int = 1) -> nn.Sequential:
            layers: list[nn.Module] = [
                nn.Conv2d(inputs, outputs, kernel, bias=False),
                nn.BatchNorm2d(outputs, eps=1e-3),
                nn.ReLU(),
            ]
            return nn.Sequential(*layers, *([nn.AvgPool2d((1, pool))] if pool > 1 else []))

        self.block_1 = block(1, 4, (1, kernels[0]), pools[0])
        self.block_2 = block(4, 16, (1, kernels[1]), pools[1])
        self.block_3 = block(16, 16, (1, kernels[2]), pools[2])
        self.block_4 = block(16, 16, (channels, 1))
        self.block_5 = block(16, 16, (1, 1))
        self.classify = nn.Linear(16, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block_5(self.block_4(self.block_3(self.block_2(self.block_1(x)))))
        return self.classify(x.mean(dim=(2, 3)))
