"""Finds the chains of a network: rows of operations in which a channel of the output needs only that of the input.

The first one may be a convolution over all input channels: its output channels can still be made a few at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import gcd

from device_agent.compiler.ir import RESHAPE, Graph, Op, Value

CONV = "conv2d_forward"
GROUP_NORM = "group_norm_forward"
#: Batch norm is that of its channel, too: its statistics are needed over windows, not over channels.
NORMS = (GROUP_NORM, "frozen_norm_forward", "batch_norm_forward")
POOLS = ("average_pool_forward", "max_pool_forward", "clipped_average_pool_forward", "clipped_max_pool_forward")
ELEMENTWISE = tuple(
    f"{name}_forward" for name in ("relu", "elu", "gelu", "square", "log", "clamp", "tanh")
)  # not dropout: its mask follows from the place in the whole tensor
LOCAL = (*NORMS, *POOLS, *ELEMENTWISE, "pad_forward")


@dataclass(frozen=True, eq=False)
class Chain:
    """`values[n]` is the input of `ops[n]` and `values[n + 1]` its output."""

    ops: tuple[Op, ...]

    @cached_property
    def values(self) -> tuple[Value, ...]:
        return (self.ops[0].operand("x"), *(op.operand("y") for op in self.ops))

    @property
    def reads_all_channels(self) -> bool:
        first = self.ops[0]
        return first.kind == CONV and first.attributes["groups"] == 1

    @cached_property
    def most_rounds(self) -> int:
        """Into how many parts the channels can be taken: every number that divides it works, too."""
        common = 0
        for at, op in enumerate(self.ops):
            if op.kind == CONV and not (at == 0 and self.reads_all_channels):
                common = gcd(common, int(op.attributes["groups"]))
        for value in self.values[self.reads_all_channels :]:
            common = gcd(common, value.shape[0])
        return common

    @property
    def inner_convolutions(self) -> tuple[int, ...]:
        """Indices of the values inside the chain that cost something to compute again."""
        return tuple(at + 1 for at, op in enumerate(self.ops[:-1]) if op.kind == CONV)

    @property
    def norms(self) -> tuple[int, ...]:
        """Indices of the group norms among the operations."""
        return tuple(at for at, op in enumerate(self.ops) if op.kind == GROUP_NORM)


def find_chains(graph: Graph) -> list[tuple[int, ...]]:
    """As indices into the graph's operations, so that they hold in every copy of it."""
    users: dict[Value, int] = {}
    for op in graph.ops:
        for value in op.inputs:
            users[value] = users.get(value, 0) + 1
    pinned = {graph.output, graph.features}
    chains: list[list[int]] = []
    open_end: dict[Value, list[int]] = {}
    for at, op in enumerate(graph.ops):
        source = _source(op)
        if source is None:
            continue
        chain = open_end.pop(source, None)
        if chain is not None and users[source] == 1 and source not in pinned and _joins(op):
            chain.append(at)
        elif op.kind == RESHAPE:
            continue
        else:
            chain = [at]
            chains.append(chain)
        open_end[op.operand("y")] = chain
    trimmed = (_without_views_at_the_end(graph, chain) for chain in chains)
    return [tuple(chain) for chain in trimmed if _worthwhile(graph, chain)]


def _source(op: Op) -> Value | None:
    """What the operation reads, where it is one that can stand in a chain at all."""
    return op.operand("x") if op.kind in (CONV, RESHAPE, *LOCAL) else None


def _joins(op: Op) -> bool:
    x, y = op.operand("x"), op.operand("y")
    if op.kind == CONV:
        return op.attributes["groups"] > 1
    if op.kind == RESHAPE:
        return len(x.shape) > 1 and len(y.shape) > 1 and x.shape[0] == y.shape[0]
    return op.kind in LOCAL


def _without_views_at_the_end(graph: Graph, chain: list[int]) -> list[int]:
    while chain and graph.ops[chain[-1]].kind == RESHAPE:
        chain = chain[:-1]
    return chain


def _worthwhile(graph: Graph, chain: list[int]) -> bool:
    """Something in it can be kept or computed again."""
    kinds = [graph.ops[at].kind for at in chain]
    return CONV in kinds or (len(kinds) > 1 and any(kind in NORMS for kind in kinds))
