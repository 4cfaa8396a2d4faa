"""`biotrain fleet` against a running supervisor: plans in, pushes out, roll-outs begun and stopped."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from biotrain.cli import main
from schemas.command import ReplyStatus
from tests.agent.real import model
from tests.brokers import Mosquitto
from tests.service.devices import SenderWithLog
from tests.service.story import Story
from tests.supervisors import SupervisorProcess

pytestmark = pytest.mark.slow


def told(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """What the command prints with --json."""
    with pytest.raises(SystemExit) as end:
        main(["fleet", *words, "--json"])
    assert end.value.code == 0
    lines = capsys.readouterr().out.splitlines()  # the device of this test writes its log there as well
    return json.loads(next(line for line in lines if line.startswith("{")))


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["fleet", *words])
    assert end.value.code == 2
    return capsys.readouterr().err


async def test_a_plan_goes_to_a_device_and_through_a_fleet_from_the_command_line(
    tmp_path: Path, mosquitto: Mosquitto, supervisor: SupervisorProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    files, at = model(tmp_path), ["--url", supervisor.url]
    ask, fail = partial(told, capsys), partial(refused, capsys)
    story = Story()
    async with SenderWithLog(mosquitto.port) as device:
        await device.broker.next_connection()
        await device.send([story.state_now(), *story.days(3, accuracy=0.9, frozen=0.9)])
        await device.drain()
        added = await asyncio.to_thread(
            ask, "add", "eog-2", "--plan", str(files["plan"]), "--weights", str(files["weights"]), *at
        )
        assert added["weights"]
        pushing = asyncio.create_task(
            asyncio.to_thread(
                ask, "push", "eog-2", "--site", "lab", "--device", "band-1", "--wait", "--expires", "60", *at
            )
        )
        rows: list[Any] = []
        while not rows:
            await asyncio.sleep(0.1)
            rows = (await asyncio.to_thread(supervisor.get, "/api/devices/lab/band-1/commands"))["items"]
        await device.send([story.reply(rows[0]["command_id"], ReplyStatus.DONE, "it runs")])
        pushed = await pushing
        assert pushed["replies"] == {"band-1": ["done", "it runs"]}

        begun = await asyncio.to_thread(ask, "rollout", "eog-2", "--site", "lab", "--canary", "band-1", *at)
        number = str(begun["id"])
        assert begun["counts"] == {"asked": 1}
        assert (await asyncio.to_thread(ask, "pause", number, *at))["state"] == "paused"
        assert (await asyncio.to_thread(ask, "resume", number, *at))["state"] == "running"
        assert (await asyncio.to_thread(ask, "stop", number, *at))["state"] == "returning"
        assert [one["id"] for one in (await asyncio.to_thread(ask, "status", *at))["items"]] == [begun["id"]]

    assert "cannot pause" in await asyncio.to_thread(fail, "pause", number, *at)
    assert "not known to the supervisor (the newest: eog-2)" in await asyncio.to_thread(fail, "rollout", "eog-9", *at)
    assert "either --device or --group" in await asyncio.to_thread(fail, "push", "eog-2", *at)
    assert "number of a roll-out" in await asyncio.to_thread(fail, "stop", "eog-2", *at)
    nowhere = await asyncio.to_thread(fail, "add", "x", "--plan", str(tmp_path / "no.plan"), *at)
    assert "cannot be read" in nowhere
    supervisor.stop()
    assert "does not answer" in await asyncio.to_thread(fail, "plans", *at)
