"""Streams that stall, change their format or run backwards; files with rates of their own and events outside."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from device_agent.sources.dataset import open_dataset
from device_agent.sources.gaps import StampForm
from device_agent.sources.live import LiveOptions, LiveSource, Samples, SampleStream
from device_agent.sources.source import Start
from schemas.errors import UserError


def test_stamps_with_jitter_bursts_and_losses_are_the_same_stream() -> None:
    rng = np.random.default_rng(2)
    clean = np.arange(30_000) / 500.0
    kept = rng.random(30_000) > 0.04
    for stamps in (clean, clean + rng.normal(0, 0.0005, 30_000), clean[kept], np.repeat(clean[::50], 50)):
        form = StampForm("EOG", 500.0)
        for chunk in np.array_split(np.sort(stamps), 900):
            form.check(chunk.tolist())


@pytest.mark.parametrize("rate_hz", [250.0, 1000.0])
def test_another_rate_is_told_within_sixteen_seconds(rate_hz: float) -> None:
    form = StampForm("EOG", 500.0)
    form.check((np.arange(2000) / 500.0).tolist())
    with pytest.raises(UserError, match=rf"'EOG': gives {rate_hz:.0f} Hz now, and gave 500 Hz when it was opened"):
        form.check((4.0 + np.arange(round(16 * rate_hz)) / rate_hz).tolist())


def test_stamps_that_run_backwards_are_told() -> None:
    form = StampForm("EOG", 500.0)
    form.check([10.0, 10.002, 10.001])
    with pytest.raises(UserError, match=r"'EOG': its stamps run backwards, by 8\.0 s"):
        form.check([2.0])


class Board(SampleStream):
    """Gives samples while `on`."""

    on = True

    async def open(self, channels: tuple[str, ...], rate_hz: float, classes: tuple[str, ...]) -> None:
        return

    async def read(self) -> list[Samples] | None:
        await asyncio.sleep(0.01)
        return [Samples(np.ones((5, 1)), 1e9)] if self.on else []

    async def close(self) -> None:
        return


async def test_a_board_that_is_unplugged_is_told_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device_agent.sources.live._STALLED_S", 0.1)
    info = SimpleNamespace(samples=10, sampling_rate_hz=500.0, channels=("a",), classes=("x", "y"))

    async def wearable() -> SimpleNamespace:
        return SimpleNamespace(info=info)

    board = Board()
    start = Start(wearable=wearable, wearable_lost=lambda wearable: None)  # type: ignore[arg-type]
    async with LiveSource(board, LiveOptions(hop_s=0.02), start) as source, asyncio.timeout(10):
        silent = []
        for on in (True, False, True):
            board.on = on
            await asyncio.sleep(0.3)
            assert source.health is not None
            silent.append(source.health.silent)
    assert silent == [False, True, False]


def described(folder: Path) -> Path:
    (folder / "dataset.yaml").write_text(
        "format: mne\npattern: '{subject}_day{session}.edf'\nclasses: [left, right]\nwindow: {length_s: 1}\n"
    )
    return folder


def edf(path: Path, rates: tuple[int, ...], events: list[tuple[float, float, str]]) -> None:
    pyedflib = pytest.importorskip("pyedflib")
    with pyedflib.EdfWriter(str(path), len(rates), file_type=pyedflib.FILETYPE_EDFPLUS) as file:
        for index, rate in enumerate(rates):
            header = {"label": f"E{index}", "dimension": "uV", "sample_frequency": rate, "physical_max": 100.0}
            file.setSignalHeader(
                index,
                {
                    **header, "physical_min": -100.0, "digital_max": 32767, "digital_min": -32768, "transducer": "",
                    "prefilter": "",
                },
            )  # fmt: skip
        for event in events:
            file.writeAnnotation(*event)
        file.writeSamples([np.zeros(20 * rate) for rate in rates])


EVENTS = [(2.0, 1.0, "left"), (5.0, 1.0, "right")]


def test_channels_of_different_rates_are_refused_by_name(tmp_path: Path) -> None:
    pytest.importorskip("mne")
    edf(tmp_path / "ann_day1.edf", (250, 250, 125), EVENTS)
    with pytest.raises(UserError, match=r"ann_day1\.edf: field 'E2': is sampled 2 times more slowly.*resample it"):
        open_dataset(described(tmp_path)).load("ann", 1)


def test_annotations_outside_the_data_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("mne")
    edf(tmp_path / "ann_day1.edf", (250, 250), [*EVENTS, (300.0, 1.0, "left")])
    with pytest.raises(UserError, match=r"ann_day1\.edf: field 'annotations'.*expected annotations within"):
        open_dataset(described(tmp_path)).load("ann", 1)
