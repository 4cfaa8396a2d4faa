"""How fast large things go to the wearable: over loopback TCP, and through a pipe as slow as Bluetooth Low Energy.

.venv/bin/python benchmarks/link_throughput.py
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from device_agent.engine.library import WEARABLE, find_native
from device_agent.wearable.api import WearableError
from device_agent.wearable.client import LinkWearable
from device_agent.wearable.tcp import TcpTransport
from device_agent.wearable.transport import Transport

BLE_BYTES_S = 1_400_000 / 8
QUEUE_S = 0.01
LARGEST = 520_000
"""Near the largest upload that the wearable has a place for; refused at its end, since it is no weights file."""


class Throttled(Transport):
    """`inner`, at so many bytes a second towards the wearable."""

    def __init__(self, inner: Transport, bytes_s: float) -> None:
        self.inner, self.bytes_s, self.free_s = inner, bytes_s, 0.0

    @property
    def address(self) -> str:
        return self.inner.address

    async def open(self) -> None:
        await self.inner.open()

    async def read(self) -> bytes:
        return await self.inner.read()

    async def write(self, data: bytes) -> None:
        # a radio has a queue of its own: who comes a little late has lost nothing yet
        self.free_s = max(self.free_s, time.monotonic() - QUEUE_S) + len(data) / self.bytes_s
        await asyncio.sleep(self.free_s - time.monotonic())
        await self.inner.write(data)

    async def close(self) -> None:
        await self.inner.close()


async def bytes_a_second(wearable: LinkWearable, size: int, times: int) -> float:
    """Of payload, the best of several uploads: everything that disturbs only makes it slower."""
    best = 0.0
    for number in range(times):
        data = bytes([number + 1]) * size
        start = time.perf_counter()
        try:
            await wearable.write_weights(data)
        except WearableError as refused:
            if refused.code != "NO_PLAN":
                raise
        best = max(best, size / (time.perf_counter() - start))
    return best


@contextlib.contextmanager
def running() -> Iterator[tuple[str, int]]:
    """The address of a virtual wearable."""
    with tempfile.TemporaryDirectory() as folder:
        words = [str(find_native(WEARABLE)), "--storage", str(Path(folder) / "flash"), "--json"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            host, _, port = json.loads(process.stdout.readline())["address"].rpartition(":")
            try:
                yield host, int(port)
            finally:
                process.terminate()


async def measure(host: str, port: int) -> dict[str, float]:
    told = {}
    for name, transport, times in (
        ("tcp", TcpTransport(host, port), 12),
        ("ble", Throttled(TcpTransport(host, port), BLE_BYTES_S), 2),
    ):
        wearable = LinkWearable(transport)
        await wearable.start()
        told[name] = await bytes_a_second(wearable, LARGEST, times)
        await wearable.close()
    return {"tcp_mb_s": told["tcp"] / 1e6, "ble_share": told["ble"] / BLE_BYTES_S}


if __name__ == "__main__":
    with running() as address:
        figures = asyncio.run(measure(*address))
    print(f"loopback TCP: {figures['tcp_mb_s']:.1f} MB/s")
    print(f"a pipe of 1.4 Mbit/s: {figures['ble_share']:.1%} of it")
