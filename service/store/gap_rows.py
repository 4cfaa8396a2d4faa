"""Numbers that a boot has given out and that did not come: found after a delay, asked for with growing pauses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, case, delete, func, insert, select, update

from service.store.tables import boots, gaps, messages

#: Boots looked at in one round; the others have their turn in the next.
_BOOTS = 200
_RANGES_OF_A_BOOT = 200
_LONGEST_PAUSE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Asked:
    """A gap that is due to be asked for, for the `times`th time."""

    site: str
    device: str
    boot: int
    first: int
    last: int
    times: int


def refresh(
    connection: Connection, site: str | None, now: datetime, delay: timedelta
) -> tuple[list[Asked], list[tuple[str, str]]]:
    """What to ask for now, and devices of which nothing is missing any more.

    A boot is looked at when the last that came of it is older than `delay`, or its gap is: messages that other
    supervisors are about to store are no gap.
    """
    highest = case((boots.c.newest > boots.c.last_seq, boots.c.newest), else_=boots.c.last_seq)
    wanting = select(boots, highest.label("highest")).where(boots.c.stored < highest).limit(_BOOTS)
    if site is not None:
        wanting = wanting.where(boots.c.site == site)
    before = {(row.site, row.device, row.boot, row.first): row for row in connection.execute(select(gaps)).all()}
    seen: dict[tuple[str, str, int, int], int] = {}
    for boot in connection.execute(wanting).all():
        for first, last in _holes(connection, boot.site, boot.device, boot.boot, boot.highest):
            seen[boot.site, boot.device, boot.boot, first] = last
    asked: list[Asked] = []
    for key, last in sorted(seen.items()):
        known = before.get(key)
        names = dict(zip(("site", "device", "boot", "first"), key, strict=True))
        if known is None:
            # PostgreSQL: another supervisor may have found it at the same time.
            with connection.begin_nested():
                there = connection.execute(select(gaps.c.last).filter_by(**names)).first()
                if there is None:
                    connection.execute(insert(gaps).values(**names, last=last, found=now, times_asked=0))
            continue
        pause = min(_LONGEST_PAUSE, delay * 2.0**known.times_asked)
        if (known.asked or known.found) + pause > now:
            continue
        mine = connection.execute(
            update(gaps)
            .filter_by(**names, times_asked=known.times_asked)
            .values(last=last, asked=now, times_asked=known.times_asked + 1)
        ).rowcount
        if mine:
            asked.append(Asked(*key, last, known.times_asked + 1))
    gone = [key for key in before if key not in seen]
    for key in gone:
        names = dict(zip(("site", "device", "boot", "first"), key, strict=True))
        connection.execute(delete(gaps).filter_by(**names))
    still = {key[:2] for key in seen}
    return asked, sorted({key[:2] for key in gone} - still)


def _holes(connection: Connection, site: str, device: str, boot: int, highest: int) -> list[tuple[int, int]]:
    mine = (messages.c.site == site, messages.c.device == device, messages.c.boot == boot, messages.c.seq > 0)
    steps = select(messages.c.seq, func.lag(messages.c.seq, 1, 0).over(order_by=messages.c.seq).label("before"))
    inner = steps.where(*mine).subquery()
    query = select(inner.c.before + 1, inner.c.seq - 1).where(inner.c.seq > inner.c.before + 1)
    found = [(row[0], row[1]) for row in connection.execute(query.limit(_RANGES_OF_A_BOOT))]
    newest = connection.execute(select(func.coalesce(func.max(messages.c.seq), 0)).where(*mine)).scalar_one()
    if newest < highest:
        found.append((newest + 1, highest))
    return found
