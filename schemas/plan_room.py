"""What a plan needs of each memory level, and whether a device has it: said before and after it was sent."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.plan import Plan, PlanError, Region, read_plan


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of a device that plans may use: `storage` is the longest file that it keeps."""

    l1: int
    l2: int
    l3: int
    storage: int


GAP9 = Room(l1=80_000, l2=1_200_000, l3=8_000_000, storage=262_144)
"""port/gap9/settings.h and app/layout.h: 1,572,864 bytes of L2 less image and SDK, 131,072 of L1 less nine stacks."""
TARGETS = {"gap9": GAP9}


def needs_of(plan: Plan, length: int) -> Room:
    """Of a file of `length` bytes: the plan, weights twice (those that serve, those that are trained), and the rest of
    the training state. What the device needs besides, for its link and its ring, is not counted."""
    of = plan.header.region_bytes
    l2 = sum(of[region] for region in (Region.GRADIENTS, Region.OPTIMIZER, Region.SCALARS, Region.ARENA))
    return Room(l1=of[Region.L1], l2=length + 2 * of[Region.WEIGHTS] + l2, l3=of[Region.L3], storage=length)


def too_small(needs: Room, room: Room) -> list[str]:
    """Of each level that does not suffice, how much is needed and how much is there."""
    levels = (("L1", needs.l1, room.l1), ("L2", needs.l2, room.l2), ("L3", needs.l3, room.l3))
    found = [
        f"{needed:,} bytes of {name} where there are {there:,}" for name, needed, there in levels if needed > there
    ]
    if needs.storage > room.storage:
        found.append(f"{needs.storage:,} bytes of storage where there are {room.storage:,}")
    return found


def what_it_needs(file: bytes) -> str:
    """For a person whose device has no room for it."""
    try:
        plan = read_plan(file)
    except PlanError:
        return f"the file has {len(file):,} bytes"
    needs = needs_of(plan, len(file))
    return (
        f"plan {plan.header.model!r} needs {needs.l2:,} bytes of L2, {needs.l1:,} of L1 and {needs.storage:,} of "
        f"storage (GAP9's firmware has {GAP9.l2:,}, {GAP9.l1:,} and {GAP9.storage:,}): compile it with --target gap9, "
        "a smaller --batch or a smaller --budget"
    )
