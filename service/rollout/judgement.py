"""What is looked at, and what follows from it: stop, wait, or go on."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, func, select

from service.rollout.comparison import Pair, Verdict, compare, threshold
from service.rollout.rows import change_rollout, in_states
from service.rollout.settings import RolloutSettings
from service.store.rollouts import evidence
from service.store.tables_operations import rollout_devices

#: A look is worth its share of the risk when so much more has been seen since the last one.
_MORE = 1.25


def judge(
    connection: Connection, row: RowMapping, settings: RolloutSettings, now: datetime
) -> tuple[Verdict | None, dict[str, Pair]]:
    """A look, when enough is new since the last one; its verdict is kept."""
    ours, others = evidence(connection, row, before_s=settings.before_s, settle_s=settings.settle_s, now=now)
    verdict = compare(list(ours.values()), list(others.values()), settings.margin)
    if verdict is None:
        return None, ours
    known = json.loads(row["verdict"]) if row["verdict"] else None
    seen = 0 if known is None else known["changed"]["labelled"]
    if verdict.changed.labelled < max(seen * _MORE, seen + 10, min(50, settings.min_labelled)):
        return None, ours
    look = row["looks"] + 1
    kept = {**asdict(verdict), "look": look, "threshold": threshold(settings.risk, look), "time": now.isoformat()}
    kept["devices"] = {
        name: [pair.before.labelled, pair.before.accuracy, pair.after.labelled, pair.after.accuracy]
        for name, pair in sorted(ours.items())[:200]
    }
    change_rollout(connection, row["id"], looks=look, verdict=json.dumps(kept))
    return verdict, ours


def reason_to_stop(connection: Connection, row: RowMapping, settings: RolloutSettings, verdict: Verdict | None) -> str:
    """In a person's words; "" where there is none."""
    failed, took = len(in_states(connection, row, "failed")), len(in_states(connection, row, "running"))
    if failed > settings.most_failed * (failed + took):
        return f"{failed} of {failed + took} devices could not take the plan"
    if verdict is None:
        return ""
    level = threshold(settings.risk, row["looks"] + 1)
    if verdict.p_value > level:
        return ""
    beside = "" if verdict.others is None else f", beside {verdict.others.devices} without it"
    return (
        f"accuracy changed by {100 * verdict.difference:+.1f} points on {verdict.changed.devices} devices "
        f"({verdict.changed.labelled} labelled windows{beside}): p = {verdict.p_value:.2g}, allowed {level:.2g}"
    )


def stage_is_through(
    connection: Connection,
    row: RowMapping,
    settings: RolloutSettings,
    verdict: Verdict | None,
    pairs: dict[str, Pair],
    now: datetime,
) -> bool:
    """Held for long enough, everybody has answered or is away, and its own devices have shown no loss."""
    if row["stage_began"] + timedelta(seconds=settings.hold_s) > now or in_states(connection, row, "asked"):
        return False
    mine = (rollout_devices.c.rollout == row["id"], rollout_devices.c.stage <= row["stage"])
    if connection.execute(select(func.count()).where(*mine, rollout_devices.c.state == "waiting")).scalar_one():
        return False
    known = asdict(verdict) if verdict is not None else json.loads(row["verdict"]) if row["verdict"] else None
    if known is None:
        return False
    its_own = connection.execute(
        select(rollout_devices.c.device).where(*mine[:1], rollout_devices.c.stage == row["stage"])
    )
    labelled = sum(pairs[name].after.labelled for name in its_own.scalars() if name in pairs)
    return labelled >= settings.min_labelled and bool(known["difference"] >= -settings.margin)
