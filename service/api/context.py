"""What the handlers of the REST interface work with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from messaging import Broker
from service.commands import CommandDesk
from service.feed import Feed
from service.ingest import Ingest
from service.limits import RequestLimits
from service.metrics import Metrics
from service.pushes import PushDesk
from service.rollout.desk import RolloutDesk
from service.store.alert_rows import Channels
from service.store.batch import AlertChange
from service.store.database import Database
from service.tokens import TokenDesk


@dataclass(frozen=True, slots=True)
class Context:
    """The supervisor's parts that handlers of requests use."""

    database: Database
    broker: Broker
    ingest: Ingest
    commands: CommandDesk
    pushes: PushDesk
    rollouts: RolloutDesk
    feed: Feed
    tokens: TokenDesk
    limits: RequestLimits
    site: str | None
    started: datetime
    metrics: Metrics
    channels: Channels
    on_alerts: Callable[[Sequence[AlertChange]], None]
    hooks: tuple[str, ...] = ()
