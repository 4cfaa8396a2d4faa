"""Narrow storage: what is kept for the backward pass in bf16, the input window in int16 with a scale of each channel.

Both are passes over a program in which every operation still reads and writes float32: where a value is written it is
narrowed, and rounded in place, so that everything behind it sees what was kept; where it is read later it is widened
into a tensor of its own that lives for that round alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from device_agent.compiler.batch import WHOLE_BATCH
from device_agent.compiler.ir import END_LOOP, LOOP, Op, Program, Storage, Value
from schemas.plan import Region, ValueType

#: What these write is no activation: sums and statistics stay float32.
_SUMS = ("active_sums", "norm_row_statistics", "group_norm_finish", "cross_entropy", "smoothed_cross_entropy")
#: Outside of loops a widened tensor is read by so many operations in a row, then widened anew.
_NEAR = 2


def narrow_kept(program: Program, wide: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """bf16 for every activation that lives from the forward to the backward pass, but for those named in `wide`.

    Returns the names of those that it narrows.
    """
    chosen = {storage: name for storage, name in kept_activations(program).items() if name not in wide}
    pass_ = _Narrowing({storage: Storage(storage.region, _even(storage.bytes // 2)) for storage in chosen})
    program.ops = pass_.run(program.ops)
    return tuple(chosen.values())


def kept_activations(program: Program) -> dict[Storage, str]:
    """Written in front of the loss alone, and read behind it; with the name of what is written last."""
    loss = next((at for at, op in enumerate(program.ops) if op.kind.endswith("cross_entropy")), len(program.ops))
    written: dict[Storage, str] = {}
    left_out: set[Storage] = set()
    read: set[Storage] = set()
    for at, op in enumerate(program.ops):
        for value in op.outputs:
            if value.storage.region is Region.ARENA:
                in_pieces = value.storage in written  # a piece at a time: the others are not there to be rounded
                written[value.storage] = value.name
                if at >= loss or in_pieces or op.kind in _SUMS:
                    left_out.add(value.storage)
        if at > loss:
            read.update(value.storage for value in op.inputs)
    return {storage: name for storage, name in written.items() if storage in read and storage not in left_out}


@dataclass(frozen=True, slots=True)
class Counts:
    """An input window [..., T] as int16: the scale of each channel, then its counts, in one storage."""

    whole: Value
    """Seen as float32: what the engine copies where it trains on several windows."""
    scale: Value
    counts: Value

    @classmethod
    def like(cls, x: Value) -> Counts:
        samples = x.shape[-1]
        channels = x.bytes // 4 // samples
        size = 4 * channels + _even(2 * channels * samples)
        storage = Storage(Region.ARENA, size)
        counts = Value(x.name, (channels, samples), storage, type=ValueType.I16, at=4 * channels)
        return cls(Value(x.name, (size // 4,), storage), Value("scale", (channels,), storage), counts)


def narrow_preprocessing(program: Program, x: Value, kept: Counts) -> Program:
    """What prepares the window `x` narrows it at the end."""
    source = x.reshaped(x.name, kept.counts.shape)
    narrowed = Op("narrow_counts", (source, kept.scale, kept.counts), {}, "preprocessing")
    return Program([*program.ops, narrowed], (kept.whole,))


def narrow_input(program: Program, x: Value, kept: Counts) -> Program:
    """Operations that read the window `x` read what is made of its counts in front of them.

    That lives for as long as they run, also in loops, where each round makes it anew: it would be there at the peak.
    """
    ops: list[Op] = []
    wide: Value | None = None
    last = 0
    for at, op in enumerate(program.ops):
        if op.kind in (LOOP, END_LOOP) or at - last > _NEAR:
            wide = None
        if any(value.storage is x.storage for value in op.inputs):
            if wide is None:
                wide = Value.new(x.name, x.shape)
                target = wide.reshaped(x.name, kept.counts.shape)
                ops.append(Op("widen_counts", (kept.counts, kept.scale, target), {}, "input"))
            last = at
            op = _with(op, x.storage, wide.storage)
        ops.append(op)
    program.ops = ops
    return program


def _with(op: Op, old: Storage, new: Storage) -> Op:
    operands = tuple(
        Value(v.name, v.shape, new, v.step, v.type, v.at) if v is not None and v.storage is old else v
        for v in op.operands
    )
    return Op(op.kind, operands, op.attributes, op.layer)


def _even(count: int) -> int:
    """Storage takes whole words."""
    return (count + 3) // 4 * 4


class _Narrowing:
    def __init__(self, narrow: dict[Storage, Storage]) -> None:
        self.narrow = narrow
        self._wide: dict[Storage, tuple[Value, int]] = {}
        """What is there in float32 in this round, and where it was last used."""

    def run(self, ops: Iterable[Op]) -> list[Op]:
        result: list[Op] = []
        depth = 0
        for at, op in enumerate(ops):
            if op.kind in (LOOP, END_LOOP) or op.kind in WHOLE_BATCH:
                self._wide.clear()
            depth += (op.kind == LOOP) - (op.kind == END_LOOP)
            if depth == 0:
                self._wide = {s: found for s, found in self._wide.items() if at - found[1] <= _NEAR}
            result += self._one(op, at)
        return result

    def _one(self, op: Op, at: int) -> list[Op]:
        touched = [v for v in op.operands if v is not None and v.storage in self.narrow]
        if not touched:
            return [op]
        if op.kind == "copy" and len(touched) == 1:  # a copy narrows or widens by itself
            source, target = op.operand("source"), op.operand("target")
            if source in touched:
                return [Op("widen_bf16", (self._half(source), target), {}, op.layer)]
            return [Op("narrow_bf16", (source, self._half(target)), {}, op.layer)]
        before, after = [], []
        operands = list(op.operands)
        for place, value in enumerate(operands):
            if value is None or value.storage not in self.narrow:
                continue
            found = self._wide.get(value.storage)
            if found is not None and (found[0].bytes, found[0].step) != (value.bytes, 0):
                found = None
            wide = found[0] if found else Value.new(value.name, value.shape)
            if found is None and value in op.inputs:
                before.append(Op("widen_bf16", (self._half(value, wide.shape), wide), {}, op.layer))
            operands[place] = Value(value.name, value.shape, wide.storage)
            if value in op.outputs:
                half = self._half(value)
                after.append(Op("narrow_bf16", (operands[place], half), {}, op.layer))
            self._wide[value.storage] = (wide, at)
        return [*before, Op(op.kind, tuple(operands), op.attributes, op.layer), *after]

    def _half(self, value: Value, shape: tuple[int, ...] | None = None) -> Value:
        return Value(value.name, shape or value.shape, self.narrow[value.storage], value.step // 2, ValueType.BF16)
