"""The link through bleak's own client, with a backend whose radio is the firmware in this process."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

bleak = pytest.importorskip("bleak")
from bleak.backends.characteristic import BleakGATTCharacteristic  # noqa: E402
from bleak.backends.client import BaseBleakClient  # noqa: E402
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection  # noqa: E402
from bleak.exc import BleakError  # noqa: E402

from device_agent.wearable.api import DeviceEventKind, FitRequest, WearableLost  # noqa: E402
from device_agent.wearable.ble import FROM_WEARABLE, SERVICE, TO_WEARABLE, BleTransport  # noqa: E402
from device_agent.wearable.client import LinkWearable  # noqa: E402
from device_agent.wearable.connect import provision  # noqa: E402
from device_agent.wearable.local import Firmware, LocalTransport  # noqa: E402
from tests.wearable.conftest import QUICK, make_window  # noqa: E402
from tests.wearable.test_wearable import events_until  # noqa: E402

PACKET = 244
"""Bytes of one notification, with the usual ATT MTU of 247."""


class Radio(BaseBleakClient):
    """A peripheral with the UART service, near while `near` is true."""

    near = True
    service = SERVICE
    device: LocalTransport
    now: Radio | None = None
    largest = 0

    async def connect(self, pair: bool, **_: Any) -> None:
        if not Radio.near:
            raise BleakError("the device is out of range")
        await Radio.device.open()
        services = BleakGATTServiceCollection()
        service = BleakGATTService(None, 1, Radio.service)
        services.add_service(service)
        for handle, uuid in enumerate((TO_WEARABLE, FROM_WEARABLE), 2):
            if Radio.service == SERVICE:
                services.add_characteristic(
                    BleakGATTCharacteristic(None, handle, uuid, ["write-without-response"], lambda: PACKET, service)
                )
        self.services, self._task, Radio.now = services, None, self

    async def disconnect(self) -> None:
        if self._task is not None:
            self._task.cancel()
        await Radio.device.close()

    def drop(self) -> None:
        """The connection breaks by itself."""
        assert self._disconnected_callback is not None
        self._disconnected_callback()

    async def start_notify(self, characteristic: Any, callback: Any, **_: Any) -> None:
        async def listen() -> None:
            while data := await Radio.device.read():
                for start in range(0, len(data), PACKET):
                    callback(bytearray(data[start : start + PACKET]))

        self._task = asyncio.create_task(listen())

    async def write_gatt_char(self, characteristic: Any, data: Any, response: bool) -> None:
        assert characteristic.uuid == TO_WEARABLE
        assert not response
        Radio.largest = max(Radio.largest, len(data))
        await Radio.device.write(bytes(data))

    @property
    def mtu_size(self) -> int:
        return PACKET + 3

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


@pytest.fixture
async def radio():
    Radio.near, Radio.service, Radio.device, Radio.largest = True, SERVICE, LocalTransport(Firmware("ble")), 0
    yield Radio
    await Radio.device.stop()


async def test_a_wearable_is_fed_and_trained_over_the_air_and_found_again(radio, model):
    wearable = LinkWearable(BleTransport("band", backend=Radio), QUICK)
    await wearable.start()
    await provision(wearable, model.plan, model.weights)
    for id_ in range(8):
        assert (await wearable.push(make_window(id_))).window_id == id_
    radio.now.drop()
    await wearable.start_fit(FitRequest(fit_id=1, window_ids=range(8), epochs=2))
    await events_until(wearable, DeviceEventKind.FIT_DONE)
    assert await wearable.commit() == 2
    assert wearable.reconnections == 1
    assert radio.largest == PACKET
    await wearable.close()


async def test_a_device_that_is_away_or_is_no_wearable_is_named(radio):
    radio.near = False
    with pytest.raises(WearableLost, match="ble://band: the device is out of range"):
        await LinkWearable(BleTransport("band", backend=Radio), QUICK).start(0.2)
    radio.near, radio.service = True, "0000180f-0000-1000-8000-00805f9b34fb"
    with pytest.raises(WearableLost, match="has no UART service"):
        await LinkWearable(BleTransport("band", backend=Radio), QUICK).start(0.2)
