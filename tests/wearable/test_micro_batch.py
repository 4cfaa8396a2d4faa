"""Inference comes first: a window that arrives during a fit is answered before the wearable has trained on more than
one more window. With batches of one, every micro-batch is a step, and the wearable counts its steps."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
import zlib
from itertools import count
from pathlib import Path

import pytest

from device_agent.wearable.api import FitRequest
from device_agent.wearable.connect import connect, provision
from device_agent.wearable.local import Firmware, storage_bytes
from device_agent.wearable.tcp import TcpTransport
from schemas.link.bodies import FitBody, WindowBody
from schemas.link.frame import MAX_PAYLOAD, PROTOCOL, Frame, FrameKind, Receiver
from schemas.link.greeting import Hello
from schemas.link.opcodes import LinkObject, Opcode
from schemas.link.statistics import Statistics
from schemas.link.status import Status
from schemas.link.told import Report
from schemas.link.upload import Chunk, Upload
from tests.wearable.conftest import CLASSES, make_window
from tests.wearable.test_power_cut import switch_on

WINDOWS, TIMES, EPOCHS = 16, 12, 900


class Spoken:
    """Frames made by hand, so that what goes in one piece is known."""

    def __init__(self) -> None:
        self.receiver, self.sequence, self.ids = Receiver(), count(1), count(1000, 2)

    def frame(self, kind: FrameKind, opcode: Opcode, payload: bytes = b"", *, window: bool = False) -> bytes:
        id_ = next(self.ids) + window if kind is FrameKind.REQUEST else 0
        return Frame(kind, opcode, next(self.sequence), 7, id_, payload).to_bytes()

    def hello(self) -> bytes:
        return self.frame(FrameKind.REQUEST, Opcode.HELLO, Hello(PROTOCOL, PROTOCOL, 5).to_bytes())

    def statistics(self) -> bytes:
        return self.frame(FrameKind.REQUEST, Opcode.STATISTICS)

    def begin(self, what: LinkObject, body: bytes) -> bytes:
        """Everything up to the end."""
        about, window = self.about(what, body), what is LinkObject.WINDOW
        sent = self.frame(FrameKind.REQUEST, Opcode.BEGIN, about, window=window)
        step = MAX_PAYLOAD - Chunk.LAYOUT.size
        for at in range(0, len(body), step):
            sent += self.frame(FrameKind.ONE_WAY, Opcode.CHUNK, Chunk(what, at, body[at : at + step]).to_bytes())
        return sent

    def end(self, what: LinkObject, body: bytes) -> bytes:
        """Executes it."""
        window = what is LinkObject.WINDOW
        return self.frame(FrameKind.REQUEST, Opcode.END, self.about(what, body), window=window)

    @staticmethod
    def about(what: LinkObject, body: bytes) -> bytes:
        return Upload(what, len(body), zlib.crc32(body)).to_bytes()

    def upload(self, what: LinkObject, body: bytes) -> bytes:
        return self.begin(what, body) + self.end(what, body)

    @staticmethod
    def body(id_: int, label: int = -1) -> bytes:
        w = make_window(id_)
        return WindowBody(w.id, label, 0, w.scale.astype("<f4").tobytes(), w.counts.astype("<i2").tobytes()).to_bytes()

    def answers(self, data: bytes) -> list[tuple[int, bytes]]:
        """Opcode and body of each response, all of them done."""
        responses = [frame for frame in self.receiver.feed(data) if frame.kind == FrameKind.RESPONSE]
        assert all(frame.payload[0] == Status.OK for frame in responses)
        return [(frame.opcode, frame.payload[1:]) for frame in responses]


def steps(body: bytes) -> int:
    return int(Statistics.from_bytes(body).values["fit_steps"])


def fit() -> bytes:
    settings = (5e-3, 0.9, 1e-3)
    return FitBody(1, EPOCHS, 1, True, 0, *settings, range(WINDOWS)).to_bytes()


async def test_a_window_is_answered_within_one_micro_batch(model) -> None:
    """One poll serves what has come, and then trains on at most one window: the answer is there after the first."""
    memory = bytearray(storage_bytes())
    device = await switch_on(memory)
    await provision(device.wearable, model.plan, model.weights)
    await device.off()
    firmware, said = Firmware("sliced", memory=memory), Spoken()

    def ask(*frames: bytes) -> list[tuple[int, bytes]]:
        for frame in frames:
            assert firmware.feed(frame) == len(frame)
        firmware.poll()
        return said.answers(firmware.drain())

    ask(said.hello())
    for id_ in range(WINDOWS):
        ask(said.upload(LinkObject.WINDOW, said.body(id_, id_ % CLASSES)))
    ask(said.upload(LinkObject.FIT, fit()))
    trained = []
    for number in range(TIMES):
        ((_, before),) = ask(said.statistics())  # and a micro-batch behind it
        answers = ask(said.upload(LinkObject.WINDOW, said.body(100 + number)), said.statistics())
        assert [opcode for opcode, _ in answers] == [Opcode.BEGIN, Opcode.END, Opcode.STATISTICS]
        assert Report.from_bytes(answers[1][1]).window_id == 100 + number
        trained.append(steps(answers[2][1]) - steps(before))
    firmware.close()
    assert trained == [1] * TIMES  # it does train meanwhile, on one window from a poll to the next


@pytest.mark.slow
@pytest.mark.parametrize("port", ["host", "riscv"])
async def test_a_window_is_answered_within_one_micro_batch_over_the_link(model, tmp_path: Path, port: str) -> None:
    """The end of a window goes out between two counts of steps, in one piece: none is made in between. The answer is
    there in about the time of a micro-batch."""
    if port == "riscv":
        from biotrain.riscv.image import COMPILER, EMULATOR, _find

        if not all(_find(name) for name in (COMPILER, EMULATOR)):
            pytest.skip("needs the cross compiler and the emulator (docs/riscv.md)")
    words = [sys.executable, "-m", "biotrain", "wearable", "--port", port, "--json"]
    process = subprocess.Popen([*words, "--storage", str(tmp_path / "flash")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = json.loads(process.stdout.readline())["address"]
    wearable = await connect(f"tcp://{address}")
    await provision(wearable, model.plan, model.weights)
    for id_ in range(WINDOWS):
        await wearable.push(make_window(id_))
    await wearable.start_fit(FitRequest(fit_id=1, window_ids=range(WINDOWS), epochs=EPOCHS, batch_size=1))
    await wearable.close()
    host, _, number = address.rpartition(":")
    line, said = TcpTransport(host, int(number)), Spoken()

    async def ask(data: bytes, answers: int) -> list[bytes]:
        found: list[tuple[int, bytes]] = []
        await line.write(data)
        async with asyncio.timeout(20):
            while len(found) < answers:
                found += said.answers(await line.read())
        return [body for _, body in found]

    try:
        await line.open()
        await ask(said.hello(), 1)
        (first,) = await ask(said.statistics(), 1)
        waits = []
        for id_ in range(100, 100 + TIMES):
            body = said.body(id_)
            await ask(said.begin(LinkObject.WINDOW, body), 1)
            started = time.perf_counter()
            piece = said.statistics() + said.end(LinkObject.WINDOW, body) + said.statistics()
            before, report, after = await ask(piece, 3)
            waits.append(time.perf_counter() - started)
            assert Report.from_bytes(report).window_id == id_
            assert steps(after) == steps(before)
        (last,) = await ask(said.statistics(), 1)
    finally:
        await line.close()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)
        process.stdout.close()
    told = Statistics.from_bytes(first), Statistics.from_bytes(last)
    made = steps(last) - steps(first)
    # on a busy machine the questions come faster than an emulated board's micro-batches
    assert made >= 2, "it trained in between"
    micro_batch_s = (told[1].uptime_us - told[0].uptime_us) / 1e6 / made  # with what was served in between
    print(f"{port}: a micro-batch {1e3 * micro_batch_s:.2f} ms, a window {1e3 * sorted(waits)[TIMES // 2]:.2f} ms")
    assert sorted(waits)[TIMES // 2] < 2 * micro_batch_s + 0.05
