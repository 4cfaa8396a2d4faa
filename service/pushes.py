"""Wishes for a plan, to one device or many: kept, audited by their caller, and published as desired state."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, insert, update

from messaging import Broker, PublishError
from schemas.base import utc_now
from schemas.command import Command, Verb
from schemas.desired import Desired
from schemas.plan_push import PlanWish
from schemas.topics import DeviceTopic, Kind
from service.store.database import Database
from service.store.desired import wish_plan
from service.store.plans import refs_of
from service.store.tables_operations import commands

DETAIL_BACK = "the plan from before"


@dataclass(frozen=True, slots=True)
class Push:
    """`plan` None: back to the plan from before."""

    site: str
    devices: Sequence[str]
    plan: RowMapping | None
    issued_by: str
    expires: datetime
    group: str | None = None
    instead_of: str | None = None
    """Back only where this plan file runs."""


def new_command_id(plan: RowMapping | None) -> str:
    """Says in its name what it asks for; None is the plan from before."""
    return f"{'plan-back' if plan is None else 'push-plan'}-{secrets.token_hex(6)}"


def record_push(connection: Connection, push: Push, command_id: str) -> list[Desired]:
    """In the caller's transaction: a command and a new version of the desired state for each device."""
    refs = (None, None) if push.plan is None else refs_of(connection, push.plan)
    wish = PlanWish(
        command_id=command_id,
        model="" if push.plan is None else push.plan["model"],
        plan=refs[0],
        weights=refs[1],
        back=push.plan is None,
        instead_of=push.instead_of,
    )
    now, detail = utc_now(), DETAIL_BACK if push.plan is None else f"plan {push.plan['name']}"
    rows, documents = [], []
    for device in push.devices:
        command = Command(
            site=push.site,
            device=device,
            time=now,
            command_id=command_id,
            verb=Verb.PUSH_PLAN,
            issued_by=push.issued_by,
            expires=push.expires,
        )
        rows.append(
            {
                "site": push.site,
                "device": device,
                "group_name": push.group,
                "command_id": command_id,
                "verb": Verb.PUSH_PLAN.value,
                "time": now,
                "status": "created",
                "detail": detail,
                "payload": command.to_json().decode(),
            }
        )
        documents.append(wish_plan(connection, push.site, device, wish))
    if rows:
        connection.execute(insert(commands), rows)
    return documents


class PushDesk:
    """The reply comes in as a message of the device and finds its command by id."""

    def __init__(self, database: Database, broker: Broker) -> None:
        self._database, self._broker = database, broker

    async def push(
        self,
        site: str,
        devices: Sequence[str],
        plan: RowMapping | None,
        *,
        by: str,
        expires_s: float,
        group: str | None,
    ) -> str:
        """The command's id. What the broker does not take now is taken by `publish` later: it is kept."""
        command_id = new_command_id(plan)
        push = Push(site, devices, plan, by, utc_now() + timedelta(seconds=expires_s), group)
        documents = await self._database.in_writer_thread(lambda connection: record_push(connection, push, command_id))
        await self.publish(documents)
        return command_id

    async def publish(self, documents: Sequence[Desired]) -> bool:
        """Retained; says whether the broker has taken all of them. To publish a version twice is no harm."""
        sent: list[Desired] = []
        reason = ""
        for document in documents:
            topic = str(DeviceTopic(document.site, document.device, Kind.DESIRED))
            try:
                await self._broker.publish(topic, document.to_json(), retain=True)
            except PublishError as error:
                reason = str(error)
                break
            sent.append(document)
        if sent:
            await self._mark(sent, "sent", "")
        if reason:
            await self._mark(documents[len(sent) :], "not_sent", reason)
        return not reason

    async def _mark(self, documents: Sequence[Desired], status: str, detail: str) -> None:
        """Only from `created` or `not_sent`: a device's reply may have been quicker."""

        def work(connection: Connection) -> None:
            for document in documents:
                if document.plan is None:
                    continue
                change = update(commands).where(
                    commands.c.site == document.site,
                    commands.c.device == document.device,
                    commands.c.command_id == document.plan.command_id,
                    commands.c.status.in_(("created", "not_sent")),
                )
                connection.execute(change.values(status=status, **({"detail": detail[:500]} if detail else {})))

        await self._database.in_writer_thread(work)
