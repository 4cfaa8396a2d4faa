"""The wheel alone, with its light dependencies, in an empty environment: no compiler, no torch, no repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib.metadata import requires
from pathlib import Path

import psutil
import pytest

from tests.brokers import free_port

#: Building and installing take a minute and a half on a machine that is busy with much else.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(700)]
HEAVY = ("torch", "river", "mne", "scipy", "pandas", "matplotlib")
MOST_BYTES, MOST_BYTES_WITH_RIVER = 150_000_000, 320_000_000
"""Of what is installed; byte code, which Python makes of it, comes on top."""
MOST_CPU_S, MOST_CPU_S_WITH_RIVER = 1.0, 2.0
"""From start to ready. Processor time: the clock on the wall is that of whatever else runs."""


def run(*words: object, cwd: Path, timeout_s: float = 300.0, path: str | None = None) -> str:
    """Standard output; fails with what was said when it does not succeed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        environment["PATH"] = path
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout_s,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """An environment with nothing but the wheel and what it depends on. The wheel is made from the sdist."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--no-isolation", "-q", "--outdir", folder, repository, cwd=folder)
    (sdist,), (wheel,) = folder.glob("biotrain-*.tar.gz"), folder.glob("biotrain-*.whl")
    assert sdist.stat().st_size < 10_000_000, "sources, and nothing that was built or downloaded beside them"
    run(sys.executable, "-m", "venv", "--without-pip", folder / "env", cwd=folder)
    install(folder / "env", wheel)
    return folder / "env"


def install(env: Path, what: object) -> None:
    """With nothing on the path: whatever needed a compiler would fail."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "--python", env, "install", "-q", what, cwd=env, path="")


def size_of(env: Path) -> int:
    """Bytes of its files, without byte code."""
    files = [file for file in env.rglob("*") if file.is_file() and not file.is_symlink()]
    return sum(file.stat().st_size for file in files if file.suffix != ".pyc")


def start_agent(env: Path, folder: Path, *options: str) -> tuple[float, float]:
    """Seconds on the clock and of processor time from start to ready; the smallest of three. It has no torch."""
    words = [str(env / "bin" / "biotrain"), "agent", "--json", "--broker", f"127.0.0.1:{free_port()}", *options]
    took = []
    for attempt in range(3):
        began = time.monotonic()
        agent = subprocess.Popen(
            [*words, "--state-dir", str(folder / str(attempt))],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        try:
            assert agent.stdout is not None
            ready = json.loads(agent.stdout.readline())
            used = psutil.Process(agent.pid).cpu_times()
            took.append((time.monotonic() - began, used.user + used.system))
            loaded = Path(f"/proc/{agent.pid}/maps")
            assert not loaded.exists() or "torch" not in loaded.read_text()
        finally:
            agent.terminate()
            agent.communicate(timeout=30)
        assert ready["ready"] is True
    return min(clock for clock, _ in took), min(cpu for _, cpu in took)


def test_the_demo_runs_from_the_wheel_alone(bare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    out = run(
        bare / "bin" / "biotrain",
        "demo",
        "--headless",
        "--json",
        "--trials",
        "110",
        "--speed",
        "60",
        cwd=tmp_path,
        path="/nothing",
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
    size = size_of(bare)
    with capsys.disabled():
        print(f"\ninstalled: {size / 1e6:.0f} MB")
    assert size <= MOST_BYTES


def test_an_agent_starts_within_a_second(bare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clock_s, cpu_s = start_agent(bare, tmp_path)
    with capsys.disabled():
        print(f"\nagent ready after {clock_s:.2f} s, {cpu_s:.2f} s of processor time")
    assert cpu_s <= MOST_CPU_S


def test_with_river_it_is_twice_as_large_and_starts_within_two(
    bare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last test of this file: the environment is not bare afterwards."""
    (river,) = [text for text in requires("biotrain") or () if text.startswith("river")]
    install(bare, river.partition(";")[0])
    size = size_of(bare)
    clock_s, cpu_s = start_agent(bare, tmp_path, "--detector", "adwin")
    with capsys.disabled():
        print(f"\nwith river: {size / 1e6:.0f} MB")
        print(f"ready after {clock_s:.2f} s, {cpu_s:.2f} s of processor time")
    assert size <= MOST_BYTES_WITH_RIVER
    assert cpu_s <= MOST_CPU_S_WITH_RIVER
    found = run(bare / "bin" / "python", "-c", "import importlib.util as u; print(u.find_spec('torch'))", cwd=tmp_path)
    assert found.strip() == "None"
