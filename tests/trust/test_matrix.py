"""Who gets in at a real Mosquitto with TLS, and what he may do there."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

import aiomqtt
import pytest

from schemas.principal import Principal, Role
from schemas.topics import FROM_DEVICE, TO_DEVICE, UNNUMBERED, Kind
from tests.trust.site import Site, attacker, connected, identity, why_not

#: TLS handshakes: not for every quick run.
pytestmark = pytest.mark.slow

TOPIC = "biotrain/v1/home"


async def refused(site: Site, context: ssl.SSLContext | None, reason: str, told: str) -> None:
    """At both listeners; the broker's log says why, and the client is told what it needs to know."""
    for port in (site.devices_port, site.supervisors_port):
        before = len(site.log())
        for _ in range(5):  # the end of the connection may overtake the broker's alert
            said = await why_not(port, context)
            if told in said:
                break
        assert told in said
        # The broker writes its log when it comes to it.
        async with asyncio.timeout(20):
            while reason not in site.log()[before:]:
                await asyncio.sleep(0.05)


def folder(site: Site, role: Role, name: str) -> Path:
    return site.authority.holder_folder(Principal(role, name))


async def test_a_certificate_of_the_site_gets_in(site: Site) -> None:
    async with connected(site.devices_port, identity(folder(site, Role.DEVICE, "left")), "any"):
        pass


async def test_no_tls_no_certificate_expired_revoked_another_sites_and_a_self_made_one_are_refused(
    site: Site, elsewhere: Site
) -> None:
    ca = site.authority.broker_folder / "ca.crt"
    await refused(site, None, "wrong version number", "onnection")
    await refused(site, attacker(ca), "peer did not return a certificate", "it wants a certificate")
    await refused(
        site, attacker(ca, folder(elsewhere, Role.DEVICE, "left")), "certificate verify failed", "another site's"
    )
    await refused(
        site, attacker(ca, folder(elsewhere, Role.SUPERVISOR, "main")), "certificate verify failed", "another site's"
    )
    expired = site.issue(Role.DEVICE, "old", days=-1)
    await refused(site, attacker(ca, expired), "certificate verify failed", "has expired")
    revoked = site.issue(Role.DEVICE, "lost")
    async with connected(site.devices_port, attacker(ca, revoked), "lost"):
        pass
    site.authority.revoke(Principal(Role.DEVICE, "lost"))
    site.reload()
    await refused(site, attacker(ca, revoked), "certificate verify failed", "has been revoked")
    # A broker's certificate is not one to connect with, though the same authority has signed it.
    server = site.authority.broker_folder
    context = attacker(ca)
    context.load_cert_chain(server / "server.crt", server / "server.key")
    await refused(site, context, "certificate verify failed", "unsupported certificate")


async def test_a_client_does_not_talk_to_a_broker_of_another_site_or_of_another_name(
    site: Site, elsewhere: Site
) -> None:
    foreign = identity(folder(elsewhere, Role.DEVICE, "left"))
    assert "not one of our site's authority" in await why_not(site.devices_port, foreign)
    own = identity(folder(site, Role.DEVICE, "left"))
    assert "for the name that we connect to" in await why_not(site.devices_port, own, "127.1")


async def heard(site: Site, role: Role, name: str, topics: list[str], *, by: str, said: list[str]) -> set[str]:
    """The topics that the one hears of what the other has said on all of `said`, and what a supervisor said last."""
    mark = "the end"
    listener_port = site.devices_port if role is Role.DEVICE else site.supervisors_port
    speaker_role, speaker_name = by.split(":")
    speaker = folder(site, Role(speaker_role), speaker_name)
    speaker_port = site.devices_port if speaker_role == "device" else site.supervisors_port
    found: set[str] = set()
    async with connected(listener_port, identity(folder(site, role, name)), "listener") as listener:
        for topic in topics:
            await listener.subscribe(topic, qos=1)
        async with connected(speaker_port, identity(speaker), "speaker") as speaking:
            for topic in said:
                await speaking.publish(topic, by, qos=1)
        # What the broker lets through is in order: behind this nothing of the speaker's comes any more.
        everybody = identity(folder(site, Role.SUPERVISOR, "main"))
        last = {
            Role.DEVICE: f"{TOPIC}/{name}/stored",
            Role.SUPERVISOR: "biotrain/supervisors/end",
            Role.VIEWER: f"{TOPIC}/end/alert",
        }[role]
        async with connected(site.supervisors_port, everybody, "last") as end:
            await end.publish(last, mark, qos=1)
        async with asyncio.timeout(10):
            async for message in listener.messages:
                if message.payload == mark.encode():
                    return found
                found.add(str(message.topic))
    return found


