"""A plan that must fit a device: what would have to change where it does not, found by trying it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from schemas.errors import UserError
from schemas.plan import read_plan
from schemas.plan_room import Room, needs_of, too_small

if TYPE_CHECKING:
    from device_agent.compiler.compile import CompiledPlan


def must_fit(
    plan: CompiledPlan, room: Room, name: str, batch: int, compiled: Callable[[int, int | None], CompiledPlan]
) -> None:
    """`compiled` makes the same plan for another batch, in another budget. Raises UserError, with a budget or a batch
    that would do where there is one."""
    missing = _missing(plan, room)
    if missing:
        raise UserError(
            f"the plan does not fit {name}: it needs {', and '.join(missing)}: {_advice(plan, room, batch, compiled)}"
        )


def missing_l2(plan: CompiledPlan, room: Room) -> int:
    """So many bytes of L2 are too few."""
    return max(0, needs_of(read_plan(plan.file), len(plan.file)).l2 - room.l2)


def _missing(plan: CompiledPlan, room: Room) -> list[str]:
    return too_small(needs_of(read_plan(plan.file), len(plan.file)), room)


def _advice(plan: CompiledPlan, room: Room, batch: int, compiled: Callable[[int, int | None], CompiledPlan]) -> str:
    needs = needs_of(read_plan(plan.file), len(plan.file))
    budget = int(plan.report["memory"]["total_bytes"]) - (needs.l2 - room.l2)
    if needs.l2 > room.l2 and budget > 0 and _fits(room, lambda: compiled(batch, budget)):
        return f"--budget {budget} works"
    low, high = 0, batch  # the largest batch that fits; none is known to
    while high - low > 1:
        middle = (low + high) // 2
        if _fits(room, lambda middle=middle: compiled(middle, None)):  # type: ignore[misc]
            low = middle
        else:
            high = middle
    if low:
        return f"--batch {low} works"
    if needs.l1 > room.l1:
        return "--without l1 keeps everything in L2"
    return "take a smaller network, or train less of it (--mode)"


def _fits(room: Room, make: Callable[[], CompiledPlan]) -> bool:
    try:
        return not _missing(make(), room)
    except UserError:  # the budget is too small for any plan
        return False
