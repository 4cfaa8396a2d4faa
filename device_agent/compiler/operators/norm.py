"""Group norm, and batch norm with its running statistics held."""

from __future__ import annotations

from device_agent.compiler.ir import Number, Op, Value
from device_agent.compiler.operators.base import Backward, Call, Operator, scalars

#: Batch norm as captured: x, running mean, running variance, gamma, beta, y. normalise.py decides what it becomes.
BATCH_NORM = "frozen_norm_forward"


def _capture_group(call: Call) -> Value:
    given = call.arguments
    if given.get("weight") is None or given.get("bias") is None:
        raise call.refuse("a norm without affine parameters is not supported: use affine=True")
    return group_norm(given["input"], given["weight"], given["bias"], given["num_groups"], given["eps"], call)


def group_norm(x: Value, gamma: Value, beta: Value, groups: int, eps: float, call: Call) -> Value:
    """Group norm of `x` [channels, ...] with its own mean and variance for each group (Wu and He, ECCV 2018);
    `gamma` and `beta` are of each channel.
    """
    y = call.result()
    statistics = scalars(f"{call.layer}.statistics", 2 * groups)
    call.emit(
        Op("group_norm_forward", (x, gamma, beta, statistics, y), {"groups": groups, "eps": float(eps)}, call.layer)
    )
    return y


def _capture_batch(call: Call) -> Value:
    given = call.arguments
    if given.get("weight") is None or given.get("running_mean") is None:
        raise call.refuse(
            "batch norm without affine parameters or running statistics is not supported: use affine=True, "
            "track_running_stats=True"
        )
    y = call.result()
    momentum = given.get("momentum")
    if momentum is None:
        raise call.refuse("batch norm with momentum=None (a cumulative average) is not supported: give it a momentum")
    settings: dict[str, Number] = {"eps": float(given["eps"]), "momentum": float(momentum)}
    order = ("input", "running_mean", "running_var", "weight", "bias")
    call.emit(Op(BATCH_NORM, (*(given[name] for name in order), y), settings, call.layer))
    return y


def _backward_group(op: Op, b: Backward) -> None:
    x, gamma = op.operand("x"), op.operand("gamma")
    b.emit(
        "group_norm_backward",
        b.gradient(op.operand("y")),
        x,
        op.operand("statistics"),
        gamma,
        b.new(x),
        b.accumulator_or_scratch(gamma),
        b.accumulator_or_scratch(op.operand("beta")),
        of=op,
        attributes={"groups": op.attributes["groups"]},
    )


def _backward_frozen(op: Op, b: Backward) -> None:
    x, gamma = op.operand("x"), op.operand("gamma")
    b.emit(
        "frozen_norm_backward",
        b.gradient(op.operand("y")),
        x,
        op.operand("mean"),
        op.operand("variance"),
        gamma,
        b.new(x),
        b.accumulator_or_scratch(gamma),
        b.accumulator_or_scratch(op.operand("beta")),
        of=op,
        attributes=op.attributes,
    )


def exact(op: Op) -> Op:
    """A captured batch norm with the statistics of the batch that is trained on: mean, 1 / deviation, variance."""
    x, gamma = op.operand("x"), op.operand("gamma")
    statistics = scalars(f"{op.layer}.statistics", 3 * gamma.shape[0])
    operands = (x, gamma, op.operand("beta"), statistics, op.operand("y"))
    return Op("batch_norm_forward", operands, {"eps": op.attributes["eps"]}, op.layer)


def _backward_exact(op: Op, b: Backward) -> None:
    x, gamma = op.operand("x"), op.operand("gamma")
    b.emit(
        "batch_norm_backward",
        b.gradient(op.operand("y")),
        x,
        op.operand("statistics"),
        gamma,
        b.new(x),
        b.accumulator_or_scratch(gamma),
        b.accumulator_or_scratch(op.operand("beta")),
        of=op,
    )


OPERATOR = Operator(
    captures={"aten.group_norm.default": _capture_group, "aten.batch_norm.default": _capture_batch},
    backward={
        "group_norm_forward": _backward_group,
        "frozen_norm_forward": _backward_frozen,
        "batch_norm_forward": _backward_exact,
    },
)
