"""A whole site behind bad networks: broker, supervisor, database, agents, wearables; and how faults reach them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from benchmarks.chaos.parties import Party
from benchmarks.chaos.proxy import Proxy
from benchmarks.chaos.schedule import Fault, FaultKind
from device_agent.engine.library import WEARABLE, find_native
from tests.brokers import free_port
from tests.postgres import Postgres

SITE = "chaos"
SESSIONS = 4
CALIBRATION_SHARE = 0.7
_TRIAL_S = 3.0
"""Of the simulated day, from window to window."""
_VERBS = ("ping", "adapt", "roll_back")
_EXPIRES_S = 60.0


@dataclass(frozen=True, slots=True)
class SiteSettings:
    folder: Path
    devices: int = 20
    devices_per_agent: int = 5
    speed: float = 6.0
    stream_s: float = 615.0
    """How long a device's windows come, wall clock."""
    postgres: bool = False
    seed: int = 1
    calibration_epochs: int = 30
    """Each stream begins with a calibration, which takes some fits."""

    @property
    def agents(self) -> int:
        return math.ceil(self.devices / self.devices_per_agent)

    @property
    def trials(self) -> int:
        """Of each session, so that the stream is about `stream_s` long."""
        windows = self.stream_s * self.speed / _TRIAL_S
        return max(math.ceil(windows / (SESSIONS - CALIBRATION_SHARE)), 22)

    @property
    def calibrating(self) -> int:
        return round(CALIBRATION_SHARE * self.trials)

    @property
    def windows(self) -> int:
        return SESSIONS * self.trials - self.calibrating

    def device(self, number: int) -> str:
        return f"device-{number:02}"

    def agent_of(self, device: int) -> int:
        return device // self.devices_per_agent


