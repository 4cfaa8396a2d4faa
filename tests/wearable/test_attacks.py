"""Every byte of a signed plan and of weights altered, every length cut: a device with keys activates none of it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

import pytest

from device_agent.wearable.api import WearableError
from device_agent.wearable.client import LinkWearable
from device_agent.wearable.connect import connect
from device_agent.wearable.local import storage_bytes
from schemas.plan import read_plan
from schemas.weights import Weights
from tests.runtime.handmade import Code, tiny_plan
from tests.signing import Site, device
from tests.wearable.conftest import QUICK, Process


def flipped(file: bytes, at: int) -> bytes:
    return file[:at] + bytes([file[at] ^ 1 << at % 8]) + file[at + 1 :]


def with_right_checksum(file: bytes) -> bytes:
    """As whoever alters a file would leave it."""
    if file[:4] == b"BTWT":
        return (
            file[:12] + struct.pack("<I", zlib.crc32(file[16 : 128 + struct.unpack_from("<I", file, 8)[0]])) + file[16:]
        )
    (end,) = struct.unpack_from("<I", file, 16)
    return file[:12] + struct.pack("<I", zlib.crc32(file[16:end], zlib.crc32(file[:12]))) + file[16:]


async def none_is_taken(wearable: LinkWearable, file: bytes, attacks: Iterable[bytes]) -> int:
    """Neither plan nor weights change; every attempt is counted. Returns how many there were."""
    is_plan = file[:4] == b"BTPL"
    counter = "plans_refused" if is_plan else "weights_refused"
    plan, weights = await wearable.read_plan(), await wearable.read_weights()
    before, tried, codes = (await wearable.statistics()).extra[counter], 0, set()
    for attack in attacks:
        assert attack != file
        with pytest.raises(WearableError) as refused:
            await (wearable.write_plan(attack) if is_plan else wearable.write_weights(attack))
        codes.add(refused.value.code)
        tried += 1
    assert "LINK_LOST" not in codes
    # on a busy machine an answer may be late, and the upload is then sent, and refused, once more
    assert (await wearable.statistics()).extra[counter] >= before + tried
    assert (await wearable.read_plan(), await wearable.read_weights()) == (plan, weights)
    return tried


def tiny(site: Site) -> tuple[bytes, bytes, bytes]:
    """What runs, the weights of it, and a newer plan that could be taken: signed, with its own weights."""
    runs = tiny_plan()
    newer = tiny_plan(arena=1024)
    weights = Weights(read_plan(runs).hash, 1, struct.pack("<34f", *range(34))).pack()
    return site.plan(runs, weights), weights, site.plan(newer, number=2000)


async def prepared(site: Site) -> tuple[LinkWearable, bytes, bytes]:
    plan, weights, newer = tiny(site)
    wearable = await device(bytearray(storage_bytes()))
    await site.give_keys(wearable)
    await wearable.write_plan(plan)
    await wearable.write_weights(weights)
    return wearable, weights, newer


@pytest.mark.slow
async def test_no_plan_with_one_bit_altered_runs_wherever_it_is():
    site = Site()
    wearable, _, newer = await prepared(site)
    plain = [flipped(newer, at) for at in range(len(newer))]
    repaired = [with_right_checksum(attack) for attack in plain[20:]]
    attacks = plain + [attack for attack in repaired if attack != newer]
    assert await none_is_taken(wearable, newer, attacks) > 2 * len(newer) - 30
    await wearable.write_plan(newer)  # it was the altered bit, and nothing else
    await wearable.close()


@pytest.mark.slow
async def test_no_plan_or_weights_that_were_cut_are_taken_at_any_length():
    site = Site()
    wearable, weights, newer = await prepared(site)
    await none_is_taken(wearable, newer, [newer[:length] for length in range(len(newer))])
    signed = site.weights(weights)
    cut = [signed[:length] for length in range(len(signed)) if signed[:length] != weights]
    await none_is_taken(wearable, signed, cut)
    await wearable.write_plan(newer)
    await wearable.close()


async def test_no_weights_with_one_bit_altered_serve_wherever_it_is():
    site = Site()
    wearable, weights, _ = await prepared(site)
    signed = site.weights(weights)
    plain = [flipped(signed, at) for at in range(len(signed))]
    repaired = [with_right_checksum(attack) for attack in plain[128 : len(weights)] + plain[16:128]]
    await none_is_taken(wearable, signed, plain + repaired)
    await none_is_taken(
        wearable, weights, [with_right_checksum(flipped(weights, at)) for at in range(16, len(weights))]
    )
    await wearable.write_weights(signed)
    await wearable.close()


@pytest.mark.slow
async def test_a_wearable_behind_tcp_takes_none_of_a_real_models(tmp_path, model):
    """All of the header and of the signature; of the rest every 13th byte, and as many lengths."""
    site = Site()
    keys = tmp_path / "trusted.keys"
    keys.write_bytes(site.sets[0].pack())
    process = Process(tmp_path, ["--trusted-keys", str(keys)])
    process.start()
    wearable = await connect(f"tcp://{process.address}", timing=QUICK)
    try:
        assert (await wearable.keys()).mode == 1
        await wearable.write_plan(site.plan(model.plan, model.weights))
        await wearable.write_weights(model.weights)
        newer = site.plan(model.other_plan, model.other_weights, 2000)
        body = len(newer) - 128
        places = [*range(20, 256), *range(256, body, 13), *range(body, len(newer))]
        attacks = [with_right_checksum(flipped(newer, at)) for at in places]
        attacks += [flipped(newer, at) for at in range(20)]
        attacks += [newer[:length] for length in range(0, len(newer), 13)]
        assert await none_is_taken(wearable, newer, attacks) > 1_200
        attacks = [flipped(model.weights, at) for at in [*range(128), *range(128, len(model.weights), 13)]]
        await none_is_taken(wearable, model.weights, attacks)
    finally:
        await wearable.close()
        process.stop()


async def test_the_tiny_plan_would_run_without_keys():
    """So that it is the signature which stops the attacks above: without keys a plan with another program is taken."""
    wearable = await device(bytearray(storage_bytes()))
    await wearable.write_plan(tiny_plan())
    program = Code().run("linear_forward", 0, 1, 2, 3).run("cross_entropy", 3, 5, 4)
    await wearable.write_plan(tiny_plan(program))
    await wearable.close()
