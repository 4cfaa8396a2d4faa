"""Programs with offsets -> the bytes of a plan."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType

from device_agent.compiler.batch import ASK_FOR_WINDOW, WHOLE_BATCH, whole_batch_shape
from device_agent.compiler.ir import END_LOOP as END_LOOP_MARK
from device_agent.compiler.ir import LOOP as LOOP_MARK
from device_agent.compiler.ir import LoopSpan, Op, Program, Value
from schemas.plan import NO_VIEW, TURNS, View
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
        moves = strides if any(strides) else ()
        view = View(storage.region, storage.offset + value.at, shape or value.shape, moves, value.type)
        return self._index.setdefault(view, len(self._index))

    def program(self, program: Program) -> bytes:
        code, loops = b"", []
        for at, op in enumerate(program.ops):
            if op.kind == LOOP_MARK:
                loops.append(LoopSpan(at, at, int(op.attributes["rounds"]), bool(op.attributes["windows"])))
                code += struct.pack("<II", LOOP | 1 << 16, loops[-1].rounds)
            elif op.kind == END_LOOP_MARK:
                loops.pop()
                code += struct.pack("<I", END_LOOP)
            else:
                code += self._placed(op, loops, program.batch)
        return code + struct.pack("<I", END)

    def _placed(self, op: Op, loops: list[LoopSpan], batch: int) -> bytes:
        """An instruction whose operands move with the loops around it; batch norms see all windows."""
        placed = {}
        for name, value in zip(OPERATIONS[op.kind].operands, op.operands, strict=True):
            if value is None:
                continue
            shape: tuple[int, ...] = ()
            if op.kind in WHOLE_BATCH and name in ("x", "y", "dx", "dy"):
                if value.step:
                    raise AssertionError(f"{value}: a part of a batch is not dense")
                shape = whole_batch_shape(value, batch)
            placed[value] = self.view(value, shape, tuple(_stride(loop, value) for loop in loops))
        in_window = bool(loops) and loops[-1].windows
        mark = struct.pack("<I", WINDOW) if in_window and op.kind in ASK_FOR_WINDOW else b""
        return mark + self._instruction(op, placed)

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


def _stride(loop: LoopSpan, value: Value) -> int:
    stride = loop.stride(value)
    return stride | TURNS if value.turns and not loop.windows else stride
