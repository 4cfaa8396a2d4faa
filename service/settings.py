"""What a supervisor is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass

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
    #: Messages in one transaction, and how long the first of them may wait for the others.
    batch_messages: int = 500
    batch_linger_s: float = 0.01
