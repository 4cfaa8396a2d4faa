"""A site with its authority, a closed Mosquitto of its own, and whoever wants to connect to it."""

from __future__ import annotations

import contextlib
import getpass
import signal
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt

from biotrain.trust.authority import Authority
from biotrain.trust.broker import configuration
from messaging import BrokerSettings, ClientIdentity
from messaging.connection import Connection
from schemas.principal import Principal, Role
from tests.brokers import MOSQUITTO, free_port, wait_for_port


class Site:
    """`start` after the certificates that the broker shall know at its start."""

    def __init__(self, folder: Path, name: str = "home") -> None:
        self.name = name
        self.authority = Authority.create(folder / "certs", name, days=30)
        self.authority.issue(Principal(Role.BROKER, "main"), hosts=["127.0.0.1", "localhost"], days=30)
        self.devices_port, self.supervisors_port = free_port(), free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def issue(self, role: Role, name: str, *, days: int = 30) -> Path:
        principal = Principal(role, name)
        self.authority.issue(principal, days=days)
        return self.authority.holder_folder(principal)

    def start(self) -> None:
        file = self._folder / "mosquitto.conf"
        state = self._folder / "state"
        state.mkdir(exist_ok=True)
        file.write_text(
            configuration(
                self.authority.broker_folder,
                devices=("127.0.0.1", self.devices_port),
                supervisors=("127.0.0.1", self.supervisors_port),
                state_dir=state,
                user=getpass.getuser(),
            )
            + "log_type information\n"
        )
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([MOSQUITTO, "-c", str(file)], stderr=log)
        wait_for_port(self.supervisors_port, self._process)

    def reload(self) -> None:
        """What an operator does after a change: SIGHUP; returns when Mosquitto has said that it read its files."""
        assert self._process is not None
        before = self.log().count("Reloading config")
        self._process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 10
        while self.log().count("Reloading config") == before:
            assert time.monotonic() < end, self.log()
            time.sleep(0.02)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(10)

    def log(self) -> str:
        return (self._folder / "mosquitto.log").read_text()


def identity(folder: Path) -> ssl.SSLContext:
    return ClientIdentity.load(folder).context()


def attacker(ca: Path, certificate: Path | None = None) -> ssl.SSLContext:
    """Trusts the broker, and shows what it has, without any of the checks that our own clients make first."""
    context = ssl.create_default_context(cafile=str(ca))
    if certificate is not None:
        context.load_cert_chain(certificate / "client.crt", certificate / "client.key")
    return context


class Shows:
    """Stands for an identity: whatever an attacker would show."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def context(self) -> ssl.SSLContext:
        return self._context


async def why_not(port: int, context: ssl.SSLContext | None, host: str = "127.0.0.1") -> str:
    """What our own client says of a connection that does not come about."""
    who: Any = None if context is None else Shows(context)
    settings = BrokerSettings(host, port, client_id="somebody", identity=who, timeout_s=5, persistent_session=False)
    connection = Connection(settings, None, lambda delivery: None)
    try:
        await connection.open([])
    except aiomqtt.MqttError as error:
        return str(error)
    finally:
        await connection.close(gracefully=False)
    raise AssertionError("the broker let it in")


@contextlib.asynccontextmanager
async def connected(port: int, context: ssl.SSLContext | None, client_id: str) -> AsyncIterator[aiomqtt.Client]:
    """Raises aiomqtt.MqttError when the broker does not want it."""
    async with aiomqtt.Client("127.0.0.1", port, tls_context=context, identifier=client_id, timeout=5) as client:
        yield client
