"""The brokers that the project supports, running."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.brokers import running_mosquitto


@contextmanager
def running_amqtt() -> Iterator[int]:
    command = [sys.executable, "-m", "biotrain", "broker", "--engine", "amqtt", "--listen", "127.0.0.1:0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield int(json.loads(process.stdout.readline())["address"].rpartition(":")[2])
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="session")
def mosquitto_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running_mosquitto(tmp_path_factory.mktemp("broker")) as mosquitto:
        yield mosquitto.port


@pytest.fixture(scope="session")
def amqtt_port() -> Iterator[int]:
    with running_amqtt() as port:
        yield port


@pytest.fixture(params=["mosquitto", "amqtt"])
def any_port(request: pytest.FixtureRequest) -> int:
    port: int = request.getfixturevalue(f"{request.param}_port")
    return port
