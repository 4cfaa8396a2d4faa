"""A second supervisor, a port in use, a database that is none: refused, by name."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from tests.brokers import Mosquitto
from tests.supervisors import SupervisorProcess

#: Processes: not for every quick run.
pytestmark = pytest.mark.slow


def test_a_second_supervisor_on_the_same_database_is_refused(
    tmp_path: Path, mosquitto: Mosquitto, supervisor: SupervisorProcess
) -> None:
    second = SupervisorProcess(tmp_path, mosquitto.address)
    with pytest.raises(
        RuntimeError, match=r"(?s)code 2: .*biotrain\.db is in use by another supervisor \(process \d+\)"
    ):
        second.start()
    assert supervisor.get("/readyz")["ready"]


def test_a_second_supervisor_on_the_same_broker_and_site_is_refused(
    tmp_path: Path, mosquitto: Mosquitto, supervisor: SupervisorProcess
) -> None:
    folder = tmp_path / "second"
    folder.mkdir()
    second = SupervisorProcess(folder, mosquitto.address)
    with pytest.raises(RuntimeError, match=r"(?s)code 2: .*another supervisor .* is connected to the broker"):
        second.start()
    stats = supervisor.get("/api/stats")["broker"]
    assert (stats["connected"], stats["connections_lost"]) == (True, 0), "the first one was not disturbed"


def test_a_supervisor_of_another_site_is_welcome(
    tmp_path: Path, mosquitto: Mosquitto, supervisor: SupervisorProcess
) -> None:
    folder = tmp_path / "second"
    folder.mkdir()
    second = SupervisorProcess(folder, mosquitto.address, "--site", "clinic")
    second.start()
    try:
        assert second.get("/api/stats")["site"] == "clinic"
        assert supervisor.get("/readyz")["ready"]
    finally:
        second.kill()


def test_a_killed_supervisor_leaves_no_lock_behind(supervisor: SupervisorProcess) -> None:
    supervisor.kill()
    supervisor.start()
    assert supervisor.get("/readyz")["ready"]


@pytest.mark.slow
def test_a_supervisor_waits_for_a_broker_that_is_not_there(tmp_path: Path) -> None:
    mosquitto = Mosquitto(tmp_path / "broker")
    supervisor = SupervisorProcess(tmp_path, mosquitto.address)
    supervisor.start()
    try:
        assert supervisor.get("/healthz") == {"status": "ok"}
        assert supervisor.get("/api/stats")["broker"]["connected"] is False
        assert "no connection to the broker" in supervisor.log()
        mosquitto.start()
        end = time.monotonic() + 10
        while not supervisor.get("/api/stats")["broker"]["connected"]:
            assert time.monotonic() < end
            time.sleep(0.1)
        assert supervisor.stop() == 0
    finally:
        supervisor.kill()
        mosquitto.stop()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--listen", "127.0.0.1:{port}"], "port {port} of 127.0.0.1 is in use"),
        (["--listen", "127.0.0.1:web"], "port must be a number"),
        (["--listen", "203.0.113.7:8000"], "name an address of this machine"),
        (["--store", "sqlite:///no/such/folder/x.db"], "create it first"),
        (["--store", "mysql://x/y"], "mysql is not supported; SQLite and PostgreSQL are"),
        (
            ["--store", "postgresql://nobody:secret@127.0.0.1:1/none"],
            "postgresql://nobody:***@127.0.0.1:1/none: cannot",
        ),
        (["--store", "sqlite://"], "name a file"),
        (["--store", "biotrain.db"], "not a database URL"),
        (["--store", "sqlite:///text.db"], "cannot be used as a database"),
        (["--store", "sqlite:///later.db"], "later version of biotrain"),
        (["--site", "a/b"], "cannot stand in a topic"),
        (["--hook", "nothing_here:x"], "cannot be imported"),
    ],
)
def test_what_cannot_work_is_refused_with_a_word_on_what_to_do(
    options: list[str], complaint: str, tmp_path: Path, mosquitto: Mosquitto
) -> None:
    (tmp_path / "text.db").write_text("this is no database, although it is long enough to be one " * 20)
    with sqlite3.connect(tmp_path / "later.db") as later:
        later.execute("PRAGMA user_version = 99")
    later.close()
    filled = [option.format(port=mosquitto.port) for option in options]
    supervisor = SupervisorProcess(tmp_path, mosquitto.address, *filled)
    with pytest.raises(RuntimeError, match="left with code 2") as refusal:
        supervisor.start()
    assert complaint.format(port=mosquitto.port) in str(refusal.value)
    assert "Traceback" not in str(refusal.value)
