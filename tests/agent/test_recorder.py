"""`--record`: an agent's stream as a file that MNE opens, with labels, predictions and drift beside it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from device_agent.settings import AgentSettings
from device_agent.sources.simulator import SimulatedPerson
from device_agent.start import run_agent
from schemas.drift import DriftAlert as Drift
from schemas.errors import UserError
from tests.agent.conftest import Keeper
from tests.agent.fake_wearable import Device


@pytest.mark.slow
async def test_what_was_streamed_opens_in_mne_with_predictions_and_drift_as_annotations(
    settings: AgentSettings, keeper: Keeper, device: Device, tmp_path: Path
) -> None:
    mne = pytest.importorskip("mne")
    file = tmp_path / "kept.edf"
    totals = await run_agent(
        settings.model_copy(update={"record": file, "trials": 140, "calibrate_windows": 110}),
        connect=device.connect,
        connect_frozen=device.connect,
    )
    assert not file.with_name("kept.edf.spool").exists(), "the stream has ended: nothing is appended any more"
    raw = mne.io.read_raw_edf(file, verbose="error")
    texts = list(raw.annotations.description)
    assert sum(text.startswith("prediction ") for text in texts) == totals["windows"]
    drifts = keeper.of(Drift)
    assert [f"drift since window {d.since_window}" for d in drifts] == [t for t in texts if t.startswith("drift")]
    assert drifts
    person = SimulatedPerson(1)
    first = person.session(1, 140).part(110).values[0]
    np.testing.assert_allclose(raw.get_data(units="uV", stop=first.shape[1]), first, atol=0.2)
    labels = [text for text in texts if text in device.classes]
    assert len(labels) == totals["windows"]


@pytest.mark.slow
async def test_a_stream_that_is_stopped_is_kept_and_goes_on_in_the_same_file(
    settings: AgentSettings, keeper: Keeper, device: Device, tmp_path: Path
) -> None:
    pytest.importorskip("mne")
    import mne

    file = tmp_path / "kept.bdf"
    chosen = settings.model_copy(update={"record": file, "adapt": "never", "calibrate_windows": None})

    async def run_until(windows: int) -> int:
        task = asyncio.create_task(run_agent(chosen, connect=device.connect, connect_frozen=device.connect))
        await keeper.until(lambda: device.windows >= windows)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        texts = mne.io.read_raw_bdf(file, verbose="error").annotations.description
        return sum(text.startswith("prediction ") for text in texts)

    first = await run_until(40)
    second = await run_until(device.windows + 40)
    assert first >= 40
    assert second >= first + 40


async def test_a_signal_that_stays_on_the_wearable_is_not_recorded(settings: AgentSettings) -> None:
    own = settings.model_copy(update={"source": "wearable", "calibrate_windows": None, "record": Path("x.edf")})
    with pytest.raises(UserError, match="the signal stays on the wearable: leave --record out"):
        await run_agent(own)
