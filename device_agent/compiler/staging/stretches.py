"""A program cut into stretches: rows of operations that run once, and loops that take tensors part by part.

Operations that know channels only one by one get a loop of their own, where what they work on is large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from device_agent.compiler.gap9 import CORES, DMA_BYTES_PER_CYCLE, L2_STALL_CYCLES
from device_agent.compiler.ir import END_LOOP, LOOP, Op, Storage, Value
from schemas.plan import Region, ValueType
from schemas.plan_operations import OPERATIONS

#: Channels are independent of each other in these, and all operands are cut along them.
_BY_CHANNEL = frozenset(
    {"norm_row_statistics", "norm_apply", "norm_relu_pool_forward", "norm_relu_pool_backward_sums"}
    | {"norm_backward_sums", "norm_backward_apply", "norm_relu_pool_backward"}
)
#: Tensors from this size on are worth a loop of their own, whose parts are at most so large.
LARGE, PART = 65_536, 32_768
#: Operands that an operation adds to.
_SUMS = ("dweight", "dbias", "dgamma", "dbeta")
#: To begin a copy and to wait for it, in cycles.
COPY_CYCLES = 400


@dataclass(slots=True, eq=False)
class Stretch:
    """Operations that run `rounds` times; `whole`: what stood there without a loop."""

    body: list[Op]
    rounds: int = 1
    whole: list[Op] | None = None
    moved: set[Storage] = field(default_factory=set)
    """Of single rounds, and in L1."""
    staged: dict[Storage, bool] = field(default_factory=dict)
    """Whose parts are worked on in L1; whether two of them take turns."""
    stretched: dict[Op, int] = field(default_factory=dict)
    """Convolutions whose input comes in stretches of so many positions."""

    def values(self, storage: Storage) -> list[Value]:
        return [value for op in self.body for value in op.operands if value is not None and value.storage is storage]


def cut(ops: Sequence[Op]) -> list[Stretch]:
    """Every other one runs once; neighbouring operations of as many rounds share a loop."""
    found = [Stretch([])]
    at = 0
    while at < len(ops):
        op = ops[at]
        if op.kind == LOOP:
            end = next(i for i in range(at, len(ops)) if ops[i].kind == END_LOOP)
            found += [Stretch(list(ops[at + 1 : end]), int(op.attributes["rounds"])), Stretch([])]
            at = end + 1
            continue
        rounds = _rounds(op)
        last = found[-2] if len(found) > 1 and not found[-1].body else None
        if rounds == 1:
            found[-1].body.append(op)
        elif last is not None and last.whole is not None and last.rounds == rounds:
            last.body.append(_part(op, rounds))
            last.whole.append(op)
        else:
            found += [Stretch([_part(op, rounds)], rounds, [op]), Stretch([])]
        at += 1
    return found


def _rounds(op: Op) -> int:
    """In how many parts an operation on a large tensor can be taken; 1 where it cannot."""
    first_layer = op.kind == "conv2d_forward" and op.attributes["groups"] == 1
    if op.kind not in _BY_CHANNEL and not first_layer:
        return 1
    cut = [value for value in op.operands if value is not None and not (first_layer and value is op.operand("x"))]
    large = [v for v in cut if v.storage.region is Region.ARENA and v.bytes >= LARGE and v.bytes == v.storage.bytes]
    channels = cut[0].shape[0]
    if not large or any(value.shape[0] != channels or value.step for value in cut):
        return 1
    most = max(value.bytes for value in large)
    return next((n for n in range(2, channels + 1) if channels % n == 0 and most // n <= PART), 1)


def _part(op: Op, rounds: int) -> Op:
    whole = op.operand("x") if op.kind == "conv2d_forward" else None
    operands = tuple(value if value is None or value is whole else value.part(rounds) for value in op.operands)
    return Op(op.kind, operands, dict(op.attributes), op.layer)


def of_single_rounds(stretch: Stretch, stretches: Sequence[Stretch], kept: frozenset[Storage]) -> list[Storage]:
    """Storage that lives in single rounds of one loop; what is used most first."""
    if stretch.rounds == 1:
        return []
    elsewhere = {
        v.storage for s in stretches if s is not stretch for op in s.body for v in op.operands if v is not None
    }
    used: dict[Storage, int] = {}
    for op in stretch.body:
        for value in op.operands:
            if value is not None and value.storage.region is Region.ARENA and not value.step:
                used[value.storage] = used.get(value.storage, 0) + value.bytes
    alone = [storage for storage in used if storage not in elsewhere and storage not in kept]
    return sorted(alone, key=lambda storage: -used[storage])


def _accumulated(stretch: Stretch) -> set[Storage]:
    """What operations add to, although the program does not say that they read it."""
    sums = (op.optional(name) for op in stretch.body for name in _SUMS if name in OPERATIONS[op.kind].operands)
    return {value.storage for value in sums if value is not None}


def worth(stretch: Stretch, kept: frozenset[Storage]) -> dict[Storage, float]:
    """Cycles that working in L1 saves, of each storage that the loop takes part by part."""
    if stretch.rounds == 1:
        return {}
    storages = {
        value.storage
        for op in stretch.body
        for value in op.operands
        if value is not None and value.step and value.storage.region is Region.ARENA and value.storage not in kept
    }
    found = {}
    for storage in storages - _accumulated(stretch):
        values = stretch.values(storage)
        part = values[0].bytes
        parts = {(value.step, value.bytes, value.at, value.type) for value in values}
        if parts != {(part, part, 0, ValueType.F32)} or part * stretch.rounds != storage.bytes:
            continue
        stall = len(values) * part * L2_STALL_CYCLES / 4 / CORES
        gain = stretch.rounds * (stall - 2 * part / DMA_BYTES_PER_CYCLE - COPY_CYCLES)
        if gain > 0 or len(values) > 1:
            found[storage] = gain
    return dict(sorted(found.items(), key=lambda one: stretch.body.index(first_use(stretch.body, one[0]))))


def first_use(body: Sequence[Op], storage: Storage) -> Op:
    """Of those that use it, the first."""
    return next(op for op in body if uses(op.operands, storage))


def uses(values: Sequence[Value | None], storage: Storage) -> bool:
    """Whether one of them lies in it."""
    return any(value is not None and value.storage is storage for value in values)
