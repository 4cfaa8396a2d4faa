"""The virtual wearable's cell: what it tells over the link, against the same model in float64."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from biotrain.cell import Cell, read_cell
from device_agent.conditions import told_by
from device_agent.wearable.api import WearableStatistics
from device_agent.wearable.connect import connect
from schemas.errors import UserError
from tests.wearable.conftest import QUICK, Model, make_window


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "biotrain", "wearable", "--storage", str(folder / "flash"), "--json", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


async def ask(folder: Path, *words: str, model: Model | None = None, windows: int = 0) -> list[WearableStatistics]:
    """Its statistics at first, and after so many windows."""
    process = start(folder, *words)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        wearable = await connect("tcp://" + json.loads(process.stdout.readline())["address"], timing=QUICK)
        told = [await wearable.statistics()]
        if model is not None:
            await wearable.write_plan(model.plan)
            await wearable.write_weights(model.weights)
            for id_ in range(1, windows + 1):
                await wearable.push(make_window(id_))
            told.append(await wearable.statistics())
        await wearable.close()
        return told
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()
        process.stderr.close()


def expected(cell: Cell, seconds: float, windows: int = 0) -> float:
    """The charge in mJ after this time off the charger."""
    capacity = cell.capacity_mah * 3.7 * 3600
    return capacity * cell.battery - cell.power_mw * seconds - windows * cell.training_mj / 3


async def test_a_wearable_tells_charge_charger_and_temperature(tmp_path: Path) -> None:
    [told] = await ask(tmp_path, "--battery", "20%", "--charging")
    conditions = told_by(told)
    assert conditions.charging is True
    assert conditions.battery == pytest.approx(0.2, abs=0.02)
    assert conditions.temperature_c == pytest.approx(30 + 0.05 * 20, abs=1)


@pytest.mark.parametrize("port", ["host", pytest.param("riscv", marks=pytest.mark.slow)])
async def test_a_wearable_without_a_cell_tells_nothing_of_it(tmp_path: Path, port: str) -> None:
    [told] = await ask(tmp_path, "--port", port)
    assert not {"battery_permille", "charging", "temperature_decicelsius"} & set(told.extra)


async def test_the_cell_gives_what_is_drawn_all_the_time_and_what_each_window_takes(
    tmp_path: Path, model: Model
) -> None:
    """1 mAh holds 13.3 J. Any time may pass between the answers: the device's own clock is what counts."""
    words = ("--battery", "90%", "--capacity", "1", "--power", "1000", "--charger", "100000-100001")
    first, last = await ask(tmp_path, *words, model=model, windows=40)
    cell = Cell(0.9, capacity_mah=1, power_mw=1000)
    for told, windows in ((first, 0), (last, 40)):
        conditions = told_by(told)
        left = max(0.0, expected(cell, told.uptime_us / 1e6, windows))
        assert conditions.charging is False
        # a tenth of a second may not have been counted yet, and thousandths are told
        assert conditions.battery == pytest.approx(left / (3.7 * 3600), abs=0.1 * 1000 / 13_320 + 0.001)
    assert (told_by(last).temperature_c or 0) >= 30


@pytest.mark.parametrize(
    ("given", "fix"),
    [
        ({"battery": "120%"}, "0% to 100%"),
        ({"battery": "full"}, "for example 20%"),
        ({"battery": "20%", "charger": "60"}, "FROM-TO"),
        ({"battery": "20%", "charger": "60-30"}, "FROM-TO"),
        ({"charging": True}, "--battery 20%"),
        ({"battery": "1", "charging": True, "charger": "1-2"}, "one of the two"),
    ],
)
def test_a_cell_that_cannot_be_is_refused_with_what_to_write(given: dict[str, object], fix: str) -> None:
    words = {"battery": None, "charging": False, "charger": None} | given
    with pytest.raises(UserError, match=fix):
        read_cell(**words, capacity=150, power=20.0, plan=None)  # type: ignore[arg-type]


def test_the_device_itself_refuses_what_is_no_cell(tmp_path: Path) -> None:
    from device_agent.engine.library import WEARABLE, find_native

    for text in ("1,2", "1001,150,1,1,1,0,0,100", "1,1,1,1,1,0,0,0", "-1,1,1,1,1,0,0,100"):
        words = [str(find_native(WEARABLE)), "--storage", str(tmp_path / "flash"), "--cell", text]
        done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 2
        assert "--cell" in done.stderr


def test_the_emulated_board_has_no_cell_and_says_what_to_do(tmp_path: Path) -> None:
    process = start(tmp_path, "--port", "riscv", "--battery", "20%")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "--conditions FILE" in said
