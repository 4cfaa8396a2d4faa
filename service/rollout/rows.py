"""Rows of a roll-out: read, locked and changed within a step's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from schemas.base import utc_now
from schemas.desired import Desired
from service.rollout.settings import RolloutSettings
from service.store.tables_operations import audit, commands, desired, rollout_devices, rollouts

_UNSENT = ("created", "not_sent")
BY = "supervisor"


def locked(connection: Connection, number: int) -> RowMapping | None:
    """None, too, where another supervisor is at it."""
    query = select(rollouts).where(rollouts.c.id == number).with_for_update(skip_locked=True)
    return connection.execute(query).mappings().first()


def change_rollout(connection: Connection, number: int, **values: Any) -> None:
    """Sets columns of a roll-out, and when that was."""
    connection.execute(update(rollouts).where(rollouts.c.id == number).values(changed=utc_now(), **values))


def in_states(connection: Connection, row: RowMapping, *states: str) -> Sequence[RowMapping]:
    """Devices of a roll-out in one of `states`, by name."""
    query = select(rollout_devices).where(rollout_devices.c.rollout == row["id"], rollout_devices.c.state.in_(states))
    return connection.execute(query.order_by(rollout_devices.c.device)).mappings().all()


def set_device(connection: Connection, row: RowMapping, device: str, **values: Any) -> None:
    """Sets columns of one device's part."""
    mine = (rollout_devices.c.rollout == row["id"], rollout_devices.c.device == device)
    connection.execute(update(rollout_devices).where(*mine).values(**values))


def take_answers(connection: Connection, row: RowMapping, settings: RolloutSettings, now: datetime) -> None:
    """What devices have replied since, and who has not."""
    back = row["state"] == "returning"
    waiting = (
        in_states(connection, row, "returning", "not_returned")
        if back
        else in_states(connection, row, "asked", "no_answer")
    )
    late = timedelta(seconds=settings.answer_s)
    for one in waiting:
        query = select(commands.c.status, commands.c.detail).where(
            commands.c.site == row["site"],
            commands.c.device == one["device"],
            commands.c.command_id == one["command_id"],
        )
        status, detail = connection.execute(query).one()
        if status == "done":
            counts_from = now + timedelta(seconds=settings.settle_s)
            state = "returned" if back else "running"
            set_device(connection, row, one["device"], state=state, changed=now, counts_from=counts_from, detail=detail)
        elif status in ("refused", "failed"):
            state = "not_returned" if back else "failed"
            set_device(connection, row, one["device"], state=state, changed=now, detail=detail)
        elif one["state"] in ("asked", "returning") and one["asked"] + late < now:
            state = "not_returned" if back else "no_answer"
            set_device(
                connection, row, one["device"], state=state, detail="no answer yet; it finds the wish when it is back"
            )


def unsent(connection: Connection, row: RowMapping) -> list[Desired]:
    """Recorded and not yet taken by the broker: a supervisor was killed in between, or there was none."""
    query = (
        select(desired.c.payload)
        .join(
            rollout_devices,
            (rollout_devices.c.device == desired.c.device) & (rollout_devices.c.rollout == row["id"]),
        )
        .join(
            commands,
            (commands.c.site == desired.c.site)
            & (commands.c.device == desired.c.device)
            & (commands.c.command_id == rollout_devices.c.command_id),
        )
        .where(desired.c.site == row["site"], commands.c.status.in_(_UNSENT))
    )
    return [Desired.model_validate_json(payload) for payload in connection.execute(query).scalars()]


def note(connection: Connection, row: RowMapping, action: str, detail: str) -> None:
    """A line in the audit log, in the roll-out's own name."""
    what = f"roll-out {row['id']}" + (f": {detail}" if detail else "")
    values = {"time": utc_now(), "who": BY, "role": "operate", "action": action, "site": row["site"], "detail": what}
    connection.execute(insert(audit).values(values))
