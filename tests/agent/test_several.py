"""Several wearables beside one agent process: what becomes of one does not touch the others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from device_agent.settings import AgentSettings
from device_agent.several import read_wearables, run_agents
from messaging import Broker, BrokerSettings
from schemas.errors import UserError
from schemas.telemetry import Telemetry
from schemas.topics import FROM_DEVICE, DeviceTopic
from tests.agent.conftest import Keeper
from tests.agent.real import model
from tests.brokers import Mosquitto
from tests.wearable.conftest import Process

TRIALS = 60


@contextlib.asynccontextmanager
async def storing(mosquitto: Mosquitto, site: str, device: str) -> AsyncIterator[Keeper]:
    topics = [str(DeviceTopic(site, device, kind)) for kind in FROM_DEVICE]
    settings = BrokerSettings(port=mosquitto.port, client_id=f"{site}-{device}")
    async with Broker(settings, subscriptions=topics) as broker:
        keeper = Keeper(broker, site, device)
        task = asyncio.create_task(keeper.run())
        await broker.next_connection()
        yield keeper
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def file_of(folder: Path, *entries: dict[str, object]) -> Path:
    path = folder / "wearables.json"
    path.write_text(json.dumps(entries))
    return path


@pytest.fixture
def common(settings: AgentSettings, tmp_path: Path) -> AgentSettings:
    own = {"sessions": (1,), "trials": TRIALS, "speed": 100.0, "calibrate_windows": None, "adapt": "never"}
    return settings.model_copy(update={**own, **model(tmp_path)})


@pytest.mark.slow
async def test_two_wearables_are_served_at_once_and_one_that_dies_leaves_the_other_alone(
    common: AgentSettings, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    processes = []
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        process = Process(tmp_path / name)
        process.start()
        processes.append(process)
    left, right = processes
    path = file_of(
        tmp_path,
        {"device": "left", "wearable": f"tcp://{left.address}", "wearer": "anna"},
        {"device": "right", "wearable": f"tcp://{right.address}", "wearer": "ben", "seed": 2},
    )
    told: list[dict[str, object]] = []
    site = common.site
    async with storing(mosquitto, site, "left") as keeps_left, storing(mosquitto, site, "right") as keeps_right:
        running = asyncio.create_task(run_agents(read_wearables(path, common), ready=told.append))
        await keeps_right.until(lambda: sum(t.windows for t in keeps_right.of(Telemetry)) > 5)
        right.stop(signal.SIGKILL)
        await keeps_left.until(lambda: sum(t.windows for t in keeps_left.of(Telemetry)) >= TRIALS - 1)
        right.start()
        totals = await running
    for process in processes:
        process.stop()
    assert {line["device"] for line in told} == {"left", "right"}
    assert totals["left"]["windows"] == TRIALS
    assert totals["left"]["windows_dropped"] == 0
    assert totals["right"]["windows"] + totals["right"]["windows_dropped"] == TRIALS
    assert totals["right"]["windows_dropped"] > 0
    for name, keeper in (("left", keeps_left), ("right", keeps_right)):
        assert totals[name]["published"] == totals[name]["stored"] == len(keeper.stored)
    assert (tmp_path / "agent" / "left").is_dir()
    assert (tmp_path / "agent" / "right").is_dir()


@pytest.mark.slow
async def test_one_that_cannot_be_served_is_named_when_the_others_have_ended(
    common: AgentSettings, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    path = file_of(tmp_path, {"device": "fine"}, {"device": "bare", "plan": None, "weights": None})
    async with (
        storing(mosquitto, common.site, "fine") as keeper,
        storing(mosquitto, common.site, "bare"),
    ):
        with pytest.raises(UserError, match=r"bare: .*holds no plan"):
            await run_agents(read_wearables(path, common))
        assert sum(t.windows for t in keeper.of(Telemetry)) == TRIALS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("{}", "expected a list like"),
        ('[{"wearable": "local"}]', "expected a list like"),
        ("[]", "one entry or more"),
        ('[{"device": "a"}, {"device": "a"}]', "a device's name of its own"),
        ('[{"device": "a", "speeed": 2}]', "a: speeed: there is no such field: did you mean 'speed'"),
        ('[{"device": "a", "speed": -2}]', "a: speed: Input should be greater than 0"),
    ],
)
def test_what_is_wrong_with_the_list_is_said(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "wearables.json"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        read_wearables(path, AgentSettings())
    with pytest.raises(UserError, match="cannot be read"):
        read_wearables(tmp_path / "none.json", AgentSettings())
