"""Plans on their way through a fleet of real agents with wearables: a good one arrives, a bad one comes back."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from device_agent.settings import AgentSettings
from device_agent.start import run_agent
from schemas.plan import read_plan
from tests.agent.real import model
from tests.brokers import Mosquitto
from tests.plans import renamed, weights_for
from tests.supervisors import SupervisorProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

#: As fast as a test may be; who runs a fleet waits for hours where this waits for seconds. So few windows may err by
#: several points, which must not hold up the good plan.
QUICK = {
    "shares": [0.25, 1.0], "hold_s": 0, "min_labelled": 160, "settle_s": 0.4, "before_s": 600, "answer_s": 60,
    "margin": 0.12,
}  # fmt: skip


class Operator:
    """What somebody with a terminal would do."""

    def __init__(self, supervisor: SupervisorProcess) -> None:
        self._supervisor = supervisor

    def get(self, path: str) -> Any:
        return self._supervisor.get(path)

    def post(self, path: str, body: dict[str, Any] | None = None, status: int = 202) -> Any:
        response = httpx.post(self._supervisor.url + path, json=body or {}, timeout=10)
        assert response.status_code == status, response.text
        return response.json()

    def add(self, name: str, plan: bytes, weights: bytes | None) -> int:
        files = {"plan": base64.b64encode(plan).decode(), "weights": weights and base64.b64encode(weights).decode()}
        return int(self.post("/api/plans", {"name": name, **files}, 201)["id"])

    async def until(self, true: Any, within_s: float = 120.0) -> None:
        """Within a time that only a test that has gone wrong takes."""
        end = time.monotonic() + within_s
        while not await asyncio.to_thread(true):
            assert time.monotonic() < end
            await asyncio.sleep(0.2)

    def running(self) -> set[str | None]:
        """Plans that the fleet's devices report."""
        devices = self.get("/api/devices")["items"]
        found = [self.get(f"/api/devices/{d['site']}/{d['device']}/desired")["reported"] for d in devices]
        return {one and one["plan"]["plan_hash"] for one in found}


