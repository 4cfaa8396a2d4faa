"""Where the broker is, who we are to it, and the limits of everything that could grow."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from messaging.identity import ClientIdentity
from schemas.errors import UserError

DEFAULT_PORT = 1883
#: With TLS devices and supervisors have listeners of their own; see biotrain/trust/broker.py.
TLS_PORT, SUPERVISOR_PORT = 8883, 8884


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes for us when we vanish without saying good-bye."""

    topic: str
    payload: bytes
    retain: bool = True


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """One client's view of one broker."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    #: Must be unique at the broker: a second client of the same id throws the first one out.
    client_id: str = "biotrain"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    #: With one, the connection is TLS, and the broker must be of the same site.
    identity: ClientIdentity | None = None
    #: The broker keeps subscriptions and unacknowledged messages while we are away.
    persistent_session: bool = True
    keepalive_s: int = 15
    #: Time for one connection attempt, a subscription, or a publish to be answered.
    timeout_s: float = 10.0
    #: First and longest pause between connection attempts; each pause is doubled, then shortened at random.
    backoff_first_s: float = 0.1
    backoff_longest_s: float = 5.0
    #: Messages received and not yet taken by the consumer; above it the socket is not read until half are gone.
    inbox_messages: int = 20_000
    #: Messages sent and not yet acknowledged by the broker; further calls of `publish` wait.
    inflight_messages: int = 200


def parse_address(address: str, *, what: str = "broker", default_port: int = DEFAULT_PORT) -> tuple[str, int]:
    """`host`, `host:port` or `[v6]:port` as host and port. Raises UserError that names `what`."""
    text = re.sub(r"^(mqtts?|tcp)://", "", address).rstrip("/")
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port_text = rest.removeprefix(":")
    elif text.count(":") > 1:
        raise UserError(f"{what} address {address!r}: an IPv6 host is written in brackets, e.g. [::1]:{default_port}")
    else:
        host, _, port_text = text.partition(":")
    if not host:
        raise UserError(f"{what} address {address!r} has no host: write HOST:PORT, e.g. 127.0.0.1:{default_port}")
    if not port_text:
        return host, default_port
    if not (port_text.isascii() and port_text.isdigit() and int(port_text) <= 65535):
        raise UserError(f"{what} address {address!r}: port must be a number from 0 to 65535, not {port_text!r}")
    return host, int(port_text)
