"""Passes an operator's wish on to a device: recorded first, then published."""

from __future__ import annotations

import secrets
from datetime import timedelta

from messaging import Broker, PublishError
from schemas.base import utc_now
from schemas.command import Command, GroupCommand, Verb
from schemas.topics import DeviceTopic, GroupTopic, Kind
from service.store import commands as store
from service.store.database import Database


class CommandDesk:
    """The reply comes in as a message of the device and finds its command by id."""

    def __init__(self, database: Database, broker: Broker) -> None:
        self._database = database
        self._broker = broker

    async def send(self, site: str, device: str, verb: Verb, *, issued_by: str, expires_s: float) -> Command:
        """Raises PublishError when the broker does not take it; it is then recorded as `not_sent`."""
        now = utc_now()
        command = Command(
            site=site,
            device=device,
            time=now,
            command_id=f"{verb.value.replace('_', '-')}-{secrets.token_hex(6)}",
            verb=verb,
            issued_by=issued_by,
            expires=now + timedelta(seconds=expires_s),
        )
        await store.record(self._database, command)
        topic = str(DeviceTopic(site, device, Kind.COMMAND))
        await self._publish(topic, command.to_json(), site, device, command.command_id)
        return command

    async def send_to_group(
        self, site: str, group: str, verb: Verb, *, issued_by: str, expires_s: float
    ) -> GroupCommand:
        """Every device that listens to the group answers for itself. Raises as `send` does."""
        now = utc_now()
        command = GroupCommand(
            site=site,
            group=group,
            time=now,
            command_id=f"{verb.value.replace('_', '-')}-{secrets.token_hex(6)}",
            verb=verb,
            issued_by=issued_by,
            expires=now + timedelta(seconds=expires_s),
        )
        await store.record(self._database, command)
        await self._publish(str(GroupTopic(site, group)), command.to_json(), site, "", command.command_id)
        return command

    async def _publish(self, topic: str, payload: bytes, site: str, device: str, command_id: str) -> None:
        try:
            await self._broker.publish(topic, payload)
        except PublishError as error:
            await store.update_status(self._database, site, device, command_id, "not_sent", str(error))
            raise
        await store.update_status(self._database, site, device, command_id, "sent")
