"""The soak run: a site at ten times real time for an hour; memory, handles, threads, tasks and disk must stay flat.

    python -m benchmarks.soak --minutes 60
    python -m benchmarks.soak --minutes 1.5

Broker, supervisor, one virtual wearable and its agent run as processes of their own. Every second each one's resident
memory, open files, threads and asyncio tasks, and what the agent's folder takes on the disk, are noted. The first
quarter warms up; a figure is flat when the median of the last quarter is above that of the second by no more than its
allowance, and the report has the slope of the three quarters by least squares, per hour.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import psutil

from tests.brokers import free_port

_REPOSITORY = Path(__file__).resolve().parent.parent
SPEED = 10.0
_WINDOW_S = 3.0
SESSIONS = 8
_ALLOWED = {"rss_mb": 12.0, "files": 4.0, "threads": 3.0, "tasks": 6.0, "disk_mb": 6.0}
"""Growth of a median. Memory: what the allocator and the caches of the stream's statistics may still take; disk: the
write-ahead log (4 MB) comes and goes."""


@dataclass
class Series:
    times_s: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, time_s: float, value: float) -> None:
        self.times_s.append(time_s)
        self.values.append(value)

    def verdict(self, allowed: float) -> dict[str, Any]:
        quarter = len(self.values) // 4
        early, late = self.values[quarter : 2 * quarter], self.values[-quarter:]
        growth = statistics.median(late) - statistics.median(early)
        slope = statistics.linear_regression(self.times_s[quarter:], self.values[quarter:]).slope
        return {
            "first": round(statistics.median(early), 2),
            "last": round(statistics.median(late), 2),
            "largest": round(max(self.values), 2),
            "slope_per_hour": round(slope * 3600, 2),
            "flat": growth <= allowed,
        }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="biotrain-soak-") as folder:
        result = soak(Path(folder), 60 * options.minutes, seed=options.seed)
    print(json.dumps(result, indent=1))
    if result["not_flat"]:
        sys.exit(f"not flat: {', '.join(result['not_flat'])}")


def soak(folder: Path, seconds: float, *, seed: int = 1, speed: float = SPEED, period_s: float = 1.0) -> dict[str, Any]:
    """Raises RuntimeError when a process ends early."""
    processes: dict[str, subprocess.Popen[str]] = {}
    series: dict[str, Series] = {}
    try:
        _start_all(folder, processes, seconds, seed, speed)
        began = time.monotonic()
        while (now_s := time.monotonic() - began) < seconds:
            for name, process in processes.items():
                if process.poll() is not None:
                    raise RuntimeError(
                        f"{name} ended with {process.returncode}: {(folder / f'{name}.log').read_text()[-800:]}"
                    )
                for figure, value in _figures(folder, name, process.pid).items():
                    series.setdefault(f"{name} {figure}", Series()).add(now_s, value)
            series.setdefault("agent disk_mb", Series()).add(now_s, _disk_mb(folder / "agent"))
            time.sleep(max(period_s - (time.monotonic() - began - now_s), 0.05))
        told = _stored(folder)
    finally:
        for process in reversed(processes.values()):
            process.send_signal(signal.SIGTERM)
        for process in processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
    verdicts = {name: one.verdict(_ALLOWED[name.split()[1]]) for name, one in sorted(series.items())}
    return {
        "seconds": round(seconds, 1),
        "speed": speed,
        **told,
        "samples": len(series["agent rss_mb"].values),
        "figures": verdicts,
        "not_flat": [name for name, verdict in verdicts.items() if not verdict["flat"]],
    }


def _start_all(
    folder: Path, processes: dict[str, subprocess.Popen[str]], seconds: float, seed: int, speed: float
) -> None:
    for suffix in ("plan", "weights"):
        (folder / f"eog.{suffix}").write_bytes((files("biotrain.demo") / "assets" / f"eog.{suffix}").read_bytes())
    port, link = free_port(), free_port()
    # twice what fits in: the stream must not end before the soak does
    trials = max(int(2 * seconds * speed / _WINDOW_S / SESSIONS), 66)
    words = {
        "broker": ["broker", "--listen", f"127.0.0.1:{port}", "--json"],
        "supervisor": ["supervisor", "--broker", f"127.0.0.1:{port}", "--store", f"sqlite:///{folder / 'soak.db'}",
                       "--listen", "127.0.0.1:0", "--json"],
        "wearable": ["wearable", "--listen", f"127.0.0.1:{link}", "--storage", str(folder / "flash"), "--json"],
        "agent": ["agent", "--broker", f"127.0.0.1:{port}", "--wearable", f"tcp://127.0.0.1:{link}", "--site", "soak",
                  "--state-dir", str(folder / "agent"), "--plan", str(folder / "eog.plan"),
                  "--weights", str(folder / "eog.weights"), "--source", "simulator", "--seed", str(seed),
                  "--sessions", f"1-{SESSIONS}", "--trials", str(trials), "--speed", f"{speed:g}",
                  "--calibrate-session", "1", "--calibrate-windows", "40", "--compare-frozen", "--json"],
    }  # fmt: skip
    for name, line in words.items():
        with (folder / f"{name}.log").open("w") as log:
            processes[name] = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.soak_child", str(folder / f"{name}.tasks"), *line],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_REPOSITORY), os.environ.get("PYTHONPATH", "")])},
            )  # fmt: skip
        stdout = processes[name].stdout
        assert stdout is not None
        if not json.loads(stdout.readline() or "{}").get("ready"):
            raise RuntimeError(f"{name} is not ready: {(folder / f'{name}.log').read_text()[-800:]}")


def _figures(folder: Path, name: str, pid: int) -> dict[str, float]:
    process = psutil.Process(pid)
    figures = {
        "rss_mb": process.memory_info().rss / 1e6,
        "files": float(process.num_fds()),
        "threads": float(process.num_threads()),
    }
    tasks = folder / f"{name}.tasks"
    if name in ("agent", "supervisor") and tasks.is_file():
        figures["tasks"] = float(tasks.read_text())
    return figures


def _disk_mb(folder: Path) -> float:
    """Without the log of events, which is a record and has a bound of its own."""
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file() and not f.name.startswith("events")) / 1e6


def _stored(folder: Path) -> dict[str, Any]:
    import contextlib
    import sqlite3

    with contextlib.closing(sqlite3.connect(f"file:{folder / 'soak.db'}?mode=ro", uri=True)) as database:
        payloads = [
            json.loads(row[0]) for row in database.execute("SELECT payload FROM messages WHERE kind = 'telemetry'")
        ]
        messages = database.execute("SELECT COUNT(*) FROM messages").fetchone()[0]
        phases = database.execute("SELECT phase, COUNT(*) FROM adaptations GROUP BY phase").fetchall()
    return {
        "windows": sum(one["windows"] for one in payloads),
        "windows_dropped": sum(one["windows_dropped"] for one in payloads),
        "messages": messages,
        "adaptations": dict(phases),
    }


if __name__ == "__main__":
    main()
