"""What a roll-out does: ask the next devices, begin the next stage, go back. Each in its caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, func, select

from schemas.alert import Alert, AlertRule, Severity
from schemas.base import utc_now
from schemas.desired import Desired
from service.alerts import Raised
from service.pushes import Push, new_command_id, record_push
from service.rollout.comparison import Pair
from service.rollout.rows import change_rollout, in_states, note, set_device, unsent
from service.rollout.settings import RolloutSettings
from service.store.alert_rows import Channels, raise_alert
from service.store.batch import AlertChange
from service.store.tables_operations import plans, rollout_devices


@dataclass(frozen=True, slots=True)
class Step:
    """What one look at a roll-out has changed, after its commit."""

    documents: Sequence[Desired] = ()
    alerts: Sequence[AlertChange] = ()
    word: str = ""


def next_stage(connection: Connection, row: RowMapping, reason: str) -> bool:
    """Whether that was the last one, so that the roll-out is done."""
    last = connection.execute(
        select(func.max(rollout_devices.c.stage)).where(rollout_devices.c.rollout == row["id"])
    ).scalar_one()
    if row["stage"] >= last:
        change_rollout(connection, row["id"], state="done", reason=reason)
        note(connection, row, "rollout_done", reason)
        return True
    change_rollout(connection, row["id"], stage=row["stage"] + 1, stage_began=utc_now(), reason=reason)
    note(connection, row, "rollout_stage", f"stage {row['stage'] + 2} of {last + 1}")
    return True


def ask(connection: Connection, row: RowMapping, settings: RolloutSettings, now: datetime) -> list[Desired]:
    """Devices of the stage that have not been asked yet."""
    new = [one["device"] for one in in_states(connection, row, "waiting") if one["stage"] <= row["stage"]]
    if not new or row["state"] != "running":
        return []
    plan = connection.execute(select(plans).where(plans.c.id == row["plan"])).mappings().one()
    expires, command_id = now + timedelta(seconds=settings.answer_s), new_command_id(plan)
    push = Push(row["site"], new, plan, f"roll-out {row['id']}", expires)
    documents = record_push(connection, push, command_id)
    for device in new:
        set_device(connection, row, device, state="asked", command_id=command_id, asked=now)
    return documents


def go_back(connection: Connection, row: RowMapping, why: str, now: datetime | None) -> Step:
    """Every device that has, or may yet get, the new plan."""
    now = now or utc_now()
    settings = RolloutSettings.model_validate_json(row["settings"])
    new = connection.execute(select(plans).where(plans.c.id == row["plan"])).mappings().one()
    home = None
    if row["return_to"] is not None:
        home = connection.execute(select(plans).where(plans.c.id == row["return_to"])).mappings().one()
    devices = [one["device"] for one in in_states(connection, row, "asked", "running", "no_answer")]
    command_id = new_command_id(home)
    expires = now + timedelta(seconds=settings.answer_s)
    instead = new["plan"] if home is None else None
    push = Push(row["site"], devices, home, f"roll-out {row['id']}", expires, instead_of=instead)
    documents = record_push(connection, push, command_id)
    for device in devices:
        set_device(connection, row, device, state="returning", command_id=command_id, asked=now, detail="")
    change_rollout(connection, row["id"], state="returning", reason=why[:500])
    note(connection, row, "rollout_stopped", why)
    return Step(documents, word=f"is stopped, its devices return: {why}")


def end_return(connection: Connection, row: RowMapping) -> Step:
    """Over once no device is on its way back any more."""
    if in_states(connection, row, "returning"):
        return Step(unsent(connection, row))
    change_rollout(connection, row["id"], state="stopped")
    return Step(word="has ended: every device has been heard, or is away")


def alert_of(
    connection: Connection, row: RowMapping, pairs: dict[str, Pair], why: str, channels: Channels, now: datetime
) -> list[AlertChange]:
    """One, at the device that lost most: hooks, webhooks and the page tell it like any other."""
    mine = (rollout_devices.c.rollout == row["id"], rollout_devices.c.stage <= row["stage"])
    names = list(pairs) or list(connection.execute(select(rollout_devices.c.device).where(*mine)).scalars())

    def loss(name: str) -> float:
        pair = pairs.get(name)
        if pair is None or pair.before.accuracy is None or pair.after.accuracy is None:
            return 0.0
        return pair.after.accuracy - pair.before.accuracy

    alert = Alert(
        site=row["site"],
        device=min(names, key=loss),
        time=now,
        alert_id=f"rollout-stopped-{row['id']}",
        rule=AlertRule.ROLLOUT_STOPPED,
        severity=Severity.CRITICAL,
        message=f"Roll-out {row['id']} was stopped, its devices return: {why}"[:500],
        boot=1,
        seq=0,
    )
    change = raise_alert(connection, Raised(AlertRule.ROLLOUT_STOPPED, alert), channels, now)
    return [] if change is None else [change]
