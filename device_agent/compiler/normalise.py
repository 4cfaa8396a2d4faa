"""Brings a captured graph into the forms that the device has: padding inside convolutions, one kind of norm."""

from __future__ import annotations

from enum import StrEnum

from device_agent.compiler.ir import PAD, Graph, Op, Value
from device_agent.compiler.operators.base import scalars


class Norm(StrEnum):
    """What a batch norm becomes."""

    GROUP = "group"
    FROZEN = "frozen"
    BATCH = "batch"
    """Exact: statistics over the real batch. Inference uses the running ones, as `frozen` does."""


def normalise(graph: Graph, norm: Norm) -> Graph:
    """`graph` itself, changed."""
    ops = _number_dropouts(_fold_padding(graph.ops, graph.output))
    if norm is Norm.GROUP:
        batch_norms = [op.layer for op in ops if op.kind == "frozen_norm_forward"]
        ops = [_to_group_norm(op) for op in ops]
        if batch_norms:
            graph.notes.append(
                f"{len(batch_norms)} batch norms became group norms ({', '.join(batch_norms)}): their affine "
                "parameters are kept; their running statistics have no counterpart and are not, so pre-trained "
                "weights need fine-tuning before they predict as before"
            )
    used = {value.storage for op in ops for value in op.inputs}
    graph.parameters = [parameter for parameter in graph.parameters if parameter.value.storage in used]
    graph.ops = ops
    return graph


def _fold_padding(ops: list[Op], output: Value) -> list[Op]:
    """Padding in front of convolutions alone becomes theirs; other padding becomes an operation."""
    users: dict[Value, list[Op]] = {}
    for op in ops:
        for value in op.inputs:
            users.setdefault(value, []).append(op)
    result = []
    for op in ops:
        if op.kind != PAD:
            result.append(op)
            continue
        source, padded = op.operand("x"), op.operand("y")
        behind = users.get(padded, [])
        if padded is output or any(user.kind != "conv2d_forward" for user in behind):
            attributes = {side: op.attributes[side] for side in ("top", "left")}
            result.append(Op("pad_forward", (source, padded), attributes, op.layer))
            continue
        for user in behind:
            user.set_operands(tuple(source if value is padded else value for value in user.operands))
            for side in ("top", "bottom", "left", "right"):
                user.attributes[side] += op.attributes[side]
    return result


def _number_dropouts(ops: list[Op]) -> list[Op]:
    """Every dropout draws from a stream of its own."""
    for stream, op in enumerate(op for op in ops if op.kind == "dropout_forward"):
        op.attributes["stream"] = stream
    return ops


def _to_group_norm(op: Op) -> Op:
    """Batch norm -> group norm with one group: same eps and affine parameters; the running statistics go."""
    if op.kind != "frozen_norm_forward":
        return op
    operands = (op.operand("x"), op.operand("gamma"), op.operand("beta"), scalars(f"{op.layer}.statistics", 2))
    attributes = {"groups": 1, "eps": op.attributes["eps"]}
    return Op("group_norm_forward", (*operands, op.operand("y")), attributes, op.layer)
