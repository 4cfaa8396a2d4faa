"""One sweep over a chain's channels: the body of a loop, in which each round has its part of every tensor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from device_agent.compiler.batch import WHOLE_BATCH
from device_agent.compiler.ir import RESHAPE, Op, Storage, Value, in_loop
from device_agent.compiler.stream.chains import CONV, GROUP_NORM, Chain
from schemas.plan import Region
from schemas.plan_operations import OPERATIONS


@dataclass(slots=True)
class Sweep:
    """Values of the chain are asked for by index; what is not there whole is computed where it is first needed."""

    chain: Chain
    rounds: int
    whole: dict[int, Value]
    """What is there already."""
    targets: dict[int, Value]
    """What is to be written whole once this sweep computes it."""
    statistics: dict[int, Value]
    """[C][mean, 1 / deviation] of each group norm."""
    ops: list[Op] = field(default_factory=list)
    written: set[int] = field(default_factory=set)
    rows: dict[int, Value] = field(default_factory=dict)
    _there: set[int] = field(default_factory=set)

    def row(self, index: int) -> Value:
        """This round's part of a value, without asking that it be computed."""
        if index not in self.rows:
            self.rows[index] = self._place(index)
        return self.rows[index]

    def _place(self, index: int) -> Value:
        value = self.chain.values[index]
        if index in self.whole:
            return self.whole[index] if index == 0 and self.chain.reads_all_channels else self.part(self.whole[index])
        if index in self.targets:
            return self.part(self.targets[index])
        shape = (value.shape[0] // self.rounds, *value.shape[1:])
        if self.chain.ops[index - 1].kind == RESHAPE:
            return self.row(index - 1).reshaped(value.name, shape)
        return Value.new(value.name, shape)

    def part(self, value: Value) -> Value:
        return value.part(self.rounds)

    def need(self, index: int) -> Value:
        """This round's part of a value, computed in this round if it is not there whole."""
        if index not in self.whole and index not in self._there:
            self._there.add(index)
            self.need(index - 1)
            self.ops.append(self.forward(index - 1))
            if index in self.targets:
                self.written.add(index)
        return self.row(index)

    def forward(self, at: int) -> Op:
        """Operation `at` of the chain on the parts of this round."""
        op = self.chain.ops[at]
        x, y = self.row(at), self.row(at + 1)
        if op.kind == GROUP_NORM:
            gamma, beta = self.part(op.operand("gamma")), self.part(op.operand("beta"))
            return Op("norm_apply", (x, self.part(self.statistics[at]), gamma, beta, y), {}, op.layer)
        if op.kind == RESHAPE:
            return Op(RESHAPE, (x, y), {}, op.layer)
        names = OPERATIONS[op.kind].operands
        operands = [
            {"x": x, "y": y}.get(name) or (None if value is None else self.part(value))
            for name, value in zip(names, op.operands, strict=True)
        ]
        attributes = dict(op.attributes)
        if op.kind == CONV and not (at == 0 and self.chain.reads_all_channels):
            attributes["groups"] = int(attributes["groups"]) // self.rounds
        return Op(op.kind, tuple(operands), attributes, op.layer)


def run_sweep(make: Callable[[int], Sweep], rounds: int) -> tuple[list[Op], Sweep]:
    """The loop around what `make` emits for a number of rounds; without one where nothing lives in single rounds."""
    sweep = make(rounds)
    if rounds > 1 and not _has_rows(sweep.ops):
        rounds, sweep = 1, make(1)
    return in_loop(_with_copies(sweep.ops), rounds), sweep


def _has_rows(ops: list[Op]) -> bool:
    """Some tensor is there for one round only: written here, and no part of a whole."""
    return any(
        value.storage.region is Region.ARENA and not value.step and value.bytes == value.storage.bytes
        for op in ops
        for value in op.outputs
    )


def _with_copies(ops: list[Op]) -> list[Op]:
    """Batch norms see a dense tensor over all windows: parts of whole ones are copied out and in."""
    result: list[Op] = []
    for op in ops:
        if op.kind not in WHOLE_BATCH:
            result.append(op)
            continue
        before: list[Op] = []
        after: list[Op] = []
        dense: dict[Storage, Value] = {}
        operands = []
        for value in op.operands:
            if value is None or not value.step or value.storage.region is not Region.ARENA:
                operands.append(value)
                continue
            own = dense.get(value.storage)
            if own is None:
                own = dense[value.storage] = Value.new(value.name, value.shape)
            operands.append(own)
            if value in op.inputs:
                before.append(Op("copy", (value, own), {}, op.layer))
            if value in op.outputs:
                after.append(Op("copy", (own, value), {}, op.layer))
        result += [*before, Op(op.kind, tuple(operands), op.attributes, op.layer), *after]
    return result
