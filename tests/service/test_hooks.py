"""Alert hooks: isolated from each other and from everything else, and called for every alert."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.alert import Alert
from schemas.errors import UserError
from service.alerts import alert_for
from service.hook_thread import HookThread
from service.hooks import Hook, find_hooks
from tests.brokers import Mosquitto
from tests.service.devices import SenderWithLog
from tests.service.story import Story
from tests.supervisors import SupervisorProcess

HOOKS = """
import asyncio, json, time
from pathlib import Path

async def note(alert):
    with Path("noted.jsonl").open("a") as file:
        file.write(alert.model_dump_json() + "\\n")

async def raises(alert):
    raise RuntimeError("no mail today")

async def hangs(alert):
    await asyncio.sleep(3600)

async def blocks(alert):
    time.sleep(3600)

async def exits(alert):
    raise SystemExit(3)

def not_async(alert):
    pass
"""


def an_alert() -> Alert:
    raised = alert_for(Story().drift().message)
    assert raised is not None
    return raised.alert


def until(condition: Callable[[], Any], within_s: float = 15.0) -> Any:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(0.1)
    raise AssertionError("it did not come to that")


def statuses(supervisor: SupervisorProcess) -> list[dict[str, str]]:
    items = supervisor.get("/api/alerts")["items"]
    return [{run["hook"]: run["status"] for run in item["hooks"]} for item in items]


@pytest.mark.slow
async def test_hooks_that_raise_hang_block_or_exit_delay_nothing(tmp_path: Path, mosquitto: Mosquitto) -> None:
    (tmp_path / "my_hooks.py").write_text(HOOKS)
    options = [
        word for name in ("blocks", "hangs", "raises", "exits", "note") for word in ("--hook", f"my_hooks:{name}")
    ]
    supervisor = SupervisorProcess(tmp_path, mosquitto.address, *options, "--hook-timeout", "0.5")
    supervisor.start()
    try:
        async with SenderWithLog(mosquitto.port) as sender:
            await sender.broker.next_connection()
            await sender.send([Story().drift()])
            begin = time.monotonic()
            await sender.send(Story(boot=2).days(30, accuracy=0.9, frozen=0.9))
            await sender.drain()
            assert time.monotonic() - begin < 3, "the stream goes on"
        noted = await asyncio.to_thread(
            until, lambda: (tmp_path / "noted.jsonl").exists() and (tmp_path / "noted.jsonl").read_text()
        )
        assert json.loads(noted)["rule"] == "drift"
        expected = {
            "my_hooks:blocks": "timed_out",
            "my_hooks:hangs": "timed_out",
            "my_hooks:raises": "failed",
            "my_hooks:exits": "failed",
            "my_hooks:note": "done",
        }
        await asyncio.to_thread(until, lambda: statuses(supervisor) == [expected])
        details = {run["hook"]: run["detail"] for run in supervisor.get("/api/alerts")["items"][0]["hooks"]}
        assert "no mail today" in details["my_hooks:raises"]
        begin = time.monotonic()
        assert supervisor.stop() == 0
        assert time.monotonic() - begin < 5, "it stops although a hook blocks"
    finally:
        supervisor.kill()


@pytest.mark.slow
async def test_an_alert_whose_hook_was_cut_off_by_a_kill_is_handed_over_after_the_restart(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    (tmp_path / "my_hooks.py").write_text(HOOKS)
    hooks = tmp_path / "my_hooks.py"
    supervisor = SupervisorProcess(tmp_path, mosquitto.address, "--hook", "my_hooks:note")
    hooks.write_text(HOOKS.replace('with Path("noted', 'await asyncio.sleep(3600)\n    with Path("noted'))
    supervisor.start()
    try:
        async with SenderWithLog(mosquitto.port) as sender:
            await sender.broker.next_connection()
            await sender.send([Story().drift()])
            await sender.drain()
        assert statuses(supervisor) == [{"my_hooks:note": "pending"}], "recorded before its hook has run"
        supervisor.kill()
        hooks.write_text(HOOKS)
        supervisor.start()
        until(lambda: statuses(supervisor) == [{"my_hooks:note": "done"}])
        assert len((tmp_path / "noted.jsonl").read_text().splitlines()) == 1
    finally:
        supervisor.kill()


async def test_a_hook_that_blocks_again_and_again_is_not_called_any_more() -> None:
    async def blocks(alert: Alert) -> None:
        time.sleep(0.6)

    thread = HookThread(Hook("t:blocks", blocks), timeout_s=0.01)
    thread.GRACE_S = 0.05
    statuses = [(await thread.call(an_alert())).status for _ in range(6)]
    assert statuses == ["timed_out"] * 4 + ["skipped"] * 2
    await asyncio.sleep(0.7)


async def test_a_hook_that_takes_its_time_is_cancelled_and_its_thread_used_again() -> None:
    seen: list[str] = []

    async def sleeps_once(alert: Alert) -> None:
        seen.append(alert.alert_id)
        if len(seen) == 1:
            await asyncio.sleep(60)

    thread = HookThread(Hook("t:sleeps", sleeps_once), timeout_s=0.05)
    first = await thread.call(an_alert())
    second = await thread.call(an_alert())
    thread.close()
    assert (first.status, first.detail) == ("timed_out", "not done after 0.05 s")
    assert second.status == "done"
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("my_hooks", "write module:function"),
        ("no_such_module_of_hooks:x", "cannot be imported"),
        ("my_bad_hooks:missing", "has no 'missing'"),
        ("my_bad_hooks:not_async", "must be an async function"),
        ("my_bad_hooks:CONSTANT", "is not a function"),
    ],
)
def test_a_hook_that_cannot_be_one_is_refused_by_name(
    name: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_bad_hooks.py").write_text("CONSTANT = 1\ndef not_async(alert): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=complaint) as refusal:
        find_hooks([name])
    assert repr(name) in str(refusal.value)