@dataclass
class Site:
    settings: SiteSettings
    broker: Party = field(init=False)
    supervisor: Party = field(init=False)
    agents: list[Party] = field(default_factory=list)
    wearables: list[Party] = field(default_factory=list)
    links: list[Proxy] = field(default_factory=list)
    ways: list[Proxy] = field(default_factory=list)
    """From each agent process to the broker."""
    way: Proxy = field(init=False)
    """From the supervisor to the broker."""
    commands: list[dict[str, Any]] = field(default_factory=list)
    """That the supervisor has taken."""
    outages: list[dict[str, Any]] = field(default_factory=list)
    all_run: asyncio.Event = field(default_factory=asyncio.Event)
    """Every device's agent has said that it is ready."""
    database_away: list[tuple[float, float]] = field(default_factory=list)
    """From when until when; a supervisor that is started then says so, and leaves."""
    _running: set[str] = field(default_factory=set)
    _postgres: Postgres | None = None
    _web: int = 0
    _store: str = ""

    @property
    def parties(self) -> list[Party]:
        return [self.broker, self.supervisor, *self.wearables, *self.agents]

    async def start(self) -> None:
        settings, folder = self.settings, self.settings.folder
        for name in ("logs", "wearables", "agents", "broker"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        plan, weights = folder / "eog.plan", folder / "eog.weights"
        for path in (plan, weights):
            path.write_bytes((files("biotrain.demo") / "assets" / path.name).read_bytes())
        if settings.postgres:
            self._postgres = await asyncio.to_thread(_new_postgres)
            self._store = await asyncio.to_thread(self._postgres.create, "chaos")
        else:
            self._store = f"sqlite:///{folder / 'biotrain.db'}"
        port, self._web = free_port(), free_port()
        self.broker = self._party(
            "broker", ["broker", "--listen", f"127.0.0.1:{port}", "--state-dir", str(folder / "broker"), "--json"]
        )
        await self.broker.start()
        await self.broker.ready.wait()
        self.way = Proxy("supervisor", port, settings.seed)
        await self.way.start()
        self.supervisor = self._party(
            "supervisor",
            ["supervisor", "--broker", f"127.0.0.1:{self.way.port}", "--store", self._store,
             "--listen", f"127.0.0.1:{self._web}", "--json"],
        )  # fmt: skip
        await self.supervisor.start()
        for number in range(settings.devices):
            await self._start_wearable(number)
        for number in range(settings.agents):
            await self._start_agent(number, port, plan, weights)

    async def _start_wearable(self, number: int) -> None:
        own, port = self.settings.folder / "wearables", free_port()
        name = self.settings.device(number)
        words = [
            str(find_native(WEARABLE)), "--watchdog", "30", "--listen", f"127.0.0.1:{port}",
            "--storage", str(own / f"{name}.flash"), "--device-id", name, "--log", str(own / f"{name}.jsonl"), "--json",
        ]  # fmt: skip
        party = Party(name, words, self.settings.folder / "logs" / f"{name}.log")
        self.wearables.append(party)
        await party.start()
        link = Proxy(name, port, self.settings.seed + 1 + number)
        await link.start()
        self.links.append(link)

    async def _start_agent(self, number: int, broker: int, plan: Path, weights: Path) -> None:
        settings, folder = self.settings, self.settings.folder
        way = Proxy(f"agent-{number}", broker, settings.seed - 1 - number)
        await way.start()
        self.ways.append(way)
        mine = [i for i in range(settings.devices) if settings.agent_of(i) == number]
        wearables = folder / "agents" / f"wearables-{number}.json"
        wearables.write_text(
            json.dumps(
                [
                    {
                        "device": settings.device(i),
                        "wearable": f"tcp://127.0.0.1:{self.links[i].port}",
                        "seed": i + 1,
                        "finish_timeout_s": 120.0,
                        "calibration": {"epochs": settings.calibration_epochs},
                    }
                    for i in mine
                ]
            )
        )
        party = self._party(
            f"agent-{number}",
            ["agent", "--broker", f"127.0.0.1:{way.port}", "--site", SITE, "--wearables", str(wearables),
             "--state-dir", str(folder / "agents"), "--plan", str(plan), "--weights", str(weights),
             "--source", "simulator", "--sessions", f"1-{SESSIONS}", "--trials", str(settings.trials),
             "--calibrate-session", "1",
             "--calibrate-windows", str(settings.calibrating), "--speed", f"{settings.speed:g}",
             "--queue-windows", "4000", "--json"],
            ends=lambda code: code == 0,
            on_line=self._heard,
        )  # fmt: skip
        self.agents.append(party)
        await party.start()

    def _party(self, name: str, words: list[str], **more: Any) -> Party:
        return Party(
            name, [sys.executable, "-m", "biotrain", *words], self.settings.folder / "logs" / f"{name}.log", **more
        )

    def _heard(self, line: dict[str, Any]) -> None:
        if line.get("ready"):
            self._running.add(str(line["device"]))
            if len(self._running) == self.settings.devices:
                self.all_run.set()

    async def apply(self, fault: Fault) -> None:
        """Returns when it is over. What a device cannot do meanwhile is noted in `outages`."""
        began = time.time()
        device, agent = fault.target % self.settings.devices, fault.target % self.settings.agents
        match fault.kind:
            case FaultKind.KILL_BROKER:
                await self.broker.kill(fault.lasts_s)
            case FaultKind.KILL_SUPERVISOR:
                await self.supervisor.kill(fault.lasts_s)
            case FaultKind.STOP_DATABASE:
                await self._stop_database(fault.lasts_s)
            case FaultKind.KILL_AGENT:
                await self.agents[agent].kill(fault.lasts_s)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(60):
                        await _first(self.agents[agent].ready, self.agents[agent].done)
            case FaultKind.KILL_WEARABLE:
                await self.wearables[device].kill(fault.lasts_s)
            case FaultKind.CUT_LINK:
                self.links[device].cut()
            case FaultKind.HOLD_LINK:
                await _held(self.links[device], fault.lasts_s)
            case FaultKind.LOSE_ON_LINK:
                self.links[device].loss = fault.amount
                await asyncio.sleep(fault.lasts_s)
                self.links[device].loss = 0.0
            case FaultKind.CUT_AGENT:
                self.ways[agent].cut()
            case FaultKind.HOLD_AGENT:
                await _held(self.ways[agent], fault.lasts_s)
            case FaultKind.DELAY_AGENT:
                await _delayed(self.ways[agent], fault)
            case FaultKind.CUT_SUPERVISOR:
                self.way.cut()
            case FaultKind.HOLD_SUPERVISOR:
                await _held(self.way, fault.lasts_s)
            case FaultKind.DELAY_SUPERVISOR:
                await _delayed(self.way, fault)
            case FaultKind.NETWORK_DOWN:
                await _interface("down")
                await asyncio.sleep(fault.lasts_s)
                await _interface("up")
            case FaultKind.COMMAND:
                await asyncio.to_thread(
                    self._command, self.settings.device(device), _VERBS[int(1000 * fault.at_s) % len(_VERBS)]
                )
        self._note(fault, began, device, agent)

    def _note(self, fault: Fault, began: float, device: int, agent: int) -> None:
        settings = self.settings
        touched: list[int] = []
        match fault.kind:
            case FaultKind.KILL_AGENT:
                touched = [i for i in range(settings.devices) if settings.agent_of(i) == agent]
            case FaultKind.KILL_WEARABLE | FaultKind.CUT_LINK | FaultKind.HOLD_LINK | FaultKind.LOSE_ON_LINK:
                touched = [device]
            case FaultKind.NETWORK_DOWN:
                touched = list(range(settings.devices))
        for i in touched:
            self.outages.append(
                {"device": settings.device(i), "kind": fault.kind.value, "from": began, "until": time.time()}
            )

    def _command(self, device: str, verb: str) -> None:
        """As an operator would; a supervisor that is away takes none."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._web}/api/devices/{SITE}/{device}/commands",
            json.dumps({"verb": verb, "expires_s": _EXPIRES_S}).encode(),
            {"Content-Type": "application/json"},
        )
        with (
            contextlib.suppress(urllib.error.URLError, OSError, ValueError),
            urllib.request.urlopen(request, timeout=5) as answer,  # noqa: S310
        ):
            said = json.load(answer)
            self.commands.append({"device": device, "verb": verb, "command_id": said["command_id"]})

    async def _stop_database(self, down_s: float) -> None:
        if self._postgres is not None:
            began = time.time()
            await asyncio.to_thread(self._postgres.stop, signal.SIGQUIT)
            await asyncio.sleep(down_s)
            await asyncio.to_thread(self._postgres.start)
            self.database_away.append((began, time.time()))
        else:
            await asyncio.to_thread(_lock, self.settings.folder / "biotrain.db", down_s)

    async def stop(self) -> None:
        for party in (*self.agents, self.supervisor, *self.wearables, self.broker):
            await party.stop()
        for proxy in (*self.links, *self.ways, self.way):
            await proxy.stop()

    def remove_database(self) -> None:
        if self._postgres is not None:
            self._postgres.remove()

    def describe(self) -> dict[str, Any]:
        """All that the checker is told: where things lie, and what was done to whom."""
        settings = self.settings
        return {
            "site": SITE,
            "store": self._store,
            "devices": [settings.device(i) for i in range(settings.devices)],
            "windows": settings.windows,
            "outages": self.outages,
            "commands": self.commands,
        }


def _new_postgres() -> Postgres:
    postgres = Postgres()
    postgres.start()
    return postgres


async def _first(*events: asyncio.Event) -> None:
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def _held(proxy: Proxy, lasts_s: float) -> None:
    proxy.hold()
    await asyncio.sleep(lasts_s)
    proxy.let_go()


async def _delayed(proxy: Proxy, fault: Fault) -> None:
    proxy.delay_s = fault.amount
    await asyncio.sleep(fault.lasts_s)
    proxy.delay_s = 0.0


async def _interface(state: str) -> None:
    await asyncio.to_thread(subprocess.run, ["ip", "link", "set", "lo", state], check=True)


def _lock(path: Path, lasts_s: float) -> None:
    """Somebody else, a backup perhaps, writes to the database for so long."""
    if not path.exists():
        return
    with contextlib.closing(sqlite3.connect(path, timeout=1.0, isolation_level=None)) as database:
        with contextlib.suppress(sqlite3.OperationalError):
            database.execute("BEGIN IMMEDIATE")
            time.sleep(lasts_s)
            database.execute("ROLLBACK")
