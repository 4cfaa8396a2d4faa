"""A real broker, and a supervisor process on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import Mosquitto, running_mosquitto
from tests.postgres import Postgres, find_binaries, running_postgres
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


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    if find_binaries() is None:
        pytest.skip("PostgreSQL is not installed: tools/setup.sh test")
    with running_postgres() as server:
        yield server
