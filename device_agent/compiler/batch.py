"""Exact batch norm: the training program runs over all windows of a batch.

Every operation but batch norm itself stands in a loop over the windows; an activation's storage holds all of them side
by side. A later version may sweep twice and keep less: loops, window marks and slots are all that it needs.
"""

from __future__ import annotations

from device_agent.compiler.ir import Op, Program, Value
from device_agent.compiler.operators.norm import BATCH_NORM, exact
from schemas.plan import Region

#: These see all windows at once.
WHOLE_BATCH = ("batch_norm_forward", "batch_norm_backward")
#: These ask for the window's label, or for its dropout key.
ASK_FOR_WINDOW = ("cross_entropy", "smoothed_cross_entropy", "dropout_forward", "dropout_backward")


def exact_norms(ops: list[Op]) -> list[Op]:
    """Batch norms with the statistics of the batch."""
    return [exact(op) if op.kind == BATCH_NORM else op for op in ops]


def widen(program: Program, batch: int) -> Program:
    """Room for every window in all activations and slots but the batch's own statistics."""
    shared = {op.operand("statistics").storage for op in program if op.kind in WHOLE_BATCH}
    for storage in {value.storage for op in program for value in (*op.inputs, *op.outputs)} - shared:
        if storage.region in (Region.ARENA, Region.SCALARS):
            storage.bytes *= batch
    program.batch = batch
    return program


def tracking(forward: list[Op], learning: Program) -> list[Op]:
    """Running statistics, updated as torch does: with the batch's mean and unbiased variance."""
    captured = {op.operand("gamma").storage: op for op in forward if op.kind == BATCH_NORM}
    ops = []
    for op in learning:
        if op.kind == "batch_norm_forward":
            norm, x = captured[op.operand("gamma").storage], op.operand("x")
            count = learning.batch * (x.storage.bytes // 4 // learning.batch // x.shape[0])
            operands = (op.operand("statistics"), norm.operand("mean"), norm.operand("variance"))
            attributes = {"count": count, "momentum": norm.attributes["momentum"]}
            ops.append(Op("batch_norm_track", operands, attributes, op.layer))
    return ops


def whole_batch_shape(value: Value, batch: int) -> tuple[int, ...]:
    """[C, ...] of one window -> [batch, C, values of a channel]."""
    rest = value.storage.bytes // 4 // batch // value.shape[0]
    return batch, value.shape[0], rest
