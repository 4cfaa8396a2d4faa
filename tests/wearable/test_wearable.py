"""The wearable's whole life, in this process and behind TCP."""

from __future__ import annotations

import asyncio
import struct

import numpy as np
import pytest

from device_agent.wearable.api import Bank, DeviceEvent, DeviceEventKind, FitRequest, WearableError
from device_agent.wearable.client import LinkWearable
from device_agent.wearable.connect import connect, provision
from schemas.errors import UserError
from schemas.plan import read_plan
from schemas.weights import Origin, read_weights
from tests.wearable.conftest import CLASSES, QUICK, SAMPLES, make_window

FIT = FitRequest(fit_id=7, window_ids=range(60), epochs=8, learning_rate=0.02)


async def events_until(wearable: LinkWearable, kind: DeviceEventKind) -> list[DeviceEvent]:
    seen = []
    async with asyncio.timeout(20):
        async for event in wearable.events():
            seen.append(event)
            if event.kind is kind:
                return seen
    raise AssertionError(f"no {kind!r} came, but {seen}")


async def fitted(wearable: LinkWearable, model, request: FitRequest = FIT) -> list[DeviceEvent]:
    """Provisioned, fed, and with a candidate."""
    await provision(wearable, model.plan, model.weights)
    for id_ in range(80):
        await wearable.push(make_window(id_))
    await wearable.start_fit(request)
    return await events_until(wearable, DeviceEventKind.FIT_DONE)


async def test_files_come_back_as_they_were_written(wearable, model):
    assert await provision(wearable, model.plan, model.weights)
    assert await wearable.read_plan() == model.plan
    assert await wearable.read_weights() == model.weights
    assert wearable.info.classes == tuple(f"grip {i}" for i in range(CLASSES))
    assert wearable.info.channels == ("E0", "E1", "E2", "E3")
    assert (wearable.info.samples, wearable.info.weights_version) == (SAMPLES, 1)
    assert not await provision(wearable, model.plan, model.weights)


async def test_a_report_tells_of_the_window_and_its_faults(wearable, model):
    await provision(wearable, model.plan, model.weights)
    window = make_window(3)
    window.counts[1] = 17
    window.counts[2, 5] = -32768
    report = await wearable.push(window)
    assert (report.window_id, report.label, report.weights_version) == (3, 3, 1)
    assert (report.flat_channels, report.saturated_channels) == (0b10, 0b100)
    assert len(report.probabilities) == CLASSES
    assert sum(report.probabilities) == pytest.approx(1, abs=1e-5)
    assert report.predicted == int(np.argmax(report.probabilities))
    first, second = sorted(report.probabilities)[:-3:-1]
    assert report.margin == pytest.approx(first - second, abs=1e-6)
    assert report.entropy == pytest.approx(-sum(p * np.log(p) for p in report.probabilities), abs=1e-4)
    assert len(report.features) == 16


async def test_a_fit_learns_and_its_course_is_told_in_order(wearable, model):
    events = await fitted(wearable, model)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    progress = [event for event in events if event.kind is DeviceEventKind.FIT_PROGRESS]
    assert [event.epoch for event in progress] == list(range(1, 9))
    assert [(event.step, event.steps) for event in progress] == [(8 * epoch, 64) for epoch in range(1, 9)]
    assert progress[-1].loss < 0.7 * progress[0].loss
    held_out, truth = range(60, 80), [id_ % CLASSES for id_ in range(60, 80)]
    after = await wearable.evaluate(held_out, Bank.CANDIDATE)
    before = await wearable.evaluate(held_out, Bank.SERVING)
    right = [sum(a == b for a, b in zip(guess, truth, strict=True)) for guess in (before, after)]
    assert right[1] >= right[0] + 5
    assert await wearable.read_weights() == model.weights  # the serving ones were not touched


async def test_a_commit_serves_and_names_its_parent(wearable, model):
    await fitted(wearable, model)
    candidate = await wearable.read_weights(Bank.CANDIDATE)
    assert await wearable.commit() == 2
    assert await wearable.read_weights() == candidate
    adapted = read_weights(candidate)
    assert (adapted.version, adapted.origin) == (2, Origin.ADAPTED)
    assert adapted.parent_hash == read_weights(model.weights).hash
    assert await wearable.read_weights(Bank.PREVIOUS) == model.weights
    assert (await wearable.push(make_window(100))).weights_version == 2


async def test_roll_back_restores_every_byte_and_versions_go_on_rising(wearable, model):
    await fitted(wearable, model)
    held_out = range(60, 80)
    before = await wearable.evaluate(held_out, Bank.SERVING)
    await wearable.commit()
    assert await wearable.evaluate(held_out, Bank.PREVIOUS) == before
    assert await wearable.roll_back() == 1
    assert await wearable.read_weights() == model.weights
    assert await wearable.evaluate(held_out, Bank.SERVING) == before
    with pytest.raises(WearableError) as refused:
        await wearable.roll_back()
    assert refused.value.code == "WRONG_STATE"
    await wearable.start_fit(FIT)
    await events_until(wearable, DeviceEventKind.FIT_DONE)
    assert await wearable.commit() == 3


