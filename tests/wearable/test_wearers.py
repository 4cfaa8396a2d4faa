"""Several people on one device: each with weights and windows of their own, and erased without a trace."""

from __future__ import annotations

import pytest
import torch

from device_agent.compiler.compile import Signal, compile_model
from device_agent.compiler.training_options import Optimizer
from device_agent.models import SIZES, build_model
from device_agent.models.norms import with_group_norm
from device_agent.wearable.api import Bank, DeviceEventKind, FitRequest, WearableError
from device_agent.wearable.connect import connect, provision
from device_agent.wearable.local import storage_bytes
from schemas.link.holders import KnownWearer
from schemas.weights import read_weights
from tests.wearable.conftest import CHANNELS, CLASSES, QUICK, RATE_HZ, SAMPLES, make_window
from tests.wearable.test_power_cut import Device, pending_events, switch_on
from tests.wearable.test_wearable import events_until


async def adapted(wearable, fit_id: int, seed: int = 0) -> bytes:
    """A commit's weights, over the windows that are in the ring."""
    for id_ in range(12):
        await wearable.push(make_window(id_))
    await wearable.start_fit(FitRequest(fit_id=fit_id, window_ids=range(12), epochs=1, seed=seed))
    await events_until(wearable, DeviceEventKind.FIT_DONE)
    await wearable.commit()
    return await wearable.read_weights()


async def test_each_wearer_has_weights_and_windows_of_their_own(wearable, model):
    await provision(wearable, model.plan, model.weights)
    unnamed = await adapted(wearable, 1)
    assert await wearable.choose_wearer("anna") == 0
    assert (await wearable.statistics()).ring_windows == 0
    with pytest.raises(WearableError) as none_yet:
        await wearable.push(make_window(0))
    assert none_yet.value.code == "NO_WEIGHTS"
    await wearable.write_weights(model.weights)
    annas = await adapted(wearable, 2, seed=1)
    assert annas != unnamed
    assert await wearable.choose_wearer("") == 2
    assert await wearable.read_weights() == unnamed
    assert (await wearable.statistics()).ring_windows == 0
    with pytest.raises(WearableError) as gone:
        await wearable.evaluate([3], Bank.SERVING)
    assert gone.value.code == "UNKNOWN_WINDOW"
    assert await wearable.choose_wearer("anna") == 3
    assert await wearable.read_weights() == annas
    assert await wearable.roll_back() == 1  # hers before, not the other's
    assert await wearable.read_weights() == model.weights
    told = await wearable.wearers()
    assert (told.active, told.places) == ("anna", 4)
    assert told.known == (KnownWearer("", 2, 1), KnownWearer("anna", 1, 0))


async def test_nothing_of_an_erased_wearer_is_left_in_storage(model):
    device = await switch_on(bytearray(storage_bytes()))
    wearable = device.wearable
    await provision(wearable, model.plan, model.weights)
    await wearable.choose_wearer("anna")
    await wearable.write_weights(model.weights)
    annas = read_weights(await fitted_of(device)).values
    assert annas in device.memory
    assert await wearable.erase_wearer("anna") == 1
    assert annas not in device.memory
    assert device.memory.count(read_weights(model.weights).values) == 1  # the unnamed one's
    assert await wearable.read_weights() == model.weights
    assert [w.name for w in (await wearable.wearers()).known] == [""]
    with pytest.raises(WearableError) as unknown:
        await wearable.erase_wearer("anna")
    assert unknown.value.code == "UNKNOWN_WEARER"
    kinds = [event.kind for event in await pending_events(device)]
    assert kinds.count(DeviceEventKind.WEARER_ERASED) == 1
    await device.off()


async def fitted_of(device: Device) -> bytes:
    for id_ in range(12):
        await device.wearable.push(make_window(id_))
    await device.wearable.start_fit(FitRequest(fit_id=5, window_ids=range(12), epochs=1))
    while not (await device.wearable.statistics()).candidate:
        pass
    await device.wearable.commit()
    return await device.wearable.read_weights()


