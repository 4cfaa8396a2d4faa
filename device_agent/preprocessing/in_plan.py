"""What a plan says of its preprocessing, read back from its code: the inverse of `preprocess` and `emit`."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from device_agent.preprocessing.steps import Floats, Preprocessing
from schemas.plan import Entry, PlanError, Region, plan_sections, read_view
from schemas.plan_operations import END, OPERATIONS

_BY_NUMBER = {operation.number: (name, operation) for name, operation in OPERATIONS.items()}


def read_preprocessing(plan: bytes) -> Preprocessing:
    """Raises PlanError for a plan that prepares windows in a way that this version does not know."""
    sections = plan_sections(plan)
    steps: dict[str, Any] = {}
    for name, views, immediates in _instructions(sections[f"code {Entry.PREPROCESS}"]):

        def constant(index: int, views: tuple[int, ...] = views) -> Floats:
            view = read_view(sections["views"], views[index])
            if view.region != Region.CONST:
                raise PlanError("the plan's preprocessing reads what is no constant")
            count = int(np.prod(view.shape))
            return np.frombuffer(sections["constants"], "<f4", count, view.offset).reshape(view.shape).copy()

        match name:
            case "decode_counts" | "log_forward":
                pass
            case "mix_channels":
                steps["matrix"] = constant(1)
            case "filter_sections":
                steps["sections"] = constant(1)
            case "clamp_forward":
                steps["log_floor"] = struct.unpack("<f", immediates[:4])[0]
            case "centre_channels":
                steps["centre"] = True
            case "scale_channels":
                steps["offset"], steps["gain"] = constant(1), constant(2)
            case _:
                raise PlanError(f"the plan prepares windows with {name!r}, which cannot be exported")
    return Preprocessing(**steps)


def _instructions(code: bytes) -> Iterator[tuple[str, tuple[int, ...], bytes]]:
    """Name, indexes of views, immediates of each; a plan's preprocessing has no loops."""
    at = 0
    while True:
        (head,) = struct.unpack_from("<I", code, at)
        number, views, immediates = head & 0xFF, head >> 8 & 0xFF, head >> 16
        if number == END:
            return
        if number not in _BY_NUMBER:
            raise PlanError(f"the plan prepares windows with operation {number}, which cannot be exported")
        found = struct.unpack_from(f"<{views}H", code, at + 4)
        after = at + 4 + 2 * (views + views % 2)
        yield _BY_NUMBER[number][0], found, code[after : after + 4 * immediates]
        at = after + 4 * immediates
