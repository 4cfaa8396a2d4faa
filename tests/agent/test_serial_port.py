"""The agent adapts over a real serial port: two terminal devices with a cable between them, and at its other end the
virtual wearable, or the emulated board's own UART."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from device_agent.settings import AgentSettings, FitSettings
from device_agent.start import run_agent
from schemas.adaptation import Adaptation, Phase
from schemas.command import Verb
from schemas.state import DeviceState, State
from schemas.telemetry import Telemetry
from tests.agent.conftest import Keeper
from tests.agent.real import model
from tests.wearable.test_serial import cable, start, stop

__all__ = ["cable"]  # a fixture


@pytest.mark.slow
@pytest.mark.parametrize("port", ["host", "riscv"])
async def test_the_agent_adapts_over_a_serial_port(
    cable, settings: AgentSettings, keeper: Keeper, tmp_path: Path, port: str
) -> None:
    if port == "riscv":
        from biotrain.riscv.image import COMPILER, EMULATOR, _find

        if not all(_find(name) for name in (COMPILER, EMULATOR)):
            pytest.skip("needs the cross compiler and the emulator (docs/riscv.md)")
    log = tmp_path / "log"
    process = start(cable, tmp_path, port, "--log", str(log), *(["--uart"] if port == "riscv" else []))
    chosen = settings.model_copy(
        update={
            "wearable": f"serial://{cable.ends[0]}",
            "sessions": (1,),
            "trials": 400,
            # the board's UART moves a byte at a time through the emulator, a few windows in a second: a recording that
            # is played faster ends with most of its windows dropped, and then there is nothing to fit on
            "speed": 200.0 if port == "host" else 15.0,
            "calibrate_windows": None,
            "adapt": "never",
            "fit": FitSettings(epochs=2 if port == "host" else 1),
            **model(tmp_path),
        }
    )
    patience = 60.0 if port == "host" else 200.0  # seconds; a bound, not an expectation
    task = asyncio.create_task(run_agent(chosen))
    try:
        enough = 110 if port == "host" else 60
        await keeper.until(lambda: sum(t.windows for t in keeper.of(Telemetry)) > enough, patience)
        await keeper.command("a1", Verb.ADAPT)
        ends = (Phase.COMMITTED, Phase.ROLLED_BACK, Phase.FAILED)
        await keeper.until(lambda: any(a.phase in ends for a in keeper.of(Adaptation)), patience)
        (end,) = [a for a in keeper.of(Adaptation) if a.phase in ends]
        assert end.phase in (Phase.COMMITTED, Phase.ROLLED_BACK), end.reason  # judged, on either side
        kinds = [json.loads(line)["kind"] for line in log.read_text().splitlines()]
        assert kinds.count("FIT_DONE") == 1
        # on a slow machine the recording is at its end before the fit is judged: then it has finished, and not failed
        assert keeper.of(State)[-1].state in (DeviceState.ONLINE, DeviceState.ADAPTING, DeviceState.FINISHED)
        assert sum(t.windows for t in keeper.of(Telemetry)) > enough
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        stop(process)
