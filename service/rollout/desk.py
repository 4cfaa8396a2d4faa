"""A new plan's way through a fleet: a canary share first, then more, and back as soon as accuracy falls.

Everything that a roll-out knows lies in the database: any supervisor carries it on, and one that is killed in the
middle of a step has done it whole or not at all. What devices are to be told is published after the commit, and again
for as long as the store says that it was not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog
from sqlalchemy import Connection, RowMapping, insert, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from schemas.base import utc_now
from schemas.errors import UserError
from service.pushes import PushDesk
from service.rollout.judgement import judge, reason_to_stop, stage_is_through
from service.rollout.moves import Step, alert_of, ask, end_return, go_back, next_stage
from service.rollout.rows import change_rollout, locked, take_answers, unsent
from service.rollout.settings import RolloutSettings, stages_of
from service.store.alert_rows import Channels
from service.store.batch import AlertChange
from service.store.database import Database
from service.store.rollouts import OPEN
from service.store.tables_operations import rollout_devices, rollouts

_log = structlog.get_logger("service")


class RolloutDesk:
    """`run` it as a task. Several supervisors may: a roll-out is locked while one of them looks at it."""

    def __init__(
        self,
        database: Database,
        pushes: PushDesk,
        channels: Channels,
        on_alerts: Callable[[Sequence[AlertChange]], None],
        period_s: float = 1.0,
    ) -> None:
        self._database, self._pushes, self._channels, self._on_alerts = database, pushes, channels, on_alerts
        self._period_s = period_s

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._period_s)
            try:
                for number in await self._open_ones():
                    await self.look(number)
            except (DBAPIError, SQLAlchemyError, OSError) as error:
                _log.warning("roll-outs wait for the database", reason=str(getattr(error, "orig", None) or error)[:300])

    async def create(
        self,
        site: str,
        group: str,
        members: Sequence[str],
        plan: RowMapping,
        return_to: RowMapping | None,
        settings: RolloutSettings,
        by: str,
    ) -> int:
        """Its number. Raises UserError where there is nobody, or a device is in another one that is under way."""
        unknown = sorted(set(settings.canaries) - set(members))
        if not members:
            raise UserError(f"no device of site {site!r} is known in group {group!r}")
        if unknown:
            raise UserError(f"canary {unknown[0]!r} is not in group {group!r}")

        def work(connection: Connection) -> int:
            busy = (
                select(rollout_devices.c.device, rollouts.c.id)
                .join(rollouts, rollouts.c.id == rollout_devices.c.rollout)
                .where(rollouts.c.site == site, rollouts.c.state.in_(OPEN), rollout_devices.c.device.in_(members))
            )
            taken = connection.execute(busy.limit(1)).first()
            if taken is not None:
                raise UserError(f"device {taken.device!r} is in roll-out {taken.id}, which is still under way")
            now = utc_now()
            values = {
                "site": site,
                "group_name": group,
                "plan": plan["id"],
                "return_to": None if return_to is None else return_to["id"],
                "state": "running",
                "settings": settings.model_dump_json(),
                "created": now,
                "created_by": by,
                "stage_began": now,
                "changed": now,
            }
            number = int(connection.execute(insert(rollouts).values(values).returning(rollouts.c.id)).scalar_one())
            stages = stages_of(members, settings, seed=plan["plan_hash"])
            rows = [{"rollout": number, "device": d, "stage": s, "state": "waiting"} for d, s in stages.items()]
            connection.execute(insert(rollout_devices), rows)
            return number

        return await self._database.in_writer_thread(work)

    async def act(self, number: int, what: str, by: str) -> bool:
        """`pause`, `resume`, `advance` or `stop`; False where its state does not allow it."""

        def work(connection: Connection) -> tuple[bool, Step]:
            row = locked(connection, number)
            if row is None or row["state"] not in (("paused",) if what == "resume" else ("running", "paused")):
                return False, Step()
            if what == "stop":
                return True, go_back(connection, row, f"stopped by {by}", None)
            if what == "advance":
                return next_stage(connection, row, f"advanced by {by}"), Step()
            state = "running" if what == "resume" else "paused"
            change_rollout(connection, number, state=state, reason=f"{what}d by {by}")
            return True, Step()

        done, step = await self._database.in_writer_thread(work)
        await self._after(number, step)
        return done

    async def look(self, number: int) -> None:
        step = await self._database.in_writer_thread(lambda connection: self._look(connection, number))
        await self._after(number, step)

    async def _after(self, number: int, step: Step) -> None:
        if step.word:
            _log.info("roll-out", number=number, what=step.word)
        if step.alerts:
            self._on_alerts(step.alerts)
        if step.documents:
            await self._pushes.publish(step.documents)

    async def _open_ones(self) -> list[int]:
        async with self._database.read() as connection:
            query = select(rollouts.c.id).where(rollouts.c.state.in_(("running", "returning"))).order_by(rollouts.c.id)
            return list((await connection.execute(query)).scalars())

    def _look(self, connection: Connection, number: int) -> Step:
        row = locked(connection, number)
        if row is None or row["state"] not in ("running", "returning"):
            return Step()
        settings, now = RolloutSettings.model_validate_json(row["settings"]), utc_now()
        take_answers(connection, row, settings, now)
        if row["state"] == "returning":
            return end_return(connection, row)
        verdict, pairs = judge(connection, row, settings, now)
        why = reason_to_stop(connection, row, settings, verdict)
        if why:
            step = go_back(connection, row, why, now)
            alert = alert_of(connection, row, pairs, why, self._channels, now)
            return Step(step.documents, alert, step.word)
        word = ""
        if stage_is_through(connection, row, settings, verdict, pairs, now):
            next_stage(connection, row, "")
            row = locked(connection, number)
            assert row is not None
            word = "is done" if row["state"] == "done" else f"begins stage {row['stage'] + 1}"
        return Step(ask(connection, row, settings, now) + unsent(connection, row), word=word)
