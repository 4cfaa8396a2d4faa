"""Every example does what it says."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from schemas.alert import Alert
from service.hooks import find_hooks
from service.store.deliveries import Delivery
from service.webhook import event_of, sign
from tests.brokers import Mosquitto
from tests.service.devices import SenderWithLog
from tests.service.story import Story
from tests.service.test_hooks import an_alert
from tests.supervisors import SupervisorProcess

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_the_hook_keeps_a_line_for_each_alert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.chdir(tmp_path)
    (hook,) = (one for one in find_hooks(["alert_hook:note"]) if one.name == "alert_hook:note")
    await hook.function(an_alert())
    await hook.function(an_alert())
    lines = (tmp_path / "alerts.txt").read_text().splitlines()
    assert len(lines) == 2
    assert "warning lab/band-1: The signal has drifted" in lines[0]


def test_the_receiver_tells_a_genuine_webhook_from_one_that_was_changed_or_is_old() -> None:
    is_genuine = load("webhook_receiver").is_genuine
    body = event_of(Delivery(1, "opened", 1, an_alert()), "id-1")
    now = time.time()
    headers = sign(b"s3cret", "id-1", int(now), body)
    assert is_genuine(b"s3cret", headers, body, now)
    assert not is_genuine(b"s3cret", headers, body + b" ", now)
    assert not is_genuine(b"other", headers, body, now)
    assert not is_genuine(b"s3cret", {**headers, "webhook-id": "id-2"}, body, now)
    assert not is_genuine(b"s3cret", headers, body, now + 3600)
    assert not is_genuine(b"s3cret", {}, body, now)


@pytest.mark.slow
async def test_the_subscriber_prints_alerts_as_they_change(mosquitto: Mosquitto, supervisor: SupervisorProcess) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLES / "mqtt_subscriber.py"), mosquitto.host, str(mosquitto.port),
        stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": str(EXAMPLES.parent)},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with SenderWithLog(mosquitto.port) as sender, asyncio.timeout(30):
            await sender.broker.next_connection()
            await asyncio.sleep(2)
            story = Story()
            await sender.send([story.drift(), *story.adapt(committed=True)])
            lines = [(await process.stdout.readline()).decode() for _ in range(2)]
        assert lines[0].startswith("lab/band-1: drift is open: The signal has drifted")
        assert lines[1].startswith("lab/band-1: drift is resolved: ")
        assert Alert.SCHEMA
    finally:
        process.kill()
        await process.wait()
