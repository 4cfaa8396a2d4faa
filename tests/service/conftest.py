"""A real broker, and a supervisor process on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import Mosquitto, running_mosquitto
from tests.supervisors import SupervisorProcess


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with running_mosquitto(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def supervisor(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[SupervisorProcess]:
    process = SupervisorProcess(tmp_path, mosquitto.address)
    process.start()
    try:
        yield process
    finally:
        process.kill()
