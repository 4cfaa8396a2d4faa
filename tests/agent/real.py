"""The simulator's plan and weights, and a real virtual wearable that was made for it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np

from device_agent.sources.simulator import SimulatedPerson
from device_agent.wearable.recording_file import pack_recording
from tests.wearable.conftest import Process

PERIOD_S = 3.0
"""A simulated trial and the pause after it."""


def model(folder: Path) -> dict[str, Path]:
    """`plan` and `weights` for an agent's settings."""
    found = {}
    for what in ("plan", "weights"):
        found[what] = folder / f"eog.{what}"
        found[what].write_bytes((files("biotrain.demo") / "assets" / f"eog.{what}").read_bytes())
    return found


def recorder(folder: Path, sessions: list[int], trials: int, speed: float, seed: int = 1) -> Process:
    """A wearable that plays a simulated person's sessions to itself; not started yet."""
    person = SimulatedPerson(seed)
    played = [person.session(number, trials) for number in sessions]
    file = folder / "own.btrc"
    file.write_bytes(
        pack_recording(
            np.concatenate([session.counts for session in played]),
            played[0].scale,
            np.concatenate([session.labels for session in played]),
            played[0].sampling_rate_hz,
            PERIOD_S,
        )
    )
    return Process(folder, ["--recording", str(file), "--speed", f"{speed:g}"])
