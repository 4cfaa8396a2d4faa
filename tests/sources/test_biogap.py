"""BioGAP's packets: exact samples and exact losses, whatever happens to the bytes on the way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_agent.sources.biogap_packets import LAYOUTS, PacketDecoder, volts
from device_agent.sources.live import LiveOptions
from device_agent.sources.registry import SourceOptions, open_source
from device_agent.sources.source import Start
from device_agent.sources.window import Window
from schemas.errors import UserError


def raw_of(layout: str, counter: int) -> np.ndarray:
    """[samples, channels]: what packet number `counter` carries, the ends of the range among it."""
    shape = LAYOUTS[layout].samples, LAYOUTS[layout].channels
    values = np.random.default_rng(counter).integers(-(2**23), 2**23, shape)
    values[0, :2] = -(2**23), 2**23 - 1
    return values


def packet(layout: str, counter: int, trigger: int = 0) -> bytes:
    """Written from the documentation, without the decoder's table."""

    def int24(value: int) -> bytes:
        return int(value).to_bytes(3, "big", signed=True)

    samples = raw_of(layout, counter)
    exg = [b"".join(int24(value) for value in sample) for sample in samples]
    if layout == "biogap":
        head = bytes([0x55]) + (counter % 65536).to_bytes(2, "little") + (8000 * counter % 2**32).to_bytes(4, "little")
        return head + b"".join(part + bytes([k, 0]) for k, part in enumerate(exg)) + bytes([3, 1, 0, 0xAA])
    if layout == "biogap-ultra":
        body = b"".join(part + b"\x01\x02" * 3 + bytes([k, trigger]) for k, part in enumerate(exg))
        return bytes([0x55, counter % 256]) + body + bytes(7) + bytes([0xAA])
    body = b"".join(part + b"\x01\x02" * 3 + bytes([k, trigger]) for k, part in enumerate(exg))
    return bytes([0x55, counter % 256]) + body + bytes(7) + bytes([0xAA])


def pieces(data: bytes, seed: int) -> list[bytes]:
    rng, parts, at = random.Random(seed), [], 0
    while at < len(data):
        size = rng.choice([1, 2, 20, 211, 244, 1000])
        parts.append(data[at : at + size])
        at += size
    return parts


