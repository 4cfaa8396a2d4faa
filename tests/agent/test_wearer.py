"""The agent tells the wearable who wears it: each person's weights are their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_agent.settings import AgentSettings
from device_agent.start import run_agent
from device_agent.wearable.connect import connect
from schemas.errors import UserError
from schemas.link.holders import Wearers
from tests.agent.conftest import Keeper
from tests.agent.test_real_wearable import real, wearable
from tests.wearable.conftest import QUICK, Process

__all__ = ["real", "wearable"]  # fixtures


async def known(process: Process) -> Wearers:
    device = await connect(f"tcp://{process.address}", timing=QUICK)
    try:
        return await device.wearers()
    finally:
        await device.close()


async def stream(settings: AgentSettings, name: str | None, **more: object) -> None:
    """A short stream of that person's windows."""
    told = await run_agent(settings.model_copy(update={"wearer": name, "trials": 12, "speed": 1000.0, **more}))
    assert told["windows"] + told["windows_dropped"] == 12


async def test_each_wearer_is_served_by_weights_of_their_own(
    real: AgentSettings, keeper: Keeper, wearable: Process
) -> None:
    await stream(real, None)
    assert (await known(wearable)).active == ""
    await stream(real, "anna", weights=None, seed=2)  # a new person begins with what the device came with
    found = await known(wearable)
    assert (found.active, [one.name for one in found.known]) == ("anna", ["", "anna"])
    assert all(one.serving for one in found.known)
    await stream(real, "ben")
    assert (await known(wearable)).active == "ben"
    await stream(real, None, weights=None, seed=3)  # nobody is named: whoever wears it goes on
    assert (await known(wearable)).active == "ben"
    await stream(real, "anna", weights=None, seed=4)
    assert (await known(wearable)).active == "anna"
    chosen = [line["detail"] for line in wearable.logged() if line["kind"] == "WEARER_CHOSEN"]
    assert chosen == ["anna", "ben", "anna"]


async def test_a_person_without_weights_and_one_too_many_are_told(
    real: AgentSettings, keeper: Keeper, wearable: Process, tmp_path: Path
) -> None:
    await stream(real, "anna")
    with pytest.raises(UserError, match=r"'ben' has no weights .* give --weights"):
        await stream(real, "ben", weights=None)
    await stream(real, "carl")
    with pytest.raises(UserError, match=r"'dora'.*every place for a wearer is taken.*biotrain wearer erase"):
        await stream(real, "dora")
    assert [one.name for one in (await known(wearable)).known] == ["", "anna", "ben", "carl"]
