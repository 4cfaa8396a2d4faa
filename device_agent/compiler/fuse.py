"""Group norm, ReLU and average pool that stand in a row become one operation: what lies between them is never stored.
Loops over parts of the channels in which nothing is left that lives in single rounds fall away.

The operations that are put in their place compute the same bits (kernels/norm_relu_pool.c).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from device_agent.compiler.ir import END_LOOP, LOOP, Number, Op, Program, Storage, Value

#: What goes when nobody reads its result any more.
_WITHOUT_EFFECT = ("norm_apply", "relu_forward", "relu_backward", "average_pool_backward")


def fuse(program: Program) -> Program:
    """In place, before storage is shared."""
    pinned = {value.storage for value in program.pinned}
    for rule in (_backward, _pooled, _activated):
        program.ops = _drop_unread(_replaced(program.ops, rule, pinned), pinned)
    return program


def drop_idle_loops(program: Program) -> Program:
    """Behind `fuse`, and behind what puts values of single rounds into loops."""
    program.ops = _without_idle_loops(program.ops)
    return program


@dataclass(frozen=True, slots=True)
class _Body:
    """What is known in front of an operation, within the round of a loop that it is part of."""

    made: dict[Storage, Op]
    readers: dict[Storage, int]
    """Of the whole program."""
    pinned: set[Storage]
    read: set[Storage]
    """By an operation in front, in the same round."""
    replaced: set[Op]
    """Operations whose result another one now writes."""

    def maker(self, value: Value, *kinds: str) -> Op | None:
        op = self.made.get(value.storage)
        return op if op is not None and op.kind in kinds and op.operand(_RESULT[op.kind]).shape == value.shape else None

    def alone(self, value: Value) -> bool:
        """One operation reads it."""
        return self.readers.get(value.storage, 0) == 1 and value.storage not in self.pinned


_Rule = Callable[[Op, _Body], Op | None]
_RESULT = {"norm_apply": "y", "relu_forward": "y", "relu_backward": "dx", "average_pool_backward": "dx"}


def _replaced(ops: list[Op], rule: _Rule, pinned: set[Storage]) -> list[Op]:
    readers = _readers(ops)
    result: list[Op] = []
    replaced: set[Op] = set()
    scopes = [_Body({}, readers, pinned, set(), replaced)]
    for op in ops:
        if op.kind == LOOP:
            scopes.append(_Body({}, readers, pinned, set(), replaced))
        elif op.kind == END_LOOP:
            scopes.pop()
        else:
            op = rule(op, scopes[-1]) or op
            scopes[-1].read.update(value.storage for value in op.inputs)
            for value in op.outputs:
                scopes[-1].made[value.storage] = op
        result.append(op)
    return [op for op in result if op not in replaced]


def _readers(ops: Iterable[Op]) -> dict[Storage, int]:
    count: dict[Storage, int] = {}
    for op in ops:
        for storage in {value.storage for value in op.inputs}:
            count[storage] = count.get(storage, 0) + 1
    return count


def _drop_unread(ops: list[Op], pinned: set[Storage]) -> list[Op]:
    """Until nothing goes any more: what nobody reads, and then what only that has read."""
    while True:
        readers = _readers(ops)
        kept = [
            op
            for op in ops
            if op.kind not in _WITHOUT_EFFECT
            or any(value.storage in readers or value.storage in pinned for value in op.outputs)
        ]
        if len(kept) == len(ops):
            return kept
        ops = kept


def _pooled(op: Op, body: _Body) -> Op | None:
    """norm_apply, relu_forward, average_pool_forward."""
    if op.kind != "average_pool_forward" or not _cell(op):
        return None
    relu = body.maker(op.operand("x"), "relu_forward")
    return _forward(op, relu, _cell(op), body) if relu and body.alone(relu.operand("y")) else None


def _activated(op: Op, body: _Body) -> Op | None:
    """norm_apply, relu_forward."""
    return _forward(op, op, 1, body) if op.kind == "relu_forward" else None


def _forward(last: Op, relu: Op, cell: int, body: _Body) -> Op | None:
    norm, y = body.maker(relu.operand("x"), "norm_apply"), last.operand("y")
    if norm is None or not body.alone(norm.operand("y")) or not _fits(norm.operand("x"), y, cell):
        return None
    return Op("norm_relu_pool_forward", (*norm.operands[:-1], y), {"cell": cell}, last.layer)


def _backward(op: Op, body: _Body) -> Op | None:
    """Both sweeps of the norm's backward pass, with the activation and the pool behind it."""
    if op.kind not in ("norm_backward_sums", "norm_backward_apply"):
        return None
    relu = body.maker(op.operand("dy"), "relu_backward")
    again = relu and body.maker(relu.operand("y"), "relu_forward")
    norm = again and body.maker(again.operand("x"), "norm_apply")
    if relu is None or norm is None or not _same(norm.operand("x"), op.operand("x")):
        return None
    if not _same(norm.operand("statistics"), op.operand("statistics")):
        return None
    dy, cell = relu.operand("dy"), 1
    pool = body.maker(dy, "average_pool_backward")
    if pool is not None and _cell(pool) and _fits(op.operand("x"), pool.operand("dy"), _cell(pool)):
        dy, cell = pool.operand("dy"), _cell(pool)
    if not _fits(op.operand("x"), dy, cell):
        return None
    given = (dy, op.operand("x"), op.operand("statistics"))
    affine = (norm.operand("gamma"), norm.operand("beta"))
    settings: dict[str, Number] = {"cell": cell}
    gradient = op.operand("dy")
    if op.kind == "norm_backward_apply":
        means, dx = op.operand("means"), op.operand("dx")
        return Op("norm_relu_pool_backward", (*given, means, *affine, dx), settings, op.layer)
    shared = not body.alone(gradient)
    if shared and gradient.storage in body.read:
        return None  # it is needed before this
    if shared:
        body.replaced.add(relu)
    operands = (*given, *affine, op.operand("sums"), gradient if shared else None)
    return Op("norm_relu_pool_backward_sums", operands, settings, op.layer)


