"""What must not be done to a wearable: each refusal has a code with a name on the link and a sentence in the agent, and
leaves all as it was. What takes longer to show stands elsewhere: an event log that is full (test_wearable.py), storage
that fails in every write (test_power_cut.py), a host that vanishes in a fit (test_reset_in_a_fit.py)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from device_agent.wearable.api import Bank, FitRequest, WearableError
from device_agent.wearable.client import LinkWearable
from device_agent.wearable.connect import provision
from schemas.link.bodies import WindowBody
from schemas.link.opcodes import LinkObject
from schemas.link.status import MEANING, Status
from schemas.plan import Region, View
from tests.runtime.handmade import tiny_plan
from tests.wearable.conftest import Model, make_window

Act = Callable[[LinkWearable, Model], Awaitable[object]]
COUNT = 12


def too_much_l1() -> bytes:
    return tiny_plan(l1=130_000)


def too_much_l2() -> bytes:
    return tiny_plan(arena=1_600_000)


def too_long() -> bytes:
    """A plan of more bytes than its place in storage has."""
    return tiny_plan(more_views=tuple(View(Region.ARENA, 0, (1,)) for _ in range(14_000)))


async def window_of(wearable: LinkWearable, channels: int, samples: int, scale: float = 1.0) -> None:
    """Past the agent's own check, as another agent might send it."""
    import struct

    body = WindowBody(7, -1, 0, struct.pack("<f", scale) * channels, bytes(2 * channels * samples))
    await wearable._upload(LinkObject.WINDOW, body.to_bytes())


def fit(*window_ids: int, **more: object) -> FitRequest:
    return replace(FitRequest(fit_id=5, window_ids=list(window_ids) or [0], epochs=1), **more)  # type: ignore[arg-type]


FILES: dict[str, tuple[Act, str]] = {
    "a plan that needs more L1": (lambda w, m: w.write_plan(too_much_l1()), "NO_MEMORY"),
    "a plan that needs more L2": (lambda w, m: w.write_plan(too_much_l2()), "NO_MEMORY"),
    "a plan longer than its place": (lambda w, m: w.write_plan(too_long()), "NO_MEMORY"),
    "a file longer than memory": (lambda w, m: w.write_plan(bytes(600_000)), "NO_MEMORY"),
    "a plan of another version": (lambda w, m: w.write_plan(m.plan[:4] + b"\x09" + m.plan[5:]), "BAD_VERSION"),
    "an altered plan": (lambda w, m: w.write_plan(m.plan[:-1] + bytes([m.plan[-1] ^ 1])), "BAD_CRC"),
    "weights of another plan": (lambda w, m: w.write_weights(m.other_weights), "WRONG_PLAN"),
    "altered weights": (lambda w, m: w.write_weights(m.weights[:-1] + bytes([m.weights[-1] ^ 1])), "BAD_CRC"),
    "a window with fewer samples": (lambda w, m: window_of(w, 4, 100), "BAD_ARGUMENT"),
    "a window with more channels": (lambda w, m: window_of(w, 5, 200), "NO_MEMORY"),
    "a window whose scale is no number": (lambda w, m: window_of(w, 4, 200, float("nan")), "NOT_FINITE"),
}
STATES: dict[str, tuple[Act, str]] = {
    "commit without a candidate": (lambda w, m: w.commit(), "WRONG_STATE"),
    "discard without a candidate": (lambda w, m: w.discard(), "WRONG_STATE"),
    "roll back to nothing": (lambda w, m: w.roll_back(), "WRONG_STATE"),
    "stop a fit that is none": (lambda w, m: w.stop_fit(), "WRONG_STATE"),
    "judge a candidate that is none": (lambda w, m: w.evaluate([0], Bank.CANDIDATE), "WRONG_STATE"),
    "read a candidate that is none": (lambda w, m: w.read_weights(Bank.CANDIDATE), "WRONG_STATE"),
    "judge a window that is gone": (lambda w, m: w.evaluate([999], Bank.SERVING), "UNKNOWN_WINDOW"),
    "train on a window that is gone": (lambda w, m: w.start_fit(fit(999)), "UNKNOWN_WINDOW"),
    "label a window that is gone": (lambda w, m: w.label(999, 0), "UNKNOWN_WINDOW"),
    "label with no class": (lambda w, m: w.label(0, 6), "BAD_ARGUMENT"),
    "record without electrodes": (lambda w, m: w.start_recording(), "UNSUPPORTED"),
    "erase a stranger": (lambda w, m: w.erase_wearer("nobody"), "UNKNOWN_WEARER"),
}
BUSY: dict[str, Act] = {
    "another fit": lambda w, m: w.start_fit(fit(0)),
    "commit": lambda w, m: w.commit(),
    "a plan": lambda w, m: w.write_plan(m.other_plan),
    "weights": lambda w, m: w.write_weights(m.weights),
    "another wearer": lambda w, m: w.choose_wearer("anna"),
}


async def state_of(wearable: LinkWearable) -> dict[str, object]:
    told = await wearable.statistics()
    return {
        "plan": await wearable.read_plan(),
        "weights": await wearable.read_weights(),
        "ring": told.ring_windows,
        "log": told.events_pending,
        "fitting": told.fitting,
        "candidate": told.candidate,
        "wearers": await wearable.wearers(),
        "info": wearable.info,
    }


async def ready(wearable: LinkWearable, model: Model) -> None:
    await provision(wearable, model.plan, model.weights)
    for id_ in range(COUNT):
        await wearable.push(make_window(id_))


async def refusals(wearable: LinkWearable, model: Model, acts: dict[str, tuple[Act, str]]) -> None:
    before = await state_of(wearable)
    for name, (act, code) in acts.items():
        with pytest.raises(WearableError) as refused:
            await act(wearable, model)
        assert (name, refused.value.code) == (name, code)
        assert MEANING[Status[code]] in str(refused.value), name
        if (code, "plan" in name) == ("NO_MEMORY", True):
            assert re.search(r"needs [\d,]+ bytes of L2, [\d,]+ of L1 and [\d,]+ of storage", str(refused.value)), name
        assert await state_of(wearable) == before, name
    assert (await wearable.push(make_window(3))).weights_version == 1


@pytest.mark.parametrize("acts", [FILES, STATES], ids=["files", "states"])
async def test_what_cannot_be_is_refused_by_name_and_changes_nothing(wearable, model, acts):
    await ready(wearable, model)
    await refusals(wearable, model, acts)


async def test_during_a_fit_what_would_disturb_it_is_refused(wearable, model):
    await ready(wearable, model)
    await wearable.start_fit(fit(*range(COUNT), epochs=700, fit_id=1))
    for name, act in BUSY.items():
        with pytest.raises(WearableError) as refused:
            await act(wearable, model)
        assert refused.value.code == "BUSY", name
        assert MEANING[Status.BUSY] in str(refused.value), name
    assert (await wearable.statistics()).fitting
    await wearable.stop_fit()
    assert await wearable.read_plan() == model.plan
    assert await wearable.read_weights() == model.weights


def test_every_status_has_a_meaning():
    assert set(MEANING) == set(Status) - {Status.OK}