@contextlib.asynccontextmanager
async def fleet(folder: Path, broker: Mosquitto, names: list[str]) -> AsyncIterator[tuple[bytes, bytes]]:
    """Agents with a wearable of their own each; gives plan and weights that they begin with."""
    files = model(folder)
    tasks = [
        asyncio.create_task(
            run_agent(
                AgentSettings(
                    site="lab", device=name, broker=broker.address, state_dir=folder / name, seed=number + 1,
                    groups=("ward",), sessions=(1,), trials=3000, speed=75.0, adapt="never", telemetry_period_s=0.3,
                    health_period_s=1.0, resend_after_s=1.0, **files,
                )
            )
        )
        for number, name in enumerate(names)
    ]  # fmt: skip
    try:
        yield files["plan"].read_bytes(), files["weights"].read_bytes()
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_bad_plan_is_stopped_at_its_canary_and_taken_back_and_a_good_one_arrives(
    tmp_path: Path, mosquitto: Mosquitto, supervisor: SupervisorProcess
) -> None:
    operator, names = Operator(supervisor), ["band-1", "band-2", "band-3"]
    async with fleet(tmp_path, mosquitto, names) as (old, first):
        bad, good = renamed(old, "eog-bad"), renamed(old, "eog-good")
        await operator.until(lambda: operator.running() == {read_plan(old).hash})
        await operator.until(lambda: min(d["stored"] for d in operator.get("/api/devices")["items"]) > 30)
        number = operator.add("bad", bad, weights_for(bad, first, noise=3.0))
        begun = operator.post("/api/rollouts", {"site": "lab", "plan": number, "settings": QUICK}, 201)
        path = f"/api/rollouts/{begun['id']}"
        assert begun["counts"] == {"asked": 1, "waiting": 2}
        again = operator.post("/api/rollouts", {"site": "lab", "plan": number}, 409)
        assert "still under way" in again["detail"]

        # A supervisor that is killed meanwhile carries on.
        await operator.until(lambda: operator.get(path)["counts"].get("running") == 1)
        supervisor.kill()
        await asyncio.to_thread(supervisor.start)
        await operator.until(lambda: operator.get(path)["state"] == "stopped")
        ended = operator.get(path)
        assert ended["counts"] == {"returned": 1, "waiting": 2}
        assert ended["stage"] == 1
        assert "accuracy changed by -" in ended["reason"]
        assert ended["comparison"]["p_value"] <= ended["comparison"]["threshold"]
        await operator.until(lambda: operator.running() == {read_plan(old).hash})
        alerts = operator.get("/api/alerts")["items"]
        assert [row["alert"]["rule"] for row in alerts].count("rollout_stopped") == 1

        number = operator.add("good", good, weights_for(good, first, version=2, noise=1e-3))
        begun = operator.post("/api/rollouts", {"site": "lab", "group": "ward", "plan": number, "settings": QUICK}, 201)
        path = f"/api/rollouts/{begun['id']}"
        await operator.until(lambda: operator.get(path)["state"] == "done")
        assert operator.get(path)["counts"] == {"running": 3}
        await operator.until(lambda: operator.running() == {read_plan(good).hash})
        actions = [entry["action"] for entry in operator.get("/api/audit")["items"]]
        assert actions.count("rollout_stopped") == 1
        assert actions.count("rollout_done") == 1

        # The way of the canary's weights can be followed back.
        canary = next(one["device"] for one in ended["devices"] if one["state"] == "returned")
        lineage = operator.get(f"/api/devices/lab/{canary}/lineage")["items"]
        assert [one["plan_hash"] for one in lineage] == [read_plan(plan).hash for plan in (good, old, bad, old)]
        assert {one["origin"] for one in lineage} == {"pre-trained"}


async def test_a_push_to_a_group_is_answered_by_each_device_and_one_that_is_away_shows(
    tmp_path: Path, mosquitto: Mosquitto, supervisor: SupervisorProcess
) -> None:
    operator, names = Operator(supervisor), ["band-1", "band-2"]
    async with fleet(tmp_path, mosquitto, names) as (old, _):
        await operator.until(lambda: operator.running() == {read_plan(old).hash})
    # Both are away now.
    new = renamed(old, "eog-new")
    number = operator.add("new", new, None)
    pushed = operator.post("/api/groups/lab/ward/plan", {"plan": number, "expires_s": 1})
    assert pushed["devices"] == names

    def status(name: str) -> str:
        items = operator.get(f"/api/devices/lab/{name}/commands")["items"]
        assert [item["verb"] for item in items] == ["push_plan"]
        return str(items[0]["status"])

    await operator.until(lambda: all(status(name) == "no_reply" for name in names))
    assert not operator.get("/api/devices/lab/band-1/desired")["in_step"]
    # Back again, they find the wish.
    async with fleet(tmp_path, mosquitto, names):
        await operator.until(lambda: operator.running() == {read_plan(new).hash})
        await operator.until(lambda: all(status(name) == "done" for name in names))
        assert operator.get("/api/devices/lab/band-1/desired")["in_step"]
        back = operator.post("/api/devices/lab/band-1/plan", {"back": True})
        assert back["devices"] == ["band-1"]
        await operator.until(lambda: operator.running() == {read_plan(new).hash, read_plan(old).hash})
    operator.post("/api/devices/lab/band-1/plan", {"plan": 99}, 404)
    operator.post("/api/devices/lab/nobody/plan", {"plan": number}, 404)
    operator.post("/api/devices/lab/band-1/plan", {}, 422)
    damaged = {"name": "x", "plan": base64.b64encode(new[:-1]).decode()}
    assert "cut or padded" in operator.post("/api/plans", damaged, 400)["detail"]
