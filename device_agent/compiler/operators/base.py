"""What an operator gives to the compiler, and the builders that it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from device_agent.compiler.errors import CompileError
from device_agent.compiler.ir import RESHAPE, Number, Op, Value
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
    shapes: tuple[tuple[int, ...], ...] = ()
    """Of all results, where there are several."""

    def result(self) -> Value:
        """A new value of the shape that the call gives."""
        return Value.new(self.layer or self.target, self.shape)

    def refuse(self, why: str) -> CompileError:
        """The error to raise: names the layer, and the line of the user's module where torch knows it."""
        where = f" ({self.location})" if self.location else ""
        return CompileError(f"{self.layer or self.target}{where}: {why}")

    def run(self, kind: str, *operands: Value | None, **attributes: Number) -> None:
        """Append an operation."""
        self.emit(Op(kind, operands, attributes, self.layer))

    def view(self, x: Value, shape: tuple[int, ...]) -> Value:
        """The same values in another shape; no operation where the shape is the same."""
        if x.shape == shape:
            return x
        y = x.reshaped(self.layer or self.target, shape)
        if x.storage.region is Region.ARENA:  # parameters are seen in another shape without an operation
            self.run(RESHAPE, x, y)
        return y


@dataclass(slots=True)
class Backward:
    """Collects the backward pass: what a gradient rule may ask for."""

    ops: list[Op] = field(default_factory=list)
    gradients: dict[Value, Value] = field(default_factory=dict)
    parameter_gradients: dict[Value, Value] = field(default_factory=dict)
    """Accumulators of the parameters that are trained."""
    wanted: set[Value] = field(default_factory=set)
    """Activations whose gradient somebody needs."""
    _given: list[tuple[Value, Value]] = field(default_factory=list)

    def emit(self, kind: str, *operands: Value | None, of: Op, attributes: dict[str, Number] | None = None) -> None:
        """Append an operation of the backward pass of `of`."""
        self.ops.append(Op(kind, operands, attributes or {}, of.layer))

    def gradient(self, value: Value) -> Value:
        """The loss's gradient with respect to `value`, of its shape."""
        return self.gradients[value]

    def new(self, value: Value) -> Value:
        """A gradient to be written for `value` by the next operation; `settle` adds it to what is there already."""
        fresh = Value.new(f"d_{value.name}", value.shape)
        self.give(value, fresh)
        return fresh

    def give(self, value: Value, gradient: Value) -> None:
        """A gradient of `value` that is there once the rule has ended; it may share its memory with another one."""
        self._given.append((value, gradient))

    def settle(self, of: Op) -> None:
        """Behind each rule: the gradients of a value that is used more than once add up, in the order of the rules."""
        for value, fresh in self._given:
            earlier = self.gradients.get(value)
            self.gradients[value] = fresh
            if earlier is not None:
                self.gradients[value] = Value.new(f"d_{value.name}", value.shape)
                self.emit("add", earlier, fresh, self.gradients[value], of=of)
        self._given.clear()

    def accumulator(self, parameter: Value | None) -> Value | None:
        """Seen in the shape of `parameter`, which may be a view of what the module holds."""
        if parameter is None:
            return None
        for value, gradient in self.parameter_gradients.items():
            if value.storage is parameter.storage:
                same = value is parameter
                return gradient if same else Value(gradient.name, parameter.shape, gradient.storage, parameter.step)
        return None

    def accumulator_or_scratch(self, parameter: Value) -> Value:
        """Where a rule must write a parameter's gradient even if nobody trains it."""
        return self.accumulator(parameter) or Value.new(f"unused_d_{parameter.name}", parameter.shape)


Capture = Callable[[Call], Value | list[Value]]
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
    """(height, width), as torch takes one number for both."""
    if isinstance(value, int):
        return value, value
    first, second = (value[0], value[-1])
    return first, second


def as_map(call: Call, x: Value) -> Value:
    """[C, T] seen as the map [C, 1, T] that kernels work on; [C, H, W] as it is."""
    return call.view(x, (x.shape[0], 1, x.shape[1])) if len(x.shape) == 2 else x
