"""A fit that is cut short leaves what served; begun anew from the same state, it ends with the same bits."""

from __future__ import annotations

import asyncio
import random
import signal
import time

import pytest

from device_agent.wearable.api import Bank, DeviceEventKind, FitRequest, WearableError
from device_agent.wearable.connect import connect, provision
from device_agent.wearable.local import storage_bytes
from tests.wearable.conftest import QUICK, make_window
from tests.wearable.test_power_cut import pending_events, switch_on
from tests.wearable.test_wearable import events_until

FIT = FitRequest(fit_id=8, window_ids=range(16), epochs=12, learning_rate=0.02, seed=99)


async def refill(wearable) -> None:
    for id_ in range(16):
        await wearable.push(make_window(id_))


async def finished(wearable) -> bytes:
    while not (await wearable.statistics()).candidate:
        await asyncio.sleep(0.002)
    return await wearable.read_weights(Bank.CANDIDATE)


async def test_a_kill_at_any_instant_of_a_fit_changes_neither_the_weights_nor_the_next_fits_bits(process, model):
    """SIGKILL: in the middle of a kernel, of a write, of a frame."""
    wearable = await connect(f"tcp://{process.address}", timing=QUICK)
    await provision(wearable, model.plan, model.weights)
    await refill(wearable)
    await wearable.start_fit(FIT)
    began = time.perf_counter()
    uninterrupted = await finished(wearable)
    length_s = time.perf_counter() - began
    await wearable.discard()
    await wearable.close()
    rng = random.Random(1)
    interrupted, boot = 0, 1
    while interrupted < 4:
        boot += 1
        assert boot < 30, "a fit that cannot be caught while it runs"
        wearable = await connect(f"tcp://{process.address}", timing=QUICK)
        await refill(wearable)
        await wearable.start_fit(FIT)
        await asyncio.sleep(rng.random() * length_s)
        process.stop(signal.SIGKILL)
        await wearable.close()
        process.start()
        wearable = await connect(f"tcp://{process.address}", timing=QUICK)
        assert wearable.info.boot == boot
        assert await wearable.read_weights() == model.weights
        statistics = await wearable.statistics()
        assert (statistics.fitting, statistics.candidate) == (False, False)
        logged = [event["kind"] for event in process.logged() if event["boot"] == boot - 1]
        if "FIT_DONE" in logged:
            length_s *= 0.7  # the machine was busier when it was measured
        else:
            interrupted += 1
        await wearable.close()
    wearable = await connect(f"tcp://{process.address}", timing=QUICK)
    await refill(wearable)
    await wearable.start_fit(FIT)
    assert await finished(wearable) == uninterrupted
    await wearable.close()


async def test_a_power_cut_at_any_write_of_a_fit_does_the_same(model):
    device = await switch_on(bytearray(storage_bytes()))
    await provision(device.wearable, model.plan, model.weights)
    ready = bytes(device.memory)
    await refill(device.wearable)
    await device.wearable.start_fit(FIT)
    uninterrupted = await finished(device.wearable)
    await device.off()
    for number in range(1, FIT.epochs + 4):
        memory = bytearray(ready)
        device = await switch_on(memory)
        await refill(device.wearable)
        device.firmware.cut_power_in_write(number)
        try:
            await device.wearable.start_fit(FIT)
            while (await device.wearable.statistics()).fitting:
                await asyncio.sleep(0.001)
        except WearableError as error:
            assert (number, error.code) == (1, "STORAGE_FAILED")  # nothing runs that could not be told of
        assert (await device.wearable.statistics()).candidate == (number > FIT.epochs + 2)
        await device.off()
        device = await switch_on(memory)
        assert await device.wearable.read_weights() == model.weights
        kinds = [event.kind for event in await pending_events(device)]
        assert kinds.count(DeviceEventKind.FIT_PROGRESS) == max(0, min(number - 2, FIT.epochs))
        if number in (2, FIT.epochs // 2):
            await refill(device.wearable)
            await device.wearable.start_fit(FIT)
            assert await finished(device.wearable) == uninterrupted
        await device.off()


async def test_an_agent_that_vanishes_in_a_fit_costs_the_fit_nothing(process, model):
    wearable = await connect(f"tcp://{process.address}", timing=QUICK)
    await provision(wearable, model.plan, model.weights)
    await refill(wearable)
    await wearable.start_fit(FIT)
    uninterrupted = await finished(wearable)
    await wearable.start_fit(FIT)  # the candidate that nobody judged goes
    await wearable.close()
    again = await connect(f"tcp://{process.address}", timing=QUICK)
    await events_until(again, DeviceEventKind.DISCARDED)
    assert await finished(again) == uninterrupted
    await again.close()


@pytest.mark.parametrize("full", [1, 3])
async def test_a_storage_that_fails_for_good_ends_a_fit_and_leaves_what_serves(model, full):
    device = await switch_on(bytearray(storage_bytes()))
    await provision(device.wearable, model.plan, model.weights)
    await refill(device.wearable)
    device.firmware.cut_power_in_write(full)
    for act in (device.wearable.start_fit(FIT), device.wearable.choose_wearer("anna"), device.wearable.commit()):
        try:
            await act
        except WearableError as error:
            assert error.code in ("STORAGE_FAILED", "WRONG_STATE", "BUSY")
    while (await device.wearable.statistics()).fitting:
        await asyncio.sleep(0.001)
    assert not (await device.wearable.statistics()).candidate
    assert await device.wearable.read_weights() == model.weights
    assert (await device.wearable.push(make_window(3))).weights_version == 1
    await device.off()
