"""A wearer's profile: backed up, moved to another device, erased, by the command line."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from device_agent.kept_state import change_state, read_state
from device_agent.outbox import Outbox
from device_agent.outbox_file import Identity
from device_agent.profile import read_profile
from device_agent.state import AgentState, Change, WearerMemory
from device_agent.wearable.api import Bank, DeviceEventKind, FitRequest
from device_agent.wearable.connect import connect, provision
from schemas.errors import UserError
from tests.wearable.conftest import QUICK, Process, make_window
from tests.wearable.test_wearable import events_until


def wearer(*words: object, device: Process, folder: Path, code: int = 0) -> dict:
    address = f"tcp://{device.address}"
    done = subprocess.run(
        [sys.executable, "-m", "biotrain", "wearer", *map(str, words), "--wearable", address, "--json"],
        capture_output=True, text=True, timeout=60, check=False, cwd=folder,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if code == 0 else {"error": done.stderr}


async def adapted(address: str, model) -> tuple[bytes, bytes]:
    """Weights that serve and those before them, after one commit of anna's."""
    device = await connect(f"tcp://{address}", timing=QUICK)
    await provision(device, model.plan, model.weights)
    await device.choose_wearer("anna")
    await device.write_weights(model.weights)
    for id_ in range(12):
        await device.push(make_window(id_))
    await device.start_fit(FitRequest(fit_id=1, window_ids=range(12), epochs=1))
    await events_until(device, DeviceEventKind.FIT_DONE)
    await device.commit()
    await device.choose_wearer("")
    await device.choose_wearer("anna")
    files = await device.read_weights(), await device.read_weights(Bank.PREVIOUS)
    await device.close()
    return files


async def banks(address: str) -> tuple[bytes, bytes]:
    device = await connect(f"tcp://{address}", timing=QUICK)
    try:
        return await device.read_weights(), await device.read_weights(Bank.PREVIOUS)
    finally:
        await device.close()


@pytest.mark.slow
def test_a_profile_moves_to_another_device_with_its_weights_to_the_bit_and_is_erased_from_the_first(
    process: Process, tmp_path: Path, model
) -> None:
    other = Process(tmp_path / "other")
    other.folder.mkdir()
    other.start()
    try:
        serving, previous = asyncio.run(adapted(process.address, model))

        async def plan() -> None:
            device = await connect(f"tcp://{other.address}", timing=QUICK)
            await provision(device, model.plan, model.weights)
            await device.close()

        asyncio.run(plan())
        state = AgentState(wearer="anna", reference_error=0.08)
        state.remember("committed", 1, 2)
        outbox = Outbox.open(tmp_path / "agent-state", Identity("home", "arm", "anna"))
        outbox.put([], state=state.model_dump_json())
        outbox.close()

        listed = wearer("list", device=process, folder=tmp_path)
        anna = next(row for row in listed["wearers"] if row["wearer"] == "anna")
        assert (anna["active"], anna["version"], anna["usual_error"]) == (True, 2, 0.08)
        assert anna["history"][0]["what"] == "committed"
        wearer("choose", "", device=process, folder=tmp_path)
        wearer("backup", "anna", device=process, folder=tmp_path)
        assert not next(r for r in wearer("list", device=process, folder=tmp_path)["wearers"] if r["wearer"] == "anna")[
            "active"
        ], "whoever was active is active again"
        assert (tmp_path / "anna.profile").stat().st_mode & 0o777 == 0o600
        moved = wearer("restore", "--file", "anna.profile", "--state-dir", "state-2", device=other, folder=tmp_path)
        assert (moved["wearer"], moved["version"]) == ("anna", 2)
        assert asyncio.run(banks(other.address)) == (serving, previous)

        wearer("erase", "anna", "--yes", device=process, folder=tmp_path)
        left = read_state(tmp_path / "agent-state", None)
        assert left is not None
        assert left.reference_error is None
        assert left.memory_of("anna") == WearerMemory()
        assert [row["wearer"] for row in wearer("list", device=process, folder=tmp_path)["wearers"]] == [""]
        said = wearer("choose", "bea", device=process, folder=tmp_path, code=2)["error"]
        assert "wearer 'bea' is not on the device: create it, or restore its profile" in said
        (tmp_path / "bea.weights").write_bytes(model.other_weights)
        said = wearer("create", "bea", "--weights", "bea.weights", device=process, folder=tmp_path, code=2)["error"]
        assert [row["wearer"] for row in wearer("list", device=process, folder=tmp_path)["wearers"]] == [""], said
    finally:
        other.stop()


def test_what_is_no_profile_is_refused_with_the_file(tmp_path: Path, model) -> None:
    with pytest.raises(UserError, match=r"none: is no wearer's profile"):
        read_profile(tmp_path / "none")
    file = tmp_path / "x.profile"
    file.write_bytes(b"hello")
    with pytest.raises(UserError, match=r"x\.profile: is no wearer's profile"):
        read_profile(file)

    def write(described: dict, **files: bytes) -> None:
        with zipfile.ZipFile(file, "w") as packed:
            packed.writestr("profile.json", json.dumps(described))
            for name, content in files.items():
                packed.writestr(name.replace("_", "."), content)

    good = {"wearer": "anna", "model": "m", "plan_hash": "0" * 64, "device_id": "d"}
    write({**good, "wearr": 1})
    with pytest.raises(UserError, match=r"profile\.json: wearr: Extra inputs"):
        read_profile(file)
    write({**good, "format": "biotrain.profile/9"}, serving_weights=model.weights)
    with pytest.raises(UserError, match=r"format: is 'biotrain\.profile/9'"):
        read_profile(file)
    write(good)
    with pytest.raises(UserError, match=r"holds no serving\.weights"):
        read_profile(file)
    write(good, serving_weights=model.weights)
    with pytest.raises(UserError, match="these weights belong to plan"):
        read_profile(file)


def test_references_are_filed_under_their_wearer_and_a_running_agents_state_is_not_touched(tmp_path: Path) -> None:
    state = AgentState(wearer="anna", reference_error=0.1)
    other = state.with_memory("bea", WearerMemory(reference_error=0.3, history=[Change(time="t", what="restored")]))
    assert other.memory_of("bea").reference_error == 0.3
    assert other.memory_of("anna").reference_error == 0.1
    outbox = Outbox.open(tmp_path, Identity("home", "arm", "anna"))
    outbox.put([], state=state.model_dump_json())
    with pytest.raises(UserError, match="an agent uses it"):
        change_state(tmp_path, None, lambda kept: other)
    outbox.close()
    assert change_state(tmp_path, None, lambda kept: other)
    assert read_state(tmp_path, None) == other
    assert read_state(tmp_path / "nowhere", None) is None
