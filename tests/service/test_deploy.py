"""The two commands of the operator's section bring the supervisor up on PostgreSQL and Mosquitto."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.brokers import free_port
from tests.postgres import find_binaries
from tests.supervisors import REPOSITORY, SupervisorProcess


@pytest.mark.slow
@pytest.mark.skipif(find_binaries() is None, reason="PostgreSQL is not installed: tools/setup.sh test")
def test_two_commands_bring_the_supervisor_up(tmp_path: Path) -> None:
    # Not pytest's folder: as root, PostgreSQL runs as a user who could not reach into it.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        for _ in range(2):  # the second time it goes on with what is there
            ports = [str(free_port()), str(free_port())]
            with subprocess.Popen(
                [str(REPOSITORY / "deploy" / "up.sh"), f"{folder}/data", *ports], stdout=subprocess.PIPE
            ) as servers:
                try:
                    assert servers.stdout is not None
                    line = servers.stdout.readline().decode().split()
                    assert (line[0], *line[2:4]) == ("ready:", "biotrain", "supervisor"), line
                    name, _, value = line[1].partition("=")
                    assert name == "PGPASSFILE"
                    options = dict(zip(line[4::2], line[5::2], strict=True))
                    supervisor = SupervisorProcess(
                        tmp_path, options["--broker"], store_url=options["--store"], environment={name: value}
                    )
                    supervisor.start()
                    try:
                        assert supervisor.get("/readyz") == {"ready": True, "broker": "connected", "store": "ok"}
                    finally:
                        supervisor.stop()
                finally:
                    servers.send_signal(signal.SIGTERM)
                    servers.wait(30)
