"""`biotrain doctor`: each thing that can be wrong is found, named, and told how to mend."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from biotrain.doctor import broker, clock, installation, ports, state, store, wearable
from biotrain.doctor.finding import Deployment, Finding, Verdict
from biotrain.doctor.run import CHECKS, run_checks
from device_agent.outbox import Draft, Identity, Outbox
from messaging import Broker, BrokerSettings, ClientIdentity
from schemas.principal import Role
from schemas.topics import Kind
from service.store.database import Database
from tests.brokers import Mosquitto, free_port, running_mosquitto
from tests.trust.site import Site


def verdicts(found: list[Finding]) -> dict[str, Verdict]:
    return {finding.check: finding.verdict for finding in found}


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with running_mosquitto(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "home")
    for role in (Role.DEVICE, Role.SUPERVISOR, Role.VIEWER):
        site.issue(role, "one", days=5 if role is Role.VIEWER else 30)
    site.start()
    yield site
    site.stop()


def test_a_whole_deployment_is_found_whole_and_the_exit_code_says_so(mosquitto: Mosquitto, tmp_path: Path) -> None:
    words = ["doctor", "--json", "--broker", mosquitto.address, "--store", f"sqlite:///{tmp_path}/b.db"]
    words += ["--listen", f"127.0.0.1:{free_port()}", "--state-dir", str(tmp_path / "state"), "--wearable", "local"]
    done = subprocess.run([sys.executable, "-m", "biotrain", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] is True
    assert {finding["check"] for finding in told["findings"]} >= {
        "packages", "engine", "clock", "port", "broker", "database", "agent's state", "wearable",
    }  # fmt: skip
    assert list(tmp_path.iterdir()) == [], "it has only looked"
    words[words.index(mosquitto.address)] = f"127.0.0.1:{free_port()}"
    done = subprocess.run(
        [sys.executable, "-m", "biotrain", *[word for word in words if word != "--json"]],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "✗ broker" in done.stdout
    assert "is it running" in done.stdout


def test_what_is_not_named_is_not_looked_at() -> None:
    skipped = [finding.check for finding in run_checks(Deployment()) if finding.verdict is Verdict.SKIPPED]
    assert {"port", "broker", "database", "agent's state", "wearable"} <= set(skipped)


def test_a_check_that_breaks_does_not_keep_the_others_from_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biotrain.doctor.run.CHECKS", (("nothing", "check"), *CHECKS[-1:]))
    found = list(run_checks(Deployment(wearable="nonsense://")))
    assert [finding.verdict for finding in found] == [Verdict.FAILED, Verdict.FAILED]


def test_extras_are_whole_half_there_or_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"biotrain": "1", "a": "1.0", "b": "2.0"}
    monkeypatch.setattr(
        installation, "requires", lambda name: ["a>=1", "b<2", 'a; extra == "x"', 'b; extra == "y"', 'c; extra == "y"',
                                                'c; extra == "z"']
    )  # fmt: skip
    monkeypatch.setattr(
        installation, "metadata", lambda name: type("M", (), {"get_all": lambda s, k: ["x", "y", "z"]})()
    )

    def version(name: str) -> str:
        if name not in versions:
            raise installation.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(installation, "version", version)
    core, *extras = installation.check_packages(Deployment())
    assert (core.verdict, "b 2.0 does not fit <2" in core.detail) == (Verdict.FAILED, True)
    assert [extra.verdict for extra in extras] == [Verdict.OK, Verdict.WARNING, Verdict.SKIPPED]
    assert extras[1].detail == "half installed: c is missing"
    assert extras[1].advice == "pip install 'biotrain[y]'"


def test_a_clock_before_the_programs_own_time_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    class Past(datetime):
        @classmethod
        def now(cls, tz: object = None) -> Past:
            return cls(1970, 1, 1, 0, 5, tzinfo=UTC)

    monkeypatch.setattr(clock, "datetime", Past)
    assert [finding.verdict for finding in clock.check_clock(Deployment())] == [Verdict.FAILED]


def test_a_clock_that_differs_from_the_supervisors_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    for date, verdict in (("Thu, 01 Jan 2026 00:00:00 GMT", Verdict.FAILED), (None, Verdict.OK)):
        from email.utils import formatdate

        answer = httpx.Response(200, headers={"date": date or formatdate(usegmt=True)})
        monkeypatch.setattr(httpx, "get", lambda url, timeout, answer=answer: answer)
        found = verdicts(clock.check_clock(Deployment(page="http://127.0.0.1:1")))
        assert found["clock against the supervisor's"] is verdict


def test_a_port_in_use_is_found_and_one_that_is_open_to_the_network_is_warned_of() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        taken.settimeout(0.1)
        (finding,) = ports.check_ports(Deployment(listen=f"127.0.0.1:{port}"))
    assert finding.verdict is Verdict.FAILED
    assert f"port {port}" in finding.detail
    open_ = ports.check_ports(Deployment(listen=f"0.0.0.0:{free_port()}"))
    assert [finding.verdict for finding in open_] == [Verdict.OK, Verdict.WARNING]


def test_each_role_is_let_in_at_its_listener_and_certificates_near_their_end_are_warned_of(site: Site) -> None:
    def look(role: str, port: int) -> list[Finding]:
        folder = site.authority.folder / f"{role}-one"
        return broker.check_broker(Deployment(broker=f"127.0.0.1:{port}", identity=folder))

    assert verdicts(look("device", site.devices_port)) == {"certificate": Verdict.OK, "broker": Verdict.OK}
    told = look("supervisor", site.supervisors_port)
    assert verdicts(told) == {"certificate": Verdict.OK, "broker": Verdict.OK}
    assert "echoes" in told[1].detail
    assert verdicts(look("viewer", site.supervisors_port)) == {"certificate": Verdict.WARNING, "broker": Verdict.OK}
    (finding,) = broker.check_broker(Deployment(broker=f"127.0.0.1:{site.devices_port}"))
    assert finding.verdict is Verdict.FAILED
    (finding,) = broker.check_broker(Deployment(identity=site.authority.folder))
    assert (finding.check, finding.verdict) == ("certificate", Verdict.FAILED)


def test_looking_takes_nothing_from_the_agent_whose_certificate_it_uses(site: Site) -> None:
    """A command that came while the agent was away is still there for it after the doctor's visit."""
    folder = site.authority.folder / "device-one"
    topic = "biotrain/v1/home/one/command"

    async def agent_comes(messages: int) -> list[bytes]:
        settings = BrokerSettings(port=site.devices_port, client_id="x", identity=ClientIdentity.load(folder))
        async with asyncio.timeout(10), Broker(settings, subscriptions=[topic]) as me:
            await me.next_connection()
            found = []
            while len(found) < messages:
                for delivery in await me.receive():
                    delivery.acknowledge()
                    found.append(delivery.payload)
            return found

    async def command() -> None:
        identity = ClientIdentity.load(site.authority.folder / "supervisor-one")
        settings = BrokerSettings(port=site.supervisors_port, client_id="s", identity=identity)
        async with asyncio.timeout(10), Broker(settings) as supervisor:
            await supervisor.next_connection()
            await supervisor.publish(topic, b"adapt")

    assert asyncio.run(agent_comes(0)) == []
    asyncio.run(command())
    found = broker.check_broker(Deployment(broker=f"127.0.0.1:{site.devices_port}", identity=folder))
    assert verdicts(found)["broker"] is Verdict.OK
    assert asyncio.run(agent_comes(1)) == [b"adapt"]


