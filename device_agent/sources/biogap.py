"""A BioGAP board over serial, TCP or Bluetooth: started, decoded, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time

import numpy as np

from device_agent.sources.biogap_packets import LAYOUTS, PacketDecoder, volts
from device_agent.sources.live import Samples, SampleStream
from device_agent.wearable.clock import DeviceClock
from device_agent.wearable.transport import TransportError
from device_agent.wearable.transports import transport
from schemas.errors import UserError

_SET_UP, _BEGIN, _END = bytes([0x14, 0x01, 0x00]), bytes([0x12]), bytes([0x13])
_SET_UP_S = 0.2
_WAIT_S = 0.1
_AGAIN_S = 1.0
"""Before a connection that broke is tried again."""
_NUMBERED = re.compile(r"(?:ch|exg|e)?[ _-]?(\d+)", re.IGNORECASE)


class BioGapStream(SampleStream):
    """Microvolts. A connection that breaks is opened again; what was lost meanwhile follows from the counter."""

    def __init__(self, layout: str, address: str, *, gain: float = 6.0, reference_v: float = 2.5) -> None:
        self._layout, self._address = LAYOUTS[layout], address
        self._microvolts = float(volts(np.array(1), gain=gain, reference_v=reference_v)) * 1e6
        self._way = transport(address)
        self._decoder = PacketDecoder(self._layout)
        # eight seconds of packets, in which two quartz clocks drift apart by less than a sample
        self._clock = DeviceClock(remembered=1_000)
        self._rate_hz = 0.0
        self._count = 0
        self._order: list[int] = []
        self._classes: tuple[str, ...] = ()
        self._trigger = 0

    async def open(self, channels: tuple[str, ...], rate_hz: float, classes: tuple[str, ...]) -> None:
        given = self._layout.rate_hz
        if given is not None and given != rate_hz:
            raise UserError(
                f"a {self._layout.name} board samples at {given:g} Hz, the plan expects {rate_hz:g} Hz: choose a plan "
                "that was made for it"
            )
        self._order = _order(channels, self._layout.channels)
        self._rate_hz, self._classes = rate_hz, classes
        try:
            await self._start()
        except TransportError as error:
            raise UserError(
                f"--stream {self._address}: no board there ({error}): check the address and its cable"
            ) from None

    async def read(self) -> list[Samples] | None:
        try:
            async with asyncio.timeout(_WAIT_S):
                data = await self._way.read()
        except TimeoutError:
            return []
        if not data:
            await self._again()
            return []
        return [self._samples(packet.raw, packet.triggers, packet.lost) for packet in self._decoder.feed(data)]

    async def close(self) -> None:
        with contextlib.suppress(TransportError):
            await self._way.write(_END)
        await self._way.close()

    async def _start(self) -> None:
        await self._way.open()
        await self._way.write(_SET_UP)
        await asyncio.sleep(_SET_UP_S)
        await self._way.write(_BEGIN)

    async def _again(self) -> None:
        await asyncio.sleep(_AGAIN_S)
        with contextlib.suppress(TransportError):
            await self._start()

    def _samples(
        self, raw: np.ndarray[tuple[int, ...], np.dtype[np.int32]], triggers: tuple[int, ...], lost: int
    ) -> Samples:
        gap = lost * self._layout.samples
        self._count += gap + len(raw)
        sent_us = round(self._count / self._rate_hz * 1e6)
        self._clock.told(sent_us, time.time())
        newest_s = self._clock.here_s(sent_us)
        assert newest_s is not None
        marks = []
        for index, trigger in enumerate(triggers):
            if trigger != self._trigger and 0 < trigger <= len(self._classes):
                marks.append((newest_s - (len(raw) - 1 - index) / self._rate_hz, self._classes[trigger - 1]))
            self._trigger = trigger
        return Samples(np.asarray(raw[:, self._order] * self._microvolts, np.float64), newest_s, gap, tuple(marks))


def _order(wanted: tuple[str, ...], has: int) -> list[int]:
    """The board numbers its inputs from 1; a plan for all of them may call them what it likes."""
    numbers = [_NUMBERED.fullmatch(name) for name in wanted]
    if all(numbers):
        order = [int(number[1]) - 1 for number in numbers if number]
        if len(set(order)) == len(order) and all(0 <= index < has for index in order):
            return order
    if len(wanted) == has:
        return list(range(has))
    raise UserError(
        f"the plan's channels ({', '.join(wanted)}) say nothing of the board's {has} inputs: name them ch1 to ch{has}, "
        "or use all of them"
    )
