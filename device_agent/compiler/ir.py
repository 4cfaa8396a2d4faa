"""The compiler's only data structure: values with storage, operations on them, and programs of operations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from schemas.plan import Region
from schemas.plan_operations import OPERATIONS

Number = int | float

#: Kinds that no plan has: a view of the same memory, and padding that the next convolution takes over.
RESHAPE, PAD = "reshape", "pad"


@dataclass(eq=False, slots=True)
class Storage:
    """Memory that one or more values share. `offset` (bytes in its region) is known after allocation."""

    region: Region
    bytes: int
    offset: int | None = None


@dataclass(eq=False, slots=True)
class Value:
    """A dense float32 tensor without the batch dimension."""

    name: str
    shape: tuple[int, ...]
    storage: Storage

    @classmethod
    def new(cls, name: str, shape: tuple[int, ...], region: Region = Region.ARENA, offset: int | None = None) -> Value:
        return cls(name, shape, Storage(region, 4 * math.prod(shape), offset))

    def reshaped(self, name: str, shape: tuple[int, ...]) -> Value:
        if math.prod(shape) != math.prod(self.shape):
            raise ValueError(f"{self.name}: {self.shape} cannot be seen as {shape}")
        return Value(name, shape, self.storage)

    def __str__(self) -> str:
        return f"{self.name}[{'x'.join(map(str, self.shape))}]"


@dataclass(eq=False, slots=True)
class Op:
    """`operands` in the order of schemas/plan_operations.py, outputs among them; None where one is absent."""

    kind: str
    operands: tuple[Value | None, ...]
    attributes: dict[str, Number] = field(default_factory=dict)
    layer: str = ""
    """The user's name for the module that it comes from."""

    def _select(self, written: bool) -> tuple[Value, ...]:
        if self.kind in (RESHAPE, PAD):
            chosen = self.operands[1:] if written else self.operands[:1]
        else:
            spec = OPERATIONS[self.kind]
            pairs = zip(spec.operands, self.operands, strict=True)
            chosen = tuple(value for name, value in pairs if (name in spec.writes) == written)
        return tuple(value for value in chosen if value is not None)

    @property
    def inputs(self) -> tuple[Value, ...]:
        return self._select(written=False)

    @property
    def outputs(self) -> tuple[Value, ...]:
        return self._select(written=True)

    def optional(self, name: str) -> Value | None:
        """By the name that schemas/plan_operations.py gives it; None where it is absent."""
        names = ("x", "y") if self.kind in (RESHAPE, PAD) else OPERATIONS[self.kind].operands
        return self.operands[names.index(name)]

    def operand(self, name: str) -> Value:
        """Raises KeyError where it is absent."""
        value = self.optional(name)
        if value is None:
            raise KeyError(f"{self.kind} of {self.layer} has no {name}")
        return value

    def __str__(self) -> str:
        into = ", ".join(map(str, self.outputs))
        of = ", ".join(map(str, self.inputs))
        settings = "".join(f" {key}={value}" for key, value in self.attributes.items())
        return f"{into} = {self.kind}({of}){settings}" + (f"  # {self.layer}" if self.layer else "")


@dataclass(eq=False, slots=True)
class Parameter:
    """A tensor of the module's state; trained ones come first in the weights file."""

    name: str
    value: Value
    trained: bool = True
    gradient: Value | None = None


@dataclass(eq=False, slots=True)
class Graph:
    """A forward network: one input, one output (the logits)."""

    ops: list[Op]
    input: Value
    output: Value
    parameters: list[Parameter]
    features: Value | None = None
    """What the last linear layer is fed."""
    notes: list[str] = field(default_factory=list)
    """What a pass could not keep of the user's model, for a person to read."""

    def producers(self) -> dict[Value, Op]:
        return {value: op for op in self.ops for value in op.outputs}


@dataclass(eq=False, slots=True)
class Program:
    """One entry of a plan, in order of execution."""

    ops: list[Op]
    pinned: tuple[Value, ...] = ()
    """Values that are read after the program has ended."""
    batch: int = 1
    """Windows that it runs over: values stand for one of them, storage is for all (batch.py)."""

    def __iter__(self) -> Iterator[Op]:
        return iter(self.ops)


def print_ops(ops: list[Op]) -> str:
    """One operation a line; with offsets once they are known."""
    lines = []
    for op in ops:
        places = {
            f"{value.storage.region.name.lower()}+{value.storage.offset}"
            for value in op.outputs
            if value.storage.offset is not None
        }
        lines.append(f"{op}{'  @ ' + ', '.join(sorted(places)) if places else ''}")
    return "\n".join(lines)
