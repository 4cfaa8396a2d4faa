"""What runs beside a stream starts without torch, and quickly."""

import subprocess
import sys

import pytest

STREAM_SIDE = [
    "biotrain.commands.agent", "biotrain.commands.broker", "biotrain.commands.demo", "biotrain.commands.schema",
    "biotrain.commands.supervisor", "biotrain.commands.wearable", "biotrain.demo.run", "device_agent.agent",
    "device_agent.wearable.client", "device_agent.wearable.connect", "device_agent.wearable.local",
    "messaging", "service.supervisor",
]  # fmt: skip


@pytest.mark.parametrize("module", STREAM_SIDE)
def test_importing_what_runs_beside_a_stream_brings_no_torch_along(module: str) -> None:
    tools = ["torch", "river", "scipy", "matplotlib", "pytest"]
    code = f"import sys, {module}\nprint(sorted(set({tools}) & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
