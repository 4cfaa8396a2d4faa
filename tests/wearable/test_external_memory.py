"""External memory that keeps its content: the ring of windows is found again, whole windows only."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_agent.wearable.api import Bank, WearableError
from device_agent.wearable.client import LinkWearable
from device_agent.wearable.connect import connect, provision
from tests.wearable.conftest import CLASSES, QUICK, Model, make_window


async def switched_on(folder: Path) -> LinkWearable:
    return await connect("local", timing=QUICK, storage=folder / "flash", external=folder / "memory")


async def filled(folder: Path, model: Model, count: int) -> None:
    wearable = await switched_on(folder)
    await provision(wearable, model.plan, model.weights)
    for id_ in range(count):
        await wearable.push(make_window(id_, None if id_ == 3 else ...))
    await wearable.label(3, 3 % CLASSES)
    await wearable.close()


async def test_windows_and_late_labels_are_there_after_a_restart(tmp_path: Path, model: Model) -> None:
    await filled(tmp_path, model, 20)
    again = await switched_on(tmp_path)
    assert again.info.boot == 2
    assert (await again.statistics()).ring_windows == 20
    before = await again.evaluate(range(20), Bank.SERVING)
    assert before == [(await again.push(make_window(id_))).predicted for id_ in range(20)]
    await again.close()


@pytest.mark.slow
async def test_new_windows_take_the_oldest_ones_places_as_before(tmp_path: Path, model: Model) -> None:
    await filled(tmp_path, model, 20)
    again = await switched_on(tmp_path)
    for id_ in range(20, again.info.ring_capacity + 5):
        await again.push(make_window(id_))
    assert (await again.statistics()).ring_windows == again.info.ring_capacity
    await again.evaluate([5, again.info.ring_capacity + 4], Bank.SERVING)
    try:
        await again.evaluate([4], Bank.SERVING)
    except WearableError as error:
        assert error.code == "UNKNOWN_WINDOW"
    else:
        raise AssertionError("the oldest window is still there")
    await again.close()


async def test_a_window_that_was_not_written_whole_is_left_out(tmp_path: Path, model: Model) -> None:
    await filled(tmp_path, model, 20)
    wanted = make_window(7).counts.astype("<i2").tobytes()
    memory = bytearray((tmp_path / "memory").read_bytes())
    at = memory.find(wanted)
    assert at > 0
    memory[at + 100] ^= 1
    (tmp_path / "memory").write_bytes(memory)
    again = await switched_on(tmp_path)
    assert (await again.statistics()).ring_windows == 19
    await again.evaluate([6, 8], Bank.SERVING)
    await again.close()


async def test_another_plan_begins_with_an_empty_ring(tmp_path: Path, model: Model) -> None:
    await filled(tmp_path, model, 20)
    again = await switched_on(tmp_path)
    await provision(again, model.other_plan, model.other_weights)
    assert (await again.statistics()).ring_windows == 0
    await again.close()


async def test_without_a_file_nothing_is_found_again(tmp_path: Path, model: Model) -> None:
    for boot in (1, 2):
        wearable = await connect("local", timing=QUICK, storage=tmp_path / "flash")
        await provision(wearable, model.plan, model.weights)
        assert (wearable.info.boot, (await wearable.statistics()).ring_windows) == (boot, 0)
        await wearable.push(make_window(boot))
        await wearable.close()
