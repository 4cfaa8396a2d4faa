"""A device with its site's keys runs what the site has signed and what it has learned itself, and nothing else."""

from __future__ import annotations

import asyncio
import secrets
import struct
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device_agent.wearable.api import Bank, DeviceEventKind, FitRequest, WearableError
from device_agent.wearable.client import LinkWearable
from device_agent.wearable.local import storage_bytes
from schemas.plan import read_plan
from schemas.signature import KeySet
from schemas.weights import read_weights
from tests.signing import Site, device, renumbered
from tests.wearable.conftest import make_window

#: app/layout.h
KEYS_AT, BANKS_AT, BANK_BYTES = 28 * 4096, 29 * 4096 + 2 * 64 * 4096, 128 * 4096


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def memory() -> bytearray:
    return bytearray(storage_bytes())


@pytest.fixture
async def keyed(site, memory, model) -> AsyncIterator[LinkWearable]:
    """A device with keys, plan 1000 and the weights that it begins with."""
    wearable = await device(memory)
    await site.give_keys(wearable)
    await wearable.write_plan(site.plan(model.plan, model.weights))
    await wearable.write_weights(model.weights)
    yield wearable
    await wearable.close()


async def refuses(wearable: LinkWearable, code: str, what: str, file: bytes) -> None:
    before = (await wearable.statistics(), wearable.info.plan_hash, await wearable.read_plan())
    with pytest.raises(WearableError) as refused:
        await (wearable.write_plan(file) if what == "plans" else wearable.write_weights(file))
    assert refused.value.code == code
    now = await wearable.statistics()
    # at least: on a busy machine an answer may be late, and the upload is then sent once more
    assert now.extra[f"{what}_refused"] > before[0].extra[f"{what}_refused"]
    assert now.weights_version == before[0].weights_version
    assert await wearable.read_plan() == before[2]


async def adapt(wearable: LinkWearable, fit_id: int) -> int:
    for id_ in range(12):
        await wearable.push(make_window(100 * fit_id + id_))
    ids = [100 * fit_id + id_ for id_ in range(12)]
    await wearable.start_fit(FitRequest(fit_id=fit_id, window_ids=ids, epochs=1))
    while not (await wearable.statistics()).candidate:
        await asyncio.sleep(0.001)
    return await wearable.commit()


async def test_a_device_without_keys_takes_what_nobody_has_signed_and_says_so(memory, model, site):
    wearable = await device(memory)
    assert (await wearable.keys()).mode == 0
    await wearable.write_plan(model.plan)
    await wearable.write_weights(model.weights)
    with pytest.raises(WearableError, match="present state"):  # its model came from anybody: reset it first
        await site.give_keys(wearable)
    await wearable.factory_reset()
    await site.give_keys(wearable)
    assert (await wearable.keys()).key_ids == site.sets[0].key_ids
    await wearable.close()
    wearable = await device(memory)
    assert (await wearable.keys()).mode == 1
    await wearable.close()


async def test_what_is_signed_runs_and_comes_back_after_a_restart(keyed, memory, model, site):
    assert keyed.info.plan_hash == read_plan(model.plan).hash
    assert await adapt(keyed, 1) == 2
    adapted = await keyed.read_weights()
    assert any(read_weights(adapted).code)
    await keyed.close()
    again = await device(memory)
    assert (again.info.plan_hash, again.info.weights_version) == (read_plan(model.plan).hash, 2)
    assert await again.read_weights() == adapted
    assert await again.roll_back() == 1
    assert read_weights(await again.read_weights()).values == read_weights(model.weights).values
    assert (await again.keys()).plan_number == 1000
    assert await again.read_plan() == site.plan(model.plan, model.weights)
    await again.close()


async def test_plans_that_nobody_or_somebody_else_has_signed_are_refused(keyed, model, site):
    await refuses(keyed, "UNSIGNED", "plans", model.other_plan)
    await refuses(keyed, "UNKNOWN_KEY", "plans", Site().plan(model.other_plan, number=2000))
    forged = replace(read_plan(Site().plan(model.other_plan, number=2000)).signature, key_id=site.sets[0].key_ids[0])
    await refuses(keyed, "BAD_SIGNATURE", "plans", model.other_plan + forged.pack())
    stolen = site.plan(model.plan, model.weights, number=2000)[-128:]
    await refuses(keyed, "BAD_SIGNATURE", "plans", model.other_plan + stolen)
    await refuses(keyed, "BAD_SIGNATURE", "plans", model.other_plan + site.weights(model.weights)[-128:])


