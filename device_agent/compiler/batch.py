"""Exact batch norm: the training program runs over all windows of a batch.

Batch norms see all windows at once. What stands between two of them runs in one loop over the windows; what lives in
that loop alone is there once, everything else once for each window.
"""

from __future__ import annotations

from device_agent.compiler.ir import END_LOOP, LOOP, Op, Program, Storage, Value, in_loop
from device_agent.compiler.operators.norm import BATCH_NORM, exact
from schemas.plan import Region

#: These see all windows at once.
WHOLE_BATCH = ("batch_norm_forward", "batch_norm_backward")
#: These ask for the window's label, or for its dropout key.
ASK_FOR_WINDOW = ("cross_entropy", "smoothed_cross_entropy", "dropout_forward", "dropout_backward")


def exact_norms(ops: list[Op]) -> list[Op]:
    """Batch norms with the statistics of the batch."""
    return [exact(op) if op.kind == BATCH_NORM else op for op in ops]


def widen(program: Program, batch: int, kept: frozenset[Storage]) -> Program:
    """Loops over the windows, and room for every window where it is needed; `kept` is read or filled by others."""
    runs = _runs(program.ops)
    shared = {op.operand("statistics").storage for op in program if op.kind in WHOLE_BATCH}
    where: dict[Storage, set[int]] = {}
    for number, run in enumerate(runs):
        alone = run[0].kind in WHOLE_BATCH
        for op in run:
            for value in (*op.inputs, *op.outputs):
                where.setdefault(value.storage, set()).update((number, -1) if alone else (number,))
    for storage, found_in in where.items():
        inner = storage.region in (Region.ARENA, Region.SCALARS) and storage not in shared
        if inner and (len(found_in) > 1 or storage in kept):
            storage.bytes *= batch
            storage.windows = batch
    program.ops = [
        op
        for run in runs
        for op in (run if run[0].kind in (*WHOLE_BATCH, LOOP, END_LOOP) else in_loop(run, batch, windows=True))
    ]
    program.batch = batch
    return program


def _runs(ops: list[Op]) -> list[list[Op]]:
    """As long as they can be, of operations on single windows; batch norms and ends of loops alone."""
    runs: list[list[Op]] = []
    joins = False
    for op in ops:
        single = op.kind not in (*WHOLE_BATCH, LOOP, END_LOOP)
        if single and joins:
            runs[-1].append(op)
        else:
            runs.append([op])
        joins = single
    return runs


def tracking(forward: list[Op], learning: Program) -> list[Op]:
    """Running statistics, updated as torch does: with the batch's mean and unbiased variance."""
    captured = {op.operand("gamma").storage: op for op in forward if op.kind == BATCH_NORM}
    seen: set[Storage] = set()
    ops = []
    for op in learning:
        if op.kind != "batch_norm_forward" or op.operand("gamma").storage in seen:
            continue
        seen.add(op.operand("gamma").storage)
        norm = captured[op.operand("gamma").storage]
        statistics = Value(
            f"{op.layer}.statistics", (3 * norm.operand("mean").shape[0],), op.operand("statistics").storage
        )
        count = learning.batch * (norm.operand("x").bytes // 4 // norm.operand("x").shape[0])
        attributes = {"count": count, "momentum": norm.attributes["momentum"]}
        operands = (statistics, norm.operand("mean"), norm.operand("variance"))
        ops.append(Op("batch_norm_track", operands, attributes, op.layer))
    return ops


def whole_batch_shape(value: Value, batch: int) -> tuple[int, ...]:
    """[C, ...] of one window -> [batch, C, values of a channel]."""
    return batch, value.shape[0], value.bytes // 4 // value.shape[0]
