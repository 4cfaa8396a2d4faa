"""Labels that come after their windows find them: counted, watched for drift and trained on, once."""

from __future__ import annotations

import asyncio

import pytest

from device_agent.settings import AgentSettings
from device_agent.sources.simulator import SimulatedPerson
from device_agent.start import run_agent
from device_agent.unlabelled import Prediction, Unlabelled
from schemas.adaptation import Adaptation, Phase
from schemas.drift import DriftAlert
from schemas.telemetry import Telemetry
from tests.agent.conftest import Keeper
from tests.agent.fake_wearable import Device

#: A simulated window comes every three seconds: ten windows late.
LATE = {"label_delay_s": 30.0, "speed": 200.0, "sessions": (1, 2, 3)}


def truth() -> dict[int, int]:
    """By window: the first session's 220 trials, then those of the others."""
    person = SimulatedPerson(1)
    labels = [label for session in (1, 2, 3) for label in person.session(session, 220).labels]
    return {window: int(label) for window, label in enumerate(labels)}


@pytest.mark.slow
async def test_the_loop_works_with_late_labels_as_with_prompt_ones(
    settings: AgentSettings, device: Device, keeper: Keeper
) -> None:
    totals = await run_agent(settings.model_copy(update=LATE), connect=device.connect, connect_frozen=device.connect)
    assert totals["windows"] + totals["windows_dropped"] == 528
    assert totals["drift_alerts"] >= 1
    assert totals["adaptations"]["committed"] >= 1
    assert keeper.of(DriftAlert)[0].window >= 220
    telemetry = keeper.of(Telemetry)
    assert sum(t.windows for t in telemetry) == totals["windows"]
    assert sum(t.labelled for t in telemetry) == totals["windows"], "every window's label was counted once"
    known = {window: label for window, (_, label) in device.ring.items() if label is not None}
    assert known.items() <= truth().items()
    assert len(known) == 132 + totals["windows"], "and has reached the wearable's ring"
    assert totals["published"] == totals["stored"]


@pytest.mark.slow
async def test_windows_that_never_get_a_label_stream_on(
    settings: AgentSettings, device: Device, keeper: Keeper
) -> None:
    some = settings.model_copy(update={**LATE, "label_share": 0.4})
    totals = await run_agent(some, connect=device.connect, connect_frozen=device.connect)
    assert totals["windows"] + totals["windows_dropped"] == 528
    labelled = sum(t.labelled for t in keeper.of(Telemetry))
    assert 0.25 * 528 < labelled < 0.55 * 528
    trained = [a for a in keeper.of(Adaptation) if a.phase is Phase.STARTED and a.trigger != "calibration"]
    assert all(a.train_windows < 0.6 * 528 + 132 for a in trained)


@pytest.mark.slow
async def test_an_agent_that_is_stopped_meanwhile_counts_no_label_twice(
    settings: AgentSettings, device: Device, keeper: Keeper
) -> None:
    late = settings.model_copy(update={**LATE, "adapt": "never"})
    task = asyncio.create_task(run_agent(late, connect=device.connect, connect_frozen=device.connect))
    await keeper.until(lambda: len(device.pushed) > 132 + 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    totals = await run_agent(late, connect=device.connect, connect_frozen=device.connect)
    assert totals["windows"] + totals["windows_dropped"] == 528
    # a label whose window was handled and whose telemetry had not been written when the agent stopped may be missing
    labelled = sum(t.labelled for t in keeper.of(Telemetry))
    assert labelled <= totals["windows"]
    known = {window: label for window, (_, label) in device.ring.items() if label is not None}
    assert known.items() <= truth().items()
    assert labelled >= totals["windows"] - 12


async def test_a_link_that_breaks_delays_labels_and_loses_none(
    settings: AgentSettings, device: Device, keeper: Keeper
) -> None:
    late = settings.model_copy(
        update={**LATE, "sessions": (1,), "trials": 99, "calibrate_windows": None, "adapt": "never", "speed": 200.0}
    )
    task = asyncio.create_task(run_agent(late, connect=device.connect, connect_frozen=device.connect))
    await keeper.until(lambda: len(device.pushed) > 40)
    device.cut()
    totals = await task
    known = {window for window, (_, label) in device.ring.items() if label is not None}
    assert known == set(device.pushed)
    assert len(known) == totals["windows"]


def test_a_label_finds_its_prediction_once_and_the_oldest_are_given_up() -> None:
    waiting = Unlabelled(most=3)
    for window in range(5):
        waiting.add(Prediction(window, 1, None if window % 2 else 2, window > 3, False, 7))
    again = Unlabelled(most=3)
    again.restore(waiting.snapshot())
    assert again.take(1) is None
    assert again.take(4) == Prediction(4, 1, 2, True, False, 7)
    assert again.take(4) is None
    assert again.take(3) == Prediction(3, 1, None, False, False, 7)
