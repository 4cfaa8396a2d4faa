"""Numbers that a boot has given out and that did not come: found after a delay, asked for with growing pauses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, case, delete, func, insert, select, update

from service.store.database import Database
from service.store.tables import boots, gaps, messages

#: Boots looked at in one round, those that have waited longest; the others have their turn in the next.
_BOOTS = 200
_RANGES = 5000
_LONGEST_PAUSE = timedelta(hours=1)

Place = tuple[str, str, int, int]


@dataclass(frozen=True, slots=True)
class Asked:
    """A gap that is due to be asked for, for the `times`th time."""

    site: str
    device: str
    boot: int
    first: int
    last: int
    times: int


@dataclass(slots=True)
class Findings:
    """What is to be written; readers have found it, so that the writer's time is for what comes in."""

    new: dict[Place, int] = field(default_factory=dict)
    due: list[Asked] = field(default_factory=list)
    gone: list[Place] = field(default_factory=list)
    #: Devices of which nothing is missing any more.
    whole: list[tuple[str, str]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.new or self.due or self.gone)


async def look(database: Database, site: str | None, now: datetime, delay: timedelta) -> Findings:
    """A gap is asked for when it is older than `delay`: what other supervisors are about to store is none."""
    highest = case((boots.c.newest > boots.c.last_seq, boots.c.newest), else_=boots.c.last_seq)
    wanting = (
        select(boots.c.site, boots.c.device, boots.c.boot, boots.c.newest, boots.c.removed, highest.label("highest"))
        .where(boots.c.stored < highest)
        .order_by(boots.c.told)
        .limit(_BOOTS)
    )
    if site is not None:
        wanting = wanting.where(boots.c.site == site)
    boot = wanting.subquery()
    same = and_(messages.c.site == boot.c.site, messages.c.device == boot.c.device, messages.c.boot == boot.c.boot)
    one_boot = [messages.c.site, messages.c.device, messages.c.boot]
    before = func.lag(messages.c.seq, 1, 0).over(partition_by=one_boot, order_by=messages.c.seq)
    steps = (
        select(*one_boot, messages.c.seq, before.label("before"), boot.c.removed)
        .select_from(boot.join(messages, same))
        .where(messages.c.seq > 0)
        .subquery()
    )
    holes = select(steps).where(steps.c.seq > steps.c.before + 1, steps.c.before >= steps.c.removed).limit(_RANGES)
    async with database.read() as connection:
        behind = (await connection.execute(wanting)).all()
        seen: dict[Place, int] = {
            (row.site, row.device, row.boot, row.newest + 1): row.highest for row in behind if row.newest < row.highest
        }
        if behind:
            for row in await connection.execute(holes):
                seen[row.site, row.device, row.boot, row.before + 1] = row.seq - 1
        known = {(row.site, row.device, row.boot, row.first): row for row in await connection.execute(select(gaps))}
    found = Findings()
    for place, last in sorted(seen.items()):
        there = known.get(place)
        if there is None:
            found.new[place] = last
        elif (there.asked or there.found) + min(_LONGEST_PAUSE, delay * 2.0 ** min(there.times_asked, 20)) <= now:
            found.due.append(Asked(*place, last, there.times_asked + 1))
    if len(behind) < _BOOTS and len(seen) < _RANGES:
        found.gone = [place for place in known if place not in seen and site in (None, place[0])]
    still = {place[:2] for place in seen}
    found.whole = sorted({place[:2] for place in found.gone} - still)
    return found


def keep(connection: Connection, found: Findings, now: datetime) -> Sequence[Asked]:
    """What this supervisor is to ask for: another one may have been quicker."""
    for place, last in found.new.items():
        names = dict(zip(("site", "device", "boot", "first"), place, strict=True))
        if connection.execute(select(gaps.c.last).filter_by(**names)).first() is None:
            with connection.begin_nested():
                connection.execute(insert(gaps).values(**names, last=last, found=now, times_asked=0))
    mine = []
    for one in found.due:
        taken = connection.execute(
            update(gaps)
            .where(gaps.c.site == one.site, gaps.c.device == one.device, gaps.c.boot == one.boot)
            .where(gaps.c.first == one.first, gaps.c.times_asked == one.times - 1)
            .values(last=one.last, asked=now, times_asked=one.times)
        )
        if taken.rowcount:
            mine.append(one)
    for place in found.gone:
        names = dict(zip(("site", "device", "boot", "first"), place, strict=True))
        connection.execute(delete(gaps).filter_by(**names))
    return mine