def _cell(pool: Op) -> int:
    """Width of a pool's cells that stand side by side in their row; 0 for other pools."""
    a = pool.attributes
    apart = a["kernel_h"] == a["stride_h"] == 1 and a["kernel_w"] == a["stride_w"]
    return int(a["kernel_w"]) if apart and a["kernel_w"] > 1 else 0


def _fits(x: Value | None, pooled: Value, cell: int) -> bool:
    if x is None or len(x.shape) != 3:
        return False
    return pooled.shape == (*x.shape[:2], x.shape[2] // cell)


def _same(a: Value, b: Value) -> bool:
    return a.storage is b.storage and a.shape == b.shape and a.step == b.step


#: Operations on channels that know nothing of each other, without an attribute that counts them.
_BY_CHANNEL = (
    "norm_row_statistics",
    "norm_apply",
    "norm_backward_sums",
    "norm_backward_apply",
    "norm_relu_pool_forward",
    "norm_relu_pool_backward_sums",
    "norm_relu_pool_backward",
)


def _without_idle_loops(ops: list[Op]) -> list[Op]:
    result, at = [], 0
    while at < len(ops):
        end = at + 1
        if ops[at].kind == LOOP and not ops[at].attributes["windows"]:
            while ops[end].kind not in (LOOP, END_LOOP):
                end += 1
            body = ops[at + 1 : end]
            if ops[end].kind == END_LOOP and all(op.kind in _BY_CHANNEL and _moves(op) for op in body):
                result += [_whole(op, int(ops[at].attributes["rounds"])) for op in body]
                at = end + 1
                continue
        result.append(ops[at])
        at += 1
    return result


def _moves(op: Op) -> bool:
    return all(value is None or value.step for value in op.operands)


def _whole(op: Op, rounds: int) -> Op:
    operands = tuple(
        value and Value(value.name, (value.shape[0] * rounds, *value.shape[1:]), value.storage) for value in op.operands
    )
    return Op(op.kind, operands, dict(op.attributes), op.layer)
