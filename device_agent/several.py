"""Several wearables beside one agent process: each with a stream, state and link of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from device_agent.settings import AgentSettings
from device_agent.start import run_agent
from schemas.errors import UserError
from schemas.misspelt import describe

_log = structlog.get_logger("agent")


def read_wearables(path: Path, common: AgentSettings) -> list[AgentSettings]:
    """A JSON list; each entry names a `device` and says what of the common settings is different for it. Its state lies
    in a folder of that name, within the common one. Raises UserError."""
    try:
        entries = json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"--wearables {path}: cannot be read ({error.strerror}): check the path") from None
    except ValueError as error:
        raise UserError(f"--wearables {path}: is no JSON ({error})") from None
    expected = '[{"device": "left", "wearable": "ble://LEFT"}, {"device": "right", "wearable": "ble://RIGHT"}]'
    if not isinstance(entries, list) or not all(isinstance(each, dict) and "device" in each for each in entries):
        raise UserError(f"--wearables {path}: expected a list like {expected}")
    names = [str(each["device"]) for each in entries]
    if not names or len(set(names)) < len(names):
        raise UserError(f"--wearables {path}: expected one entry or more, each with a device's name of its own")
    return [_settings(path, common, each) for each in entries]


def _settings(path: Path, common: AgentSettings, entry: dict[str, Any]) -> AgentSettings:
    own = {"state_dir": common.state_dir / str(entry["device"])} | entry
    try:
        return AgentSettings.model_validate(common.model_dump() | own)
    except ValidationError as error:
        raise UserError(f"--wearables {path}: {entry['device']}: {describe(error, AgentSettings)}") from None


async def run_agents(
    every: Sequence[AgentSettings], *, ready: Callable[[dict[str, Any]], None] = lambda line: None
) -> dict[str, Any]:
    """Until every stream has ended: the totals of each, by device. What ends one of them leaves the others running;
    when all have ended it is raised, with the device's name. Cancelling ends all."""
    failed: dict[str, UserError] = {}

    async def one(settings: AgentSettings) -> dict[str, Any] | None:
        try:
            return await run_agent(settings, ready=ready)
        except UserError as error:
            _log.error("this wearable is given up, the others go on", device=settings.device, reason=str(error))
            failed[settings.device] = error
            return None

    async with asyncio.TaskGroup() as group:
        tasks = {each.device: group.create_task(one(each), name=f"agent of {each.device}") for each in every}
    if failed:
        raise UserError("; ".join(f"{device}: {error}" for device, error in failed.items()))
    return {device: task.result() for device, task in tasks.items()}
