"""The wheel alone, with its light dependencies, in an empty environment: no compiler, no torch, no repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.brokers import free_port

pytestmark = pytest.mark.slow
HEAVY = ("torch", "river", "mne", "scipy", "pandas", "matplotlib")
MOST_BYTES = 150_000_000
"""Of what is installed; byte code, which pip and Python make of it, comes on top."""


def run(*words: object, cwd: Path, timeout_s: float = 150.0) -> str:
    """Standard output; fails with what was said when it does not succeed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout_s,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """An environment with nothing but the wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", repository, "--no-deps", "--no-build-isolation", "-q", "-w", folder,
        "-C", f"build-dir={folder / 'build'}", cwd=folder)  # fmt: skip
    (wheel,) = folder.glob("biotrain-*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "env", cwd=folder)
    run(*pip, "--python", folder / "env", "install", "-q", wheel, cwd=folder)
    return folder / "env"


def test_the_demo_runs_from_the_wheel_alone(bare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    out = run(
        bare / "bin" / "biotrain", "demo", "--headless", "--json", "--trials", "110", "--speed", "60", cwd=tmp_path
    )
    summary = json.loads(out.splitlines()[-1])
    assert summary["windows"] > 200
    assert summary["windows_dropped"] == 0
    assert summary["published"] == summary["stored"] > 0
    assert summary["check"]["problems"] == []
    with capsys.disabled():
        print(f"\nthe demo from the wheel took {time.monotonic() - began:.0f} s")


def test_neither_agent_nor_supervisor_needs_a_heavy_package(
    bare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rooms = "device_agent.start, device_agent.agent, device_agent.wearable.local, service.supervisor, biotrain.demo.run"
    found = run(
        bare / "bin" / "python", "-c",
        f"import sys, importlib.util, {rooms}\n"
        f"print([n for n in {HEAVY} if n in sys.modules or importlib.util.find_spec(n)])",
        cwd=tmp_path,
    )  # fmt: skip
    assert found.strip() == "[]"
    files = [file for file in bare.rglob("*") if file.is_file() and not file.is_symlink()]
    size = sum(file.stat().st_size for file in files if file.suffix != ".pyc")
    code = sum(file.stat().st_size for file in files if file.suffix == ".pyc")
    with capsys.disabled():
        print(f"\ninstalled: {size / 1e6:.0f} MB, and {code / 1e6:.0f} MB of byte code")
    assert size < MOST_BYTES


def test_an_agent_starts_within_seconds(bare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [bare / "bin" / "biotrain", "agent", "--json", "--broker", f"127.0.0.1:{free_port()}"]
    took = []
    for attempt in range(2):
        began = time.monotonic()
        agent = subprocess.Popen(
            [str(word) for word in [*words, "--state-dir", tmp_path / str(attempt)]],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert agent.stdout is not None
        ready = json.loads(agent.stdout.readline())
        took.append(time.monotonic() - began)
        agent.terminate()
        agent.communicate(timeout=30)
        assert ready["ready"] is True
    with capsys.disabled():
        print(f"\nagent ready after {min(took):.2f} s")
    assert min(took) < 3, "under a second on a machine that is idle; the second time, with compiled modules"