ALL = [f"{TOPIC}/{device}/{kind}" for device in ("left", "right") for kind in Kind]
ALL += [f"{TOPIC}/group/all/command", "biotrain/supervisors/x", "elsewhere", "biotrain/v1/other/left/state"]


async def test_a_device_publishes_on_its_own_topics_and_nowhere_else(site: Site) -> None:
    everything = await heard(site, Role.VIEWER, "screen", ["#"], by="device:left", said=ALL)
    assert everything == {f"{TOPIC}/left/{kind}" for kind in (*FROM_DEVICE, *UNNUMBERED)}
    # And what a viewer may not read: commands to others, and the supervisors' own topic.
    assert await heard(site, Role.DEVICE, "right", ["#"], by="device:left", said=ALL) == set()
    assert await heard(site, Role.SUPERVISOR, "main", ["biotrain/supervisors/#"], by="device:left", said=ALL) == set()


async def test_a_device_reads_what_is_meant_for_it_and_nothing_else(site: Site) -> None:
    own = {f"{TOPIC}/left/{kind}" for kind in TO_DEVICE} | {f"{TOPIC}/group/all/command"}
    assert await heard(site, Role.DEVICE, "left", ["#", "+/+/+/+/+"], by="supervisor:main", said=ALL) == own
    assert await heard(site, Role.DEVICE, "left", ["#"], by="device:right", said=ALL) == set()


async def test_retained_states_of_others_are_not_shown_to_a_device(site: Site) -> None:
    async with connected(site.devices_port, identity(folder(site, Role.DEVICE, "right")), "r") as right:
        await right.publish(f"{TOPIC}/right/state", "online", qos=1, retain=True)
    assert await heard(site, Role.DEVICE, "left", ["#"], by="device:right", said=[]) == set()
    assert await heard(site, Role.VIEWER, "screen", ["#"], by="device:right", said=[]) == {f"{TOPIC}/right/state"}


async def test_a_read_only_certificate_commands_nobody(site: Site) -> None:
    for device in ("left", "right"):
        assert await heard(site, Role.DEVICE, device, ["#"], by="viewer:screen", said=ALL) == set()
    assert await heard(site, Role.SUPERVISOR, "main", ["#"], by="viewer:screen", said=ALL) == set()


async def test_a_device_cannot_throw_others_off_by_taking_their_client_id(site: Site) -> None:
    context = identity(folder(site, Role.SUPERVISOR, "main"))
    async with connected(site.supervisors_port, context, "biotrain-supervisor-home") as supervisor:
        await supervisor.subscribe(f"{TOPIC}/+/state", qos=1)
        left = identity(folder(site, Role.DEVICE, "left"))
        async with connected(site.devices_port, left, "biotrain-agent-home-left") as first:
            right = identity(folder(site, Role.DEVICE, "right"))
            for stolen in ("biotrain-agent-home-left", "device:left", "biotrain-supervisor-home"):
                async with connected(site.devices_port, right, stolen):
                    await first.publish(f"{TOPIC}/left/state", stolen, qos=1)
                    async with asyncio.timeout(5):
                        assert (await anext(supervisor.messages)).payload == stolen.encode()


async def test_revoking_takes_the_rights_of_a_connection_that_is_up(site: Site) -> None:
    context = identity(folder(site, Role.DEVICE, "left"))
    supervisor = identity(folder(site, Role.SUPERVISOR, "main"))
    async with connected(site.supervisors_port, supervisor, "s") as listening:
        await listening.subscribe(f"{TOPIC}/+/state", qos=1)
        with contextlib.suppress(aiomqtt.MqttError):  # being thrown off at once would be just as well
            async with connected(site.devices_port, context, "left") as left:
                await left.publish(f"{TOPIC}/left/state", "before", qos=1)
                site.authority.revoke(Principal(Role.DEVICE, "left"))
                site.reload()
                await left.publish(f"{TOPIC}/left/state", "after", qos=1)
        async with connected(site.devices_port, identity(folder(site, Role.DEVICE, "right")), "r") as right:
            await right.publish(f"{TOPIC}/right/state", "end", qos=1)
        seen = []
        async with asyncio.timeout(10):
            async for message in listening.messages:
                seen.append(message.payload)
                if message.payload == b"end":
                    break
    assert seen == [b"before", b"end"]
