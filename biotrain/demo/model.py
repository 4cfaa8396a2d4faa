"""The plan and weights that a demo begins with: shipped ones for the simulator, pre-trained ones for recordings."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from importlib.resources import files
from pathlib import Path

from biotrain.demo.settings import DemoSettings
from schemas.errors import UserError

SHIPPED = "eog"
"""`biotrain pretrain --simulator --name eog --out biotrain/demo/assets` makes them anew."""


async def plan_and_weights(settings: DemoSettings) -> tuple[Path, Path]:
    """Raises UserError when pre-training cannot be done; its own words have then been printed."""
    if settings.data is not None:
        return await _pretrained(settings)
    folder = settings.folder / "model"
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / f"{SHIPPED}.plan", folder / f"{SHIPPED}.weights"
    for path in paths:
        path.write_bytes((files("biotrain.demo") / "assets" / path.name).read_bytes())
    return paths


async def _pretrained(settings: DemoSettings) -> tuple[Path, Path]:
    """In a process of its own: torch is imported there, and only when nothing is cached."""
    words = [
        "pretrain", "--data", str(settings.data), "--leave-out", str(settings.subject),
        "--out", str(settings.folder / "model"), "--name", "pretrained", "--json",
    ]  # fmt: skip
    if settings.cache:
        words += ["--cache", str(settings.cache)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "biotrain", *words, stdout=asyncio.subprocess.PIPE
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        await process.wait()
        raise
    if process.returncode:
        raise UserError("pre-training did not succeed: see above")
    said = json.loads(output)
    return Path(said["plan"]), Path(said["weights"])
