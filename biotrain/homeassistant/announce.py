"""Publishes discovery messages for every device whose state is heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.metadata import version

import structlog
from pydantic import ValidationError

from biotrain.homeassistant.discovery import discovery
from messaging import Broker, BrokerSettings, PublishError
from schemas.state import State
from schemas.topics import Kind, fleet_filter

_log = structlog.get_logger("homeassistant")
_AGAIN_S = 1.0


async def announce(
    settings: BrokerSettings,
    stop: asyncio.Event,
    *,
    prefix: str,
    site: str | None,
    commands: bool,
    remove: bool,
    told: Callable[[str, int], None],
) -> None:
    """Until `stop`. States are retained: devices that are there already are announced at once; `remove` takes back."""
    seen: dict[tuple[str, str], dict[str, bytes]] = {}
    async with Broker(settings, subscriptions=[fleet_filter(Kind.STATE, site or "+")]) as broker:
        reading = asyncio.create_task(_read(broker, seen, prefix, commands, remove, told), name="states")
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (reading, stopping):
            task.cancel()
        if reading in done:
            reading.result()


async def _read(
    broker: Broker,
    seen: dict[tuple[str, str], dict[str, bytes]],
    prefix: str,
    commands: bool,
    remove: bool,
    told: Callable[[str, int], None],
) -> None:
    async for delivery in broker:
        try:
            state = State.model_validate_json(delivery.payload, extra="ignore")
        except ValidationError as error:
            _log.warning("a state cannot be understood", topic=delivery.topic, reason=str(error)[:200])
            delivery.acknowledge()
            continue
        made = discovery(state, prefix, version("biotrain"), commands=commands)
        if remove:
            made = dict.fromkeys(made, b"")
        device = (state.site, state.device)
        if seen.get(device) != made:
            await _publish(broker, made)
            seen[device] = made
            told(f"{state.site}/{state.device}", len(made))
        delivery.acknowledge()


async def _publish(broker: Broker, made: dict[str, bytes]) -> None:
    for topic, payload in made.items():
        while True:
            try:
                await broker.publish(topic, payload, retain=True)
                break
            except PublishError as error:
                _log.debug("not announced yet", reason=str(error))
                await asyncio.sleep(_AGAIN_S)
