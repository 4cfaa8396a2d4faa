"""The registry: to add an operator, write its file and add its line here."""

from __future__ import annotations

from device_agent.compiler.operators import (
    add,
    clamp,
    conv2d,
    dropout,
    elu,
    gelu,
    layer_norm,
    linear,
    log,
    norm,
    pad,
    permute,
    pool,
    relu,
    shape,
    slicing,
    square,
    tanh,
)
from device_agent.compiler.operators.base import Operator

OPERATORS: tuple[Operator, ...] = (
    add.OPERATOR,
    clamp.OPERATOR,
    conv2d.OPERATOR,
    dropout.OPERATOR,
    elu.OPERATOR,
    gelu.OPERATOR,
    layer_norm.OPERATOR,
    linear.OPERATOR,
    log.OPERATOR,
    norm.OPERATOR,
    pad.OPERATOR,
    permute.OPERATOR,
    pool.OPERATOR,
    relu.OPERATOR,
    shape.OPERATOR,
    slicing.OPERATOR,
    square.OPERATOR,
    tanh.OPERATOR,
)

CAPTURES = {target: rule for operator in OPERATORS for target, rule in operator.captures.items()}
BACKWARD = {kind: rule for operator in OPERATORS for kind, rule in operator.backward.items()}
MACS = {kind: count for operator in OPERATORS for kind, count in operator.macs.items()}