async def test_an_older_plan_is_refused_until_it_is_signed_anew(keyed, memory, model, site):
    old, other = site.plan(model.plan, model.weights), site.plan(model.other_plan, model.other_weights, 2000)
    await refuses(keyed, "OLDER_PLAN", "plans", site.plan(model.other_plan, number=999))
    await refuses(keyed, "OLDER_PLAN", "plans", site.plan(model.other_plan, number=1000))
    await keyed.write_plan(old)  # what runs already
    await keyed.write_plan(other)
    await keyed.write_weights(model.other_weights)
    await refuses(keyed, "OLDER_PLAN", "plans", old)
    await keyed.factory_reset()
    with pytest.raises(WearableError) as refused:
        await keyed.write_plan(old)
    assert refused.value.code == "OLDER_PLAN"
    await keyed.write_plan(site.plan(model.plan, model.weights, 2001))
    assert keyed.info.plan_hash == read_plan(model.plan).hash


async def test_a_plan_signed_anew_keeps_the_weights(keyed, model, site):
    await adapt(keyed, 1)
    values = read_weights(await keyed.read_weights()).values
    await keyed.write_plan(site.plan(model.plan, model.weights, 3000))
    assert read_weights(await keyed.read_weights()).values == values
    assert (await keyed.keys()).plan_number == 3000
    assert await keyed.roll_back() == 1


def with_class(plan: bytes, number: int) -> bytes:
    changed = plan[:28] + struct.pack("<I", number) + plan[32:]
    return changed[:12] + struct.pack("<I", zlib.crc32(changed[16:], zlib.crc32(changed[:12]))) + changed[16:]


async def test_another_class_of_device_is_refused(keyed, model, site):
    await refuses(keyed, "WRONG_CLASS", "plans", with_class(model.other_plan, 2))
    block = read_plan(site.plan(model.other_plan, number=2000)).signature
    other = replace(block, device_class=2)
    signed = replace(other, signature=site.key.sign(other.message(model.other_plan)))
    await refuses(keyed, "WRONG_CLASS", "plans", model.other_plan + signed.pack())


async def test_weights_come_from_the_plans_signature_their_own_or_this_device(keyed, memory, model, site):
    second = bytearray(storage_bytes())
    other = await device(second, "right-arm")
    await site.give_keys(other)
    await other.write_plan(site.plan(model.plan, model.weights))
    await other.write_weights(model.weights)
    await adapt(other, 1)
    theirs = await other.read_weights()
    await other.close()

    await refuses(keyed, "FOREIGN_WEIGHTS", "weights", theirs)  # another device's own code
    stranger = replace(read_weights(theirs), code=bytes(16)).pack()
    await refuses(keyed, "FOREIGN_WEIGHTS", "weights", stranger)
    touched = replace(read_weights(model.weights), version=9).pack()
    await refuses(keyed, "FOREIGN_WEIGHTS", "weights", touched)
    await refuses(keyed, "FOREIGN_WEIGHTS", "weights", site.weights(theirs, "right-arm"))
    await refuses(keyed, "UNKNOWN_KEY", "weights", Site().weights(theirs))
    forged = read_weights(site.weights(model.weights)).signature
    await refuses(keyed, "BAD_SIGNATURE", "weights", theirs + forged.pack())

    await keyed.write_weights(site.weights(theirs, "left-arm"))  # moved by the site
    assert read_weights(await keyed.read_weights()).values == read_weights(theirs).values
    mine = await keyed.read_weights()
    await adapt(keyed, 2)
    await keyed.write_weights(mine)  # a backup of its own
    assert read_weights(await keyed.read_weights()).values == read_weights(theirs).values


async def test_weights_of_one_wearer_are_not_anothers(keyed, model):
    await adapt(keyed, 1)
    mine = await keyed.read_weights()
    await keyed.choose_wearer("anna")
    await keyed.write_weights(model.weights)
    await refuses(keyed, "FOREIGN_WEIGHTS", "weights", mine)


def bank(memory: bytearray, place: int) -> slice:
    return slice(BANKS_AT + place * BANK_BYTES, BANKS_AT + (place + 1) * BANK_BYTES)


def repaired(memory: bytearray, version: int, file: bytes) -> None:
    """Whoever can write the flash makes the checksums in the state's records fit: those of weights `version`."""
    for at in (0, 4096):
        record = memory[at : at + 4096]
        for field in range(24, 700, 4):
            length, _, found = struct.unpack_from("<III", record, field)
            if (length, found) == (len(file), version):
                struct.pack_into("<I", record, field + 4, zlib.crc32(file))
        memory[at : at + 4096] = record


