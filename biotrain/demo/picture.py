"""What is known of the running demo, from the supervisor's REST interface alone, as any client would see it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from biotrain.demo.settings import DEVICE, SITE

PERIOD_S = 0.5
_RECENT_WINDOWS = 100
_EVENT_LINES = 12


@dataclass(slots=True)
class Picture:
    """Grows as messages come in."""

    state: str = "starting"
    detail: str = ""
    windows: int = 0
    dropped: int = 0
    weights_version: int | None = None
    drift_statistic: float | None = None
    drift_threshold: float | None = None
    alerts: int = 0
    phases: dict[str, int] = field(default_factory=dict)
    stored: int = 0
    outbox: int | None = None
    running: str = ""
    """The adaptation that is under way, in words; empty when there is none."""
    events: deque[str] = field(default_factory=lambda: deque(maxlen=_EVENT_LINES))
    telemetry_id: int = 0
    event_id: int = 0
    _recent: deque[tuple[int, int, int | None]] = field(default_factory=deque)

    @property
    def accuracy(self) -> float | None:
        """Of the serving weights, over about the last hundred labelled windows."""
        labelled = sum(row[0] for row in self._recent)
        return sum(row[1] for row in self._recent) / labelled if labelled else None

    @property
    def frozen_accuracy(self) -> float | None:
        """Of the copy that never adapted, on the same windows."""
        rows = [row for row in self._recent if row[2] is not None]
        labelled = sum(row[0] for row in rows)
        return sum(row[2] or 0 for row in rows) / labelled if labelled else None

    def add_telemetry(self, item: dict[str, Any]) -> None:
        message = item["message"]
        self.telemetry_id = item["id"]
        self.windows = max(self.windows, message["last_window"] + 1)
        self.dropped += message["windows_dropped"]
        self.weights_version = message["weights_version"]
        self.drift_statistic = message.get("drift_statistic")
        self.drift_threshold = message.get("drift_threshold")
        if message["labelled"]:
            self._recent.append((message["labelled"], message["correct"], message.get("frozen_correct")))
        while len(self._recent) > 1 and sum(row[0] for row in self._recent) >= _RECENT_WINDOWS + self._recent[0][0]:
            self._recent.popleft()

    def add_event(self, item: dict[str, Any]) -> None:
        message, kind = item["message"], item["kind"]
        self.event_id = item["id"]
        if kind == "state":
            self.state, self.detail = message["state"], message.get("detail", "")
        elif kind == "drift":
            self.alerts += 1
            self.events.append(_drift_line(message))
        elif kind == "adaptation":
            self._add_adaptation(message)
        elif kind == "fault":
            what = "fault" if message["active"] else "fault is over"
            self.events.append(f"window {message['window']}: {what}: {message['fault']} {message.get('detail', '')}")

    def _add_adaptation(self, message: dict[str, Any]) -> None:
        phase = message["phase"]
        if phase == "progress":
            loss = f", loss {message['loss']:.3f}" if "loss" in message else ""
            self.running = f"epoch {message['epoch']}, step {message['step']} of {message['steps']}{loss}"
            return
        self.running = "begins" if phase == "started" else ""
        self.phases[phase] = self.phases.get(phase, 0) + (message["trigger"] != "calibration")
        self.events.append(_adaptation_line(message))


def _drift_line(message: dict[str, Any]) -> str:
    fired = ", ".join(evidence["detector"] for evidence in message["evidence"] if evidence["fired"])
    line = f"window {message['window']}: drift since window {message['since_window']}, says {fired}"
    before, now = message.get("accuracy_reference"), message.get("accuracy_recent")
    return line if before is None or now is None else f"{line}: accuracy {before:.0%}, now {now:.0%}"


def _adaptation_line(message: dict[str, Any]) -> str:
    what = "calibration" if message["trigger"] == "calibration" else "adaptation"
    line = f"window {message['window']}: {what} {message['phase'].replace('_', ' ')}"
    if message["phase"] == "started":
        return f"{line}: {message['mode']} network on {message['train_windows']} windows, on the wearable"
    guard = message.get("guard")
    if guard and guard["held_out"]:
        count = guard["held_out"]
        line += f": {guard['before_correct']} -> {guard['after_correct']} right of {count} held-out windows"
        return f"{line}, p = {guard['p_value']:.2g}"
    return f"{line}: {message['reason']}" if message.get("reason") else line


class Unreachable(Exception):
    """The supervisor does not answer; it may be on its way up again."""


def read_json(url: str) -> Any:
    """Raises Unreachable."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310, always our own http://127.0.0.1
            return json.load(answer)
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise Unreachable(f"{url}: {error}") from error


def _read_all(url: str, after: int) -> Iterator[dict[str, Any]]:
    while items := read_json(f"{url}?after={after}&limit=1000")["items"]:
        yield from items
        after = items[-1]["id"]


def refresh(picture: Picture, base_url: str) -> None:
    """Take in what is new. Raises Unreachable; what was taken in until then stays, and is not read again."""
    device = f"{base_url}/api/devices/{SITE}/{DEVICE}"
    for item in _read_all(f"{device}/events", picture.event_id):
        picture.add_event(item)
    for item in _read_all(f"{device}/telemetry", picture.telemetry_id):
        picture.add_telemetry(item)
    now = read_json(device)
    picture.stored = now["stored"]
    if now["health"]:
        picture.outbox = now["health"]["outbox"]


async def follow(picture: Picture, base_url: str) -> None:
    """Keep the picture current until cancelled."""
    while True:
        with contextlib.suppress(Unreachable):
            await asyncio.to_thread(refresh, picture, base_url)
        await asyncio.sleep(PERIOD_S)