async def test_a_database_is_found_whole_damaged_foreign_or_out_of_reach(tmp_path: Path) -> None:
    def look(name: str) -> Finding:
        return store.check_store(Deployment(store=f"sqlite:///{tmp_path / name}"))[0]

    assert "will make it" in look("new.db").detail
    async with Database(f"sqlite:///{tmp_path / 'good.db'}"):
        pass
    assert look("good.db").detail.endswith("whole, 0 messages")
    whole = (tmp_path / "good.db").read_bytes()
    (tmp_path / "damaged.db").write_bytes(whole[:8192] + b"\xa5" * 8192 + whole[16384:])
    (tmp_path / "foreign.db").write_bytes(b"no database" * 1000)
    assert look("damaged.db").verdict is Verdict.FAILED
    assert look("foreign.db").verdict is Verdict.FAILED
    assert look("no/such/folder.db").verdict is Verdict.FAILED
    assert store.check_store(Deployment(store="mysql://x"))[0].verdict is Verdict.FAILED
    unreachable = f"postgresql://nobody:secret@127.0.0.1:{free_port()}/x"
    (finding,) = store.check_store(Deployment(store=unreachable))
    assert finding.verdict is Verdict.FAILED
    assert "secret" not in finding.detail


def test_an_agents_state_is_found_in_use_waiting_full_or_spoilt(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    box = Outbox.open(folder, Identity("s", "d", None), quota_bytes=2000)
    assert "an agent is using" in state.check_state(Deployment(state_dir=folder))[0].detail
    box.put([Draft(Kind.STATE, {"state": "online", "detail": "x" * 400})] * 5)
    box.close()
    found = state.check_state(Deployment(state_dir=folder))
    assert found[0].verdict is Verdict.WARNING
    assert found[0].detail == "6 messages wait to be stored; the outbox is full"
    assert "privacy of the state" not in verdicts(found)
    folder.chmod(0o755)
    assert verdicts(state.check_state(Deployment(state_dir=folder)))["privacy of the state"] is Verdict.WARNING
    (folder / "outbox.db").write_bytes(b"spoilt" * 1000)
    assert state.check_state(Deployment(state_dir=folder))[0].verdict is Verdict.FAILED
    sqlite3.connect(tmp_path / "x.db").close()
    assert state.check_state(Deployment(state_dir=tmp_path / "x.db" / "y"))[0].verdict is Verdict.FAILED


def test_a_wearable_that_is_not_there_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wearable, "_PATIENCE_S", 0.3)
    (finding,) = wearable.check_wearable(Deployment(wearable=f"tcp://127.0.0.1:{free_port()}"))
    assert finding.verdict is Verdict.FAILED
    assert "one agent at a time" in finding.advice
    (finding,) = wearable.check_wearable(Deployment(wearable="local"))
    assert (finding.verdict, "no plan" in finding.detail) == (Verdict.WARNING, True)
