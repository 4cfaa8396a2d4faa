"""How near the arenas of random networks come to their largest live set: `benchmarks/allocation.py --networks 200`."""

from __future__ import annotations

import argparse
import random

import numpy as np
import torch
from torch import Tensor, nn

from device_agent.compiler.compile import Signal, compile_model
from device_agent.compiler.normalise import Norm
from device_agent.compiler.stream.choice import ALL


class Branches(nn.Module):
    """Two paths that are added or joined: buffers whose lifetimes cross."""

    def __init__(self, channels: int, kernel: int, joined: bool) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(channels, channels, (1, kernel), padding="same"), nn.ReLU())
        self.other = nn.Conv2d(channels, channels, 1)
        self.joined = joined

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.one(x), self.other(x)
        return torch.cat([a, b], dim=1) if self.joined else a + b


def random_network(draw: random.Random, channels: int, samples: int, classes: int) -> nn.Module:
    layers: list[nn.Module] = []
    width = 1
    for _ in range(draw.randint(2, 6)):
        outputs = draw.choice([2, 4, 6, 8])
        layers += [nn.Conv2d(width, outputs, (1, draw.choice([3, 5, 9])), bias=False), nn.BatchNorm2d(outputs)]
        width = outputs
        if draw.random() < 0.4:
            layers.append(nn.Conv2d(width, width, (1, 3), groups=width, bias=False))
        layers.append(draw.choice([nn.ReLU, nn.ELU, nn.GELU])())
        if draw.random() < 0.5:
            joined = draw.random() < 0.5 and width < 16
            layers.append(Branches(width, draw.choice([3, 5]), joined))
            width *= 2 if joined else 1
        if draw.random() < 0.5:
            layers.append(nn.AvgPool2d((1, 2)))
    body = nn.Sequential(*layers)
    with torch.no_grad():
        features = body(torch.zeros(2, 1, channels, samples)).flatten(1).shape[1]
    return nn.Sequential(body, nn.Flatten(), nn.Linear(features, classes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    draw, ratios, bounds = random.Random(given.seed), [], []
    names = tuple(f"channel{number}" for number in range(3))
    for number in range(given.networks):
        module = random_network(draw, 3, 600, 4)
        techniques = ALL if number % 2 else frozenset()
        norm = draw.choice([Norm.GROUP, Norm.FROZEN])
        signal = Signal(names, 600, 250.0, ("a", "b", "c", "d"))
        memory = compile_model(module, signal, name="random", norm=norm, techniques=techniques).report["memory"]
        ratios.append(memory["arena_bytes"] / memory["arena_lower_bound_bytes"])
        bounds.append(memory["arena_lower_bound_bytes"])
    found = np.array(ratios)
    print(f"{len(found)} networks, largest live sets of {min(bounds):,} to {max(bounds):,} bytes")
    print(f"arena = largest live set: {np.mean(found == 1):.1%}; within 1.02: {np.mean(found <= 1.02):.1%}")
    for share in (50, 90, 99, 100):
        print(f"percentile {share}: {np.percentile(found, share):.4f}")


if __name__ == "__main__":
    main()
