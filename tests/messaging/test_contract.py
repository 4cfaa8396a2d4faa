"""What agent and supervisor rely on, against real brokers.

Sessions and wills are Mosquitto's alone: amqtt keeps nothing for a client without a password that is away.
Nobody loses a message by it, because devices keep what they publish until the supervisor has stored it.
"""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from messaging import Broker, BrokerSettings, PublishError, Will


@pytest.fixture
def name() -> str:
    """A topic and client id of the test's own."""
    return f"t{uuid4().hex[:12]}"


def settings(port: int, client_id: str, **more: Any) -> BrokerSettings:
    return BrokerSettings(port=port, client_id=client_id, backoff_longest_s=0.3, **more)


def sender(port: int, name: str) -> Broker:
    return Broker(settings(port, f"{name}-sender", persistent_session=False))


async def receive(broker: Broker, count: int) -> list[bytes]:
    got: list[bytes] = []
    async with asyncio.timeout(10):
        while len(got) < count:
            for delivery in await broker.receive(count - len(got)):
                assert delivery.acknowledge()
                # amqtt gives every newcomer what is retained on other topics, too.
                if delivery.topic.startswith(broker.settings.client_id):
                    got.append(delivery.payload)
    return got


async def test_messages_arrive_in_order_with_their_bytes(any_port: int, name: str) -> None:
    payloads = [bytes([0, 255, number]) * 100 for number in range(50)]
    async with Broker(settings(any_port, name), subscriptions=[f"{name}/+"]) as reader, sender(any_port, name) as out:
        await reader.next_connection()
        await out.next_connection()
        for payload in payloads:
            await out.publish(f"{name}/x", payload)
        assert await receive(reader, 50) == payloads
        assert out.counters.published == 50


async def test_what_was_not_acknowledged_comes_again_and_what_was_does_not(mosquitto_port: int, name: str) -> None:
    async with (
        Broker(settings(mosquitto_port, name), subscriptions=[f"{name}/x"]) as reader,
        sender(mosquitto_port, name) as out,
    ):
        await reader.next_connection()
        await out.next_connection()
        for payload in (b"one", b"two", b"three"):
            await out.publish(f"{name}/x", payload)
        first, second, third = [(await reader.receive())[0] for _ in range(3)]
        assert [first.payload, second.payload, third.payload] == [b"one", b"two", b"three"]
        assert first.acknowledge()
        assert third.acknowledge()
    assert not second.acknowledge(), "its connection is gone"
    async with Broker(settings(mosquitto_port, name), subscriptions=[f"{name}/x"]) as reader:
        assert await receive(reader, 1) == [b"two"]
        await asyncio.sleep(0.3)
        assert reader.counters.received == 1


async def test_what_is_published_while_a_reader_is_away_waits_for_it(mosquitto_port: int, name: str) -> None:
    async with Broker(settings(mosquitto_port, name), subscriptions=[f"{name}/x"]) as reader:
        await reader.next_connection()
    async with sender(mosquitto_port, name) as out:
        await out.next_connection()
        for number in range(5):
            await out.publish(f"{name}/x", b"%d" % number)
    async with Broker(settings(mosquitto_port, name), subscriptions=[f"{name}/x"]) as reader:
        assert sorted(await receive(reader, 5)) == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_retained_message_meets_a_newcomer(any_port: int, name: str) -> None:
    async with sender(any_port, name) as out:
        await out.next_connection()
        await out.publish(f"{name}/state", b"online", retain=True)
    async with Broker(settings(any_port, name), subscriptions=[f"{name}/state"]) as reader:
        (delivery,) = await reader.receive()
        assert (delivery.topic, delivery.payload, delivery.retained) == (f"{name}/state", b"online", True)


@pytest.mark.slow
async def test_the_will_is_published_for_who_vanishes_and_not_for_who_says_good_bye(
    mosquitto_port: int, name: str
) -> None:
    will = Will(f"{name}/state", b"offline", retain=False)
    async with Broker(settings(mosquitto_port, name), subscriptions=[f"{name}/state"]) as reader:
        await reader.next_connection()
        async with Broker(settings(mosquitto_port, f"{name}-polite"), will=will) as polite:
            await polite.next_connection()
        await asyncio.sleep(0.3)
        assert reader.counters.received == 0

        async with Broker(settings(mosquitto_port, f"{name}-gone"), will=will) as vanishing:
            await vanishing.next_connection()
            assert vanishing._connection is not None
            sock = vanishing._connection._client.socket()
            assert sock is not None
            sock.close()
            assert await receive(reader, 1) == [b"offline"]


async def test_a_slow_reader_holds_the_broker_back_and_loses_nothing(any_port: int, name: str) -> None:
    payloads = [b"%05d" % number + bytes(20_000) for number in range(300)]
    mine = settings(any_port, name, inbox_messages=20)
    async with Broker(mine, subscriptions=[f"{name}/x"]) as reader, sender(any_port, name) as out:
        await reader.next_connection()
        await out.next_connection()
        sending = asyncio.gather(*(out.publish(f"{name}/x", payload) for payload in payloads))
        await asyncio.sleep(0.5)
        assert len(reader._inbox) <= 25, "the inbox is bounded"
        got = await receive(reader, 300)
        await sending
    assert sorted(set(got)) == payloads


async def test_publish_says_that_there_is_no_connection() -> None:
    async with Broker(BrokerSettings(port=1, client_id="nobody")) as out:
        with pytest.raises(PublishError, match=r"not connected to the broker at 127\.0\.0\.1:1"):
            await out.publish("x", b"y")
        assert out.counters.publishes_failed == 1
        assert not out.connected


async def test_one_message_after_the_other_waits_for_no_delayed_acknowledgement_of_tcp(
    mosquitto_port: int, name: str
) -> None:
    """A conversation of small packets: with Nagle's algorithm on, every turn takes 40 ms and more."""
    turns = 100
    async with (
        Broker(settings(mosquitto_port, name), subscriptions=[f"{name}/asked"]) as one,
        Broker(settings(mosquitto_port, f"{name}b"), subscriptions=[f"{name}/answered"]) as other,
    ):
        await one.next_connection()
        await other.next_connection()

        async def answer() -> None:
            for _ in range(turns):
                (delivery,) = await one.receive(1)
                delivery.acknowledge()
                await asyncio.sleep(0.001)  # two writes, then: the second is what Nagle's algorithm holds back
                await one.publish(f"{name}/answered", delivery.payload)

        answering = asyncio.create_task(answer())
        begun = asyncio.get_running_loop().time()
        for _ in range(turns):
            await other.publish(f"{name}/asked", b"?")
            (delivery,) = await other.receive(1)
            delivery.acknowledge()
        await answering
        assert asyncio.get_running_loop().time() - begun < turns * 0.030
