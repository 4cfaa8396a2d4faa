"""The layers whose kernels are measured: the convolution of PULP-TrainLib's figures, and those of a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.errors import UserError

CONVOLUTION = ("forward", "weight_gradient", "input_gradient")
LINEAR = ("forward", "backward")
"""A linear layer has one operation for both gradients."""
PASSES = (*CONVOLUTION, *LINEAR[1:])


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution or a linear layer: shapes without the batch, and the convolution's nine settings."""

    name: str
    kind: str
    """conv2d or linear."""
    x: tuple[int, ...]
    weight: tuple[int, ...]
    y: tuple[int, ...]
    settings: tuple[int, ...] = ()
    bias: bool = False
    passes: tuple[str, ...] = CONVOLUTION

    @property
    def macs(self) -> int:
        """Of the forward pass, and of each gradient."""
        return math.prod(self.y) * math.prod(self.weight[1:])

    def macs_of(self, which: str) -> int:
        """Of a pass: `backward` makes both gradients."""
        return 2 * self.macs if which == "backward" else self.macs


REFERENCE = Layer(
    name="conv (1,16), 4x16x124 -> 16x16x109",
    kind="conv2d",
    x=(4, 16, 124),
    weight=(16, 4, 1, 16),
    y=(16, 16, 109),
    settings=(1, 1, 0, 0, 0, 0, 1, 1, 1),
)
"""The layer of PULP-TrainLib's published figures: 1,785,856 multiply-accumulates a pass."""


def layers_of(models: Sequence[str]) -> list[Layer]:
    """Every distinct convolution and linear layer of these networks. Needs torch."""
    from device_agent.compiler.capture import capture
    from device_agent.compiler.normalise import Norm, normalise
    from device_agent.models import SIZES, build_model
    from device_agent.models.norms import with_group_norm
    from schemas.plan_operations import OPERATIONS

    found: dict[tuple[object, ...], Layer] = {}
    for model in models:
        if model not in SIZES:
            raise UserError(f"there is no model {model!r}: choose one of {', '.join(SIZES)}")
        size = SIZES[model]
        graph = normalise(capture(with_group_norm(build_model(model)), (1, size.channels, size.samples)), Norm.GROUP)
        first = True
        for op in graph.ops:
            if op.kind not in ("conv2d_forward", "linear_forward"):
                continue
            x, weight, y = op.operand("x").shape, op.operand("weight").shape, op.operand("y").shape
            settings = tuple(int(op.attributes[name]) for name in OPERATIONS[op.kind].integers)
            kind = op.kind.removesuffix("_forward")
            name = f"{model} {op.layer}: {'x'.join(map(str, weight))}, {_sizes(x)} -> {_sizes(y)}"
            passes = LINEAR if kind == "linear" else CONVOLUTION
            if first:
                passes = passes[:2]  # nobody asks for the gradient of the windows
            layer = Layer(name, kind, x, weight, y, settings, op.optional("bias") is not None, passes)
            found.setdefault((kind, x, weight, settings), layer)
            first = False
    return list(found.values())


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
