"""What a plan trains, with which loss and which optimiser."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from device_agent.compiler.errors import CompileError


class Mode(StrEnum):
    """What is trained. A list of parameter names (with * and ?) may stand in its place."""

    FULL = "full"
    LAST_LAYER = "last-layer"
    NORM_ONLY = "norm-only"
    BIAS_ONLY = "bias-only"


class Activations(StrEnum):
    """In what form activations are kept for the backward pass."""

    FLOAT32 = "float32"
    BF16 = "bf16"
    """Where that frees memory."""
    BF16_ALL = "bf16-all"
    """Everywhere: to see what rounding does to the accuracy."""


class Windows(StrEnum):
    """In what form the model's input lies in memory while it is trained on."""

    FLOAT32 = "float32"
    INT16 = "int16"


class Optimizer(StrEnum):
    """Rates, momentum and decay are settings of each step; the state that is kept is part of the plan."""

    SGD = "sgd"
    ADAM = "adam"
    ADAMW = "adamw"

    @property
    def states(self) -> int:
        """Values kept for each trained weight."""
        return 1 if self is Optimizer.SGD else 2


@dataclass(frozen=True, slots=True)
class Loss:
    """Softmax cross-entropy. With class weights a batch's mean is divided by the sum of its windows' weights."""

    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | None = None

    @property
    def plain(self) -> bool:
        return self.label_smoothing == 0 and self.class_weights is None

    def check(self, classes: int) -> None:
        """Raises CompileError."""
        if not 0 <= self.label_smoothing < 1:
            raise CompileError(f"label smoothing must be at least 0 and below 1, got {self.label_smoothing}")
        if self.class_weights is None:
            return
        if len(self.class_weights) != classes:
            raise CompileError(f"there are {classes} classes and {len(self.class_weights)} class weights")
        if not all(0 < weight < 1e6 for weight in self.class_weights):
            raise CompileError(
                "class weights must be positive: a class with no examples gets no weight but is left out"
            )
