"""Windows of real recordings on a wall clock, at their own rate and at four times it, while the wearable trains: none
is lost, and each is answered before the next one is due."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from device_agent.sources.recording import Recording, load_recording
from device_agent.sources.source import LateLabel
from device_agent.sources.timeline import Timeline
from device_agent.sources.wall_clock import WallClockSource
from device_agent.sources.window import Window
from device_agent.wearable.api import FitRequest
from device_agent.wearable.client import LinkWearable
from device_agent.wearable.connect import connect, provision

pytestmark = [pytest.mark.slow, pytest.mark.data]

#: The paper's EEG network takes an emulator a second a window: there it is the EMG set.
NETWORKS = {
    "host": {"emg_forearm": "epidenet-short", "eeg_ssvep": "mi-bminet", "eeg_motor": "mi-bminet"},
    "riscv": {"emg_forearm": "epidenet-short"},
}
RING = {"host": 120, "riscv": 16}
RATES = {1.0: 6.8, 4.0: 3.5}
"""How many times real time, and for how many seconds."""
EPOCHS, FIRST_ID = 900, 1000


@dataclass(frozen=True)
class Case:
    """One set of recordings at one rate; its plan is made for the recordings' shape."""

    name: str
    recording: Recording
    plan: bytes
    weights: bytes
    speed: float
    ring: int
    """Windows that the fit trains on."""

    def timeline(self) -> Timeline:
        return Timeline([self.recording], first_id=FIRST_ID)

    @property
    def windows(self) -> int:
        """That end within the test's time."""
        timeline = self.timeline()
        ends = [(timeline.end_s(i) - timeline.end_s(0)) / self.speed for i in range(len(timeline))]
        return sum(end < RATES[self.speed] for end in ends)

    @property
    def period_s(self) -> float:
        """The shortest time between two of them."""
        timeline = self.timeline()
        ends = [timeline.end_s(i) for i in range(self.windows)]
        return min(after - before for before, after in pairwise(ends)) / self.speed


@dataclass(frozen=True)
class Told:
    windows: int
    lost: int
    latest_s: float
    """From a window's end to its report, at most."""
    micro_batches: int
    fitting: bool


def cases_of(recordings: Path, port: str) -> list[Case]:
    import torch

    from device_agent.compiler.compile import Signal, compile_model
    from device_agent.models import SIZES, build_model
    from device_agent.models.norms import with_group_norm

    made = []
    for name, model in NETWORKS[port].items():
        recording = load_recording(min((recordings / name).glob("*_session1.npz")))
        channels, samples = recording.counts.shape[1:]
        torch.manual_seed(0)
        size = type(SIZES[model])(channels, samples, len(recording.classes), recording.sampling_rate_hz)
        module = with_group_norm(build_model(model, size))
        signal_ = Signal(recording.channels, samples, recording.sampling_rate_hz, recording.classes)
        plan = compile_model(module, signal_, name=model)
        weights = plan.weights_file(module)
        ring = min(RING[port], len(recording))
        made += [Case(name, recording, plan.file, weights, rate, ring) for rate in RATES]
    return made


async def fed(wearable: LinkWearable, case: Case) -> Told:
    """Feeds the first seconds of the recording, as fast as its clock says, beside a fit that lasts."""
    await provision(wearable, case.plan, case.weights)
    r = case.recording
    for id_ in range(case.ring):
        label = int(r.labels[id_])
        await wearable.push(Window(id_, r.counts[id_], r.scale, r.sampling_rate_hz, 1e9 + id_, label))
    await wearable.start_fit(FitRequest(fit_id=1, window_ids=range(case.ring), epochs=EPOCHS, batch_size=1))
    # the clock begins where the first window is about to end, so that a short run sees some
    ahead_s = (case.timeline().end_s(0) - 0.2) / case.speed
    source = WallClockSource(case.timeline(), speed=case.speed, anchor_s=time.time() - ahead_s)
    late: list[float] = []
    async with source:
        async for item in source:
            assert not isinstance(item, LateLabel)
            assert (await wearable.push(item)).window_id == item.id
            late.append(time.time() - item.time_s)
            if len(late) == case.windows:
                break
    told = await wearable.statistics()
    await wearable.stop_fit()
    return Told(len(late), source.lost, max(late), told.fit_steps, told.fitting)


async def run(port: str, folder: Path, case: Case) -> Told:
    folder.mkdir()
    words = [sys.executable, "-m", "biotrain", "wearable", "--port", port, "--storage", str(folder / "flash"), "--json"]
    process = await asyncio.to_thread(subprocess.Popen, words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        ready = json.loads(await asyncio.to_thread(process.stdout.readline))
        wearable = await connect(f"tcp://{ready['address']}")
        try:
            return await fed(wearable, case)
        finally:
            await wearable.close()
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, 10)
        process.stdout.close()


@pytest.mark.parametrize("port", ["host", "riscv"])
async def test_no_window_is_lost_or_late_during_a_fit(recordings: Path, tmp_path: Path, port: str) -> None:
    if port == "riscv":
        from biotrain.riscv.image import COMPILER, EMULATOR, WEARABLE_IMAGE, _find, image

        if not all(_find(name) for name in (COMPILER, EMULATOR)):
            pytest.skip("needs the cross compiler and the emulator (docs/riscv.md)")
        image(WEARABLE_IMAGE)
    cases = cases_of(recordings, port)
    told: list[Told] = []
    for rate in RATES:  # those of one rate at once: each has the less of the computer
        mates = [case for case in cases if case.speed == rate]
        told += await asyncio.gather(*(run(port, tmp_path / f"{case.name}-{rate:g}", case) for case in mates))
    cases.sort(key=lambda case: case.speed)
    for case, one in zip(cases, told, strict=True):
        print(f"{port} {case.name} x{case.speed:g}: period {case.period_s:.2f} s, {one}")
    for case, one in zip(cases, told, strict=True):
        assert one.fitting, case.name
        assert one.micro_batches > 1, case.name
        assert (one.lost, one.windows >= 2) == (0, True), case.name
        assert one.latest_s < case.period_s, case.name
