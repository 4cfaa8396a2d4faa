"""The wearable inside this process: the same firmware, polled by a thread of its own, its link in memory."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import threading
from collections import deque
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from device_agent.engine.library import LIBRARY, find_native
from device_agent.wearable.transport import Transport, TransportError
from schemas.errors import UserError

_DRAIN_BYTES = 65_536
_LONGEST_SLEEP_S = 0.25
#: Writes that may wait while the firmware does a slice of a fit.
INBOX_PIECES = 16


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(find_native(LIBRARY)))
    pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    library.bt_local_create.restype = pointer
    library.bt_local_create.argtypes = [text, text, pointer, text, text, text, ctypes.c_double, text, size]
    library.bt_local_storage_bytes.restype = ctypes.c_uint32
    for name in ("bt_local_feed", "bt_local_drain"):
        getattr(library, name).restype = size
        getattr(library, name).argtypes = [pointer, text, size]
    library.bt_local_poll.argtypes = [pointer]
    library.bt_local_idle_us.restype = ctypes.c_uint64
    library.bt_local_idle_us.argtypes = [pointer]
    library.bt_local_link_lost.argtypes = [pointer]
    library.bt_local_cut_after.argtypes = [pointer, ctypes.c_int64]
    library.bt_local_destroy.argtypes = [pointer]
    return library


def storage_bytes() -> int:
    """The size of a wearable's persistent storage."""
    return int(_library().bt_local_storage_bytes())


class Firmware:
    """The firmware in this process: bytes in, a slice of work, bytes out. One thread at a time."""

    def __init__(
        self,
        device_id: str = "local",
        *,
        storage: Path | None = None,
        memory: bytearray | None = None,
        external: Path | None = None,
        log: Path | None = None,
        recording: Path | None = None,
        speed: float = 1.0,
    ) -> None:
        """Storage is a file, or `memory` (`storage_bytes()` long), or forgotten at the end; so is external memory, with
        its ring of windows, unless `external` names a file for it. Raises UserError.
        """
        self._library = _library()
        if memory is None:
            memory = bytearray(0 if storage else storage_bytes())
        self._memory = (ctypes.c_uint8 * len(memory)).from_buffer(memory)
        error = ctypes.create_string_buffer(512)
        self._device = self._library.bt_local_create(
            device_id.encode(),
            str(storage).encode() if storage else None,
            ctypes.addressof(self._memory),
            str(external).encode() if external else None,
            str(log).encode() if log else None,
            str(recording).encode() if recording else None,
            speed,
            error,
            len(error),
        )
        if not self._device:
            raise UserError(error.value.decode(errors="replace"))
        self._out = ctypes.create_string_buffer(_DRAIN_BYTES)

    def feed(self, data: bytes) -> int:
        """How many of the bytes were taken: the link's buffer is finite."""
        return int(self._library.bt_local_feed(self._device, data, len(data)))

    def drain(self) -> bytes:
        count = self._library.bt_local_drain(self._device, self._out, _DRAIN_BYTES)
        return bytes(memoryview(self._out)[:count])

    def poll(self) -> bool:
        """One slice; True when there is more to do at once."""
        return bool(self._library.bt_local_poll(self._device))

    def idle_s(self) -> float:
        """How long nothing need be done if no byte comes."""
        return min(float(self._library.bt_local_idle_us(self._device)) / 1e6, _LONGEST_SLEEP_S)

    def link_lost(self) -> None:
        self._library.bt_local_link_lost(self._device)

    def cut_power_in_write(self, number: int) -> None:
        """For tests: storage is cut in the middle of its `number`-th write from now (1 is the next), for good."""
        self._library.bt_local_cut_after(self._device, number)

    def close(self) -> None:
        if self._device:
            self._library.bt_local_destroy(self._device)
            self._device = None


class LocalTransport(Transport):
    """Runs a `Firmware` in a thread. Closing ends the stream; `stop` ends the wearable, as switching it off would."""

    def __init__(self, firmware: Firmware) -> None:
        self._firmware = firmware
        self._inbox: deque[bytes] = deque()
        self._wake = threading.Event()
        self._taken = asyncio.Event()
        self._resets: deque[asyncio.Future[None]] = deque()
        self._stopping = False
        self._incoming: asyncio.Queue[bytes] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="wearable", daemon=True)

    @property
    def address(self) -> str:
        return "local"

    async def open(self) -> None:
        if self._stopping:
            raise TransportError("local: the wearable has been switched off")
        self._loop = asyncio.get_running_loop()
        await self.close()
        self._incoming = asyncio.Queue()
        if not self._thread.is_alive():
            self._thread.start()

    async def read(self) -> bytes:
        return await self._incoming.get() if self._incoming is not None else b""

    async def write(self, data: bytes) -> None:
        if self._incoming is None:
            raise TransportError("local: not connected")
        self._inbox.append(data)
        self._wake.set()
        while len(self._inbox) > INBOX_PIECES and self._incoming is not None:
            self._taken.clear()
            await self._taken.wait()

    async def close(self) -> None:
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            incoming.put_nowait(b"")
        self._taken.set()
        if self._thread.is_alive() and self._loop is not None:
            done: asyncio.Future[None] = self._loop.create_future()
            self._resets.append(done)
            self._wake.set()
            await done

    async def stop(self) -> None:
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        self._firmware.close()

    def _deliver(self, data: bytes) -> None:
        if self._incoming is not None:
            self._incoming.put_nowait(data)

    def _run(self) -> None:
        firmware, held = self._firmware, b""
        while not self._stopping:
            while self._resets:
                self._inbox.clear()
                held = b""
                firmware.link_lost()
                self._tell(_finish, self._resets.popleft())
            while held or self._inbox:
                if not held:
                    held = self._inbox.popleft()
                    self._tell(self._taken.set)
                taken = firmware.feed(held)
                held = held[taken:]
                if not taken:
                    break
            more = firmware.poll()
            out = firmware.drain()
            if out:
                self._tell(self._deliver, out)
            if not (more or held or self._inbox or out):
                self._wake.wait(firmware.idle_s())
                self._wake.clear()
        while self._resets:
            self._tell(_finish, self._resets.popleft())

    def _tell(self, what: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody listens any more
            if self._loop is not None:
                self._loop.call_soon_threadsafe(what, *arguments)


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
