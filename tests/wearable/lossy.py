"""A link that does everything that links do wrong, in both directions, from a seed."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

from device_agent.wearable.transport import Transport


@dataclass(frozen=True)
class Faults:
    """Shares of all frames."""

    lost: float = 0.2
    flipped: float = 0.05
    """One byte is another."""
    repeated: float = 0.05
    overtaken: float = 0.05
    """Arrives behind the next one."""
    in_bytes: float = 0.1
    """Arrives one byte at a time."""
    delay_s: float = 0.003
    """At most, before a frame goes on."""


class LossyTransport(Transport):
    """`inner`, seen through `faults`; a frame of the wearable's is what stands between two zero bytes."""

    def __init__(self, inner: Transport, seed: int, faults: Faults = Faults()) -> None:
        self.inner, self.faults = inner, faults
        self.counts = dict.fromkeys(("lost", "flipped", "repeated", "overtaken", "in_bytes"), 0)
        self._rng = random.Random(seed)
        self._half = b""
        self._late: dict[str, bytes] = {"out": b"", "back": b""}

    @property
    def address(self) -> str:
        return "lossy " + self.inner.address

    async def open(self) -> None:
        self._half = b""
        self._late = {"out": b"", "back": b""}
        await self.inner.open()

    async def close(self) -> None:
        await self.inner.close()

    async def write(self, data: bytes) -> None:
        await asyncio.sleep(self._rng.random() * self.faults.delay_s)
        for part in self._through("out", data):
            await self.inner.write(part)

    async def read(self) -> bytes:
        while data := await self.inner.read():
            *frames, self._half = (self._half + data).split(b"\0")
            arrived = b"".join(part for frame in frames if frame for part in self._through("back", frame + b"\0"))
            if arrived:
                await asyncio.sleep(self._rng.random() * self.faults.delay_s)
                return arrived
        return b""

    def _through(self, way: str, frame: bytes) -> list[bytes]:
        if self._happens("lost"):
            return []
        if self._happens("flipped"):
            at = self._rng.randrange(len(frame))
            frame = frame[:at] + bytes([frame[at] ^ self._rng.randrange(1, 256)]) + frame[at + 1 :]
        if not self._late[way] and self._happens("overtaken"):
            self._late[way] = frame
            return []
        late, self._late[way] = self._late[way], b""
        parts = [bytes([byte]) for byte in frame] if self._happens("in_bytes") else [frame]
        again = [frame] if self._happens("repeated") else []
        return [*parts, *again, *([late] if late else [])]

    def _happens(self, what: str) -> bool:
        happens = self._rng.random() < float(getattr(self.faults, what))
        self.counts[what] += happens
        return happens
