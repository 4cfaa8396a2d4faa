"""Outputs of chains that are not kept: computed again in front of the first operation that needs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from device_agent.compiler.ir import END_LOOP, LOOP, Op, Storage, Value
from device_agent.compiler.stream.forward import Streamed


class Recomputation:
    """Collects the backward pass, step by step."""

    def __init__(self, steps: Sequence[Op | Streamed]) -> None:
        """`steps`: of the forward pass. What dropout makes of an output that is not kept is not kept, either."""
        self._dropped: dict[Storage, Callable[[], list[Op]]] = {}
        for step in steps:
            if isinstance(step, Streamed):
                if step.choice.drops_output:
                    self._dropped[step.chain.values[-1].storage] = step.again
            elif step.kind == "dropout_forward" and step.operand("x").storage in self._dropped:
                self._dropped[step.operand("y").storage] = partial(_once_more, step)
        self._renamed: dict[Storage, Storage] = {}
        self._values: dict[Value, Value] = {}

    def insert(self, ops: list[Op]) -> list[Op]:
        """The operations of one step, with what they need computed again in front of their loops."""
        result: list[Op] = []
        depth, begin = 0, 0
        for op in ops:
            if depth == 0:
                begin = len(result)
            depth += (op.kind == LOOP) - (op.kind == END_LOOP)
            for value in op.inputs:
                again = self._dropped.pop(value.storage, None)
                if again is not None:
                    before = self.insert(again())
                    fresh = Storage(value.storage.region, value.storage.bytes)
                    self._renamed[value.storage] = fresh
                    result[begin:] = [*before, *result[begin:]]
            result.append(op)
        return [self._rename(op) for op in result]

    def _rename(self, op: Op) -> Op:
        """From the recomputation on, the values lie in storage of their own."""
        if not any(value is not None and value.storage in self._renamed for value in op.operands):
            return op
        operands = tuple(None if value is None else self._in_its_place(value) for value in op.operands)
        return Op(op.kind, operands, op.attributes, op.layer)

    def _in_its_place(self, value: Value) -> Value:
        storage = self._renamed.get(value.storage)
        if storage is None:
            return value
        if value not in self._values:
            self._values[value] = Value(value.name, value.shape, storage, value.step)
        return self._values[value]


def _once_more(op: Op) -> list[Op]:
    return [Op(op.kind, op.operands, op.attributes, op.layer)]
