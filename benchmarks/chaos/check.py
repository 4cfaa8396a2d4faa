"""The independent checker: files and a database, read as anybody could; it shares no code with who wrote them.

It reads the wearables' own logs and flash images, the agents' own logs and outboxes, and the supervisor's store.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

GRACE_S = 20.0
"""After an outage, for a link to be found again on a busy machine and for its telemetry to be made."""
_FINAL = {"committed", "rolled_back", "failed"}
_ANSWERED = {"done", "refused", "failed"}

_SECTOR = 4096
_BANKS_AT = 29 * _SECTOR + 2 * 64 * _SECTOR
_BANK = 128 * _SECTOR
_STORED = struct.Struct("<5I")
"""Place, length, CRC, version, layout."""


@dataclass
class Report:
    devices: int = 0
    messages: int = 0
    wearable_events: int = 0
    agent_events: int = 0
    windows: int = 0
    windows_dropped: int = 0
    adaptations: int = 0
    committed: int = 0
    commands: int = 0
    problems: list[str] = field(default_factory=list)


def check(folder: Path) -> Report:
    """Of a finished run: `folder` holds `site.json` and all that the parties left."""
    told = json.loads((folder / "site.json").read_text(encoding="utf-8"))
    report = Report(devices=len(told["devices"]))
    stored: dict[str, list[dict[str, Any]]] = {device: [] for device in told["devices"]}
    for device, payload in _rows(told["store"], "SELECT device, payload FROM messages ORDER BY id"):
        stored.setdefault(device, []).append(json.loads(payload))
    if quarantined := list(_rows(told["store"], "SELECT topic, reason FROM quarantine")):
        report.problems.append(f"{len(quarantined)} messages in quarantine, the first: {quarantined[0]}")
    for device in told["devices"]:
        one = _Device(folder, device, stored[device], told, report)
        report.problems += [f"{device}: {problem}" for problem in one.problems()]
    report.commands = len(told["commands"])
    return report


class _Device:
    def __init__(
        self, folder: Path, name: str, messages: list[dict[str, Any]], told: dict[str, Any], report: Report
    ) -> None:
        self.name, self.messages, self.told, self.report = name, messages, told, report
        self.wearable_log = folder / "wearables" / f"{name}.jsonl"
        self.flash = folder / "wearables" / f"{name}.flash"
        self.agent_log = folder / "agents" / name / "events.jsonl"
        self.outbox = folder / "agents" / name / "outbox.db"
        report.messages += len(messages)

    def of(self, schema: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["schema"] == f"biotrain.{schema}/1"]

    def problems(self) -> Iterator[str]:
        yield from self._every_number_once()
        yield from self._every_event_once()
        yield from self._nothing_waits()
        yield from self._every_window_is_accounted_for()
        yield from self._one_model()
        yield from self._adaptations_end()

    def _every_number_once(self) -> Iterator[str]:
        """Each boot counts from 1 without a hole: what is not in the store once was lost or doubled."""
        numbers = Counter((message["boot"], message["seq"]) for message in self.messages)
        for key, copies in numbers.items():
            if copies > 1:
                yield f"message {key} is in the store {copies} times"
        highest: dict[int, int] = {}
        for boot, seq in numbers:
            highest[boot] = max(seq, highest.get(boot, 0))
        for boot, last in highest.items():
            missing = [seq for seq in range(1, last + 1) if (boot, seq) not in numbers]
            if missing:
                yield f"boot {boot}: {len(missing)} of {last} messages are not in the store, the first {missing[0]}"

    def _every_event_once(self) -> Iterator[str]:
        stored = Counter((message["boot"], message["seq"]) for message in self.messages)
        relayed = Counter(
            (origin["boot"], origin["seq"]) for message in self.messages if (origin := message.get("device_event"))
        )
        for who, log, found in (("wearable", self.wearable_log, relayed), ("agent", self.agent_log, stored)):
            noted = {(entry["boot"], entry["seq"]): entry for entry in _lines(log)}
            if who == "wearable":
                self.report.wearable_events += len(noted)
            else:
                self.report.agent_events += len(noted)
            if not noted:
                yield f"the {who}'s log is empty"
            for key, entry in noted.items():
                if found[key] != 1:
                    what = entry.get("kind") or entry.get("schema")
                    yield f"{who} event {key} ({what}) is in the store {found[key]} times"

    def _nothing_waits(self) -> Iterator[str]:
        with contextlib.closing(sqlite3.connect(f"file:{self.outbox}?mode=ro", uri=True)) as database:
            waiting = database.execute("SELECT COUNT(*) FROM message").fetchone()[0]
            meta = dict(database.execute("SELECT key, value FROM meta"))
        self.state = json.loads(meta["state"])
        if waiting:
            yield f"{waiting} messages still wait in the outbox"
        if int(meta.get("thinned", 0)):
            yield f"{meta['thinned']} messages were thinned"
        for field_name in ("in_flight", "open_commands"):
            if self.state[field_name]:
                yield f"{field_name} is {self.state[field_name]} in the agent's state"
        if not self.state["finished"]:
            yield "the agent's stream has not finished"
        newest = max(self.of("state"), key=lambda message: (message["boot"], message["seq"]), default={})
        if newest.get("state") != "finished":
            yield f"its state in the store is {newest.get('state')}, expected finished"

    def _every_window_is_accounted_for(self) -> Iterator[str]:
        """Predicted or dropped, and dropped only around an outage of this device's wearable, link or agent."""
        telemetry = self.of("telemetry")
        windows = sum(message["windows"] for message in telemetry)
        dropped = sum(message["windows_dropped"] for message in telemetry)
        self.report.windows += windows
        self.report.windows_dropped += dropped
        if windows + dropped != self.told["windows"]:
            yield f"{windows} windows predicted and {dropped} dropped, expected {self.told['windows']} in all"
        mine = [outage for outage in self.told["outages"] if outage["device"] == self.name]
        for message in telemetry:
            end_s = datetime.fromisoformat(message["time"]).timestamp()
            begin_s = end_s - message["period_s"]
            if message["windows_dropped"] and not any(
                outage["from"] <= end_s and begin_s <= outage["until"] + GRACE_S for outage in mine
            ):
                yield f"{message['windows_dropped']} windows dropped at {message['time']} without an outage"

    def _one_model(self) -> Iterator[str]:
        """Flash, the wearable's log, the agent's state and the store name one version; its bytes are whole."""
        flash = self.flash.read_bytes()
        records = [record for at in (0, _SECTOR) if (record := _record(flash[at : at + _SECTOR]))]
        if not records:
            yield "no whole state record in flash"
            return
        record = max(records, key=lambda one: struct.unpack_from("<I", one, 4)[0])
        serving = _STORED.unpack_from(record, 24 + _STORED.size + 24)
        previous = _STORED.unpack_from(record, 24 + 2 * _STORED.size + 24)
        banks = [flash[_BANKS_AT + place * _BANK :][:length] for place, length, *_ in (serving, previous)]
        if zlib.crc32(banks[0]) != serving[2] or not banks[0]:
            yield "the serving weights in flash do not have the CRC of their record"
        version = serving[3]
        changes = [e for e in _lines(self.wearable_log) if e["kind"] in ("WEIGHTS_WRITTEN", "COMMITTED", "ROLLED_BACK")]
        newest = max(self.of("state"), key=lambda message: (message["boot"], message["seq"]), default={})
        named = {
            "the wearable's log": max(changes, key=lambda e: (e["boot"], e["seq"]), default={}).get("weights_version"),
            "the agent": self.state["device_version"],
            "the store": newest.get("weights_version"),
        }
        for who, says in named.items():
            if says != version:
                yield f"weights version {version} in flash, {says} by {who}"
        committed = {m["to_version"] for m in self.of("adaptation") if m["phase"] == "committed"}
        written = {e["weights_version"] for e in changes if e["kind"] == "WEIGHTS_WRITTEN"}
        if version not in committed | written:
            yield f"version {version} serves, the store knows of commits {sorted(committed)}"
        parent = banks[0][48:80]
        if version in committed and previous[1] and not _descends(parent, banks[1], changes, version):
            yield "the serving weights' parent is not what was served before"

    def _adaptations_end(self) -> Iterator[str]:
        phases: dict[str, list[str]] = {}
        for message in self.of("adaptation"):
            phases.setdefault(message["adaptation_id"], []).append(message["phase"])
        self.report.adaptations += len(phases)
        for name, seen in phases.items():
            ends = [phase for phase in seen if phase in _FINAL]
            self.report.committed += "committed" in ends
            if len(ends) != 1:
                yield f"adaptation {name} ended {len(ends)} times: {seen}"
        answers: dict[str, list[str]] = {}
        for message in self.of("reply"):
            answers.setdefault(message["command_id"], []).append(message["status"])
        asked = [one for one in self.told["commands"] if one["device"] == self.name]
        yield from (f"command {one['command_id']} has no answer" for one in asked if one["command_id"] not in answers)
        for command, statuses in answers.items():
            final = [status for status in statuses if status in _ANSWERED]
            if len(final) != 1:
                yield f"command {command} was answered {statuses}"


