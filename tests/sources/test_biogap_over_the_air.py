"""BioGAP's three layouts over a serial line and over Bluetooth, through the agent's own transports: exact samples, and
losses counted exactly. The board stands at the other end of a pair of terminals, or behind bleak as its backend."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

bleak = pytest.importorskip("bleak")
from bleak.backends.characteristic import BleakGATTCharacteristic  # noqa: E402
from bleak.backends.client import BaseBleakClient  # noqa: E402
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection  # noqa: E402

from device_agent.sources.biogap_packets import LAYOUTS, volts  # noqa: E402
from device_agent.sources.live import LiveOptions  # noqa: E402
from device_agent.sources.registry import SourceOptions, open_source  # noqa: E402
from device_agent.sources.window import Window  # noqa: E402
from device_agent.wearable import ble  # noqa: E402
from tests.sources.test_biogap import packet, raw_of, start  # noqa: E402
from tests.wearable.test_serial import Cable  # noqa: E402

LOST = {60, 61}
NOISE = b"\x55\xaa\x00" * 7
BEGIN, END = 0x12, 0x13


def stream(layout: str) -> Iterator[bytes]:
    """Packets with two missing, and noise between two others."""
    for number in range(2000):
        if number == 90:
            yield NOISE
        if number not in LOST:
            yield packet(layout, number)


class SerialBoard:
    """Begins and ends on its commands; a thread, as a board is no part of the agent's loop."""

    def __init__(self, layout: str, end: str) -> None:
        self._layout, self._file = layout, os.open(end, os.O_RDWR | os.O_NOCTTY)
        self.heard = bytearray()
        self._over = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while BEGIN not in self.heard:
                self.heard += os.read(self._file, 16)
            threading.Thread(target=self._listen, daemon=True).start()
            for part in stream(self._layout):
                if self._over.is_set():
                    return
                while part:
                    part = part[os.write(self._file, part) :]
                time.sleep(0.001)

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while END not in self.heard:
                self.heard += os.read(self._file, 16)
        self._over.set()

    def close(self) -> None:
        self._over.wait(10)
        os.close(self._file)


class AirBoard(BaseBleakClient):
    """The same behind a UART service; bytes are notified as they come, cut at the packet's size of the radio."""

    layout = "biogap"
    heard = bytearray()

    async def connect(self, pair: bool, **_: Any) -> None:
        services = BleakGATTServiceCollection()
        service = BleakGATTService(None, 1, ble.SERVICE)
        services.add_service(service)
        for handle, uuid in enumerate((ble.TO_WEARABLE, ble.FROM_WEARABLE), 2):
            services.add_characteristic(
                BleakGATTCharacteristic(None, handle, uuid, ["write-without-response"], lambda: 244, service)
            )
        self.services, self._sending = services, None

    async def start_notify(self, characteristic: Any, callback: Any, **_: Any) -> None:
        self._callback = callback

    async def write_gatt_char(self, characteristic: Any, data: Any, response: bool) -> None:
        AirBoard.heard += data
        if BEGIN in data:
            self._sending = asyncio.create_task(self._send())
        if END in data and self._sending is not None:
            self._sending.cancel()

    async def _send(self) -> None:
        for part in stream(AirBoard.layout):
            for at in range(0, len(part), 100):
                self._callback(bytearray(part[at : at + 100]))
            await asyncio.sleep(0.001)

    async def disconnect(self) -> None:
        if self._sending is not None:
            self._sending.cancel()

    @property
    def mtu_size(self) -> int:
        return 247

    @property
    def is_connected(self) -> bool:
        return True

    async def pair(self, *_: Any, **__: Any) -> None: ...
    async def unpair(self) -> None: ...
    async def read_gatt_char(self, *_: Any, **__: Any) -> bytearray:
        raise NotImplementedError

    async def read_gatt_descriptor(self, *_: Any, **__: Any) -> bytearray:
        raise NotImplementedError

    async def write_gatt_descriptor(self, *_: Any) -> None: ...
    async def stop_notify(self, characteristic: Any) -> None: ...


async def check(layout: str, address: str) -> None:
    """The first windows: every sample of those that lost none, and the count of those that were lost."""
    each = LAYOUTS[layout].samples
    windows: dict[int, Window] = {}
    async with asyncio.timeout(60):
        source = open_source(layout, SourceOptions(stream=address, live=LiveOptions(hop_s=0.4))).open(start())
        async with source:
            async for item in source:
                if isinstance(item, Window):
                    windows[item.id] = item
                if len(windows) == 5:
                    break
        assert source.health is not None
        assert source.health.lost_samples == len(LOST) * each
    for number, window in windows.items():
        first = 200 * number
        raw = np.concatenate([raw_of(layout, k) for k in range(first // each, -(-(first + 200) // each))])
        raw = raw[first % each :][:200, [1, 0]].T
        microvolts = volts(raw) * 1e6
        centred = microvolts - np.median(microvolts, axis=1, keepdims=True)
        assert np.abs(window.values - centred).max() <= 0.51 * window.scale.max(), number


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
async def test_a_board_on_a_serial_line(layout: str) -> None:
    cable = Cable()
    board = SerialBoard(layout, cable.ends[1])
    try:
        await check(layout, f"serial://{cable.ends[0]}")
    finally:
        await asyncio.to_thread(board.close)
        cable.close()
    assert bytes(board.heard) == b"\x14\x01\x00\x12\x13"


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
async def test_a_board_over_bluetooth(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ble, "from_address", lambda rest: ble.BleTransport(rest, backend=AirBoard))
    AirBoard.layout, AirBoard.heard = layout, bytearray()
    await check(layout, "ble://BioGAP")
    assert bytes(AirBoard.heard) == b"\x14\x01\x00\x12\x13"
