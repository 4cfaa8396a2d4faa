"""A deployment that runs, looked at from outside: its ports, the usual passwords, and where its secrets can be seen.

What listens is compared with the table of ports in deploy/README.md.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.brokers import free_port
from tests.postgres import find_binaries
from tests.supervisors import REPOSITORY, SupervisorProcess

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_binaries() is None, reason="PostgreSQL is not installed: tools/setup.sh test"),
]
USUAL = ("", "biotrain", "admin", "postgres", "password", "changeme", "secret", "test", "1234")


@dataclass(frozen=True)
class Running:
    folder: Path
    token: str
    password: str
    ports: dict[str, int]
    processes: list[psutil.Process]
    supervisor: SupervisorProcess

    @property
    def store(self) -> dict[str, object]:
        return {"host": "127.0.0.1", "port": self.ports["postgres"], "dbname": "biotrain", "user": "biotrain"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The two commands of the operator's section, with a token."""
    token = secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)
        ports = {"postgres": free_port(), "mqtt": free_port()}
        words = [str(REPOSITORY / "deploy" / "up.sh"), f"{folder}/data", str(ports["postgres"]), str(ports["mqtt"])]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as servers:
            try:
                assert servers.stdout is not None
                line = servers.stdout.readline().decode()
                assert line.startswith("ready: "), line
                supervisor = SupervisorProcess(
                    tmp_path_factory.mktemp("supervisor"),
                    f"127.0.0.1:{ports['mqtt']}",
                    store_url=f"postgresql://biotrain@127.0.0.1:{ports['postgres']}/biotrain",
                    environment={"PGPASSFILE": f"{folder}/data/pgpass", "BIOTRAIN_ADMIN_TOKEN": token},
                )
                supervisor.start()
                try:
                    ports["page"] = int(supervisor.url.rsplit(":", 1)[1])
                    mine = psutil.Process(servers.pid), psutil.Process(supervisor.pid)
                    found = [process for one in mine for process in (one, *one.children(recursive=True))]
                    password = (folder / "data" / "pgpass").read_text().strip().rsplit(":", 1)[1]
                    yield Running(folder, token, password, ports, found, supervisor)
                finally:
                    supervisor.stop()
            finally:
                servers.send_signal(signal.SIGTERM)
                servers.wait(30)


def test_nothing_listens_but_what_is_documented_and_on_loopback_alone(running: Running) -> None:
    there = {
        (address.ip, address.port)
        for process in running.processes
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN and (address := connection.laddr)
    }
    assert there == {("127.0.0.1", port) for port in running.ports.values()}
    table = (REPOSITORY / "deploy" / "README.md").read_text()
    told = set(re.findall(r"^\| (\d+) \|", table, re.MULTILINE))
    assert {"1883", "5433", "8000"} <= told


def test_no_usual_password_opens_the_database(running: Running) -> None:
    psycopg = pytest.importorskip("psycopg")
    for user in ("biotrain", "postgres"):
        for password in USUAL:
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(**running.store | {"user": user, "password": password, "passfile": "/nowhere"})
    psycopg.connect(**running.store, password=running.password).close()
    assert (running.folder / "data" / "pgpass").stat().st_mode & 0o077 == 0


def test_no_usual_token_opens_the_supervisor(running: Running) -> None:
    def status(token: str | None) -> int:
        headers = {} if not token else {"Authorization": f"Bearer {token}"}
        return httpx.get(f"{running.supervisor.url}/api/devices", headers=headers, timeout=10).status_code

    assert [status(token) for token in (None, *USUAL)] == [401] * (1 + len(USUAL))
    assert status(running.token) == 200


def test_no_secret_is_on_a_command_line_in_a_log_or_in_a_file_for_others(running: Running) -> None:
    hidden = (running.token, running.password)
    for process in running.processes:
        assert not any(secret in word for word in process.cmdline() for secret in hidden)
    for path in running.folder.rglob("*"):
        if not path.is_file() or path.stat().st_mode & 0o044 == 0:
            continue
        content = path.read_bytes()
        assert not any(secret.encode() in content for secret in hidden), path
    assert not any(secret in running.supervisor.log() for secret in hidden)
    assert os.environ.get("BIOTRAIN_ADMIN_TOKEN") != running.token
