"""What an upload lacks is told hole by hole, and only that is sent again."""

from __future__ import annotations

import random
import zlib

import pytest

from device_agent.wearable.connect import provision
from schemas.link.frame import Frame, FrameKind
from schemas.link.opcodes import LinkObject, Opcode
from schemas.link.packing import MessageError
from schemas.link.status import Status
from schemas.link.upload import Chunk, Missing, Upload
from tests.wearable.conftest import make_window
from tests.wearable.test_bad_links import HELLO, Raw, bad, request  # noqa: F401  a fixture


class Uploader:
    """An upload by hand: chunks where the test wants them."""

    def __init__(self, data: bytes) -> None:
        self.raw, self.data, self.sequence = Raw(), data, 1
        self.raw.say(HELLO)

    def ask(self, opcode: Opcode, *, holes: bool = True, crc: int | None = None) -> tuple[int, bytes]:
        self.sequence += 1
        announced = Upload(LinkObject.PLAN, len(self.data), zlib.crc32(self.data) if crc is None else crc, holes)
        (answer,) = self.raw.say(request(opcode, self.sequence, 2 * self.sequence, announced.to_bytes()))
        return answer.payload[0], answer.payload[1:]

    def send(self, start: int, stop: int) -> None:
        self.sequence += 1
        chunk = Chunk(LinkObject.PLAN, start, self.data[start:stop])
        self.raw.say(Frame(FrameKind.ONE_WAY, Opcode.CHUNK, self.sequence, 77, 0, chunk.to_bytes()))

    def missing(self) -> set[int]:
        status, body = self.ask(Opcode.BEGIN)
        assert status == Status.OK
        return {i for start, stop in Missing.from_bytes(body).ranges(len(self.data)) for i in range(start, stop)}


def test_holes_are_told_as_they_are_whatever_arrives_in_whatever_order():
    rng = random.Random(3)
    data = rng.randbytes(4000)
    uploader = Uploader(data)
    left = uploader.missing()
    assert left == set(range(4000))
    pieces = 0
    while left:
        start = rng.randrange(4000)
        stop = min(4000, start + rng.randrange(1, 400))
        uploader.send(start, stop)
        now = uploader.missing()
        assert now in (left, left - set(range(start, stop)))
        dropped = now == left and bool(left & set(range(start, stop)))
        left = now
        islands = sum(1 for i in range(4000) if i not in left and (i == 0 or i - 1 in left))
        assert not dropped or islands == 32  # no room for one more piece apart
        pieces = max(pieces, islands)
    assert pieces > 5
    assert uploader.ask(Opcode.END)[0] == Status.BAD_MAGIC  # whole, and no plan


def test_an_agent_that_does_not_ask_for_holes_gets_what_is_held_from_the_start():
    uploader = Uploader(bytes(100))
    uploader.ask(Opcode.BEGIN)
    uploader.send(0, 30)
    uploader.send(60, 100)
    assert uploader.ask(Opcode.BEGIN, holes=False) == (Status.OK, (30).to_bytes(4, "little"))
    assert uploader.ask(Opcode.END, holes=False) == (Status.INCOMPLETE, (30).to_bytes(4, "little"))


def test_an_answer_without_holes_is_read_as_the_rest():
    assert Missing.from_bytes(Missing(30).to_bytes()).ranges(100) == ((30, 100),)
    assert Missing(0, ((5, 9),)).ranges(100) == ((5, 9),)
    with pytest.raises(MessageError, match="outside"):
        Missing(0, ((5, 900),)).ranges(100)
    with pytest.raises(MessageError, match="cut"):
        Missing.from_bytes(Missing(0, ((5, 9),)).to_bytes()[:-1])


def test_a_chunk_that_reaches_over_the_end_is_not_taken():
    uploader = Uploader(bytes(100))
    uploader.ask(Opcode.BEGIN)
    for start, count in ((90, 11), (2**32 - 1, 1), (0, 101), (100, 1)):
        uploader.sequence += 1
        chunk = Chunk(LinkObject.PLAN, start, bytes(count))
        uploader.raw.say(Frame(FrameKind.ONE_WAY, Opcode.CHUNK, uploader.sequence, 77, 0, chunk.to_bytes()))
    assert uploader.missing() == set(range(100))


async def test_only_what_was_lost_is_sent_again(bad, model):  # noqa: F811
    """Every fourth chunk of the first round is lost: each of these goes out twice, the others once."""
    wearable, transport = bad
    sent: list[int] = []

    def fault(encoded: bytes) -> list[bytes]:
        frame = Frame.from_bytes(encoded[:-1]) if len(encoded) > 1 else Frame(0)
        if frame.opcode != Opcode.CHUNK or frame.payload[0] != LinkObject.WEIGHTS:
            return [encoded]
        sent.append(int.from_bytes(frame.payload[1:5], "little"))
        return [] if len(sent) % 4 == 2 and sent.count(sent[-1]) == 1 else [encoded]

    await provision(wearable, model.plan, None)
    transport.out = fault
    await wearable.write_weights(model.weights)
    assert await wearable.read_weights() == model.weights
    assert len(set(sent)) >= 4
    lost = sorted(set(sent))[1::4]
    assert sorted(offset for offset in set(sent) if sent.count(offset) == 2) == lost


async def test_an_end_whose_answer_was_lost_sends_no_chunk_twice(bad, model):  # noqa: F811
    wearable, transport = bad
    chunks = 0
    drop = True

    def out(encoded: bytes) -> list[bytes]:
        nonlocal chunks
        frame = Frame.from_bytes(encoded[:-1]) if len(encoded) > 1 else Frame(0)
        chunks += frame.opcode == Opcode.CHUNK
        return [encoded]

    def back(encoded: bytes) -> list[bytes]:
        nonlocal drop
        frame = Frame.from_bytes(encoded[:-1])
        if drop and frame.kind == FrameKind.RESPONSE and frame.opcode == Opcode.END:
            drop = False
            return []
        return [encoded]

    await provision(wearable, model.plan, model.weights)
    transport.out, transport.back = out, back
    await wearable.push(make_window(1))
    assert not drop
    assert chunks == 1
    assert (await wearable.statistics()).windows == 1