async def test_a_bank_that_was_altered_or_put_back_never_serves(keyed, memory, model):
    """In flash, with every checksum made right: the device falls back to what it committed before, and tells."""
    await adapt(keyed, 1)
    await adapt(keyed, 2)
    one, two = await keyed.read_weights(Bank.PREVIOUS), await keyed.read_weights()
    assert (read_weights(one).version, read_weights(two).version) == (2, 3)
    await keyed.close()
    place = next(i for i in range(3) if bytes(memory[bank(memory, i)][: len(two)]) == two)
    altered = bytearray(two)
    altered[200] ^= 1
    struct.pack_into("<I", altered, 12, zlib.crc32(altered[16:]))
    for put_in in (bytes(altered), one):
        flash = bytearray(memory)
        flash[bank(flash, place)] = put_in.ljust(BANK_BYTES, b"\0")
        again = await device(flash)  # the bank's checksum in the state does not fit: damaged
        assert (again.info.weights_version, (await again.statistics()).weights_version) == (2, 2)
        assert read_weights(await again.read_weights()).values == read_weights(one).values
        await again.close()
        repaired(flash := bytearray(memory), 3, put_in)
        flash[bank(flash, place)] = put_in.ljust(BANK_BYTES, b"\0")
        again = await device(flash)  # a state with a checksum of its own, but not the device's code: it does not count
        assert again.info.weights_version in (0, 2)
        await again.close()


async def test_keys_are_rotated_and_retired(keyed, memory, model, site):
    old_key = site.rotate()
    await keyed.trust(site.sets[1].pack())
    await keyed.trust(site.sets[1].pack())  # once more is no harm
    assert (await keyed.keys()).number == 2
    retired = replace(site, key=old_key, sets=[]).plan(model.other_plan, number=5000)
    await refuses(keyed, "UNKNOWN_KEY", "plans", retired)
    await keyed.close()
    again = await device(memory)  # the plan that runs was signed with the old key, and taken by this device
    assert again.info.weights_version == 1
    await again.write_plan(site.plan(model.other_plan, number=5000))
    await again.close()


async def test_no_stranger_sets_keys(keyed, site):
    stranger = Site()
    secret = secrets.token_bytes(32)
    newer = Ed25519PrivateKey.generate()
    first = site.sets[0]
    site.rotate()
    cases: list[tuple[bytes, str]] = [
        (stranger.sets[0].pack(), "UNKNOWN_KEY"),
        (stranger.sets[0].pack() + secret, "BAD_ARGUMENT"),
        (site.sets[1].pack() + secret, "BAD_ARGUMENT"),  # a secret is never replaced
        (replace(site.sets[1], number=9).pack(), "BAD_SIGNATURE"),
        (renumbered(first, newer, number=9, signer=first.key_ids[0]).pack(), "BAD_SIGNATURE"),
        (site.sets[1].pack()[:-1], "BAD_ARGUMENT"),
        (b"", "BAD_ARGUMENT"),
        (KeySet(9, "home", ()).pack(), "BAD_ARGUMENT"),
    ]
    for content, code in cases:
        with pytest.raises(WearableError) as refused:
            await keyed.trust(content)
        assert refused.value.code == code, content
    assert (await keyed.statistics()).extra["keys_refused"] >= len(cases)
    await keyed.trust(site.sets[1].pack())
    with pytest.raises(WearableError) as refused:
        await keyed.trust(first.pack())  # signed by a key that is retired by now
    assert refused.value.code == "UNKNOWN_KEY"


async def test_each_reason_is_told_once_and_counted_always(keyed, model):
    for _ in range(3):
        await refuses(keyed, "UNSIGNED", "plans", model.other_plan)
    told = []
    async for event in keyed.events():
        if event.kind is DeviceEventKind.REFUSED:
            told.append(event.detail)
        if len(told) and event.seq >= (await keyed.statistics()).events_pending:
            break
    assert told == ["plan UNSIGNED"]
    assert (await keyed.statistics()).extra["plans_refused"] >= 3


async def test_a_device_whose_keys_are_lost_takes_nothing_until_it_is_reset(keyed, memory, model, site):
    await keyed.close()
    memory[KEYS_AT : KEYS_AT + 4096] = bytes(4096)
    for _ in range(2):  # it stays so
        again = await device(memory)
        assert (again.info.plan_hash, (await again.keys()).mode) == ("", 2)
        for file in (model.plan, site.plan(model.plan)):
            with pytest.raises(WearableError) as refused:
                await again.write_plan(file)
            assert refused.value.code == "UNKNOWN_KEY"
        await again.close()
    again = await device(memory)
    await again.factory_reset()
    await site.give_keys(again)
    await again.write_plan(site.plan(model.plan))
    await again.close()


async def test_a_cut_while_keys_are_given_leaves_a_device_with_or_without_them(memory, model, site):
    wearable = await device(memory)
    await wearable.close()
    before, modes = bytes(memory), []
    for number in range(1, 20):
        flash = bytearray(before)
        wearable = await device(flash)
        wearable._session._transport._firmware.cut_power_in_write(number)
        failed = False
        try:
            await site.give_keys(wearable)
        except WearableError:
            failed = True
        await wearable.close()
        wearable = await device(flash)
        modes.append((await wearable.keys()).mode)
        if modes[-1] == 0:
            await site.give_keys(wearable)
        await wearable.write_plan(site.plan(model.plan, model.weights))
        await wearable.write_weights(model.weights)
        await wearable.close()
        if not failed:
            break
    assert modes == sorted(modes)
    assert (modes[0], modes[-1]) == (0, 1)
