"""`biotrain broker`, as both of the brokers that it can be."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from biotrain.broker import mosquitto
from messaging import Broker, BrokerSettings
from tests.brokers import MOSQUITTO, free_port

COMMAND = [sys.executable, "-m", "biotrain", "broker", "--json"]


def start(*options: str) -> tuple[subprocess.Popen[bytes], int]:
    process = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE)
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert ready["ready"] is True
    return process, int(ready["address"].rpartition(":")[2])


def end(process: subprocess.Popen[bytes], how: signal.Signals) -> int:
    process.send_signal(how)
    code = process.wait(5)
    assert process.stdout is not None
    process.stdout.close()
    return code


@pytest.mark.parametrize("engine", ["mosquitto", "amqtt"])
async def test_it_carries_messages_and_stops_within_five_seconds(engine: str) -> None:
    process, port = await asyncio.to_thread(start, "--engine", engine, "--listen", "127.0.0.1:0")
    try:
        settings = BrokerSettings(port=port, client_id="me", persistent_session=False)
        async with asyncio.timeout(10), Broker(settings, subscriptions=["a/b"]) as broker:
            await broker.next_connection()
            await broker.publish("a/b", b"hello")
            (delivery,) = await broker.receive()
            assert delivery.payload == b"hello"
            delivery.acknowledge()
    finally:
        assert end(process, signal.SIGTERM) == 0


@pytest.mark.parametrize("engine", ["mosquitto", "amqtt"])
def test_a_port_in_use_is_refused_with_a_word_on_what_to_do(engine: str) -> None:
    process, port = start("--engine", engine, "--listen", "127.0.0.1:0")
    try:
        second = subprocess.run(
            [*COMMAND, "--engine", engine, "--listen", f"127.0.0.1:{port}"], capture_output=True, timeout=20, text=True
        )
        assert second.returncode == 2
        assert f"port {port} of 127.0.0.1 is in use" in second.stderr
        assert "--listen" in second.stderr
    finally:
        end(process, signal.SIGTERM)


def test_killing_the_command_kills_the_broker_and_its_port_is_free_again(tmp_path: Path) -> None:
    port = free_port()
    for _ in range(2):
        process, _ = start("--engine", "mosquitto", "--listen", f"127.0.0.1:{port}", "--state-dir", str(tmp_path / "s"))
        assert end(process, signal.SIGKILL) == -signal.SIGKILL


async def test_mosquitto_with_a_state_folder_remembers_what_is_retained(tmp_path: Path) -> None:
    options = ("--engine", "mosquitto", "--listen", "127.0.0.1:0", "--state-dir", str(tmp_path / "state"))
    process, port = await asyncio.to_thread(start, *options)
    async with Broker(BrokerSettings(port=port, client_id="w", persistent_session=False)) as broker:
        await broker.next_connection()
        await broker.publish("a", b"kept", retain=True)
    assert end(process, signal.SIGTERM) == 0
    process, port = await asyncio.to_thread(start, *options)
    settings = BrokerSettings(port=port, client_id="r", persistent_session=False)
    async with asyncio.timeout(10), Broker(settings, subscriptions=["a"]) as broker:
        (delivery,) = await broker.receive()
        assert delivery.payload == b"kept"
    end(process, signal.SIGTERM)


def test_without_mosquitto_amqtt_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biotrain.broker.mosquitto.shutil.which", lambda name, path: None)
    assert mosquitto.find(required=False) is None
    with pytest.raises(Exception, match="apt install mosquitto"):
        mosquitto.find(required=True)


def test_the_configuration_for_a_fleet_is_one_that_mosquitto_takes(repository: Path, tmp_path: Path) -> None:
    text = (repository / "deploy" / "mosquitto" / "mosquitto.conf").read_text()
    port = free_port()
    text = text.replace("listener 1883 ", f"listener {port} ").replace("/var/lib/mosquitto/", f"{tmp_path}/")
    file = tmp_path / "mosquitto.conf"
    file.write_text(f"user {os.environ.get('USER', 'root')}\n{text}")
    with (tmp_path / "log").open("wb") as log, subprocess.Popen([MOSQUITTO, "-c", str(file)], stderr=log) as process:
        time.sleep(0.5)
        still_there = process.poll() is None
        process.terminate()
    assert still_there, (tmp_path / "log").read_text()
    assert "Error" not in (tmp_path / "log").read_text()
    stated = {line.split()[0] for line in mosquitto.configuration("127.0.0.1", 1, None).splitlines()}
    for limit in (
        "max_packet_size",
        "max_queued_messages",
        "max_queued_bytes",
        "max_inflight_messages",
        "set_tcp_nodelay",
    ):
        assert limit in stated
        assert limit in text
