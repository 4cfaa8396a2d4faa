"""The registry: to add an operator, write its file and add its line here."""

from __future__ import annotations

from device_agent.compiler.operators import conv2d, dropout, linear, norm, pad, pool, relu, shape
from device_agent.compiler.operators.base import Operator

OPERATORS: tuple[Operator, ...] = (
    conv2d.OPERATOR,
    dropout.OPERATOR,
    linear.OPERATOR,
    norm.OPERATOR,
    pad.OPERATOR,
    pool.OPERATOR,
    relu.OPERATOR,
    shape.OPERATOR,
)

CAPTURES = {target: rule for operator in OPERATORS for target, rule in operator.captures.items()}
BACKWARD = {kind: rule for operator in OPERATORS for kind, rule in operator.backward.items()}
MACS = {kind: count for operator in OPERATORS for kind, count in operator.macs.items()}