async def test_refinements_serve_and_roll_back_leads_to_before_the_first_of_them(wearable, model):
    await fitted(wearable, model)
    await wearable.commit()
    for version in (3, 4, 5):
        await wearable.start_fit(FIT)
        await events_until(wearable, DeviceEventKind.FIT_DONE)
        candidate = await wearable.read_weights(Bank.CANDIDATE)
        assert await wearable.commit(refine=True) == version
        assert await wearable.read_weights() == candidate
        assert await wearable.read_weights(Bank.PREVIOUS) == model.weights
    assert await wearable.roll_back() == 1
    assert await wearable.read_weights() == model.weights


async def test_discard_leaves_the_serving_weights_as_they_were(wearable, model):
    await fitted(wearable, model)
    await wearable.discard()
    assert await wearable.read_weights() == model.weights
    for refused in (wearable.commit, wearable.discard):
        with pytest.raises(WearableError) as error:
            await refused()
        assert error.value.code == "WRONG_STATE"


async def test_windows_are_served_between_the_micro_batches_of_a_fit(wearable, model):
    await provision(wearable, model.plan, model.weights)
    for id_ in range(60):
        await wearable.push(make_window(id_))
    await wearable.start_fit(FitRequest(fit_id=8, window_ids=range(60), epochs=60))
    reports = [await wearable.push(make_window(id_)) for id_ in range(100, 130)]
    statistics = await wearable.statistics()
    assert statistics.fitting
    assert [report.window_id for report in reports] == list(range(100, 130))
    assert {report.weights_version for report in reports} == {1}
    assert statistics.fit_steps > 0
    await wearable.stop_fit()
    ended = (await events_until(wearable, DeviceEventKind.DISCARDED))[-1]
    assert ended.fit_id == 8
    assert not (await wearable.statistics()).candidate
    assert await wearable.read_weights() == model.weights


async def test_a_fit_is_the_same_whatever_happens_beside_it(wearable, model):
    await fitted(wearable, model)
    alone = await wearable.read_weights(Bank.CANDIDATE)
    await wearable.start_fit(FIT)
    for id_ in range(200, 220):
        await wearable.push(make_window(id_))
    await wearable.evaluate(range(20), Bank.SERVING)
    await events_until(wearable, DeviceEventKind.FIT_DONE)
    assert await wearable.read_weights(Bank.CANDIDATE) == alone


async def test_a_label_may_come_late(wearable, model):
    await provision(wearable, model.plan, model.weights)
    for id_ in range(8):
        await wearable.push(make_window(id_, None))
    request = FitRequest(fit_id=1, window_ids=range(8), epochs=1)
    with pytest.raises(WearableError) as unlabelled:
        await wearable.start_fit(request)
    assert unlabelled.value.code == "BAD_ARGUMENT"
    for id_ in range(8):
        await wearable.label(id_, id_ % CLASSES)
    await wearable.start_fit(request)
    await events_until(wearable, DeviceEventKind.FIT_DONE)
    with pytest.raises(WearableError) as unknown:
        await wearable.label(999, 0)
    assert unknown.value.code == "UNKNOWN_WINDOW"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"window_ids": [1, 999]}, "UNKNOWN_WINDOW"),
        ({"window_ids": []}, "BAD_ARGUMENT"),
        ({"epochs": 0}, "BAD_ARGUMENT"),
        ({"batch_size": 0}, "BAD_ARGUMENT"),
        ({"learning_rate": float("nan")}, "BAD_ARGUMENT"),
        ({"momentum": 1.0}, "BAD_ARGUMENT"),
        ({"weight_decay": -1.0}, "BAD_ARGUMENT"),
    ],
)
async def test_an_impossible_fit_is_refused_by_name(wearable, model, change, code):
    await provision(wearable, model.plan, model.weights)
    await wearable.push(make_window(1))
    settings = {"fit_id": 1, "window_ids": [1], "epochs": 1} | change
    with pytest.raises(WearableError) as error:
        await wearable.start_fit(FitRequest(**settings))
    assert error.value.code == code
    assert not (await wearable.statistics()).fitting


def altered(file: bytes, at: int = 200) -> bytes:
    return file[:at] + bytes([file[at] ^ 1]) + file[at + 1 :]


