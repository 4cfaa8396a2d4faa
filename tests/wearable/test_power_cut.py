"""The power goes in the middle of every single write: one whole, known model always comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from device_agent.wearable.api import Bank, DeviceEvent, DeviceEventKind, FitRequest, WearableError
from device_agent.wearable.client import LinkWearable
from device_agent.wearable.connect import provision
from device_agent.wearable.local import Firmware, LocalTransport, storage_bytes
from tests.wearable.conftest import QUICK, make_window

#: Where the weights begin in storage (app/layout.h): everything before may differ in counters.
BANKS_AT = 29 * 4096 + 2 * 64 * 4096
Act = Callable[[LinkWearable], Awaitable[object]]


@dataclass
class Device:
    """A wearable whose flash outlives it."""

    memory: bytearray
    firmware: Firmware
    wearable: LinkWearable
    events: list[DeviceEvent]
    """All that it has told since it was switched on, and what it had not told before."""
    listener: asyncio.Task[None]

    async def off(self) -> None:
        await self.wearable.close()
        await self.listener


async def switch_on(memory: bytearray) -> Device:
    firmware = Firmware("cut", memory=memory)
    local = LocalTransport(firmware)
    wearable = LinkWearable(local, QUICK, on_close=local.stop)
    events: list[DeviceEvent] = []

    async def listen() -> None:
        async for event in wearable.events():
            events.append(event)

    listener = asyncio.create_task(listen())
    await wearable.start()
    return Device(memory, firmware, wearable, events, listener)


async def pending_events(device: Device) -> list[DeviceEvent]:
    """None is acknowledged in these tests, so all that are pending have been told."""
    count = (await device.wearable.statistics()).events_pending
    async with asyncio.timeout(5):
        while len(device.events) < count:
            await asyncio.sleep(0.001)
    return list(device.events)


async def fit(device: Device) -> None:
    for id_ in range(12):
        await device.wearable.push(make_window(id_))
    await device.wearable.start_fit(FitRequest(fit_id=5, window_ids=range(12), epochs=2))
    while not (await device.wearable.statistics()).candidate:
        await asyncio.sleep(0.001)


async def with_candidate(device: Device, model) -> None:
    await provision(device.wearable, model.plan, model.weights)
    await fit(device)


async def committed(device: Device, model) -> None:
    await with_candidate(device, model)
    await device.wearable.commit()


async def refining(device: Device, model) -> None:
    await committed(device, model)
    await fit(device)


ACTS: dict[str, tuple[Callable[[Device, object], Awaitable[None]], Act, DeviceEventKind]] = {
    "commit": (with_candidate, lambda w: w.commit(), DeviceEventKind.COMMITTED),
    "refine": (refining, lambda w: w.commit(refine=True), DeviceEventKind.COMMITTED),
    "roll back": (committed, lambda w: w.roll_back(), DeviceEventKind.ROLLED_BACK),
}


@pytest.mark.parametrize("name", ACTS)
async def test_a_cut_at_any_write_leaves_the_old_or_the_new_model_and_its_event(name, model):
    prepare, act, kind = ACTS[name]
    device = await switch_on(bytearray(storage_bytes()))
    await prepare(device, model)
    old = await device.wearable.read_weights()
    new = await device.wearable.read_weights(Bank.CANDIDATE if name != "roll back" else Bank.PREVIOUS)
    ready = bytes(device.memory)
    told = [event.kind for event in await pending_events(device)].count(kind)
    await act(device.wearable)
    assert [event.kind for event in await pending_events(device)].count(kind) == told + 1
    await device.off()

    outcomes = []
    for number in range(1, 200):
        memory = bytearray(ready)
        # the candidate lies in memory that a cut would lose: make it again where it is needed
        device = await switch_on(memory)
        if name != "roll back":
            await fit(device)
            assert await device.wearable.read_weights(Bank.CANDIDATE) == new
        device.firmware.cut_power_in_write(number)
        failed = False
        try:
            await act(device.wearable)
        except WearableError as error:
            assert error.code == "STORAGE_FAILED"
            failed = True
            assert await device.wearable.read_weights() == old  # it goes on with what it has
        await device.off()

        device = await switch_on(memory)
        weights = await device.wearable.read_weights()
        assert weights in (old, new)
        events = await pending_events(device)
        assert [event.kind for event in events].count(kind) == told + (weights == new)
        assert len({(event.boot, event.seq) for event in events}) == len(events)
        assert failed or weights == new
        outcomes.append(weights == new)
        await device.off()
        if not failed:
            break
    assert outcomes == sorted(outcomes)  # once the change counts, it stays
    assert outcomes[0] is False
    assert outcomes[-1] is True


async def with_two_wearers(device: Device, model) -> None:
    await provision(device.wearable, model.plan, model.weights)
    await device.wearable.choose_wearer("anna")
    await device.wearable.write_weights(model.weights)
    await fit(device)
    await device.wearable.commit()


@dataclass(frozen=True)
class Whole:
    """All that a device can be asked about its model."""

    plan: str
    version: int
    weights: bytes
    wearers: object


async def whole(device: Device) -> Whole:
    wearable = device.wearable
    version = wearable.info.weights_version
    weights = await wearable.read_weights() if version else b""
    return Whole(wearable.info.plan_hash, version, weights, await wearable.wearers())


CHANGES: dict[str, tuple[Act, DeviceEventKind]] = {
    "choose a new wearer": (lambda w: w.choose_wearer("bert"), DeviceEventKind.WEARER_CHOSEN),
    "choose a known wearer": (lambda w: w.choose_wearer(""), DeviceEventKind.WEARER_CHOSEN),
    "erase the active wearer": (lambda w: w.erase_wearer("anna"), DeviceEventKind.WEARER_ERASED),
    "erase another wearer": (lambda w: w.erase_wearer(""), DeviceEventKind.WEARER_ERASED),
    "factory reset": (lambda w: w.factory_reset(), DeviceEventKind.FACTORY_RESET),
}


@pytest.mark.parametrize(
    "name", [*list(CHANGES)[:1], *(pytest.param(n, marks=pytest.mark.slow) for n in list(CHANGES)[1:])]
)
async def test_a_cut_at_any_write_leaves_the_state_before_or_after_and_nothing_half_erased(name, model):
    act, kind = CHANGES[name]
    device = await switch_on(bytearray(storage_bytes()))
    await with_two_wearers(device, model)
    before, ready = await whole(device), bytes(device.memory)
    told_before = [event.kind for event in await pending_events(device)].count(kind)
    await act(device.wearable)
    after = await whole(device)
    left = bytes(device.memory[BANKS_AT:])
    assert after != before
    await device.off()
    changed = []
    for number in range(1, 1000):
        memory = bytearray(ready)
        device = await switch_on(memory)
        device.firmware.cut_power_in_write(number)
        failed = False
        try:
            await act(device.wearable)
        except WearableError as error:
            assert error.code == "STORAGE_FAILED"
            failed = True
        await device.off()
        device = await switch_on(memory)
        now = await whole(device)
        assert now in (before, after)
        assert [e.kind for e in await pending_events(device)].count(kind) - told_before == (now == after)
        if now == after:
            assert memory[BANKS_AT:] == left  # what was to be erased has been
        changed.append(now == after)
        await device.off()
        if not failed and now == after and len(changed) > 3:
            break
    assert changed == sorted(changed)
    assert (changed[0], changed[-1]) == (False, True)


async def test_a_cut_while_a_plan_is_written_leaves_the_old_one_with_its_weights(model):
    device = await switch_on(bytearray(storage_bytes()))
    await provision(device.wearable, model.plan, model.weights)
    await device.off()
    ready = bytes(device.memory)
    seen = set()
    for number in range(1, 8):
        memory = bytearray(ready)
        device = await switch_on(memory)
        device.firmware.cut_power_in_write(number)
        try:
            await device.wearable.write_plan(model.other_plan)
        except WearableError as error:
            assert error.code == "STORAGE_FAILED"
            assert await device.wearable.read_weights() == model.weights
        await device.off()
        device = await switch_on(memory)
        plan = await device.wearable.read_plan()
        seen.add(plan)
        assert plan in (model.plan, model.other_plan)
        if plan == model.plan:
            assert await device.wearable.read_weights() == model.weights
        await device.off()
    assert seen == {model.plan, model.other_plan}


async def test_a_damaged_bank_gives_way_to_the_one_before(model):
    device = await switch_on(bytearray(storage_bytes()))
    await committed(device, model)
    serving = await device.wearable.read_weights()
    await device.off()
    at = bytes(device.memory).find(serving)
    device.memory[at + 500] ^= 1
    device = await switch_on(device.memory)
    assert await device.wearable.read_weights() == model.weights
    rolled_back = [e for e in await pending_events(device) if e.kind is DeviceEventKind.ROLLED_BACK]
    assert [e.detail for e in rolled_back] == ["bank damaged in storage"]
    await device.off()


async def test_boots_are_counted_and_events_of_earlier_boots_are_kept(model):
    device = await switch_on(bytearray(storage_bytes()))
    await provision(device.wearable, model.plan, model.weights)
    await device.off()
    for boot in (2, 3):
        device = await switch_on(device.memory)
        assert device.wearable.info.boot == boot
        assert device.wearable.info.weights_version == 1
        events = await pending_events(device)
        await device.off()
    assert [(event.boot, event.seq) for event in events] == [(1, 1), (1, 2), (1, 3), (2, 1), (3, 1)]