def decoded(layout: str, data: bytes, seed: int = 0) -> tuple[PacketDecoder, list[Any]]:
    decoder = PacketDecoder(LAYOUTS[layout])
    return decoder, [found for piece in pieces(data, seed) for found in decoder.feed(piece)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_documented_lengths_hold(layout: str) -> None:
    assert len(packet(layout, 5)) == LAYOUTS[layout].length


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_sample_comes_out_over_the_counters_corner(layout: str) -> None:
    first = LAYOUTS[layout].counters - 150
    data = b"".join(packet(layout, first + k) for k in range(301))
    decoder, found = decoded(layout, data)
    assert len(found) == 301
    for k, got in enumerate(found):
        np.testing.assert_array_equal(got.raw, raw_of(layout, first + k))
    assert (decoder.lost, decoder.skipped) == (0, 0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_lost_packets_are_counted_exactly_where_they_were(layout: str) -> None:
    gone = {40, 41, 42, 100, 130, *range(150, 240)}
    decoder, found = decoded(layout, b"".join(packet(layout, k) for k in range(300) if k not in gone))
    assert decoder.lost == len(gone)
    assert [(k, got.lost) for k, got in enumerate(found) if got.lost] == [(40, 3), (97, 1), (126, 1), (145, 90)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_noise_between_packets_costs_none_of_them(layout: str) -> None:
    rng = random.Random(4)
    data = b""
    for k in range(200):
        if k % 20 == 7:
            data += bytes(rng.choice([0x55, 0xAA, rng.randrange(256)]) for _ in range(rng.randrange(1, 600)))
        data += packet(layout, k)
    decoder, found = decoded(layout, data)
    assert decoder.lost == 0
    assert len(found) == 200
    assert all((got.raw == raw_of(layout, k)).all() for k, got in enumerate(found))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(LAYOUTS)), st.data())
def test_whatever_is_cut_out_of_the_stream_is_missing_and_nothing_else(layout: str, data: st.DataObject) -> None:
    length = LAYOUTS[layout].length
    whole = b"".join(packet(layout, k) for k in range(60))
    kept = np.ones(len(whole), bool)
    for at in data.draw(st.lists(st.integers(5 * length, 50 * length), min_size=1, max_size=4)):
        kept[at : at + data.draw(st.integers(1, 2 * length))] = False
    hit = {int(at) // length for at in np.flatnonzero(~kept)}
    decoder, found = decoded(layout, np.frombuffer(whole, np.uint8)[kept].tobytes(), data.draw(st.integers(0, 99)))
    at, seen = -1, {}
    for got in found:
        at += got.lost + 1
        seen[at] = got.raw
    assert at == 59
    assert decoder.lost == 60 - len(found)
    assert set(range(60)) - set(seen) <= hit | {k for k in range(60) if k - 1 in hit and k + 1 in hit}
    for k, raw in seen.items():
        if k not in hit:
            np.testing.assert_array_equal(raw, raw_of(layout, k))


def test_a_counter_that_is_damaged_on_the_way_is_no_loss() -> None:
    data = bytearray(b"".join(packet("biogap", k) for k in range(20)))
    data[7 * 211 + 2] ^= 0x40
    decoder, found = decoded("biogap", bytes(data))
    assert (len(found), decoder.lost, decoder.skipped) == (20, 0, 0)


def test_noise_alone_gives_nothing() -> None:
    rng = random.Random(9)
    decoder, found = decoded("biogap-v1", bytes(rng.randrange(256) for _ in range(200_000)))
    assert found == []
    assert decoder.skipped > 199_000


def test_volts_follow_from_gain_and_reference() -> None:
    assert volts(np.array([2**23 - 1]))[0] == pytest.approx(2.5 / 6)
    assert volts(np.array([-(2**23 - 1)]), gain=12, reference_v=2.4)[0] == pytest.approx(-0.2)


class Board:
    """Stands behind a TCP dongle: begins and ends on its commands, and sends what it is told to."""

    def __init__(self, stream: Callable[[], list[bytes]]) -> None:
        self._stream = stream
        self.heard = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sending: asyncio.Task[None] | None = None
        while byte := await reader.read(1):
            self.heard += byte
            if byte == b"\x12":
                sending = asyncio.create_task(self._send(writer))
            elif byte == b"\x13" and sending is not None:
                sending.cancel()
        writer.close()

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        for part in self._stream():
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.002)


def start(**changed: Any) -> Start:
    plan = {"channels": ("ch2", "ch1"), "samples": 200, "sampling_rate_hz": 500.0, "classes": ("rest", "fist")}
    info = SimpleNamespace(**{**plan, **changed})

    async def wearable() -> Any:
        return SimpleNamespace(info=info)

    return Start(wearable=wearable, wearable_lost=lambda wearable: None, capacity=1000)


async def items_of(layout: str, board: Board, live: LiveOptions, count: int) -> tuple[list[Any], Any]:
    server = await asyncio.start_server(board.serve, "127.0.0.1", 0)
    address = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    items: list[Any] = []
    async with server, asyncio.timeout(20):
        async with open_source(layout, SourceOptions(stream=address, live=live)).open(start()) as source:
            async for item in source:
                items.append(item)
                if len(items) == count:
                    break
        while not board.heard.endswith(b"\x13"):
            await asyncio.sleep(0.01)
    return items, source


async def test_a_board_behind_tcp_is_started_streamed_and_stopped() -> None:
    lost = {60, 61}
    board = Board(lambda: [packet("biogap", k) for k in range(420) if k not in lost])
    items, source = await items_of("biogap", board, LiveOptions(hop_s=0.4), 7)
    assert board.heard == b"\x14\x01\x00\x12\x13"
    windows = {item.id: item for item in items if isinstance(item, Window)}
    assert set(windows) == {0, 2, 3, 4, 5, 6, 7}, "the lost packets lie in window 1 (samples 200 to 399)"
    assert source.health.lost_samples == 8
    for number, window in windows.items():
        raw = np.concatenate([raw_of("biogap", 50 * number + k) for k in range(50)])[:, [1, 0]].T
        microvolts = volts(raw) * 1e6
        centred = microvolts - np.median(microvolts, axis=1, keepdims=True)
        # the full range of the converter needs 12 microvolts a count; its offset goes first
        assert np.abs(window.values - centred).max() <= 0.51 * window.scale.max()


@pytest.mark.parametrize("layout", ["biogap-ultra", "biogap-v1"])
async def test_triggers_of_the_older_layouts_are_labels(layout: str) -> None:
    each = LAYOUTS[layout].samples
    board = Board(lambda: [packet(layout, k, trigger=2 if 30 <= k < 40 else 0) for k in range(300)])
    (window,), _ = await items_of(layout, board, LiveOptions(), 1)
    assert (window.id, window.label) == (0, 1)
    raw = np.concatenate([raw_of(layout, 30 + k) for k in range(-(-200 // each))])[:200, 1]
    assert np.corrcoef(window.values[0], raw)[0, 1] > 0.999999


async def test_no_board_and_a_wrong_plan_are_told() -> None:
    async def opened(**changed: Any) -> None:
        async with open_source("biogap", SourceOptions(stream="tcp://127.0.0.1:9")).open(start(**changed)):
            pass

    with pytest.raises(UserError, match=r"no board there .*check the address"):
        await opened()
    with pytest.raises(UserError, match="samples at 500 Hz, the plan expects 250 Hz"):
        await opened(sampling_rate_hz=250.0)
    with pytest.raises(UserError, match=r"name them ch1 to ch16"):
        await opened(channels=("Fz", "Cz"))
    with pytest.raises(UserError, match="needs --stream"):
        open_source("biogap", SourceOptions())
