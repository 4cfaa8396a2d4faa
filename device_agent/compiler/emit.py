"""Programs with offsets -> the bytes of a plan."""

from __future__ import annotations

import struct

from device_agent.compiler.ir import Op, Program, Value
from schemas.plan import NO_VIEW, View
from schemas.plan_operations import END, OPERATIONS


class Emitter:
    """Collects the views that instructions name; equal views are stored once."""

    def __init__(self) -> None:
        self._index: dict[View, int] = {}

    @property
    def views(self) -> list[View]:
        return list(self._index)

    def view(self, value: Value) -> int:
        storage = value.storage
        if storage.offset is None:
            raise AssertionError(f"{value} was not allocated")
        view = View(storage.region, storage.offset, value.shape)
        return self._index.setdefault(view, len(self._index))

    def program(self, program: Program) -> bytes:
        return b"".join(self._instruction(op) for op in program) + struct.pack("<I", END)

    def _instruction(self, op: Op) -> bytes:
        spec = OPERATIONS[op.kind]
        views = [NO_VIEW if value is None else self.view(value) for value in op.operands]
        padded = views + [0] * (len(views) % 2)
        immediates = b"".join(struct.pack("<I", int(op.attributes[name])) for name in spec.integers)
        immediates += b"".join(struct.pack("<f", op.attributes[name]) for name in spec.floats)
        head = spec.number | len(views) << 8 | (len(immediates) // 4) << 16
        return struct.pack(f"<I{len(padded)}H", head, *padded) + immediates
