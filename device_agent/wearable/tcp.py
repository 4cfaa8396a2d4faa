"""The link over TCP: a virtual wearable, or a serial dongle that is shared on the network."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from device_agent.wearable.transport import Transport, TransportError
from schemas.errors import UserError

READ_BYTES = 65_536
#: No more than this waits unsent: a window that comes now is behind a few chunks, not behind a whole plan.
WRITE_BUFFER_BYTES = 8_192


class TcpTransport(Transport):
    """Bytes over a TCP connection."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def address(self) -> str:
        return f"tcp://{self._host}:{self._port}"

    async def open(self) -> None:
        try:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        except OSError as error:
            raise TransportError(f"{self.address}: {error.strerror or error}") from error
        self._writer.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def read(self) -> bytes:
        if self._reader is None:
            return b""
        try:
            return await self._reader.read(READ_BYTES)
        except OSError:
            return b""

    async def write(self, data: bytes) -> None:
        if self._writer is None:
            raise TransportError(f"{self.address}: not connected")
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise TransportError(f"{self.address}: {error.strerror or error}") from error

    async def close(self) -> None:
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def from_address(rest: str) -> TcpTransport:
    """`HOST:PORT`. Raises UserError."""
    host, _, port = rest.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UserError(f"tcp://{rest} is no wearable's address: write tcp://HOST:PORT")
    return TcpTransport(host.strip("[]"), int(port))
