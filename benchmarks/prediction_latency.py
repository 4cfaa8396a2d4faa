"""From the end of a window to its prediction in an application: agent, real virtual wearable, local websocket.

    python benchmarks/prediction_latency.py --windows 300 --speed 60

The application connects as any would, and compares its clock with the window's end. No broker is needed: what the
agent has to publish stays in its outbox.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def application(port: int, windows: int) -> list[float]:
    """Milliseconds."""
    late_ms: list[float] = []
    while True:
        try:
            async with connect(f"ws://127.0.0.1:{port}") as client:
                await client.recv()
                async for message in client:
                    late_ms.append((time.time() - json.loads(message)["time"]) * 1000)
                    if len(late_ms) == windows:
                        return late_ms
        except OSError:
            await asyncio.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=300)
    parser.add_argument("--speed", type=float, default=60.0, help="times real time; a trial comes every 3 s of it")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, python = Path(name), [sys.executable, "-m", "biotrain"]
        for what in ("plan", "weights"):
            (folder / f"eog.{what}").write_bytes((files("biotrain.demo") / "assets" / f"eog.{what}").read_bytes())
        wearable = subprocess.Popen(
            [*python, "wearable", "--storage", str(folder / "flash"), "--json"], stdout=subprocess.PIPE, text=True
        )
        assert wearable.stdout is not None
        address = json.loads(wearable.stdout.readline())["address"]
        port, nobody = free_port(), free_port()
        words: list[Any] = [
            *python, "agent", "--wearable", f"tcp://{address}", "--broker", f"127.0.0.1:{nobody}", "--sessions", 1,
            "--state-dir", folder / "agent", "--plan", folder / "eog.plan", "--weights", folder / "eog.weights",
            "--trials", chosen.windows + 50, "--speed", chosen.speed, "--adapt", "never",
            "--predictions", f"ws://127.0.0.1:{port}",
        ]  # fmt: skip
        agent = subprocess.Popen(list(map(str, words)), stderr=subprocess.DEVNULL)
        try:
            late_ms = sorted(asyncio.run(application(port, chosen.windows)))
        finally:
            for process in (agent, wearable):
                process.terminate()
                process.wait(20)
    shares = {"p50_ms": 0.50, "p99_ms": 0.99, "max_ms": 1.0}
    print(json.dumps({k: round(late_ms[min(int(s * len(late_ms)), len(late_ms) - 1)], 2) for k, s in shares.items()}))


if __name__ == "__main__":
    main()
