"""Passes an operator's wish on to a device: recorded first, then published."""

from __future__ import annotations

import secrets
from datetime import timedelta

from messaging import Broker, PublishError
from schemas.base import utc_now
from schemas.command import Command, Verb
from schemas.topics import DeviceTopic, Kind
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
        try:
            await self._broker.publish(str(DeviceTopic(site, device, Kind.COMMAND)), command.to_json())
        except PublishError as error:
            await store.update_status(self._database, command, "not_sent", str(error))
            raise
        await store.update_status(self._database, command, "sent")
        return command
