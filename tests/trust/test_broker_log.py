"""Whom a real Mosquitto turns away is counted by the supervisor, which alone may read the broker's log."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import aiomqtt
import pytest

from messaging import Broker, BrokerSettings, ClientIdentity
from schemas.principal import Principal, Role
from service.broker_log import TOPICS, BrokerLog
from service.presence import PresenceGuard
from tests.trust.site import Site, attacker, connected, identity, why_not


def folder(site: Site, role: Role, name: str) -> Path:
    return site.authority.holder_folder(Principal(role, name))


# paho leaves a socket whose handshake failed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_connections_that_the_broker_refuses_are_counted_by_reason(site: Site, elsewhere: Site) -> None:
    counted = BrokerLog()
    me = ClientIdentity.load(folder(site, Role.SUPERVISOR, "main"))
    settings = BrokerSettings("127.0.0.1", site.supervisors_port, client_id="counts", identity=me)
    guard = PresenceGuard(settings, counted)
    task = asyncio.create_task(guard.run())
    try:
        async with asyncio.timeout(20):
            await guard.free.wait()
        ca = site.authority.broker_folder / "ca.crt"
        left = folder(site, Role.DEVICE, "left")
        for _ in range(3):
            await why_not(site.devices_port, attacker(ca))
        await why_not(site.devices_port, None)
        await why_not(site.supervisors_port, attacker(ca, folder(elsewhere, Role.DEVICE, "left")))
        await why_not(site.devices_port, attacker(elsewhere.authority.broker_folder / "ca.crt", left))
        async with connected(site.devices_port, identity(left), "left"):
            pass
        expected = {"no_certificate": 3, "no_tls": 1, "certificate": 1, "distrusts_broker": 1, "not_allowed": 0}
        async with asyncio.timeout(20):
            while not all(counted.refusals.counts[reason] >= n for reason, n in expected.items()):
                await asyncio.sleep(0.05)
        assert {reason: counted.refusals.counts[reason] for reason in expected} == expected
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_device_does_not_read_the_brokers_log(site: Site) -> None:
    context = identity(folder(site, Role.DEVICE, "left"))
    everything = identity(folder(site, Role.SUPERVISOR, "main"))
    async with (
        connected(site.supervisors_port, everything, "reads") as supervisor,
        connected(site.devices_port, context, "left") as left,
    ):
        for client in (left, supervisor):
            with contextlib.suppress(aiomqtt.MqttError):
                await client.subscribe([(topic, 1) for topic in TOPICS])
        await left.subscribe("biotrain/v1/home/left/command", qos=1)
        await why_not(site.devices_port, None)
        async with asyncio.timeout(10):
            assert str((await anext(supervisor.messages)).topic) in TOPICS
        await supervisor.publish("biotrain/v1/home/left/command", "the end", qos=1)
        async with asyncio.timeout(10):
            assert (await anext(left.messages)).payload == b"the end"


async def test_a_broker_without_a_log_to_read_is_no_obstacle(site: Site) -> None:
    """A device may not read it: whether its broker refuses the wish or keeps silent, the connection stands."""
    me = ClientIdentity.load(folder(site, Role.DEVICE, "right"))
    settings = BrokerSettings("127.0.0.1", site.devices_port, client_id="x", identity=me)
    topic = "biotrain/v1/home/right/command"
    async with Broker(settings, subscriptions=[topic], wishes=[*TOPICS, "$SYS/#"]) as broker, asyncio.timeout(20):
        await broker.next_connection()
        assert broker.connected


def test_lines_that_refuse_nobody_are_not_counted() -> None:
    log = BrokerLog()
    for line in (
        b"1795425307: New connection from 127.0.0.1:36871 on port 49651.",
        b"1795425307: Client device:left disconnected.",
        b"1795425307: Client <unknown> disconnected: Protocol error.",
        b"1795425307: Saving in-memory database to /var/lib/mosquitto/mosquitto.db.",
        b"\xff\xfe",
        b"",
    ):
        log.take(line)
    assert sum(log.refusals.counts.values()) == 0
    log.take(b"1795425307: Client eve disconnected, not authorised.")
    log.take(b"1: OpenSSL Error[0]: error:0A000126:SSL routines::unexpected eof while reading")
    log.take(b"1: OpenSSL Error[1]: error:0A000126:SSL routines::unexpected eof while reading")
    assert +log.refusals.counts == {"not_allowed": 1, "broken_off": 1}
