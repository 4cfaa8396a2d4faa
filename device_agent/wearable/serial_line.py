"""The link over a serial line: USB, a UART adapter, or a pseudo-terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
from urllib.parse import parse_qs

from device_agent.wearable.transport import Transport, TransportError
from schemas.errors import UserError

READ_BYTES = 4096
#: Of a UART; a USB line and a pseudo-terminal have no speed of their own and take any.
BAUD = 1_000_000


class SerialTransport(Transport):
    """A terminal device, raw, eight bits, no flow control. It never says that the other side is gone: the session's
    pings do."""

    def __init__(self, path: str, baud: int = BAUD) -> None:
        self._path, self._baud = path, baud
        self._file: int | None = None
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def address(self) -> str:
        return f"serial://{self._path}"

    async def open(self) -> None:
        await self.close()
        try:
            file = os.open(self._path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            raise TransportError(f"{self.address}: {error.strerror}") from error
        try:
            _make_raw(file, self._baud)
        except OSError as error:
            os.close(file)
            raise TransportError(f"{self.address} is no serial line: {error}") from error
        self._file = file

    async def read(self) -> bytes:
        while self._file is not None:
            try:
                return os.read(self._file, READ_BYTES)  # b"": unplugged
            except BlockingIOError:
                await self._until("reader")
            except OSError:
                return b""
        return b""

    async def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            if self._file is None:
                raise TransportError(f"{self.address}: not connected")
            try:
                left = left[os.write(self._file, left) :]
            except BlockingIOError:
                await self._until("writer")
            except OSError as error:
                raise TransportError(f"{self.address}: {error.strerror}") from error

    async def close(self) -> None:
        file, self._file = self._file, None
        for ready in self._waiting:
            _finish(ready)
        if file is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(file)
            loop.remove_writer(file)
            with contextlib.suppress(OSError):
                os.close(file)

    async def _until(self, watch: str) -> None:
        """Until the line can be read ("reader") or written ("writer"), or is closed."""
        loop, file = asyncio.get_running_loop(), self._file
        if file is None:
            return
        ready: asyncio.Future[None] = loop.create_future()
        self._waiting.add(ready)
        getattr(loop, f"add_{watch}")(file, _finish, ready)
        try:
            await ready
        finally:
            self._waiting.discard(ready)
            if self._file == file:
                getattr(loop, f"remove_{watch}")(file)


def _finish(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _make_raw(file: int, baud: int) -> None:
    """Raises OSError when it is no terminal."""
    import termios
    import tty

    try:
        tty.setraw(file, termios.TCSANOW)
        settings = termios.tcgetattr(file)
        settings[2] |= termios.CLOCAL | termios.CREAD
        settings[4] = settings[5] = getattr(termios, f"B{baud}")
        termios.tcsetattr(file, termios.TCSANOW, settings)
        termios.tcflush(file, termios.TCIOFLUSH)
    except termios.error as error:
        raise OSError(*error.args) from error


def from_address(rest: str) -> SerialTransport:
    """`/dev/ttyACM0` or `/dev/ttyUSB0?baud=115200`. Raises UserError."""
    path, _, query = rest.partition("?")
    try:
        import termios
    except ImportError:
        raise UserError("serial lines need a POSIX system: connect over tcp:// instead") from None
    given = parse_qs(query, strict_parsing=bool(query)) if query.count("=") == 1 else {}
    baud = given.get("baud", [str(BAUD)])[0] if not query or "baud" in given else ""
    if not hasattr(termios, f"B{baud}"):
        raise UserError(
            f"serial://{rest}: write serial:///dev/ttyACM0 or serial:///dev/ttyUSB0?baud=115200, with a speed that "
            f"this system knows"
        )
    return SerialTransport(path, int(baud))
