"""What the link costs, in figures that a busy machine does not change; benchmarks/link_throughput.py has the speeds."""

from __future__ import annotations

import time

import pytest

from device_agent.wearable.api import WearableError
from device_agent.wearable.client import LinkWearable
from device_agent.wearable.connect import connect
from device_agent.wearable.local import Firmware, LocalTransport
from tests.wearable.conftest import QUICK
from tests.wearable.test_bad_links import BadTransport

SIZE = 500_000
PIPE_SHARE, BYTES_A_CPU_SECOND = 0.9, 20e6
"""Of a pipe throttled to Bluetooth's speed, and over TCP: what the link has to reach."""


async def upload(wearable: LinkWearable) -> None:
    with pytest.raises(WearableError, match="NO_PLAN"):  # refused at the end, when all of it is there
        await wearable.write_weights(bytes(range(256)) * (SIZE // 256))


async def test_nine_tenths_of_what_goes_over_a_slow_pipe_is_payload():
    local = LocalTransport(Firmware("slow"))
    transport = BadTransport(local)
    wearable = LinkWearable(transport, QUICK, on_close=local.stop)
    await wearable.start()
    sent = 0

    def count(encoded: bytes) -> list[bytes]:
        nonlocal sent
        sent += len(encoded)
        return [encoded]

    transport.out = count
    await upload(wearable)
    assert SIZE / sent > PIPE_SHARE
    await wearable.close()


async def test_the_agent_sends_more_than_twenty_megabytes_in_a_second_of_its_processor(process):
    wearable = await connect(f"tcp://{process.address}", timing=QUICK)
    rates = []
    for _ in range(3):
        start = time.process_time()
        await upload(wearable)
        rates.append(SIZE / (time.process_time() - start))
    assert max(rates) > BYTES_A_CPU_SECOND
    await wearable.close()
