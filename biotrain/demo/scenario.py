"""The four command lines of a demo; anybody can type them."""

from __future__ import annotations

from pathlib import Path

from biotrain.demo.settings import DEVICE, SITE, DemoSettings, Ports

CALIBRATION_SHARE = 0.7
"""Of a simulated wearer's first session."""


def broker_words(ports: Ports) -> list[str]:
    """`biotrain` with these words is the demo's broker."""
    return ["broker", "--listen", f"127.0.0.1:{ports.broker}", "--json"]


def supervisor_words(settings: DemoSettings, ports: Ports) -> list[str]:
    """`biotrain` with these words is the demo's supervisor, with an SQLite store of its own."""
    return [
        "supervisor", "--broker", f"127.0.0.1:{ports.broker}", "--store", f"sqlite:///{settings.store}",
        "--listen", f"127.0.0.1:{ports.supervisor}", "--json",
    ]  # fmt: skip


def wearable_words(settings: DemoSettings, ports: Ports) -> list[str]:
    """`biotrain` with these words is the demo's wearable: a process, or the emulated board."""
    words = [
        "wearable", "--listen", f"127.0.0.1:{ports.wearable}", "--storage", str(settings.folder / "wearable" / "flash"),
        "--log", str(settings.wearable_log), "--device-id", DEVICE, "--json",
    ]  # fmt: skip
    return [*words, "--port", "riscv"] if settings.riscv else words


def agent_words(settings: DemoSettings, ports: Ports, plan: Path, weights: Path) -> list[str]:
    """`biotrain` with these words is the demo's agent, which plays recordings or the simulator to the wearable."""
    words = [
        "agent", "--wearable", f"tcp://127.0.0.1:{ports.wearable}", "--broker", f"127.0.0.1:{ports.broker}",
        "--site", SITE, "--device", DEVICE, "--wearer", settings.wearer, "--state-dir", str(settings.agent_folder),
        "--plan", str(plan), "--weights", str(weights), "--speed", f"{settings.stream_speed:g}",
        "--calibrate-session", str(settings.calibrate_session), "--compare-frozen", "--json",
    ]  # fmt: skip
    if settings.data and settings.subject:
        words += ["--source", "recordings", "--data", str(settings.data), "--subject", settings.subject]
    else:
        # the rest of the first session is streamed: the page begins with a model that is right
        calibrating = round(CALIBRATION_SHARE * settings.trials)
        words += ["--source", "simulator", "--seed", str(settings.seed), "--trials", str(settings.trials)]
        words += ["--calibrate-windows", str(calibrating)]
    return [*words, "--sessions", settings.sessions] if settings.sessions else words
