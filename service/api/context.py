"""What the handlers of the REST interface work with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from messaging import Broker
from service.commands import CommandDesk
from service.feed import Feed
from service.ingest import Ingest
from service.store.database import Database


@dataclass(frozen=True, slots=True)
class Context:
    database: Database
    broker: Broker
    ingest: Ingest
    commands: CommandDesk
    feed: Feed
    site: str | None
    started: datetime
    hooks: tuple[str, ...] = ()
