"""A copy of the model that never adapts, in a wearable inside this process: what would have been without."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from device_agent.sources.window import Window
from device_agent.wearable.api import Bank, Wearable


async def open_frozen(
    folder: Path, wearable: Wearable, connect: Callable[[], Awaitable[Wearable]], *, fresh: bool
) -> Frozen:
    """The weights that serve now are copied when `fresh`; otherwise those that were copied when the stream began."""
    plan, weights = folder / "frozen.plan", folder / "frozen.weights"
    if fresh or not (plan.is_file() and weights.is_file()):
        _write(plan, await wearable.read_plan())
        _write(weights, await wearable.read_weights(Bank.SERVING))
    copy = await connect()
    await copy.write_plan(plan.read_bytes())
    await copy.write_weights(weights.read_bytes())
    return Frozen(copy)


class Frozen:
    """Classifies what the real wearable classifies."""

    def __init__(self, wearable: Wearable) -> None:
        self._wearable = wearable

    async def predict(self, window: Window) -> int:
        return (await self._wearable.push(window)).predicted

    async def close(self) -> None:
        await self._wearable.close()


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    part = path.with_suffix(path.suffix + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
