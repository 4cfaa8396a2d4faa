"""Links that lose, repeat, alter, reorder and end: nothing is executed twice, nothing is lost."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import AsyncIterator, Callable

import pytest

from device_agent.wearable.api import Bank, DeviceEventKind, FitRequest, WearableError, WearableLost
from device_agent.wearable.client import LinkWearable
from device_agent.wearable.connect import provision
from device_agent.wearable.local import Firmware, LocalTransport
from device_agent.wearable.session import LinkState
from device_agent.wearable.transport import Transport
from schemas.link.frame import Frame, FrameKind, Receiver
from schemas.link.greeting import Hello
from schemas.link.opcodes import Opcode
from schemas.link.status import Status
from tests.wearable.conftest import CLASSES, QUICK, make_window
from tests.wearable.test_wearable import events_until

Fault = Callable[[bytes], list[bytes]]
"""A frame in, what arrives of it out."""


class BadTransport(Transport):
    """A transport whose frames pass through `out` (to the wearable) and `back`."""

    def __init__(self, inner: Transport) -> None:
        self.inner = inner
        self.out: Fault = lambda frame: [frame]
        self.back: Fault = lambda frame: [frame]
        self._held = b""

    @property
    def address(self) -> str:
        return "bad " + self.inner.address

    async def open(self) -> None:
        self._held = b""
        await self.inner.open()

    async def read(self) -> bytes:
        while True:
            data = await self.inner.read()
            if not data:
                return b""
            *frames, self._held = (self._held + data).split(b"\0")
            arrived = b"".join(part for frame in frames if frame for part in self.back(frame + b"\0"))
            if arrived:
                return arrived

    async def write(self, data: bytes) -> None:
        for part in self.out(data):
            await self.inner.write(part)

    async def close(self) -> None:
        await self.inner.close()


@pytest.fixture
async def bad() -> AsyncIterator[tuple[LinkWearable, BadTransport]]:
    local = LocalTransport(Firmware("bad"))
    transport = BadTransport(local)
    wearable = LinkWearable(transport, QUICK, on_close=local.stop)
    await wearable.start()
    yield wearable, transport
    transport.out = transport.back = lambda frame: [frame]
    await wearable.close()


async def candidate(wearable: LinkWearable, model) -> None:
    await provision(wearable, model.plan, model.weights)
    for id_ in range(12):
        await wearable.push(make_window(id_))
    await wearable.start_fit(FitRequest(fit_id=1, window_ids=range(12), epochs=1))
    await events_until(wearable, DeviceEventKind.FIT_DONE)


def drop_answers(opcode: Opcode, count: int) -> Fault:
    left = count

    def fault(encoded: bytes) -> list[bytes]:
        nonlocal left
        frame = Frame.from_bytes(encoded[:-1])
        if left and frame.kind == FrameKind.RESPONSE and frame.opcode == opcode:
            left -= 1
            return []
        return [encoded]

    return fault


@pytest.mark.parametrize("opcode", [Opcode.COMMIT, Opcode.END])
async def test_a_command_whose_answers_are_lost_is_executed_once(bad, model, opcode):
    wearable, transport = bad
    await candidate(wearable, model)
    transport.back = drop_answers(opcode, 3)
    if opcode is Opcode.COMMIT:
        assert await wearable.commit() == 2
    else:
        await wearable.push(make_window(50))
    transport.back = lambda frame: [frame]
    assert (await wearable.statistics()).windows == (12 if opcode is Opcode.COMMIT else 13)
    told = await events_until_now(wearable)
    assert told.count(DeviceEventKind.COMMITTED) == (opcode is Opcode.COMMIT)


async def events_until_now(wearable: LinkWearable) -> list[DeviceEventKind]:
    """Kinds of all events that are not acknowledged, told again."""
    count = (await wearable.statistics()).events_pending
    wearable._session._break("so that all events come again")
    feed, seen = wearable.events(), {}
    async with asyncio.timeout(10):
        while len(seen) < count:
            event = await anext(feed)
            seen[event.boot, event.seq] = event.kind
    return list(seen.values())


@pytest.mark.slow
async def test_a_link_that_loses_repeats_and_reorders_changes_nothing_but_the_time(bad, model):
    wearable, transport = bad
    await provision(wearable, model.plan, model.weights)
    rng = random.Random(1)
    late: list[bytes] = []

    def fault(encoded: bytes) -> list[bytes]:
        draw = rng.random()
        if draw < 0.05:
            return []
        if draw < 0.10:
            return [encoded, encoded]
        if draw < 0.15:
            at = rng.randrange(len(encoded) - 1)
            return [encoded[:at] + bytes([encoded[at] ^ rng.randrange(1, 256)]) + encoded[at + 1 :]]
        if draw < 0.20:
            late.append(encoded)
            return []
        if draw < 0.25 and late:
            return [encoded, late.pop()]
        return [encoded]

    transport.out = transport.back = fault
    for id_ in range(24):
        assert (await wearable.push(make_window(id_))).window_id == id_
    await wearable.start_fit(FitRequest(fit_id=9, window_ids=range(24), epochs=3))
    await events_until(wearable, DeviceEventKind.FIT_DONE)
    predicted = await wearable.evaluate(range(24), Bank.CANDIDATE)
    version = await wearable.commit()
    transport.out = transport.back = lambda frame: [frame]
    assert version == 2
    assert all(0 <= guess < CLASSES for guess in predicted)
    statistics = await wearable.statistics()
    assert statistics.windows == 24
    assert statistics.frames_corrupt > 0
    told = await events_until_now(wearable)
    assert told.count(DeviceEventKind.FIT_PROGRESS) == 3
    for kind in (DeviceEventKind.FIT_STARTED, DeviceEventKind.FIT_DONE, DeviceEventKind.COMMITTED):
        assert told.count(kind) == 1


async def test_a_connection_that_ends_in_the_middle_of_a_fit_costs_nothing(bad, model):
    wearable, transport = bad
    await provision(wearable, model.plan, model.weights)
    for id_ in range(24):
        await wearable.push(make_window(id_))
    await wearable.start_fit(FitRequest(fit_id=9, window_ids=range(24), epochs=40))
    for _ in range(3):
        await asyncio.sleep(0.02)
        await transport.inner.close()
        assert (await wearable.push(make_window(3))).window_id == 3
    events = await events_until(wearable, DeviceEventKind.FIT_DONE)
    told = {(event.boot, event.seq): event for event in events}
    assert sorted(event.epoch for event in told.values() if event.kind is DeviceEventKind.FIT_PROGRESS) == list(
        range(1, 41)
    )
    assert wearable.reconnections == 3
    assert await wearable.commit() == 2


async def test_a_plan_goes_on_where_its_transfer_was_cut(bad, model):
    wearable, transport = bad
    sent: list[int] = []
    cut_at = 3

    async def cut() -> None:
        while transport.inner._inbox:  # what was sent before has arrived
            await asyncio.sleep(0.001)
        await transport.inner.close()

    def fault(encoded: bytes) -> list[bytes]:
        frame = Frame.from_bytes(encoded[:-1]) if len(encoded) > 1 else Frame(0)
        if frame.opcode == Opcode.CHUNK:
            sent.append(struct.unpack_from("<I", frame.payload, 1)[0])
            if len(sent) == cut_at:
                asyncio.get_running_loop().create_task(cut())
                return []
        return [encoded]

    transport.out = fault
    await wearable.write_plan(model.plan)
    assert await wearable.read_plan() == model.plan
    assert len(model.plan) > 3 * 2043
    assert sent.count(0) == 1  # what had arrived was not sent again
    assert sent.count(sent[cut_at - 1]) == 2


async def test_a_wearable_that_stays_away_is_told_with_what_is_known(bad):
    wearable, transport = bad
    transport.back = lambda frame: []
    session = wearable._session
    session.timing = type(QUICK)(
        retry_s=0.1, patience_s=0.5, push_patience_s=0.3, ping_s=0.1, silence_s=0.3, open_s=0.3, backoff_s=0.02
    )
    with pytest.raises(WearableLost) as unknown:
        await wearable.commit()
    assert unknown.value.executed is None
    assert wearable.state is not LinkState.READY
    with pytest.raises(WearableLost) as never_sent:
        await wearable.discard()
    assert never_sent.value.executed is False


async def test_a_restart_between_request_and_answer_is_told_as_unknown(bad, model):
    wearable, transport = bad
    await candidate(wearable, model)
    transport.back = drop_answers(Opcode.COMMIT, 1)
    session = wearable._session
    asking = asyncio.create_task(wearable.commit())
    await asyncio.sleep(0.05)
    session.boot += 1  # as if the next handshake had told of another boot
    with pytest.raises(WearableLost) as error:
        await asking
    assert error.value.executed is None


async def test_another_version_of_the_protocol_gets_a_clear_word():
    class Newer(BadTransport):
        async def write(self, data: bytes) -> None:
            frame = Frame.from_bytes(data[:-1]) if len(data) > 1 else Frame(0)
            if frame.opcode == Opcode.HELLO:
                hello = Hello(7, 9, Hello.from_bytes(frame.payload).client)
                data = Frame(
                    frame.kind, frame.opcode, frame.sequence, frame.session, frame.id, hello.to_bytes()
                ).to_bytes()
            await super().write(data)

    local = LocalTransport(Firmware("older"))
    wearable = LinkWearable(Newer(local), QUICK, on_close=local.stop)
    with pytest.raises(WearableError, match="speaks link protocol 1 to 1, this agent"):
        await wearable.start()
    await wearable.close()


class Raw:
    """Frames by hand, straight into the firmware."""

    def __init__(self) -> None:
        self.firmware = Firmware("raw")
        self.receiver = Receiver()

    def say(self, *frames: Frame | bytes) -> list[Frame]:
        for frame in frames:
            self.firmware.feed(frame if isinstance(frame, bytes) else frame.to_bytes())
        for _ in range(4):
            self.firmware.poll()
        return [f for f in self.receiver.feed(self.firmware.drain()) if f.kind == FrameKind.RESPONSE]


def request(opcode: Opcode, sequence: int, id_: int, payload: bytes = b"", session: int = 77) -> Frame:
    return Frame(FrameKind.REQUEST, opcode, sequence, session, id_, payload)


HELLO = request(Opcode.HELLO, 1, 2, Hello(1, 1, 5).to_bytes())


def test_before_the_handshake_nothing_is_executed():
    raw = Raw()
    (answer,) = raw.say(request(Opcode.COMMIT, 1, 2))
    assert answer.payload == bytes([Status.NO_SESSION])
    raw.firmware.close()


def test_repeated_and_overtaken_frames_are_not_executed():
    raw = Raw()
    raw.say(HELLO)
    second, third = request(Opcode.STATISTICS, 2, 4), request(Opcode.STATISTICS, 3, 6)
    assert [frame.id for frame in raw.say(third)] == [6]
    assert raw.say(third, second, HELLO) == []
    assert raw.say(request(Opcode.STATISTICS, 4, 8, session=78)) == []
    assert [frame.id for frame in raw.say(request(Opcode.STATISTICS, 5, 10))] == [10]
    raw.firmware.close()


def test_an_id_comes_back_with_its_answer_and_an_old_one_is_unknown():
    raw = Raw()
    raw.say(HELLO)
    (first,) = raw.say(request(Opcode.ROLL_BACK, 2, 4))
    (again,) = raw.say(request(Opcode.ROLL_BACK, 3, 4))
    assert again.payload == first.payload == bytes([Status.WRONG_STATE])
    for n in range(16):
        raw.say(request(Opcode.DISCARD, 4 + n, 6 + 2 * n))
    (forgotten,) = raw.say(request(Opcode.ROLL_BACK, 30, 4))
    assert forgotten.payload == bytes([Status.FORGOTTEN])
    raw.firmware.close()


def test_requests_of_later_firmware_are_refused_by_name():
    raw = Raw()
    raw.say(HELLO)
    (answer,) = raw.say(Frame(FrameKind.REQUEST, 200, 2, 77, 4, b"?"))
    assert answer.payload == bytes([Status.UNSUPPORTED])
    raw.firmware.close()


@pytest.mark.parametrize("seed", range(4))
def test_no_request_whatever_it_holds_harms_the_firmware(seed):
    rng = random.Random(seed)
    raw = Raw()
    raw.say(HELLO)
    for n in range(1500):
        kind = rng.choice([1, 1, 1, 3, 2, 9])
        opcode = rng.randrange(2, 20)
        body = bytes([rng.randrange(8)]) + rng.choice([rng.randbytes(rng.randrange(40)), bytes(8), b"\xff" * 12])
        raw.say(Frame(kind, opcode, (2 + n) % 65536, 77, 4 + 2 * n, body))
    (answer,) = raw.say(request(Opcode.STATISTICS, 2000, 10000))
    assert answer.payload[0] == Status.OK
    raw.firmware.close()
