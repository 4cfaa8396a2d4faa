"""What comes back over MQTT: the supervisor's word that messages are stored, and an operator's commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import structlog

from device_agent.context import Context
from device_agent.outbox import Draft
from messaging import Broker, Delivery
from schemas.base import Document, utc_now
from schemas.command import Command, ReplyStatus, Verb
from schemas.desired import Desired
from schemas.messages import MessageError, parse_group_command, parse_message
from schemas.plan_push import Part
from schemas.stored import Stored
from schemas.topics import EVERY_DEVICE, TO_DEVICE, DeviceTopic, GroupTopic, Kind, TopicError

_log = structlog.get_logger("agent")

#: Executes one verb; returns the reply that ends it, or None when that follows later.
Execute = Callable[[Command], Awaitable[tuple[ReplyStatus, str] | None]]


class Listener:
    """`run` it as a task. Deliveries are acknowledged when what they ask has been kept."""

    def __init__(
        self,
        context: Context,
        broker: Broker,
        verbs: dict[Verb, Execute],
        desire: Callable[[Desired], Awaitable[None]],
        take_part: Callable[[Part], None],
    ) -> None:
        self._context, self._broker, self._verbs, self._desire = context, broker, verbs, desire
        self._take_part = take_part
        self.refused = 0
        """Payloads that were not what their topic promises."""
        self._named: set[str] = set()

    async def run(self) -> None:
        async for delivery in self._broker:
            await self._take(delivery)
            delivery.acknowledge()

    async def _take(self, delivery: Delivery) -> None:
        try:
            message = self._read(delivery)
        except (MessageError, TopicError) as error:
            self.refused += 1
            # The broker lets through the few topics of its own that it has subscribed to: no bound is needed.
            if delivery.topic not in self._named:
                self._named.add(delivery.topic)
                _log.warning(
                    "a message was refused; more from this topic are counted only",
                    topic=delivery.topic,
                    reason=str(error)[:300],
                )
            return
        if isinstance(message, Stored):
            await self._context.reporter.acknowledge(message.ranges)
            if message.missing:
                self._context.reporter.ask_again()
            self._context.changed.notify()
        elif isinstance(message, Command):
            await self._obey(message)
        elif isinstance(message, Desired):
            await self._desire(message)
        elif isinstance(message, Part):
            self._take_part(message)

    def _read(self, delivery: Delivery) -> Document:
        if "/group/" in delivery.topic:
            command = parse_group_command(GroupTopic.parse(delivery.topic), delivery.payload)
            return command.for_device(self._context.settings.device)
        return parse_message(DeviceTopic.parse(delivery.topic), delivery.payload)

    async def _obey(self, command: Command) -> None:
        reporter, state = self._context.reporter, self._context.state
        identity = command.command_id
        if await reporter.was_taken_up(identity):
            return
        if command.expires is not None and command.expires <= utc_now():
            detail = f"it expired at {command.expires.isoformat()}"
            await reporter.put(_reply(identity, ReplyStatus.REFUSED, detail), command=identity)
            return
        if command.verb not in self._verbs:
            detail = f"{command.verb} is no command of its own: a plan comes with the desired state"
            await reporter.put(_reply(identity, ReplyStatus.REFUSED, detail), command=identity)
            return
        # Kept as taken up before it is executed: after a crash it is answered as failed, never done twice.
        state.open_commands.append(identity)
        await reporter.put(_reply(identity, ReplyStatus.ACCEPTED, ""), command=identity)
        end = await self._verbs[command.verb](command)
        if end is not None:
            await self.answer(identity, *end)

    async def answer(self, identity: str, status: ReplyStatus, detail: str) -> None:
        """End a command."""
        state = self._context.state
        state.open_commands = [known for known in state.open_commands if known != identity]
        await self._context.reporter.put(_reply(identity, status, detail))

    async def end_open_commands(self, but: str | None) -> None:
        """After a restart: what was accepted and not ended is not done again. `but` ends with its adaptation."""
        for identity in [known for known in self._context.state.open_commands if known != but]:
            await self.answer(identity, ReplyStatus.FAILED, "the agent was restarted before it was done")


def subscriptions(site: str, device: str, groups: Iterable[str] = ()) -> list[str]:
    """A device's own topics, and those of its groups. Raises TopicError for a name that cannot be one."""
    own = [str(DeviceTopic(site, device, kind)) for kind in TO_DEVICE]
    return own + [str(GroupTopic(site, group)) for group in dict.fromkeys((EVERY_DEVICE, *groups))]


def _reply(identity: str, status: ReplyStatus, detail: str) -> Draft:
    return Draft(Kind.REPLY, {"command_id": identity, "status": status, "detail": detail[:500]})
