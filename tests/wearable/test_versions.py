"""The compatibility table, row by row: a wearable that answers as that firmware does, and the agent of today."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from device_agent.wearable.api import DeviceEventKind, FitRequest, WearableError
from device_agent.wearable.client import LinkWearable
from device_agent.wearable.connect import provision
from device_agent.wearable.local import Firmware, LocalTransport
from schemas.link.frame import PROTOCOL, Frame, FrameKind
from schemas.link.greeting import HelloAnswer, Info
from schemas.link.opcodes import Capability, Opcode
from schemas.link.versions import NEWEST, RELEASES, Release, skew
from tests.wearable.conftest import QUICK, make_window
from tests.wearable.test_bad_links import BadTransport
from tests.wearable.test_wearable import events_until

CAPABILITIES = 4 + 1 + 12
"""Bytes of a handshake's answer that came with 0.2.0: bits, the length of a text, a build."""
Change = Callable[[HelloAnswer], bytes]


def hello_of(release: Release) -> Change:
    def answer(today: HelloAnswer) -> bytes:
        told = replace(today, firmware=release.firmware, lowest=release.protocol, highest=release.protocol)
        if release.firmware == "0.1.0":
            return told.to_bytes()[:-CAPABILITIES]
        return replace(told, capabilities=int(release.capabilities)).to_bytes()

    return answer


def played(hello: Change, *, older: bool) -> LinkWearable:
    """The firmware of today behind a link on which it answers like another one."""
    local = LocalTransport(Firmware("other"))
    transport = BadTransport(local)

    def change(encoded: bytes) -> list[bytes]:
        frame = Frame.from_bytes(encoded[:-1])
        status, body = frame.payload[:1], frame.payload[1:]
        if frame.kind == FrameKind.RESPONSE and frame.opcode == Opcode.HELLO:
            body = hello(HelloAnswer.from_bytes(body))
        elif frame.kind == FrameKind.RESPONSE and frame.opcode == Opcode.INFO:
            body = body[: -Info.PLAN.size] if older else body + b"of tomorrow"
        else:
            return [encoded]
        return [replace(frame, payload=status + body).to_bytes()]

    transport.back = change
    return LinkWearable(transport, QUICK, on_close=local.stop)


@pytest.fixture(params=RELEASES, ids=lambda release: release.firmware)
async def wearable(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Release, LinkWearable]]:
    release: Release = request.param
    wearable = played(hello_of(release), older=release.firmware == "0.1.0")
    await wearable.start()
    yield release, wearable
    await wearable.close()


async def test_each_firmware_is_asked_for_what_it_can_and_for_nothing_else(wearable, model):
    release, device = wearable
    assert (device.info.firmware, device.capabilities) == (release.firmware, release.capabilities)
    await provision(device, model.plan, model.weights)
    for id_ in range(6):
        assert (await device.push(make_window(id_))).window_id == id_
    fit = FitRequest(fit_id=1, window_ids=range(6), epochs=1)
    await device.start_fit(fit)  # every firmware takes this one
    await events_until(device, DeviceEventKind.FIT_DONE)
    assert await device.commit() == 2
    warm = replace(fit, fit_id=2, warm_up=1)
    if Capability.FIT_SETTINGS in release.capabilities:
        await device.start_fit(warm)
        await events_until(device, DeviceEventKind.FIT_DONE)
    else:
        with pytest.raises(WearableError, match=rf"firmware {release.firmware} .*update it"):
            await device.start_fit(warm)
    if Capability.WEARERS in release.capabilities:
        assert await device.choose_wearer("anna") == 0
    else:
        for asking in (device.wearers(), device.choose_wearer("anna"), device.factory_reset()):
            with pytest.raises(WearableError, match=rf"firmware {release.firmware} .*update it"):
                await asking


async def test_skew_gets_a_clear_word_once(wearable, capsys):
    release, device = wearable
    assert (device.skew == "") == (release is NEWEST)
    device._session._break("so that it shakes hands again")
    await device.statistics()
    assert capsys.readouterr().out.count("is older than") == 0  # said before this test began, and not again
    if release is not NEWEST:
        assert release.firmware in device.skew
        assert release.lacks in device.skew
        assert NEWEST.firmware in device.skew


async def test_a_newer_firmware_of_the_same_protocol_works_and_is_told():
    def newer(today: HelloAnswer) -> bytes:
        told = replace(today, firmware="9.1.0", highest=PROTOCOL + 1, capabilities=today.capabilities | 1 << 20)
        return told.to_bytes() + b"and more"

    device = played(newer, older=False)
    await device.start()
    assert (await device.statistics()).windows == 0
    assert Capability.WEARERS in device.capabilities
    assert "9.1.0 is newer" in device.skew
    assert "update biotrain" in device.skew
    await device.close()


def test_versions_are_compared_by_number():
    assert "newer" in skew("0.10.0", 0)
    assert "older than" in skew("0.1.7", 0)
    assert "not known" in skew("0.0.9", 0)
    assert skew(NEWEST.firmware, int(NEWEST.capabilities)) == ""


def test_the_table_is_the_documentations_and_ends_with_this_firmware(repository):
    page = (repository / "docs" / "link-protocol.md").read_text()
    section = page[page.index("## Versions") : page.index("## Requests")]
    rows = re.findall(r"^\| (\d+\.\d+\.\d+) \| (\d+) \| ([^|]+)\|", section, re.MULTILINE)
    bits = [sum(int(bit) for bit in re.findall(r"\b(\d+):", told)) for _, _, told in rows]
    assert [(r.firmware, r.protocol, int(r.capabilities)) for r in RELEASES] == [
        (firmware, int(protocol), bit) for (firmware, protocol, _), bit in zip(rows, bits, strict=True)
    ]
    state = (repository / "device_agent" / "firmware" / "app" / "state.h").read_text()
    assert f'#define BT_FIRMWARE "{NEWEST.firmware}"' in state
    assert NEWEST.protocol == PROTOCOL
    assert NEWEST.capabilities == ~Capability(0)
