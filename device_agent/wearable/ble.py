"""The link over Bluetooth Low Energy: a UART made of two characteristics, as Nordic's UART service has it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from device_agent.wearable.transport import Transport, TransportError
from schemas.errors import UserError

if TYPE_CHECKING:
    from bleak import BleakClient

SERVICE = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"
TO_WEARABLE = "6e400002-b5a3-f393-e0a9-e50e24dcca9e"
FROM_WEARABLE = "6e400003-b5a3-f393-e0a9-e50e24dcca9e"
#: A wearable advertises at least once in a second: after so long it is not near.
SCAN_S = 5.0


class BleTransport(Transport):
    """Finds the wearable by its address or by the name that it advertises. `options` go to bleak's client."""

    def __init__(self, name: str, **options: Any) -> None:
        self._name, self._options = name, options
        self._client: BleakClient | None = None
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self._piece = 20

    @property
    def address(self) -> str:
        return f"ble://{self._name}"

    async def open(self) -> None:
        from bleak import BleakClient
        from bleak.exc import BleakError

        await self.close()
        incoming: asyncio.Queue[bytes] = asyncio.Queue()
        try:
            client = BleakClient(
                await self._find(), disconnected_callback=lambda _: incoming.put_nowait(b""), **self._options
            )
            await client.connect()
            self._client, self._incoming = client, incoming
            characteristic = client.services.get_characteristic(TO_WEARABLE)
            if characteristic is None:
                raise TransportError(f"{self.address} has no UART service ({SERVICE}): is it a wearable of biotrain?")
            self._piece = max(20, characteristic.max_write_without_response_size)
            await client.start_notify(FROM_WEARABLE, lambda _, data: incoming.put_nowait(bytes(data)))
        except (BleakError, OSError) as error:
            await self.close()
            raise TransportError(f"{self.address}: {error}") from error
        except TransportError:
            await self.close()
            raise

    async def read(self) -> bytes:
        incoming = self._incoming
        data = await incoming.get()
        if not data:
            incoming.put_nowait(b"")  # ended: for whoever asks again
        return data

    async def write(self, data: bytes) -> None:
        """In pieces that fit into one packet; the radio's own queue holds back who writes too fast."""
        from bleak.exc import BleakError

        for start in range(0, len(data), self._piece):
            if self._client is None:
                raise TransportError(f"{self.address}: not connected")
            try:
                await self._client.write_gatt_char(TO_WEARABLE, data[start : start + self._piece], response=False)
            except (BleakError, OSError) as error:
                raise TransportError(f"{self.address}: {error}") from error

    async def close(self) -> None:
        client, self._client = self._client, None
        self._incoming.put_nowait(b"")
        if client is not None:
            from bleak.exc import BleakError

            with contextlib.suppress(BleakError, OSError):
                await client.disconnect()

    async def _find(self) -> Any:
        """The device, as bleak knows it. Raises TransportError."""
        from bleak import BleakScanner

        if "backend" in self._options:  # a backend of the caller's own finds it by name
            return self._name
        found = await BleakScanner.find_device_by_filter(
            lambda device, seen: self._name in (device.address, device.name, seen.local_name), timeout=SCAN_S
        )
        if found is None:
            raise TransportError(f"{self.address}: not found within {SCAN_S:g} s; is it switched on, and near?")
        return found


def from_address(rest: str) -> BleTransport:
    """`NAME` or a Bluetooth address. Raises UserError."""
    try:
        import bleak  # noqa: F401
    except ImportError:
        raise UserError("Bluetooth needs bleak: install it with `pip install 'biotrain[ble]'`") from None
    return BleTransport(rest)
