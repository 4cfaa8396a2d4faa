"""The compiler's only data structure: values with storage, operations on them, and programs of operations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from schemas.plan import Region, ValueType
from schemas.plan_operations import OPERATIONS

Number = int | float

#: Kinds that no plan has: a view of the same memory, and padding that the next convolution takes over.
RESHAPE, PAD = "reshape", "pad"
#: What stands between them runs `rounds` times: over parts of the channels, or (`windows`) over the windows of a batch.
LOOP, END_LOOP = "loop", "end_loop"


@dataclass(eq=False, slots=True)
class Storage:
    """Memory that one or more values share. `offset` (bytes in its region) is known after allocation."""

    region: Region
    bytes: int
    offset: int | None = None
    windows: int = 1
    """Windows of a batch that lie in it side by side."""


@dataclass(eq=False, slots=True)
class Value:
    """A dense tensor without the batch dimension: a whole storage, or a part of one that moves with a loop."""

    name: str
    shape: tuple[int, ...]
    storage: Storage
    step: int = 0
    """Bytes that it moves by in each round of the loop over channels around it."""
    type: ValueType = ValueType.F32
    at: int = 0
    """Bytes from the beginning of its storage."""
    turns: bool = False
    """It moves by `step` in odd rounds only: two parts take turns."""

    @classmethod
    def new(cls, name: str, shape: tuple[int, ...], region: Region = Region.ARENA, offset: int | None = None) -> Value:
        return cls(name, shape, Storage(region, 4 * math.prod(shape), offset))

    def reshaped(self, name: str, shape: tuple[int, ...]) -> Value:
        if math.prod(shape) != math.prod(self.shape):
            raise ValueError(f"{self.name}: {self.shape} cannot be seen as {shape}")
        return Value(name, shape, self.storage, self.step, self.type, self.at)

    def part(self, rounds: int) -> Value:
        """The channels of one round, out of `rounds`."""
        if rounds == 1:
            return self
        if self.step or self.shape[0] % rounds:
            raise AssertionError(f"{self} cannot be taken in {rounds} parts")
        shape = (self.shape[0] // rounds, *self.shape[1:])
        return Value(self.name, shape, self.storage, self.type.bytes * math.prod(shape), self.type, self.at)

    @property
    def bytes(self) -> int:
        return self.type.bytes * math.prod(self.shape)

    def __str__(self) -> str:
        return f"{self.name}[{'x'.join(map(str, self.shape))}]"


@cache
def _places(kind: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Which operands are read, and which are written."""
    if kind in (LOOP, END_LOOP):
        return (), ()
    if kind in (RESHAPE, PAD):
        return (0,), (1,)
    spec = OPERATIONS[kind]
    read, written = ([at for at, name in enumerate(spec.operands) if (name in spec.writes) == w] for w in (False, True))
    return tuple(read), tuple(written)


@dataclass(eq=False, slots=True)
class Op:
    """`operands` in the order of schemas/plan_operations.py, outputs among them; None where one is absent."""

    kind: str
    operands: tuple[Value | None, ...]
    attributes: dict[str, Number] = field(default_factory=dict)
    layer: str = ""
    """The user's name for the module that it comes from."""
    inputs: tuple[Value, ...] = field(init=False)
    outputs: tuple[Value, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.set_operands(self.operands)

    def set_operands(self, operands: tuple[Value | None, ...]) -> None:
        """Of the same kind; the planner asks for inputs and outputs a million times, so they are sorted out once."""
        read, written = _places(self.kind)
        self.operands = operands
        self.inputs = tuple([v for at in read if (v := operands[at]) is not None])
        self.outputs = tuple([v for at in written if (v := operands[at]) is not None])

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
        if self.kind in (LOOP, END_LOOP):
            over = "windows" if self.attributes.get("windows") else "parts of the channels"
            return f"for each of {self.attributes['rounds']} {over}:" if self.kind == LOOP else "end"
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


@dataclass(frozen=True, slots=True)
class LoopSpan:
    """Where a loop stands in a program: the indices of its two ends."""

    start: int
    end: int
    rounds: int
    windows: bool

    def __contains__(self, at: int) -> bool:
        return self.start < at < self.end

    def stride(self, value: Value) -> int:
        """Bytes that a value moves by with each of its rounds; 0 where it stays."""
        if not self.windows:
            return value.step
        return value.storage.bytes // value.storage.windows if value.storage.windows > 1 else 0


def find_loops(ops: list[Op]) -> list[LoopSpan]:
    """Inner ones before those around them."""
    found, open_at = [], []
    for at, op in enumerate(ops):
        if op.kind == LOOP:
            open_at.append(at)
        elif op.kind == END_LOOP:
            start = open_at.pop()
            head = ops[start].attributes
            found.append(LoopSpan(start, at, int(head["rounds"]), bool(head.get("windows"))))
    return found


def in_loop(ops: list[Op], rounds: int, windows: bool = False) -> list[Op]:
    """`ops` as the body of a loop; as they are where there is one round."""
    if rounds == 1 or not ops:
        return ops
    settings: dict[str, Number] = {"rounds": rounds, "windows": int(windows)}
    return [Op(LOOP, (), settings), *ops, Op(END_LOOP, (), settings)]


def print_ops(ops: list[Op]) -> str:
    """One operation a line; with what lies in L1, and offsets once they are known."""
    lines = []
    depth = 0
    for op in ops:
        depth -= op.kind == END_LOOP
        places = {
            value.storage.region.name.lower() + ("" if value.storage.offset is None else f"+{value.storage.offset}")
            for value in op.outputs
            if value.storage.offset is not None or value.storage.region is Region.L1
        }
        read = {value.storage for value in op.inputs if value not in op.outputs}
        over = "  in place" if any(value.storage in read for value in op.outputs) else ""
        lines.append(f"{'    ' * depth}{op}{'  @ ' + ', '.join(sorted(places)) if places else ''}{over}")
        depth += op.kind == LOOP
    return "\n".join(lines)
