"""The independent checker: what the wearable and the agent have noted in logs of their own, against the store.

It shares no code with the parties that it checks: two text files and one database, read as anybody could.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EventId = tuple[int, int]
"""(boot, seq), of the wearable or of the agent."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What the logs tell of, and what is missing or doubled in the store."""

    wearable_events: int
    agent_events: int
    problems: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return not self.problems


def check_logs(wearable_log: Path, agent_log: Path, store: Path, site: str, device: str) -> CheckReport:
    """Every entry of both logs must be in the store, once, with the same content as far as the log tells it."""
    wearable = {(entry["boot"], entry["seq"]): entry for entry in _lines(wearable_log)}
    agent = {(entry["boot"], entry["seq"]): entry for entry in _lines(agent_log)}
    stored: dict[EventId, list[dict[str, Any]]] = {}
    relayed: dict[EventId, list[dict[str, Any]]] = {}
    for message in _messages(store, site, device):
        stored.setdefault((message["boot"], message["seq"]), []).append(message)
        if origin := message.get("device_event"):
            relayed.setdefault((origin["boot"], origin["seq"]), []).append(message)
    problems = [*_compare("wearable", wearable, relayed), *_compare("agent", agent, stored)]
    problems += [
        f"message {_name(key)} is in the store {len(found)} times" for key, found in stored.items() if found[1:]
    ]
    problems += [
        f"agent event {_name(key)} is {found[0]['schema']} in the store, {agent[key]['schema']} in the log"
        for key, found in stored.items()
        if key in agent and found[0]["schema"] != agent[key]["schema"]
    ]
    problems += [
        f"wearable event {_name(key)}: loss {found[0].get('loss')} in the store, {wearable[key]['loss']} in the log"
        for key, found in relayed.items()
        if key in wearable and wearable[key]["kind"] == "FIT_PROGRESS" and not _close(found[0], wearable[key])
    ]
    return CheckReport(len(wearable), len(agent), problems)


def _compare(
    who: str, noted: dict[EventId, dict[str, Any]], stored: dict[EventId, list[dict[str, Any]]]
) -> Iterator[str]:
    for key, entry in noted.items():
        copies = len(stored.get(key, []))
        if copies != 1:
            what = entry.get("kind") or entry.get("schema")
            yield f"{who} event {_name(key)} ({what}) is in the store {copies} times"


def _close(message: dict[str, Any], entry: dict[str, Any]) -> bool:
    # The message may be about something else (an entry of a fit that nobody asked for is passed on as a state).
    loss = message.get("loss")
    return loss is None or abs(loss - entry["loss"]) <= 1e-5 * max(1.0, abs(entry["loss"]))


def _name(key: EventId) -> str:
    return f"{key[0]}/{key[1]}"


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    """The whole lines; one that a kill has torn was never told to anybody."""
    if not log.exists():
        return
    for line in log.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):
            yield json.loads(line)


def _messages(store: Path, site: str, device: str) -> Iterator[dict[str, Any]]:
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT payload FROM messages WHERE site = ? AND device = ?", (site, device))
        for (payload,) in rows:
            yield json.loads(payload)
