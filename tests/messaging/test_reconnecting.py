"""A broker that is not there, goes away, and comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from messaging import Broker, BrokerSettings, PublishError
from tests.brokers import Mosquitto


@pytest.fixture
def mosquitto(tmp_path: Path) -> Mosquitto:
    """Not started."""
    return Mosquitto(tmp_path / "broker")


def settings(mosquitto: Mosquitto, client_id: str) -> BrokerSettings:
    return BrokerSettings(port=mosquitto.port, client_id=client_id, backoff_longest_s=0.2)


async def test_a_broker_that_comes_later_is_found(mosquitto: Mosquitto) -> None:
    async with Broker(settings(mosquitto, "early"), subscriptions=["x"]) as broker:
        await asyncio.sleep(0.4)
        assert not broker.connected
        assert broker.counters.attempts_failed >= 2
        assert "refused" in broker.counters.last_error
        mosquitto.start()
        try:
            async with asyncio.timeout(5):
                assert await broker.next_connection() == 1
            assert broker.counters.last_error == ""
        finally:
            mosquitto.stop()


async def test_a_killed_broker_is_found_again_and_subscriptions_are_made_again(mosquitto: Mosquitto) -> None:
    mosquitto.start()
    try:
        async with asyncio.timeout(15), Broker(settings(mosquitto, "r"), subscriptions=["x"]) as broker:
            connection = await broker.next_connection()
            for _ in range(3):
                mosquitto.kill()
                mosquitto.start()
                connection = await broker.next_connection(connection)
                await broker.publish("x", b"back")
                (delivery,) = await broker.receive()
                assert delivery.payload == b"back"
                delivery.acknowledge()
            assert broker.counters.connections_lost == 3
    finally:
        mosquitto.stop()


async def test_a_publish_that_was_not_acknowledged_fails_when_the_broker_dies(mosquitto: Mosquitto) -> None:
    mosquitto.start()
    async with Broker(settings(mosquitto, "p")) as broker:
        await broker.next_connection()
        mosquitto.freeze()
        publishing = asyncio.create_task(broker.publish("x", b"lost?"))
        await asyncio.sleep(0.2)
        assert not publishing.done()
        mosquitto.kill()
        with pytest.raises(PublishError, match="broke"):
            async with asyncio.timeout(2):
                await publishing


@pytest.mark.slow
async def test_stopping_while_a_broker_does_not_answer_is_quick(mosquitto: Mosquitto) -> None:
    mosquitto.start()
    mosquitto.freeze()
    try:
        loop = asyncio.get_running_loop()
        async with Broker(settings(mosquitto, "s")):
            await asyncio.sleep(0.3)
            begin = loop.time()
        assert loop.time() - begin < 3
    finally:
        mosquitto.kill()
