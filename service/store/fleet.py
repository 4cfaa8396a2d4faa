"""A device's row as it follows from its messages."""

from __future__ import annotations

import json
from typing import Any

from schemas.health import Health
from schemas.state import State
from service.store.batch import Arrived

Row = dict[str, Any]


def fold(row: Row | None, arrived: Arrived) -> Row:
    """The row after one more message. Messages may come late, twice, and from an earlier boot."""
    message = arrived.message
    if row is None:
        row = {
            "site": message.site,
            "device": message.device,
            "first_seen": arrived.received,
            "last_seen": arrived.received,
            "connected": False,
            "boot": message.boot,
            "wearer": None,
            "state": None,
            "state_boot": 0,
            "state_seq": 0,
            "health": None,
        }
    else:
        row = dict(row)
    is_current = message.boot >= row["boot"]
    if message.seq == 0:
        # The last will. It is older than nothing of its boot, and its boot may not be over.
        if is_current:
            row["connected"] = False
        return row
    if not arrived.retained:
        row["last_seen"] = max(row["last_seen"], arrived.received)
        row["connected"] = row["connected"] or is_current
    if is_current:
        row["boot"] = message.boot
        row["wearer"] = message.wearer or row["wearer"]
    if isinstance(message, State) and (message.boot, message.seq) >= (row["state_boot"], row["state_seq"]):
        row |= {"state": arrived.payload, "state_boot": message.boot, "state_seq": message.seq}
    if isinstance(message, Health) and _is_newer_health(row["health"], message):
        row["health"] = arrived.payload
    return row


def _is_newer_health(kept: str | None, message: Health) -> bool:
    if kept is None:
        return True
    old = json.loads(kept)
    return (message.boot, message.seq) >= (old["boot"], old["seq"])
