"""What a check has found, and the settings that it looks at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Verdict(StrEnum):
    """How a check has ended."""

    OK = "ok"
    WARNING = "warning"
    """It works, and something about it wants a person's eye."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """Nobody has said that there is such a thing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`advice` says what to do; empty when there is nothing to do."""

    check: str
    verdict: Verdict
    detail: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the person has named; None is not looked at."""

    broker: str | None = None
    identity: Path | None = None
    store: str | None = None
    listen: str | None = None
    page: str | None = None
    state_dir: Path | None = None
    wearable: str | None = None
    trusted_keys: Path | None = None
