"""An alert hook in Python: keeps a line for each alert in a file, and could as well send a mail.

    biotrain supervisor --hook alert_hook:note        (in this folder)

An installed package offers it as an entry point of the group `biotrain.alert_hooks`. It runs in a thread of its own and
for ten seconds at most; it may be called twice for an alert, never not at all.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from schemas.alert import Alert

FILE = Path("alerts.txt")


async def note(alert: Alert) -> None:
    line = f"{alert.time:%Y-%m-%d %H:%M:%S} {alert.severity} {alert.site}/{alert.device}: {alert.message}\n"
    # What blocks goes into a thread: others wait for this loop.
    await asyncio.to_thread(_append, line)


def _append(line: str) -> None:
    with FILE.open("a", encoding="utf-8") as file:
        file.write(line)
