"""Agent, supervisor and broker as an operator starts them, with TLS between them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.principal import Principal, Role
from tests.supervisors import REPOSITORY, SupervisorProcess
from tests.trust.site import Site, connected, identity, why_not


def folder(site: Site, role: Role, name: str) -> str:
    return str(site.authority.holder_folder(Principal(role, name)))


def agent(site: Site, state: Path, *options: str) -> subprocess.CompletedProcess[str]:
    assets = REPOSITORY / "biotrain" / "demo" / "assets"
    return subprocess.run(
        [
            sys.executable, "-m", "biotrain", "agent", "--json", "--broker", f"127.0.0.1:{site.devices_port}",
            "--plan", str(assets / "eog.plan"), "--weights", str(assets / "eog.weights"), "--state-dir", str(state),
            "--sessions", "1", "--trials", "44", "--speed", "400", *options,
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
def supervisor(site: Site, tmp_path: Path) -> SupervisorProcess:
    return SupervisorProcess(
        tmp_path, f"127.0.0.1:{site.supervisors_port}", "--identity", folder(site, Role.SUPERVISOR, "main")
    )


@pytest.mark.slow
def test_what_an_agent_publishes_over_tls_is_stored(site: Site, supervisor: SupervisorProcess, tmp_path: Path) -> None:
    supervisor.start()
    try:
        done = agent(site, tmp_path / "a", "--identity", folder(site, Role.DEVICE, "left"))
        assert done.returncode == 0, done.stdout + done.stderr
        totals = json.loads(done.stdout.splitlines()[-1])
        assert (totals["windows"], totals["published"]) == (44, totals["stored"]), done.stderr
        devices = supervisor.get("/api/devices")
        assert "left" in json.dumps(devices)
    finally:
        assert supervisor.stop() == 0


@pytest.mark.slow
def test_an_agent_with_another_ones_certificate_does_not_start(site: Site, tmp_path: Path) -> None:
    for options in (
        ["--identity", folder(site, Role.DEVICE, "left"), "--device", "right"],
        ["--identity", folder(site, Role.DEVICE, "left"), "--site", "other"],
        ["--identity", folder(site, Role.SUPERVISOR, "main")],
    ):
        done = agent(site, tmp_path / "b", *options)
        assert done.returncode == 2
        assert "belong together" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_supervisor_with_a_read_only_certificate_does_not_start(site: Site, tmp_path: Path) -> None:
    broker = f"127.0.0.1:{site.supervisors_port}"
    refused = SupervisorProcess(tmp_path, broker, "--identity", folder(site, Role.VIEWER, "screen"))
    with pytest.raises(RuntimeError, match="viewer:screen, which may not"):
        refused.start()


@pytest.mark.slow
async def test_biotrain_broker_runs_a_closed_mosquitto(site: Site, tmp_path: Path) -> None:
    words = ["broker", "--json", "--listen", "127.0.0.1:0", "--supervisors", "127.0.0.1:0"]
    words += ["--certs", str(site.authority.broker_folder), "--state-dir", str(tmp_path / "kept")]
    with subprocess.Popen([sys.executable, "-m", "biotrain", *words], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            for listener, role, name in (("address", Role.DEVICE, "left"), ("supervisors", Role.SUPERVISOR, "main")):
                port = int(ready[listener].rpartition(":")[2])
                await why_not(port, None)
                async with connected(port, identity(Path(folder(site, role, name))), "me"):
                    pass
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(5) == 0
