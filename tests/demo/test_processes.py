import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from biotrain.demo.processes import Child, Household
from biotrain.demo.settings import Ports
from schemas.errors import UserError


def broker(tmp_path: Path, port: int, name: str = "broker") -> Child:
    return Child(name, ["broker", "--listen", f"127.0.0.1:{port}", "--json"], tmp_path / "logs" / f"{name}.log")


async def accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def wait_until(condition: object, timeout_s: float = 15.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.05)


async def test_a_killed_process_is_started_again_where_it_was(tmp_path: Path) -> None:
    port = Ports.free().broker
    household = Household(tmp_path / "processes.json")
    try:
        child = await household.add(broker(tmp_path, port))
        assert await accepts(port)
        os.kill(child.pid or 0, signal.SIGKILL)
        await wait_until(lambda: child.starts == 2 and child.running)
        await wait_until(lambda: json.loads((tmp_path / "processes.json").read_text())["broker"]["starts"] == 2)
        assert await accepts(port)
        assert household.restarts == {"broker": 1}
    finally:
        await household.stop()
    assert not await accepts(port)
    assert not (tmp_path / "processes.json").exists()


async def test_a_process_that_cannot_start_is_reported_in_its_own_words(tmp_path: Path) -> None:
    port = Ports.free().broker
    household = Household(tmp_path / "processes.json")
    try:
        await household.add(broker(tmp_path, port))
        with pytest.raises(UserError, match=rf"second did not start: .*{port}.*second\.log"):
            await household.add(broker(tmp_path, port, "second"))
    finally:
        await household.stop()


async def test_a_process_that_is_done_is_not_started_again(tmp_path: Path) -> None:
    port = Ports.free().broker
    household = Household(tmp_path / "processes.json")
    try:
        child = await household.add(broker(tmp_path, port), until=lambda child, code: code == 0)
        os.kill(child.pid or 0, signal.SIGTERM)
        await asyncio.wait_for(household.finished(child), 15)
        assert child.starts == 1
    finally:
        await household.stop()


async def test_a_process_that_can_never_start_again_ends_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("biotrain.demo.processes.RESTART_PAUSE_S", 0.02)
    port = Ports.free().broker
    household = Household(tmp_path / "processes.json")
    try:
        child = await household.add(broker(tmp_path, port))
        child.words[0] = "no-such-command"
        os.kill(child.pid or 0, signal.SIGKILL)
        with pytest.raises(UserError, match="broker did not start"):
            await asyncio.wait_for(household.run_until(asyncio.create_task(asyncio.sleep(60))), 30)
    finally:
        await household.stop()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a process that its parent is gone")
def test_no_process_outlives_a_parent_that_was_killed(tmp_path: Path) -> None:
    port = Ports.free().broker
    code = f"""
import asyncio, json
from pathlib import Path
from biotrain.demo.processes import Child, Household
async def run():
    household = Household(Path({str(tmp_path / "processes.json")!r}))
    words = ["broker", "--listen", "127.0.0.1:{port}", "--json"]
    child = await household.add(Child("broker", words, Path({str(tmp_path / "broker.log")!r})))
    print(child.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(run())
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        child = psutil.Process(pid)
        parent.kill()
    end = time.monotonic() + 10
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end, "the child outlived its parent"
        time.sleep(0.05)
