"""A loop with its copies: a part comes in before it is first used and leaves behind its last use.

Where there is room for two parts they take turns: the next one comes while this one is worked on, and the last one
leaves. Otherwise a part's copy runs beside what does not need it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from device_agent.compiler.ir import Op, Storage, Value, in_loop
from device_agent.compiler.staging.convolutions import in_stretches
from device_agent.compiler.staging.stretches import Stretch, uses
from schemas.plan import Region
from schemas.plan_operations import OPERATIONS


class Loop:
    """Makes the operations of one."""

    def __init__(self, stretch: Stretch, needed: set[Storage] | frozenset[Storage]) -> None:
        """`needed`: behind the loop."""
        self.stretch, self.needed = stretch, needed
        self.body = [in_stretches(op, n) if (n := stretch.stretched.get(op)) else op for op in stretch.body]
        self.before: list[Op] = []
        self.head: list[Op] = []
        """At the beginning of a round: waits in front of copies that begin there."""
        self.after: list[Op] = []
        self.places: dict[tuple[Op, Storage], Value] = {}
        """Where an operation of the body finds what lay in L2."""

    def ops(self) -> list[Op]:
        for storage in self.stretch.moved:
            here = Value("", (storage.bytes // 4,), Storage(Region.L1, storage.bytes))
            self.places |= {(op, storage): here for op in self.body}
        for storage, turns in self.stretch.staged.items():
            self._stage(storage, turns)
        head = sorted(self.head, key=lambda op: op.kind != "copy_wait")
        body = [self._moved(op) for op in self.body]
        return [*self.before, *in_loop([*head, *body], self.stretch.rounds), *self.after]

    def _stage(self, storage: Storage, turns: bool) -> None:
        part = self.stretch.values(storage)[0]
        there = Value(part.name, part.shape, storage, part.bytes)
        ops = [op for op in self.body if uses(op.operands, storage)]
        written = [at for at, op in enumerate(ops) if uses(op.outputs, storage)]
        leaves = storage in self.needed and bool(written)
        if not uses(ops[0].inputs, storage):
            self._leave(there, ops, turns)
            return
        anew = [at for at in written if not uses(ops[at].inputs, storage)]
        if leaves and anew:  # what comes and what leaves have nothing in common but their place in L2
            self._enter_early(there, ops[: anew[0]])
            self._leave(there, ops[anew[0] :], False)
        elif leaves:
            here = self._enter(there, ops, False)
            self.head.append(Op("copy_wait", (here,), {}, ops[0].layer))
            self._copy_out(here, there, ops)
        else:
            self._enter(there, ops, turns)

    def _room(self, there: Value, ops: Sequence[Op], turns: bool) -> Value:
        fast = Storage(Region.L1, there.bytes * (2 if turns else 1))
        here = Value(there.name, there.shape, fast, there.bytes if turns else 0, turns=turns)
        self.places |= {(op, there.storage): here for op in ops}
        return here

    def _enter(self, there: Value, ops: Sequence[Op], turns: bool) -> Value:
        """Copied in before the first of `ops`."""
        here, layer = self._room(there, ops, turns), ops[0].layer
        wait = Op("copy_wait", (here,), {}, layer)
        if turns:
            self.before.append(Op("copy_start", (_first_part(there), _first_part(here)), {}, layer))
            self.head += [wait, Op("copy_ahead", (there, here), {}, layer)]
            return here
        self._sink(ops[0])
        at = self.body.index(ops[0])
        behind = [i + 1 for i in range(at) if self.body[i].kind.startswith("staged_")]  # they wait for all copies
        self.body.insert(at, wait)
        self.body.insert(max(behind, default=0), Op("copy_start", (there, here), {}, layer))
        return here

    def _enter_early(self, there: Value, ops: Sequence[Op]) -> None:
        """Copied in for the next round as soon as this one needs it no more."""
        here, layer = self._room(there, ops, False), ops[0].layer
        last = ops[-1]
        pair = OPERATIONS[last.kind].in_place if last.kind in OPERATIONS else None
        if pair is not None and uses([last.optional(pair[0])], there.storage):
            result = last.operand(pair[1])
            if result.storage in self.stretch.moved and result.bytes == there.bytes:  # it goes where its input lay
                using = [op for op in self.body if uses(op.operands, result.storage)]
                self.places |= {(op, result.storage): here for op in using}
                last = using[-1]
        self.before.append(Op("copy_start", (_first_part(there), _first_part(here)), {}, layer))
        self.head.append(Op("copy_wait", (here,), {}, layer))
        self.body.insert(self.body.index(last) + 1, Op("copy_ahead", (there, here), {}, layer))

    def _leave(self, there: Value, ops: Sequence[Op], turns: bool) -> None:
        """Copied out behind the last of `ops` that writes it."""
        here = self._room(there, ops, turns)
        if not turns:
            self.body.insert(self.body.index(ops[0]), Op("copy_wait", (here,), {}, ops[0].layer))
        self._copy_out(here, there, ops)

    def _copy_out(self, here: Value, there: Value, ops: Sequence[Op]) -> None:
        last = next(op for op in reversed(ops) if uses(op.outputs, there.storage))
        wait = [Op("copy_wait", (here,), {}, last.layer)] if here.turns else []
        at = self.body.index(last) + 1
        self.body[at:at] = [*wait, Op("copy_start", (here, there), {}, last.layer)]
        self.after.append(Op("copy_wait", (_first_part(here),), {}, last.layer))

    def _sink(self, op: Op) -> None:
        """Later in the round, as far as nothing between depends on it: so much longer may the copy take."""
        at = self.body.index(op)
        del self.body[at]
        reads, writes = ({value.storage for value in values} for values in (op.inputs, op.outputs))
        while at < len(self.body):
            other = self.body[at]
            touched = {v.storage for v in (*other.inputs, *other.outputs)}
            if writes & touched or reads & {v.storage for v in other.outputs}:
                break
            at += 1
        self.body.insert(at, op)

    def _moved(self, op: Op) -> Op:
        def own(value: Value | None) -> Value | None:
            here = None if value is None else self.places.get((op, value.storage))
            if value is None or here is None:
                return value
            return Value(value.name, value.shape, here.storage, here.step, value.type, value.at, here.turns)

        return Op(op.kind, tuple(own(value) for value in op.operands), op.attributes, op.layer)


def _first_part(value: Value) -> Value:
    """Of the first round, wherever it is asked for."""
    return replace(value, step=0, turns=False)
