"""Does the broker let us in, with our certificate, and carry a message?"""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime

import aiomqtt

from biotrain.doctor.finding import Deployment, Finding, Verdict
from biotrain.doctor.ports import is_loopback
from messaging import BrokerSettings, ClientIdentity
from messaging.connection import Connection, PublishError
from messaging.delivery import Delivery
from messaging.identity import read_own
from messaging.settings import DEFAULT_PORT, SUPERVISOR_PORT, TLS_PORT, parse_address
from schemas.errors import UserError
from schemas.principal import Role

_SOON_DAYS = 14
_ANSWER_S = 5.0


def check_broker(deployment: Deployment) -> list[Finding]:
    """Identity first; a broker that is not asked for is not looked for."""
    identity: ClientIdentity | None = None
    found: list[Finding] = []
    if deployment.identity is not None:
        try:
            identity = ClientIdentity.load(deployment.identity)
        except UserError as error:
            return [Finding("certificate", Verdict.FAILED, str(error))]
        found.append(_certificate(identity))
    if deployment.broker is None:
        return [*found, Finding("broker", Verdict.SKIPPED, "no --broker given")]
    default = DEFAULT_PORT
    if identity is not None:
        default = TLS_PORT if identity.principal.role is Role.DEVICE else SUPERVISOR_PORT
    host, port = parse_address(deployment.broker, default_port=default)
    return [*found, asyncio.run(_try(host, port, identity))]


def _certificate(identity: ClientIdentity) -> Finding:
    end = read_own(identity.folder).not_after
    left = (end - datetime.now(UTC)).days
    detail = f"{identity.principal} of {identity.site}, valid until {end:%Y-%m-%d} ({left} days)"
    if left < _SOON_DAYS:
        return Finding("certificate", Verdict.WARNING, detail, "renew it with `biotrain certs renew`")
    return Finding("certificate", Verdict.OK, detail)


async def _try(host: str, port: int, identity: ClientIdentity | None) -> Finding:
    role = identity.principal.role if identity is not None else None
    arrived: asyncio.Queue[Delivery] = asyncio.Queue()
    mark = f"doctor-{secrets.token_hex(8)}"
    # At the devices' listener our id is the certificate's, and the session there is the agent's: it is taken up and
    # left as it was, and what comes on it is not acknowledged.
    settings = BrokerSettings(
        host, port, client_id=mark, identity=identity, timeout_s=_ANSWER_S, persistent_session=role is Role.DEVICE
    )
    topic = f"biotrain/supervisors/{mark}"
    echoes = role in (None, Role.SUPERVISOR)
    at = f"{host}:{port}"
    try:
        connection = Connection(settings, None, arrived.put_nowait)
        try:
            await connection.open([topic] if echoes else [])
            if echoes:
                await connection.send(topic, mark.encode(), qos=1, retain=False)
                async with asyncio.timeout(_ANSWER_S):
                    (await arrived.get()).acknowledge()
        finally:
            await connection.close(gracefully=True)
    except TimeoutError:
        return Finding(
            "broker", Verdict.FAILED, f"{at} takes messages and brings none back", "does its access list know us?"
        )
    except (aiomqtt.MqttError, PublishError, OSError) as error:
        advice = "is it running, and is this its address?"
        if identity is None and port in (TLS_PORT, SUPERVISOR_PORT):
            advice = "this is a port for TLS: give --identity"
        return Finding("broker", Verdict.FAILED, f"{at}: {error}", advice)
    if identity is not None:
        return Finding("broker", Verdict.OK, f"{at} lets us in over TLS" + (", and echoes a message" * echoes))
    if is_loopback(host):
        return Finding("broker", Verdict.OK, f"{at} echoes a message, without TLS, on this machine")
    return Finding(
        "broker",
        Verdict.WARNING,
        f"{at} lets anybody in, without TLS, over the network",
        "close it: `biotrain certs`, deploy/README.md",
    )