async def test_a_factory_reset_leaves_a_log_and_nothing_else(model):
    device = await switch_on(bytearray(storage_bytes()))
    wearable = device.wearable
    await provision(wearable, model.plan, model.weights)
    await wearable.choose_wearer("anna")
    await wearable.write_weights(model.weights)
    await wearable.factory_reset()
    assert (wearable.info.plan_hash, wearable.info.weights_version) == ("", 0)
    for secret in (model.plan[500:600], read_weights(model.weights).values[:100]):
        assert secret not in device.memory
    assert [w.name for w in (await wearable.wearers()).known] == [""]
    events = await pending_events(device)
    assert events[-1].kind is DeviceEventKind.FACTORY_RESET
    assert events[0].kind is DeviceEventKind.BOOTED
    await provision(wearable, model.plan, model.weights)  # as on its first day
    assert await wearable.read_weights() == model.weights
    await device.off()


async def test_what_may_not_be_is_refused_and_changes_nothing(wearable, model):
    await provision(wearable, model.plan, model.weights)
    for name in ("a", "b", "c"):
        await wearable.choose_wearer(name)
    for name, code in (("d", "TOO_MANY_WEARERS"), ("x" * 24, "BAD_ARGUMENT"), ("a\0b", "BAD_ARGUMENT")):
        with pytest.raises(WearableError) as refused:
            await wearable.choose_wearer(name)
        assert refused.value.code == code
    await wearable.choose_wearer("")
    for id_ in range(12):
        await wearable.push(make_window(id_))
    await wearable.start_fit(FitRequest(fit_id=1, window_ids=range(12), epochs=200))
    for act in (wearable.choose_wearer("a"), wearable.erase_wearer("a"), wearable.factory_reset()):
        with pytest.raises(WearableError) as busy:
            await act
        assert busy.value.code == "BUSY"
    await wearable.stop_fit()
    assert await wearable.read_weights() == model.weights
    assert len((await wearable.wearers()).known) == 4


async def test_the_ring_of_one_wearer_is_not_found_by_another_after_a_restart(tmp_path, model):
    files = {"storage": tmp_path / "flash", "external": tmp_path / "memory"}
    wearable = await connect("local", timing=QUICK, **files)
    await provision(wearable, model.plan, model.weights)
    window = make_window(7)
    await wearable.push(window)
    assert window.counts.tobytes() in files["external"].read_bytes()
    await wearable.choose_wearer("anna")
    assert window.counts.tobytes() not in files["external"].read_bytes()
    await wearable.close()
    wearable = await connect("local", timing=QUICK, **files)
    assert (await wearable.statistics()).ring_windows == 0
    assert (await wearable.wearers()).active == "anna"
    await wearable.close()


async def test_a_plan_that_was_compiled_anew_keeps_the_weights_and_another_one_sets_them_aside(wearable, model):
    torch.manual_seed(CLASSES)
    size = SIZES["epidenet-short"]
    module = with_group_norm(build_model("epidenet-short", type(size)(CHANNELS, SAMPLES, CLASSES, RATE_HZ)))
    signal = Signal(
        tuple(f"E{i}" for i in range(CHANNELS)), SAMPLES, RATE_HZ, tuple(f"grip {i}" for i in range(CLASSES))
    )
    anew = compile_model(module, signal, name="epidenet-short", optimizer=Optimizer.ADAM)
    assert anew.file != model.plan
    await provision(wearable, model.plan, model.weights)
    committed = await adapted(wearable, 1)
    await provision(wearable, anew.file, anew.weights_file(module))
    assert (wearable.info.plan_hash, wearable.info.weights_version) == (anew.hash, 2)
    kept = read_weights(await wearable.read_weights(), anew.hash)
    assert kept.values == read_weights(committed).values
    await wearable.write_plan(model.other_plan)
    assert wearable.info.weights_version == 0
    await wearable.write_weights(model.other_weights)
    await wearable.write_plan(model.plan)
    assert await wearable.read_weights() == committed
