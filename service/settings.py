"""What a supervisor is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from messaging import BrokerSettings


@dataclass(frozen=True, slots=True)
class SupervisorSettings:
    """`site` None watches every site of the broker."""

    broker: BrokerSettings
    store: str = "sqlite:///biotrain.db"
    host: str = "127.0.0.1"
    port: int = 8000
    site: str | None = None
    #: `module:function` of async alert hooks, besides those of installed packages.
    hooks: tuple[str, ...] = ()
    hook_timeout_s: float = 10.0
    webhooks: tuple[str, ...] = ()
    webhook_secret: str | None = field(default=None, repr=False)
    #: The first token; with it, everybody else needs one too.
    admin_token: str | None = field(default=None, repr=False)
    #: Serve everybody who reaches the address, also from other machines.
    open_to_all: bool = False
    #: PEM files of the page's own TLS; plain HTTP without. The key may stand in the certificate's file.
    certificate: Path | None = None
    key: Path | None = None
    #: Requests a second of one token, where tokens are asked for; four times as many at once.
    requests_per_s: float = 50.0
    #: Set where several supervisors share one broker and one PostgreSQL; unique among them.
    instance: str | None = None
    #: A device that was not heard for so long is silent.
    silent_after_s: float = 60.0
    #: Gaps are looked for this long after the last message of their boot, and asked for again.
    gap_delay_s: float = 30.0
    #: Telemetry and heartbeats are removed when they are older; their sums by the hour, and events, are kept.
    keep_days: float | None = None
    #: Messages in one transaction, and how long the first of them may wait for the others.
    batch_messages: int = 1000
    batch_linger_s: float = 0.01
