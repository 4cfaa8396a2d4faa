"""Steers a cursor in the terminal with what the agent predicts.

    biotrain agent --predictions ws://127.0.0.1:8765 ...
    python examples/steer_cursor.py ws://127.0.0.1:8765

Directions are read from the classes' names (left, up_right, ...). A prediction below --confidence, or of a window with
a sensor fault, moves nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json

from rich.live import Live
from rich.text import Text
from websockets.asyncio.client import connect

WIDTH, HEIGHT = 60, 15
STEPS = {"left": (-2, 0), "right": (2, 0), "up": (0, -1), "down": (0, 1)}


def moved(at: tuple[int, int], name: str) -> tuple[int, int]:
    """One step in every direction that the class's name holds; within the field."""
    x, y = at
    for word in name.split("_"):
        dx, dy = STEPS.get(word, (0, 0))
        x, y = min(max(x + dx, 0), WIDTH - 1), min(max(y + dy, 0), HEIGHT - 1)
    return x, y


def field(at: tuple[int, int], said: str) -> Text:
    rows = ["".join("@" if (x, y) == at else "." for x in range(WIDTH)) for y in range(HEIGHT)]
    return Text("\n".join([*rows, said]))


async def steer(address: str, least: float) -> None:
    at = WIDTH // 2, HEIGHT // 2
    async with connect(address) as agent:
        print("classes:", ", ".join(json.loads(await agent.recv())["classes"]))
        with Live(field(at, ""), auto_refresh=False) as live:
            async for message in agent:
                told = json.loads(message)
                if told["confidence"] >= least and not told["faulty"]:
                    at = moved(at, told["class"])
                said = f"window {told['window']}: {told['class']} {told['confidence']:.0%}, v{told['weights_version']}"
                live.update(field(at, said), refresh=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="ws://HOST:PORT, as given to the agent's --predictions")
    parser.add_argument("--confidence", type=float, default=0.5, help="least confidence that moves the cursor")
    chosen = parser.parse_args()
    asyncio.run(steer(chosen.address, chosen.confidence))


if __name__ == "__main__":
    main()
