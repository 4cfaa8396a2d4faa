"""What a demo is asked to do, and where its files lie."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import UserError

SITE, DEVICE = "demo", "wearable-1"
SIMULATOR_SPEED = 50.0
"""A movement takes 3 s of the simulated day: about 17 windows a second."""
RECORDINGS_SPEED = 40.0
"""A gesture takes 6 s of the recorded day: about 7 windows a second: fits keep up on a busy computer too."""

EMULATION_COSTS = 6.0
"""An emulated wearable trains many times slower than this computer; a slower stream gives its fits the time."""


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """`data` None: the simulated wearer of `seed`."""

    folder: Path
    data: Path | None = None
    subject: str | None = None
    calibrate_session: int = 1
    sessions: str | None = None
    """Streamed after calibration, as `2-8`; None: all that follow."""
    speed: float | None = None
    seed: int = 1
    trials: int = 220
    cache: Path | None = None
    riscv: bool = False
    """The wearable is the RISC-V image in an emulator instead of the same C on this computer."""

    @property
    def wearer(self) -> str:
        return self.subject or f"sim{self.seed}"

    @property
    def stream_speed(self) -> float:
        usual = RECORDINGS_SPEED if self.data else SIMULATOR_SPEED
        return self.speed or (usual / EMULATION_COSTS if self.riscv else usual)

    @property
    def store(self) -> Path:
        return self.folder / "supervisor" / "biotrain.db"

    @property
    def wearable_log(self) -> Path:
        return self.folder / "wearable" / "events.jsonl"

    @property
    def agent_folder(self) -> Path:
        return self.folder / "agent"

    @property
    def agent_log(self) -> Path:
        return self.agent_folder / "events.jsonl"

    @property
    def status_file(self) -> Path:
        """Process ids and addresses of the running demo."""
        return self.folder / "processes.json"


def check_choice(data: Path | None, subject: str | None) -> None:
    """Raises UserError."""
    if (data is None) != (subject is None):
        raise UserError("--data DIR and --subject ID go together: whose recordings shall be streamed?")


@dataclass(frozen=True, slots=True)
class Ports:
    """Loopback ports, chosen before anything starts: whoever is started again must be found where it was."""

    broker: int
    supervisor: int
    wearable: int

    @classmethod
    def free(cls) -> Ports:
        probes = [socket.socket() for _ in range(3)]
        try:
            for probe in probes:
                probe.bind(("127.0.0.1", 0))
            return cls(*(int(probe.getsockname()[1]) for probe in probes))
        finally:
            for probe in probes:
                probe.close()