async def test_bad_files_are_refused_by_name_and_change_nothing(wearable, model):
    await fitted(wearable, model)
    await wearable.commit()
    before = await wearable.read_weights()
    nan = bytearray(read_weights(model.weights).values)
    nan[8:12] = struct.pack("<f", float("nan"))
    sick = type(read_weights(model.weights))(read_weights(model.weights).plan_hash, 9, bytes(nan)).pack()
    for file, code in [
        (altered(model.weights), "BAD_CRC"),
        (model.weights[:-4], "BAD_LENGTH"),
        (model.other_weights, "WRONG_PLAN"),
        (b"rubbish" * 40, "BAD_MAGIC"),
        (sick, "NOT_FINITE"),
    ]:
        with pytest.raises(WearableError) as error:
            await wearable.write_weights(file)
        assert error.value.code == code
    for file, code in [
        (altered(model.plan, 300), "BAD_CRC"),
        (model.plan[:-4], "BAD_LENGTH"),
        (model.plan[:4] + b"\7" + model.plan[5:], "BAD_VERSION"),
        (b"", "BAD_MAGIC"),
    ]:
        with pytest.raises(WearableError) as error:
            await wearable.write_plan(file)
        assert error.value.code == code
    assert await wearable.read_plan() == model.plan
    assert await wearable.read_weights() == before
    assert await wearable.read_weights(Bank.PREVIOUS) == model.weights
    assert (await wearable.statistics()).ring_windows == 80


async def test_another_plan_takes_the_place_of_the_old_one(wearable, model):
    await fitted(wearable, model)
    await wearable.write_plan(model.other_plan)
    assert len(wearable.info.classes) == CLASSES - 1
    with pytest.raises(WearableError) as error:
        await wearable.push(make_window(0))
    assert error.value.code == "NO_WEIGHTS"
    await wearable.write_weights(model.other_weights)
    assert len((await wearable.push(make_window(0))).probabilities) == CLASSES - 1


async def test_a_wearable_without_a_plan_says_so(wearable):
    for call in (wearable.read_plan, wearable.commit):
        with pytest.raises(WearableError) as error:
            await call()
        assert error.value.code in ("NO_PLAN", "WRONG_STATE")
    with pytest.raises(WearableError) as error:
        await wearable.push(make_window(0))
    assert error.value.code == "NO_PLAN"


async def test_a_window_of_the_wrong_shape_is_refused(wearable, model):
    await provision(wearable, model.plan, model.weights)
    window = make_window(0)
    short = type(window)(0, window.counts[:, :100], window.scale, 100.0, 0.0)
    with pytest.raises(WearableError, match=r"\(4, 100\), the plan expects \(4, 200\)"):
        await wearable.push(short)


async def test_events_are_told_again_until_they_are_acknowledged(wearable, model):
    await provision(wearable, model.plan, model.weights)
    first = await events_until(wearable, DeviceEventKind.WEIGHTS_WRITTEN)
    assert (await wearable.statistics()).events_pending == 3
    await wearable.acknowledge(first[1].boot, first[1].seq)
    assert (await wearable.statistics()).events_pending == 1
    wearable._session._break("a test pulls the plug")
    again = await events_until(wearable, DeviceEventKind.WEIGHTS_WRITTEN)
    assert again == first[2:]
    await wearable.acknowledge(again[-1].boot, again[-1].seq)
    assert (await wearable.statistics()).events_pending == 0


async def test_a_full_log_refuses_new_fits_and_loses_nothing(wearable, model):
    await provision(wearable, model.plan, model.weights)
    await wearable.push(make_window(0))
    request = FitRequest(fit_id=1, window_ids=[0], epochs=475)
    done = [e for e in await fit_and_wait(wearable, request) if e.kind is DeviceEventKind.FIT_DONE]
    done += [e for e in await fit_and_wait(wearable, request) if e.kind is DeviceEventKind.FIT_DONE]
    assert len(done) == 2
    with pytest.raises(WearableError) as error:
        await wearable.start_fit(FitRequest(fit_id=3, window_ids=[0], epochs=30))
    assert error.value.code == "LOG_FULL"
    assert (await wearable.statistics()).extra["events_refused"] == 0
    await wearable.acknowledge(done[-1].boot, done[-1].seq)
    await wearable.start_fit(FitRequest(fit_id=3, window_ids=[0], epochs=30))
    await events_until(wearable, DeviceEventKind.FIT_DONE)


async def fit_and_wait(wearable, request):
    await wearable.start_fit(request)
    return await events_until(wearable, DeviceEventKind.FIT_DONE)


async def test_memory_is_what_the_plan_promised(wearable, model):
    await fitted(wearable, model)
    statistics = await wearable.statistics()
    memory = read_plan(model.plan).names["memory"]
    assert statistics.total_bytes == memory["total_bytes"], "the executor's own count"
    assert statistics.extra["arena_mark_bytes"] == memory["arena_bytes"]
    assert statistics.extra["l1_mark_bytes"] == memory["l1_bytes"] > 0
    assert statistics.total_bytes <= statistics.l2_peak_bytes <= statistics.total_bytes + statistics.resident_bytes
    assert statistics.resident_bytes <= 60_000
    assert statistics.extra["l3_bytes"] <= 8_000_000


@pytest.mark.parametrize(
    "address", ["tcp://nowhere", "tcp://:80", "tcp://h:99999", "serial:/dev/tty", "usb://1", "tcp://", "serial", ""]
)
async def test_an_address_that_cannot_be_is_named(address):
    with pytest.raises(UserError, match="write tcp://HOST:PORT"):
        await connect(address, timing=QUICK)