def _descends(parent: bytes, previous: bytes, changes: list[dict[str, Any]], version: int) -> bool:
    """A refinement's parent has been overwritten: only its direct parent lies in flash when the chain is one long."""
    versions = [entry["weights_version"] for entry in changes if entry["kind"] == "COMMITTED"]
    before = struct.unpack_from("<I", previous, 80)[0]
    direct = sum(before < each <= version for each in versions) == 1
    return not direct or parent == hashlib.sha256(previous[128:]).digest()


def _record(sector: bytes) -> bytes | None:
    """The whole record at a sector's begin, whatever its length: the one whose end is the CRC of what stands before."""
    if sector[:4] not in (b"CTSB", b"DTSB"):  # before and since devices have keys
        return None
    crc, at = zlib.crc32(sector[:256]), 256
    while at + 4 <= 1024:
        if struct.unpack_from("<I", sector, at)[0] == crc:
            return sector[:at]
        crc, at = zlib.crc32(sector[at : at + 1], crc), at + 1
    return None


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    """The whole lines; one that a kill has torn was never told to anybody."""
    if log.exists():
        for line in log.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                yield json.loads(line)


def _rows(store: str, query: str) -> Iterator[tuple[Any, ...]]:
    if store.startswith("sqlite:///"):
        path = store.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            yield from database.execute(query).fetchall()
    else:
        import psycopg

        with psycopg.connect(store) as connection:
            yield from connection.execute(query).fetchall()
