"""What an operator gives to the compiler, and the builders that it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from device_agent.compiler.errors import CompileError
from device_agent.compiler.ir import Number, Op, Value
from schemas.plan import Region


@dataclass(slots=True)
class Call:
    """One call in the user's module: what capture hands to an operator."""

    target: str
    arguments: Mapping[str, Any]
    """By the names of torch's schema: Values, numbers, lists, None. Without the batch dimension."""
    shape: tuple[int, ...]
    """Of the result."""
    layer: str
    location: str
    emit: Callable[[Op], None]

    def result(self) -> Value:
        return Value.new(self.layer or self.target, self.shape)

    def refuse(self, why: str) -> CompileError:
        where = f" ({self.location})" if self.location else ""
        return CompileError(f"{self.layer or self.target}{where}: {why}")


@dataclass(slots=True)
class Backward:
    """Collects the backward pass: what a gradient rule may ask for."""

    ops: list[Op] = field(default_factory=list)
    gradients: dict[Value, Value] = field(default_factory=dict)
    parameter_gradients: dict[Value, Value] = field(default_factory=dict)
    """Accumulators of the parameters that are trained."""
    wanted: set[Value] = field(default_factory=set)
    """Activations whose gradient somebody needs."""

    def emit(self, kind: str, *operands: Value | None, of: Op, attributes: dict[str, Number] | None = None) -> None:
        """Append an operation of the backward pass of `of`."""
        self.ops.append(Op(kind, operands, attributes or {}, of.layer))

    def gradient(self, value: Value) -> Value:
        return self.gradients[value]

    def new(self, value: Value) -> Value:
        """A gradient to be written for `value`. Raises CompileError when it has one already."""
        if value in self.gradients:
            raise CompileError(f"{value.name} is used twice: branches that meet again are not supported yet")
        self.gradients[value] = Value.new(f"d_{value.name}", value.shape)
        return self.gradients[value]

    def accumulator(self, parameter: Value | None) -> Value | None:
        return None if parameter is None else self.parameter_gradients.get(parameter)

    def accumulator_or_scratch(self, parameter: Value) -> Value:
        """Where a rule must write a parameter's gradient even if nobody trains it."""
        return self.accumulator(parameter) or Value.new(f"unused_d_{parameter.name}", parameter.shape)


Capture = Callable[[Call], Value]
Rule = Callable[[Op, Backward], None]


@dataclass(frozen=True, slots=True)
class Operator:
    """`captures`: torch's operator name -> how it becomes operations; the rest by kind of operation."""

    captures: Mapping[str, Capture]
    backward: Mapping[str, Rule] = field(default_factory=dict)
    macs: Mapping[str, Callable[[Op], int]] = field(default_factory=dict)
    """Multiply-accumulates of one run."""


def scalars(name: str, count: int) -> Value:
    """A slot for statistics that live as long as the run."""
    return Value.new(name, (count,), Region.SCALARS)


def pair(value: int | list[int] | tuple[int, ...]) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    first, second = (value[0], value[-1])
    return first, second
