"""BioGAP's packets, as documented in public: bytes in, samples and losses out. Pure; there is no checksum.

A packet is believed by its header, its trailer and its place behind the one before. Where that breaks off, the next
place is looked for, and believed only when the packet behind it fits, too. Losses follow from the counter; as many as
the counter's range at once (256 packets of the older layouts) cannot be seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

HEADER, TRAILER = 0x55, 0xAA
_FULL_SCALE = 2**23 - 1


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand in a packet; bytes."""

    name: str
    length: int
    counter_bytes: int
    """Little-endian, behind the header."""
    first_sample: int
    samples: int
    stride: int
    channels: int
    """24-bit, big-endian, at the start of each sample."""
    trigger: int | None
    """Of a sample's bytes; None: labels come from the host."""
    rate_hz: float | None
    """None: not documented, the plan's is taken."""

    @property
    def counters(self) -> int:
        return 1 << 8 * self.counter_bytes


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("biogap", 211, 2, 7, 4, 50, 16, None, 500.0),
        Layout("biogap-ultra", 234, 1, 2, 4, 56, 16, 55, None),
        Layout("biogap-v1", 234, 1, 2, 7, 32, 8, 31, None),
    )
}


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of the board, decoded."""

    raw: npt.NDArray[np.int32]
    """[samples, channels], as the converter gave them."""
    triggers: tuple[int, ...]
    """One for each sample; 0 where the layout has none."""
    lost: int
    """Packets that are missing before this one."""


def volts(raw: npt.NDArray[np.int32], *, gain: float = 6.0, reference_v: float = 2.5) -> npt.NDArray[np.float64]:
    """Of the converter's counts (24 bits, ADS1298): count * reference / (gain * 2^23)."""
    return np.asarray(raw * (reference_v / (gain * _FULL_SCALE)), np.float64)


class PacketDecoder:
    """`feed` bytes in any pieces."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._buffer = bytearray()
        self._last: int | None = None
        """Counter of the last packet given out."""
        self._previous = b""
        self._in_step = False
        """The buffer begins where the last packet ended."""
        self.lost = 0
        """Packets that are missing between those that came."""
        self.skipped = 0
        """Bytes that belonged to no packet."""

    def feed(self, data: bytes) -> list[Packet]:
        self._buffer += data
        packets: list[Packet] = []
        while (found := self._next()) is not None:
            packets.append(found)
        return packets

    def _next(self) -> Packet | None:
        length = self._layout.length
        while len(self._buffer) >= length:
            if not self._framed(0):
                self._skip()
                continue
            expected = self._in_step and self._step(self._counter(0)) == 1
            if not expected:
                # out of step, or a counter that jumps: what comes behind must agree
                if len(self._buffer) < 2 * length:
                    return None
                behind = self._framed(length)
                follows = behind and (self._counter(length) - self._counter(0)) % self._layout.counters == 1
                altered = self._in_step and behind and self._step(self._counter(length)) == 2
                if altered and not follows:
                    return self._give(self._expected_counter())  # the counter itself was damaged on the way
                if not follows:
                    self._skip()
                    continue
            return self._give(self._counter(0))
        return None

    def _framed(self, at: int) -> bool:
        return self._buffer[at] == HEADER and self._buffer[at + self._layout.length - 1] == TRAILER

    def _counter(self, at: int) -> int:
        return int.from_bytes(self._buffer[at + 1 : at + 1 + self._layout.counter_bytes], "little")

    def _step(self, counter: int) -> int:
        """From the last packet's counter, round the corner."""
        return 1 if self._last is None else (counter - self._last) % self._layout.counters

    def _expected_counter(self) -> int:
        assert self._last is not None
        return (self._last + 1) % self._layout.counters

    def _skip(self) -> None:
        """To the next header, which may begin a packet."""
        first = 1
        if self._in_step:
            # where bytes are missing, the packet before may have ended, by chance, on a byte of this one
            self._buffer[:0] = self._previous[1:]
            self.skipped -= len(self._previous) - 1
            self._in_step, first = False, 0
        at = self._buffer.find(HEADER, first)
        at = len(self._buffer) if at < 0 else at
        self.skipped += at
        del self._buffer[:at]

    def _give(self, counter: int) -> Packet:
        layout = self._layout
        self._previous = bytes(self._buffer[: layout.length])
        data = np.frombuffer(self._previous, np.uint8)
        del self._buffer[: layout.length]
        body = data[layout.first_sample : layout.first_sample + layout.samples * layout.stride]
        samples = body.reshape(layout.samples, layout.stride)
        parts = samples[:, : 3 * layout.channels].reshape(layout.samples, layout.channels, 3).astype(np.int32)
        raw = (parts[:, :, 0] << 16 | parts[:, :, 1] << 8 | parts[:, :, 2]) << 8 >> 8  # the sign of 24 bits
        lost = (self._step(counter) - 1) % layout.counters
        self.lost += lost
        self._last, self._in_step = counter, True
        triggers = [0] * layout.samples if layout.trigger is None else samples[:, layout.trigger].tolist()
        return Packet(raw, tuple(triggers), lost)
