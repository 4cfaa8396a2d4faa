"""Run as a process: plays a signal and its markers as LSL streams, quicker than real time, with faults on request.

    python lsl_player.py NAME KIND SECONDS SPEED DRIFT_PPM LOST_AT:COUNT,...

KIND `ramp`: two channels that count samples (modulo 1000) up and down. KIND `sim`: a simulated EOG wearer's trials.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pylsl

RATE = 500.0
BLOCK = 50


def signal(kind: str, seconds: float) -> tuple[np.ndarray, list[tuple[int, str]]]:
    """[samples, 2], and markers by sample."""
    count = round(seconds * RATE)
    if kind == "ramp":
        index = np.arange(count) % 1000
        return np.stack([index, -index], axis=1).astype(float), [(at, "left") for at in range(1000, count, 1500)]
    from device_agent.sources.simulator import SimulatedPerson

    session = SimulatedPerson(1).session(1, round(seconds / 3))
    trials = np.concatenate([session.values, np.zeros((len(session), 2, 500), np.float32)], axis=2)
    markers = [(k * 1500, session.classes[label]) for k, label in enumerate(session.labels)]
    return trials.transpose(0, 2, 1).reshape(-1, 2).astype(float), markers


def main() -> None:
    name, kind, seconds, speed, drift_ppm, lost = sys.argv[1:7]
    holes = [tuple(map(int, hole.split(":"))) for hole in lost.split(",") if hole]
    values, markers = signal(kind, float(seconds))
    info = pylsl.StreamInfo(name, "EOG", 2, RATE, "double64", f"test-{name}")
    channels = info.desc().append_child("channels")
    for label in ("vertical", "horizontal"):
        channels.append_child("channel").append_child_value("label", label)
    outlet = pylsl.StreamOutlet(info, max_buffered=360)
    marker_info = pylsl.StreamInfo(f"{name}-markers", "Markers", 1, 0, "string", f"test-{name}-markers")
    marker_outlet = pylsl.StreamOutlet(marker_info)
    print("ready", flush=True)
    while not (outlet.have_consumers() and marker_outlet.have_consumers()):
        time.sleep(0.01)
    time.sleep(0.3)
    begin_s, rate = pylsl.local_clock(), RATE * (1 + float(drift_ppm) * 1e-6)
    kept = np.ones(len(values), bool)
    for at, count in holes:
        kept[at : at + count] = False
    next_marker = 0
    for first in range(0, len(values), BLOCK):
        ahead_s = first / rate / float(speed) - (pylsl.local_clock() - begin_s)
        if ahead_s > 0:
            time.sleep(ahead_s)
        # horizontal is the simulator's first channel, and the second here
        for index in range(first, min(first + BLOCK, len(values))):
            if kept[index]:
                outlet.push_sample([values[index, 1], values[index, 0]], begin_s + index / rate)
        while next_marker < len(markers) and markers[next_marker][0] < first + BLOCK:
            at, label = markers[next_marker]
            marker_outlet.push_sample([label], begin_s + at / rate)
            next_marker += 1
    time.sleep(1.5)


main()
