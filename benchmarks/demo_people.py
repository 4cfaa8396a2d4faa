"""What adaptation on the wearable gains on each person's recordings: the demo, once for each, and the mean.

.venv/bin/python benchmarks/demo_people.py --data ../shared/data/emg_forearm
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import mean
from typing import Any

from device_agent.sources.dataset import open_dataset


def run_demo(data: Path, subject: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "biotrain", "demo", "--data", str(data), "--subject", subject]
    done = subprocess.run([*command, "--headless", "--json"], stdout=subprocess.PIPE, text=True, check=True)
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description="The demo on every person's recordings")
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    print("| person | alerts | committed | rolled back | frozen | adapted | gain, points | dropped |")
    print("|---|---|---|---|---|---|---|---|")
    gains = []
    for subject in open_dataset(data).subjects:
        summary = run_demo(data, subject)
        accuracy, adaptations = summary["accuracy"], summary["adaptations"]
        gains.append(100 * (accuracy["after_adaptation"] - accuracy["after_drift"]))
        print(
            f"| {subject} | {summary['drift_alerts']} | {adaptations['committed']} | {adaptations['rolled_back']} "
            f"| {accuracy['after_drift']:.3f} | {accuracy['after_adaptation']:.3f} | {gains[-1]:+.1f} "
            f"| {summary['windows_dropped']} |",
            flush=True,
        )
    print(f"\nmean gain {mean(gains):+.1f} points over {len(gains)} people")


if __name__ == "__main__":
    main()
