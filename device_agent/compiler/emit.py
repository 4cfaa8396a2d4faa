"""Programs with offsets -> the bytes of a plan."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from device_agent.compiler.batch import ASK_FOR_WINDOW, WHOLE_BATCH, whole_batch_shape
from device_agent.compiler.ir import Op, Program, Value
from schemas.plan import NO_VIEW, Region, View
from schemas.plan_operations import END, END_LOOP, LOOP, OPERATIONS, WINDOW


class Emitter:
    """Collects the views that instructions name; equal views are stored once."""

    def __init__(self) -> None:
        self._index: dict[View, int] = {}

    @property
    def views(self) -> list[View]:
        return list(self._index)

    def view(self, value: Value, shape: tuple[int, ...] = (), strides: tuple[int, ...] = ()) -> int:
        storage = value.storage
        if storage.offset is None:
            raise AssertionError(f"{value} was not allocated")
        view = View(storage.region, storage.offset, shape or value.shape, strides)
        return self._index.setdefault(view, len(self._index))

    def program(self, program: Program) -> bytes:
        each = self._instruction if program.batch == 1 else partial(self._batched, batch=program.batch)
        return b"".join(each(op) for op in program) + struct.pack("<I", END)

    def _batched(self, op: Op, batch: int) -> bytes:
        """Over all windows at once, or in a loop in which activations and slots move from window to window."""
        if op.kind in WHOLE_BATCH:
            moving = {
                value: self.view(value, whole_batch_shape(value, batch))
                for value in (
                    op.operand(name) for name in OPERATIONS[op.kind].operands if name in ("x", "y", "dx", "dy")
                )
            }
            return self._instruction(op, moving)
        moving = {
            value: self.view(value, strides=(value.storage.bytes // batch,))
            for value in op.operands
            if value is not None and value.storage.region in (Region.ARENA, Region.SCALARS)
        }
        head = struct.pack("<II", LOOP | 1 << 16, batch)
        if op.kind in ASK_FOR_WINDOW:
            head += struct.pack("<I", WINDOW)
        return head + self._instruction(op, moving) + struct.pack("<I", END_LOOP)

    def _instruction(self, op: Op, placed: Mapping[Value, int] = MappingProxyType({})) -> bytes:
        """`placed`: the views of operands that are not seen as they are."""
        spec = OPERATIONS[op.kind]
        views = [
            NO_VIEW if value is None else placed[value] if value in placed else self.view(value)
            for value in op.operands
        ]
        padded = views + [0] * (len(views) % 2)
        immediates = b"".join(struct.pack("<I", int(op.attributes[name])) for name in spec.integers)
        immediates += b"".join(struct.pack("<f", op.attributes[name]) for name in spec.floats)
        head = spec.number | len(views) << 8 | (len(immediates) // 4) << 16
        return struct.pack(f"<I{len(padded)}H", head, *padded) + immediates
